"""The face of a scorer, and what goes in and comes out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Protocol

import msgspec

Severity = Literal["high", "medium", "low"]
Kind = Literal["structure", "syntax", "lint", "security", "complexity", "judge", "execution", "feedback"]
Cost = Literal["inline", "worker", "bought"]
# So much of an answer is looked at; what is longer is scored as unknown.
LONGEST = 2 << 20
MOST_BLOCKS = 40
MOST_FINDINGS = 20


class Finding(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The evidence for a deduction. ``line`` counts from 1 within the block, ``block`` from 1 within the answer; ``None``: of the whole."""

    rule: str
    severity: Severity
    message: str
    line: int | None = None
    block: int | None = None


class Block(msgspec.Struct, frozen=True, kw_only=True):
    """A piece of code. ``language``: its canonical name, empty where unknown; ``tag``: as the fence says; ``line``: of its first line
    in the answer, from 1; ``closed``: its fence is."""

    code: str
    language: str = ""
    tag: str = ""
    line: int = 1
    closed: bool = True


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of an answer beside its text.

    ``finish``: why it ended, as in the log; empty: unknown. ``cut``: it broke off. ``asked``: the language asked for. ``wants_json`` and
    ``schema``: what the whole text has to be. ``calls``: (tool, arguments) in order; ``tools``: JSON Schema of each tool, ``None`` where it
    takes none; ``None`` in place of all of them: unknown. ``bare``: the text is one snippet, without prose and fences."""

    blocks: tuple[Block, ...] = ()
    finish: str = ""
    cut: bool = False
    asked: str = ""
    task_type: str = ""
    wants_json: bool = False
    schema: Mapping[str, Any] | None = None
    calls: tuple[tuple[str, str], ...] = ()
    tools: Mapping[str, Mapping[str, Any] | None] | None = None
    bare: bool = False


class Probes(msgspec.Struct, frozen=True, kw_only=True):
    """What tools outside this room found, by block (the same order as ``Facts.blocks``). ``None``: the tool did not run on it.

    ``parsed``: (line, message) of what a grammar could not read. ``linted``: findings of ruff. ``measured``: one (name, line, cyclomatic
    complexity, lines) per function, from lizard. ``passed``: whether the tests that came with the code did; ``ended_by``: why not."""

    parsed: tuple[tuple[tuple[int, str], ...] | None, ...] = ()
    linted: tuple[tuple[Finding, ...] | None, ...] = ()
    measured: tuple[tuple[tuple[str, int, int, int], ...] | None, ...] = ()
    passed: bool | None = None
    ended_by: str = ""


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """``value`` 0 … 1, ``None``: not applicable or unknown. ``caps``: the answer is cut, empty or unparsable, whatever else is good."""

    value: float | None = None
    findings: tuple[Finding, ...] = ()
    caps: bool = False


class Scored(msgspec.Struct, frozen=True, kw_only=True):
    """A verdict under its scorer's name."""

    name: str
    version: int
    value: float | None = None
    findings: tuple[Finding, ...] = ()


class Scorer(Protocol):
    """``version`` rises with every change that may move a value. ``cost``: ``inline`` runs for every answer in the process that relayed
    it, ``worker`` never does. ``weight``: its part in the total."""

    name: str
    title: str
    summary: str
    version: int
    kind: Kind
    cost: Cost

    def applies(self, facts: Facts) -> bool: ...
    def score(self, text: str, facts: Facts, probes: Probes) -> Verdict: ...


PENALTY: Mapping[str, float] = {"high": 0.6, "medium": 0.3, "low": 0.1}


def deducted(findings: list[Finding] | tuple[Finding, ...]) -> float:
    """1 without findings; each leaves a part of what was left."""
    left = 1.0
    for finding in findings:
        left *= 1 - PENALTY[finding.severity]
    return round(left, 4)
