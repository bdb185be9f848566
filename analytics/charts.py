"""Charts as Chart.js (bundled with Unfold) takes them. Pure."""

from __future__ import annotations

import json
from typing import Any

from .reports import Chart

# Told apart by people with the common colour blindnesses, on white and on dark.
COLOURS = ("#3b82f6", "#f59e0b", "#10b981", "#8b5cf6", "#ef4444", "#14b8a6", "#ec4899", "#94a3b8")


def rendered(chart: Chart) -> dict[str, Any]:
    """For the template: the two JSON attributes, and a legend of our own."""
    sets = []
    for index, series in enumerate(chart.series):
        colour = COLOURS[index % len(COLOURS)]
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
        "legend": [(series.name, COLOURS[index % len(COLOURS)]) for index, series in enumerate(chart.series)],
        "empty": not any(value for series in chart.series for value in series.values),
    }
