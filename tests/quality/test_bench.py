"""The process that looks at code: what it finds, and what hostile code does to it."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator

import pytest

from llm_gateway.probes import Bench, BenchBusy, BenchFailed, Task, present
from llm_gateway.scorers import Quality, facts_of
from tests.quality.seeds import BASE, answer, seeded

EVERYTHING = ("structure", "syntax", "lint", "security", "complexity")
needs_ruff = pytest.mark.skipif("ruff" not in present(), reason="ruff is not installed")
needs_grammars = pytest.mark.skipif("tree-sitter" not in present(), reason="make install-quality was not run")


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    made = Bench()
    yield made
    made.close()


def task(text: str, using: tuple[str, ...] = EVERYTHING, **facts: str) -> Task:
    return Task(text=text, facts=facts_of(text, **facts), using=using)


def look(bench: Bench, text: str, finish: str = "stop") -> Quality:
    return bench.score(task(text, asked="python", task_type="generate", finish=finish))


@needs_ruff
def test_the_ten_seeded_defects_are_all_seen(bench: Bench) -> None:
    right = look(bench, answer(BASE)).score
    assert right == 100
    scores = {name: look(bench, one.text, one.finish).score for name, one in seeded().items()}
    assert {name for name, score in scores.items() if score is None or score >= right} == set()
    assert {name for name in ("cut", "syntax") if (scores[name] or 0) > 40} == set()


@needs_grammars
@pytest.mark.parametrize(
    ("tag", "right", "wrong"),
    [
        ("js", "const f = (x) => { return x + 1; }", "const f = (x => { return x + 1; "),
        ("tsx", "const A = () => <div>hi</div>;", "const A = () => <div>hi</"),
        ("ts", "interface A { x: number }", "interface A { x: : }"),
        ("go", "x := 1\nfmt.Println(x)", "x := := 1"),
        ("java", "public int f(int x) { return x + 1; }", "public int f(int x { return"),
        ("rust", "let x = 5;", "let x = = 5;"),
        ("c", "int f(int x) { return x; }", "int f(int x { return"),
        ("c++", "template<class T> T f(T x) { return x; }", "template<class T T f("),
        ("c#", "public int F(int x) { return x; }", "public int F(int x { return"),
        ("ruby", "def f(x)\n  x + 1\nend", "def f(x\n  x + "),
        ("php", "function f($x) { return $x; }", "function f($x { return"),
        ("bash", "for i in 1 2; do echo $i; done", "for i in 1 2; do echo $("),
    ],
)
def test_a_snippet_of_each_language_parses_as_it_is_written_and_not_when_it_is_broken(
    bench: Bench, tag: str, right: str, wrong: str
) -> None:
    values = [bench.score(task(f"```{tag}\n{code}\n```", ("syntax",))).scorers[0].value for code in (right, wrong)]
    assert values == [1.0, 0.0]


@pytest.mark.parametrize(
    "bomb", ["(" * 100_000, "-" * 100_000 + "1", "x = " + "[" * 5_000 + "]" * 5_000, "\0" * 1000, "\x00\xff\ufffd" * 500]
)
def test_nested_and_binary_code_is_scored_or_unknown_and_never_an_error(bench: Bench, bomb: str) -> None:
    made = look(bench, answer(bomb + "\n"))
    assert made.score is not None
    assert made.score <= 40
    assert look(bench, answer(BASE)).score is not None, "the next one is looked at as ever"


def test_a_child_that_dies_or_hangs_is_replaced() -> None:
    bench = Bench()
    look(bench, answer("x = 1\n"))
    bench._wait_s = 0.3
    assert bench._child is not None
    first = bench._child.pid
    os.kill(first, signal.SIGSTOP)
    with pytest.raises(BenchFailed, match="ended"):
        look(bench, answer("x = 1\n"))
    bench._wait_s = 10
    assert look(bench, answer("x = 1\n")).score is not None
    assert bench._child.pid != first
    bench.close()


def test_no_more_wait_than_may() -> None:
    bench = Bench(most=1)
    look(bench, answer("x = 1\n"))
    assert bench._child is not None
    os.kill(bench._child.pid, signal.SIGSTOP)
    ends: list[BaseException] = []

    def wait() -> None:
        try:
            look(bench, answer("x = 1\n"))
        except BenchFailed as error:
            ends.append(error)

    waiting = threading.Thread(target=wait)
    waiting.start()
    while bench._places.acquire(blocking=False):
        bench._places.release()
        time.sleep(0.01)  # another thread takes the place
    with pytest.raises(BenchBusy):
        look(bench, answer("x = 1\n"))
    os.kill(bench._child.pid, signal.SIGKILL)
    waiting.join(5)
    assert len(ends) == 1
    bench.close()


def test_the_child_gets_nothing_of_the_gateway_s_environment(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COGO_ENCRYPTION_KEYS", "a-secret-of-the-gateway")
    other = Bench()
    look(other, answer("x = 1\n"))
    assert other._child is not None
    with open(f"/proc/{other._child.pid}/environ", "rb") as environment:  # noqa: PTH123  # not a file of ours
        held = environment.read()
    other.close()
    assert b"COGO_" not in held
    assert b"DATABASE" not in held
