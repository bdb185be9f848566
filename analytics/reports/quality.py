"""Scores of answers by model, language and task, with how many there are and how sure the mean is."""

from __future__ import annotations

import math
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from analytics import quality_queries
from analytics.quality_queries import Group, Judged, Sums
from analytics.statistics import Interval, mean_interval

from . import reports
from ._base import Asked, Card, Column, Sheet
from ._names import TITLES

# Below this a mean is an anecdote, and no strategy looks at it.
ENOUGH = 30
RECENT = timedelta(days=7)


class Quality:
    name = "quality"
    title = "Quality"
    icon = "verified"
    position = 25
    summary = "Computed scores of answers, 0 to 100: defects that can be seen, not whether the code is right. Ranges are 95 % intervals."
    dated = True
    groups = ("model", "language", "task")
    default_groups = ("model", "language", "task")
    option_title = "Scores"

    def options(self) -> tuple[tuple[str, str], ...]:
        return (("", "of code that was looked at"), ("all", "of every answer, structure included"))

    def build(self, asked: Asked) -> Sheet:
        groups = asked.group_by or self.default_groups
        found = quality_queries.sums(groups, asked.start, asked.end, asked.filters, coded=asked.option != "all")
        edge = min(asked.end, asked.now) - RECENT
        recent = quality_queries.sums(groups, max(edge, asked.start), asked.end, asked.filters, coded=asked.option != "all")
        said = quality_queries.feedback(groups, asked.start, asked.end, asked.filters)
        judged = quality_queries.judgements(groups, asked.start, asked.end, asked.filters)
        total = added(found.values())
        keys = sorted({*found, *judged}, key=lambda key: (-found.get(key, Sums()).count, key))
        rows = [_row(key, found.get(key, Sums()), recent.get(key), said.get(key), judged.get(key, Judged())) for key in keys]
        dropped = sum(row[-4] == "dropped" for row in rows)
        return Sheet(
            columns=(
                *(Column(name, TITLES[name], absent="(unknown)") for name in groups),
                Column("answers", "Answers", "count"),
                Column("score", "Score", absent=""),
                Column("low", "from", absent=""),
                Column("high", "to", absent=""),
                Column("capped", "At most 40", "share", absent=""),
                Column("feedback", "Feedback", "share", absent=""),
                Column("trend", "Last 7 days", absent=""),
                Column("judged", "Judged", "count"),
                Column("judge", "Judge", "share", absent=""),
                Column("differed", "Judge disagreed", "share", absent=""),
            ),
            rows=tuple(rows),
            cards=(
                Card("Answers scored", f"{total.count:,}"),
                Card("Mean score", "unknown" if total.mean is None else f"{total.mean:.1f}"),
                Card("Dropped", str(dropped), "groups whose last 7 days are below the days before", "bad" if dropped else ""),
            ),
            notes=(
                f"A group with fewer than {ENOUGH} answers has no trend, and routes nothing.",
                "Feedback is the mean of what callers said: 0 % is −1, 100 % is 1.",
                _disagreement(judged.values()),
            ),
            empty=("No answer has been scored", "Quality rules (Routing) say of whose answers the code is looked at."),
        )


def added(parts: Iterable[Sums]) -> Sums:
    parts = tuple(parts)
    return Sums(
        count=sum(one.count for one in parts), total=sum(one.total for one in parts), squares=sum(one.squares for one in parts),
        capped=sum(one.capped for one in parts),
    )  # fmt: skip


def trend(whole: Sums, recent: Sums | None) -> str | None:
    """``dropped`` or ``rose`` where the intervals of before and since are apart; empty: no difference; ``None``: too few."""
    if recent is None or recent.count < ENOUGH or whole.count - recent.count < ENOUGH:
        return None
    before = Sums(
        count=whole.count - recent.count, total=whole.total - recent.total, squares=whole.squares - recent.squares,
        capped=whole.capped - recent.capped,
    )  # fmt: skip
    now, then = interval(recent), interval(before)
    if now is None or then is None:
        return None
    return "dropped" if now.high < then.low else "rose" if now.low > then.high else ""


def interval(sums: Sums) -> Interval | None:
    if sums.mean is None or sums.count < 2:
        return None
    variance = max(0.0, (sums.squares - sums.total**2 / sums.count) / (sums.count - 1))
    found = mean_interval(sums.mean, math.sqrt(variance), sums.count)
    return None if found is None else Interval(found.low, min(100.0, found.high))


def _disagreement(judged: Iterable[Judged]) -> str:
    """How far the judge can be believed at all."""
    judged = tuple(judged)
    asked, unknown = sum(one.asked for one in judged), sum(one.unknown for one in judged)
    if not asked:
        return "No answer was judged by a model (Judge rules, Routing)."
    share = sum(one.differed for one in judged) / asked
    return (
        f"Asked twice in opposite order, the judge gave two different answers to {share:.1%} of {asked:,} questions; such a question "
        f"counts as unknown. Of {unknown:,} answers nothing is known. Nothing is routed by what a judge says."
    )


def _row(key: Group, sums: Sums, recent: Sums | None, said: float | None, judged: Judged) -> tuple[Any, ...]:
    range_ = interval(sums)
    return (
        *(part or None for part in key),
        sums.count,
        _shown(sums.mean),
        _shown(range_.low if range_ else None),
        _shown(range_.high if range_ else None),
        sums.capped / sums.count if sums.count else None,
        None if said is None else (said + 1) / 2,
        trend(sums, recent) or None,
        judged.count,
        judged.total / judged.count if judged.count else None,
        judged.differed / judged.asked if judged.asked else None,
    )


def _shown(value: float | None) -> str | None:
    return None if value is None else f"{value:.1f}"


reports.add(Quality.name, Quality())
