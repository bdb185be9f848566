"""What a body up to the cap costs everybody else: the longest single call into C, which holds the interpreter's lock to its end."""

from __future__ import annotations

import gc
import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import pytest

from llm_gateway.api.compat._generate import read
from llm_gateway.core.errors import GatewayError
from llm_gateway.core.json import MAX_CONTAINERS, MAX_KEYS, MAX_MEMBERS, InvalidJson, edit_object
from llm_gateway.wires import dialects

# On an idle machine 0.08 s is the longest (text whose every character is an escaped pair); a busy one needs up to twice the processor time.
MOST_S = 0.15
MB = 1 << 20

CONTENTS: dict[str, Callable[[], str]] = {
    "keys far too many": lambda: "{" + ",".join(f'"k{n}":1' for n in range(2_300_000)) + "}",
    "keys": lambda: "{" + ",".join(f'"k{n}":1' for n in range(MAX_KEYS - 100)) + "}",
    "elements far too many": lambda: "[" + "1," * 1_000_000 + "1]",
    "elements": lambda: "[" + "1," * (MAX_MEMBERS - 100) + "1]",
    "lists": lambda: "[" + "[]," * (MAX_CONTAINERS - 100) + "[]]",
    "strings": lambda: "[" + '"' + '","'.join(["a" * 80] * (MAX_MEMBERS - 100)) + '"]',
    "a picture": lambda: '"data:image/png;base64,' + "iVBORw0KGgoAAAANSUhEUgAA" * (31 * MB // 24) + '"',
    "text": lambda: json.dumps("é" * (15 * MB), ensure_ascii=False),
    "escaped text": lambda: '"' + "\\ud83d\\ude00" * 900_000 + "a" * (10 * MB) + '"',
    "line ends": lambda: '"' + "\\n" * 1_900_000 + "a" * (20 * MB) + '"',
    "depth": lambda: "[" * (5 * MB) + "]" * (5 * MB),
    "quotes": lambda: '"' * (30 * MB),
}
BODIES = {
    "openai_chat": '{"model":"auto","messages":[{"role":"user","content":%s}]}',
    "anthropic_messages": '{"model":"auto","max_tokens":9,"messages":[{"role":"user","content":%s}]}',
    "openai_responses": '{"model":"auto","input":%s}',
    "gemini_generate": '{"contents":[{"role":"user","parts":[{"text":%s}]}]}',
}


@pytest.fixture(autouse=True)
def startup_out_of_garbage_collection() -> Iterator[None]:
    """As in a worker."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@contextmanager
def longest_call() -> Iterator[list[tuple[float, str]]]:
    """The calls into C of this thread so far, by processor time."""
    found: list[tuple[float, str]] = [(0.0, "")]
    began = [0.0]

    def note(frame: FrameType, event: str, called: Any) -> None:
        if event == "c_call":
            began[0] = time.thread_time()
        elif event in ("c_return", "c_exception") and (took := time.thread_time() - began[0]) > found[0][0]:
            found[0] = (took, f"{getattr(called, '__qualname__', called)} at {frame.f_code.co_filename}:{frame.f_lineno}")

    sys.setprofile(note)
    try:
        yield found
    finally:
        sys.setprofile(None)


@pytest.mark.slow
@pytest.mark.alone
@pytest.mark.parametrize("dialect", BODIES)
@pytest.mark.parametrize("content", CONTENTS)
def test_no_body_holds_the_interpreter_for_longer_than_a_moment(dialect: str, content: str) -> None:
    body = (BODIES[dialect] % CONTENTS[content]()).encode()
    path = {"kind": "chat", "model": "auto"}
    with longest_call() as longest:
        try:
            read(body, dialects.get(dialect), path, None)
            edit_object(body, {"model": "another"})
        except (GatewayError, InvalidJson):
            pass
    assert longest[0][0] < MOST_S, longest
