"""What a strategy that learns saved, and what that cost in success and quality, against the share that stayed as it was."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from analytics import learned_queries
from analytics.learned_queries import Day
from analytics.statistics import z
from llm_gateway.core.money import format_usd

from . import reports
from ._base import Asked, Card, Column, Sheet

# Below these a difference is an anecdote: requests of each side, and groups of callers that they fall into.
ENOUGH = 50
GROUPS = 8


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """Of two means (what learnt minus what stayed), with its 95 % interval."""

    value: float
    low: float
    high: float


class LearnedReport:
    name = "learned"
    title = "Learned routing"
    icon = "school"
    position = 27
    summary = "What learning strategies saved and what it cost in success and quality, against the callers that stayed with the base."
    dated = True
    groups = ()
    default_groups = ()
    option_title = ""

    def options(self) -> tuple[tuple[str, str], ...]:
        return ()

    def build(self, asked: Asked) -> Sheet:
        by_version: dict[int, list[Day]] = defaultdict(list)
        for one in learned_queries.by_bucket(asked.start, asked.end):
            by_version[one.version].append(one)
        rows = [_row(version, by_version[version]) for version in sorted(by_version, reverse=True)]
        saved = [row[5] for row in rows if row[5] is not None]
        return Sheet(
            columns=(
                Column("version", "Policy version"),
                Column("requests", "Requests", "count"),
                Column("held", "Stayed as it was", "count"),
                Column("each", "Cost of a request", "usd"),
                Column("each_held", "… that stayed", "usd"),
                Column("saved", "Saved", "usd", absent=""),
                Column("saved_low", "at least", "usd", absent=""),
                Column("saved_high", "at most", "usd", absent=""),
                Column("success", "Success, points", absent=""),
                Column("quality", "Quality, points", absent=""),
                Column("says", "In a sentence"),
            ),
            rows=tuple(rows),
            cards=(Card("Saved", format_usd(sum(saved)) + " USD" if saved else "unknown", "before what it cost in success and quality"),),
            notes=(
                "What was saved is the difference of the mean costs of a request, times the requests that what was learnt decided.",
                "Ranges are 95 % intervals over groups of callers, so that one busy caller is no crowd. Quality is of answers whose code "
                "was looked at; an answer without a score is unknown, not bad. Figures come an hour late.",
            ),
            empty=("Nothing was learnt and measured", "A strategy of the kind “learned” that is guarded or active, with a holdout, is."),
        )


def _row(version: int, found: Sequence[Day]) -> tuple[Any, ...]:
    held, learned = [one for one in found if one.held], [one for one in found if not one.held]
    cost = difference(_pairs(learned, "cost_nusd", "priced"), _pairs(held, "cost_nusd", "priced"))
    success = difference(_pairs(learned, "ok", "requests"), _pairs(held, "ok", "requests"))
    quality = difference(_pairs(learned, "score", "scored"), _pairs(held, "score", "scored"))
    priced = sum(one.priced for one in learned)
    saved = None if cost is None else tuple(round(-part * priced) for part in (cost.value, cost.high, cost.low))
    return (
        str(version),
        sum(one.requests for one in learned),
        sum(one.requests for one in held),
        _mean(learned),
        _mean(held),
        *(saved or (None, None, None)),
        _points(success, 100),
        _points(quality, 1),
        sentence(saved, success, quality),
    )


def difference(a: Sequence[tuple[float, float]], b: Sequence[tuple[float, float]]) -> Difference | None:
    """Of the ratios Σ value / Σ count of ``a`` minus ``b``; each pair is a group of callers. ``None`` where either side has too few."""
    sides = []
    for pairs in (a, b):
        known = [(value, count) for value, count in pairs if count]
        count = sum(n for _, n in known)
        if count < ENOUGH or len(known) < GROUPS:
            return None
        ratio = sum(value for value, _ in known) / count
        groups = len(known)
        # Delta method over groups: rows of one caller are in one of them.
        variance = groups / (groups - 1) * sum((value - ratio * n) ** 2 for value, n in known) / count**2
        sides.append((ratio, variance, groups))
    value = sides[0][0] - sides[1][0]
    margin = t(min(groups for _, _, groups in sides) - 1) * math.sqrt(sides[0][1] + sides[1][1])
    return Difference(value=value, low=value - margin, high=value + margin)


def t(degrees: int) -> float:
    """Student's quantile for 95 %, by the first terms of its expansion (Abramowitz and Stegun 26.7.5)."""
    q = z()
    return q + (q**3 + q) / (4 * degrees) + (5 * q**5 + 16 * q**3 + 3 * q) / (96 * degrees**2)


def sentence(saved: Sequence[int] | None, success: Difference | None, quality: Difference | None) -> str:
    """``saved``: nano-USD, with the least and the most."""
    if saved is None:
        return f"It cannot be told: fewer than {ENOUGH} priced requests, or {GROUPS} groups of callers, on one side."
    amount, least, most = saved
    if least > 0:
        said = f"It saved {format_usd(amount)} USD"
    elif most < 0:
        said = f"It saved nothing: it cost {format_usd(-amount)} USD more"
    else:
        said = "It saved nothing that can be told from chance"
    harms = [
        f"{name} fell by {-one.value * scale:.1f} points"
        for name, one, scale in (("success", success, 100), ("quality", quality, 1))
        if one is not None and one.high < 0
    ]
    gains = [
        f"{name} rose by {one.value * scale:.1f} points"
        for name, one, scale in (("success", success, 100), ("quality", quality, 1))
        if one is not None and one.low > 0
    ]
    unknown = [name for name, one in (("success", success), ("quality", quality)) if one is None]
    told = [*harms, *gains] or ["no difference in success or quality can be told"]
    if unknown:
        told.append(f"of {' and '.join(unknown)} too little is known")
    return f"{said}; {', '.join(told)}."


def _pairs(found: Sequence[Day], value: str, count: str) -> list[tuple[float, float]]:
    sums: Mapping[int, list[float]] = defaultdict(lambda: [0.0, 0.0])
    for one in found:
        sums[one.bucket][0] += getattr(one, value)
        sums[one.bucket][1] += getattr(one, count)
    return [(a, b) for a, b in sums.values()]


def _mean(found: Sequence[Day]) -> int | None:
    priced = sum(one.priced for one in found)
    return round(sum(one.cost_nusd for one in found) / priced) if priced else None


def _points(one: Difference | None, scale: float) -> str | None:
    return None if one is None else f"{one.value * scale:+.1f} ({one.low * scale:+.1f} to {one.high * scale:+.1f})"


reports.add(LearnedReport.name, LearnedReport())
