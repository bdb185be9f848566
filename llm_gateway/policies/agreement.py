"""Whether one answer could replace another, and how much confidence that gives in the next one.
Pure."""

from __future__ import annotations

import ast
import json
import math
import re
from typing import Final

# Judged hits and lower bound required before the cache serves anything.
LEAST_JUDGED: Final = 300
LEAST_BOUND: Final = 0.99
CONFIDENCE: Final = 0.95
# Share of served hits that are asked again as a check.
ASKED_ANEW: Final = 0.01

_FENCE = re.compile(r"```[ \t]*([\w+#.-]*)[^\n]*\n(.*?)(?:```|\Z)", re.DOTALL)
_INDENTED = re.compile(r"^(?: {2,}|\t)\S", re.MULTILINE)
_MOST_PARSED = 20_000


def agree(one: str, other: str) -> bool:
    """Both hold code: the same code, as syntax trees of Python, else line by line. Neither does:
    equal JSON, or the same words; indented text, which may be code, line by line. Anything these
    rules cannot decide counts as a disagreement."""
    first, second = _FENCE.findall(one), _FENCE.findall(other)
    if first or second:
        return len(first) == len(second) and all(_same_code(a, b) for a, b in zip(first, second, strict=True))
    if (mine := _document(one)) is not None:
        return mine == _document(other)
    if _INDENTED.search(one) or _INDENTED.search(other):
        return _lines(one) == _lines(other)
    return one.split() == other.split()


def lower_bound(right: int, judged: int) -> float:
    """The exact one-sided Clopper-Pearson bound: with this confidence, the share of right hits is
    at least this."""
    wrong = judged - right
    if judged <= 0 or right <= 0:
        return 0.0
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        # The probability of so few wrong hits if the share of right ones were only this.
        if _at_most(wrong, judged, 1 - middle) > 1 - CONFIDENCE:
            high = middle
        else:
            low = middle
    return low


def refusal(right: int, judged: int) -> str:
    """Why the cache may not answer similar questions yet; empty: it may."""
    if judged < LEAST_JUDGED:
        return f"{judged} of {LEAST_JUDGED} hits are judged; let the shadow measure on."
    bound = lower_bound(right, judged)
    if bound < LEAST_BOUND:
        return f"{right} of {judged} judged hits were right: at least {bound:.2%} of all are, and {LEAST_BOUND:.0%} are asked for."
    return ""


def _at_most(wrong: int, judged: int, share: float) -> float:
    if share <= 0.0:
        return 1.0
    if share >= 1.0:
        return 0.0
    logs = (
        math.lgamma(judged + 1) - math.lgamma(k + 1) - math.lgamma(judged - k + 1) + k * math.log(share) + (judged - k) * math.log1p(-share)
        for k in range(wrong + 1)
    )
    return min(1.0, math.fsum(math.exp(log) for log in logs))


def _lines(text: str) -> list[str]:
    return [line.rstrip() for line in text.strip("\n").splitlines()]


def _document(text: str) -> object | None:
    if text.lstrip()[:1] not in ("{", "["):
        return None
    try:
        document: object = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return document


def _same_code(one: tuple[str, str], other: tuple[str, str]) -> bool:
    if _lines(one[1]) == _lines(other[1]):
        return True
    mine = _tree(one[1])
    return mine is not None and mine == _tree(other[1])


def _tree(code: str) -> str | None:
    if len(code) > _MOST_PARSED:
        return None
    try:
        return ast.dump(ast.parse(code))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
