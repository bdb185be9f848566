"""Charts as Chart.js (bundled with Unfold) takes them. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from typing import Any

from .reports import Chart

# Told apart on white and on dark.
COLOURS = (
    "#3b82f6", "#f59e0b", "#10b981", "#8b5cf6", "#ef4444", "#14b8a6", "#ec4899", "#84cc16",
    "#0ea5e9", "#f97316", "#22c55e", "#a855f7", "#e11d48", "#06b6d4", "#d946ef", "#eab308",
)  # fmt: skip
OTHERS = "#94a3b8"


def colours(names: Iterable[str]) -> dict[str, str]:
    """Each name has the colour of its hash, on every page and on every day. Two names of one chart never share one: in the order of the
    alphabet, the later takes the next free colour."""
    taken: dict[str, str] = {}
    for name in sorted(set(names)):
        place = int.from_bytes(hashlib.sha256(name.encode()).digest()[:4]) % len(COLOURS)
        if name == "others" or len(taken) >= len(COLOURS):
            taken[name] = OTHERS
            continue
        while COLOURS[place] in taken.values():
            place = (place + 1) % len(COLOURS)
        taken[name] = COLOURS[place]
    return taken


def rendered(chart: Chart, jumps: Sequence[Sequence[str]] = ()) -> dict[str, Any]:
    """For the template: the JSON attributes, and a legend of our own. ``jumps``: where a point leads to, by series and label."""
    sets = []
    of = colours(series.name for series in chart.series)
    for series in chart.series:
        colour = of[series.name]
        one: dict[str, Any] = {"label": series.name, "data": list(series.values), "backgroundColor": colour, "borderColor": colour}
        if chart.line:
            one |= {"fill": False, "tension": 0.25, "spanGaps": False, "pointRadius": 2, "borderWidth": 2}
        else:
            one |= {"maxBarThickness": 28, "borderRadius": 2, "borderWidth": 0}
        sets.append(one)
    tick = {"color": "#94a3b8", "maxRotation": 0, "autoSkipPadding": 12}
    options = {
        "animation": False,
        "responsive": True,
        "maintainAspectRatio": False,
        "interaction": {"mode": "index", "intersect": False},
        "plugins": {"legend": {"display": False}},
        "scales": {
            "x": {"stacked": chart.stacked, "grid": {"display": False}, "ticks": tick},
            "y": {
                "stacked": chart.stacked,
                "beginAtZero": True,
                "border": {"display": False},
                "grid": {"color": "rgba(148,163,184,.18)"},
                "ticks": tick,
                "title": {"display": bool(chart.unit), "text": chart.unit, "color": "#94a3b8"},
            },
        },
    }
    return {
        "title": chart.title,
        "type": "line" if chart.line else "bar",
        "data": json.dumps({"labels": list(chart.labels), "datasets": sets}),
        "options": json.dumps(options),
        "legend": [(series.name, of[series.name]) for series in chart.series],
        "jumps": json.dumps(jumps) if jumps else "",
        "empty": not any(value for series in chart.series for value in series.values),
    }
