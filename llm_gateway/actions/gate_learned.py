"""What a learning strategy has to show before its guard is taken off: its replay must not be worse at its worst than what happened."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from llm_gateway.models import PolicyReplay, PolicyVersion

KIND = "learned"
# So much success may be the price of answers that surely cost less.
TOLERATED = 0.01


def gated(kind: str, settings: Mapping[str, Any]) -> bool:
    """Whether a version asks for what the gate is before."""
    return kind == KIND and settings.get("mode") == "active"


def held_back(version: PolicyVersion) -> str:
    """Why ``version`` may not be active without a guard; empty: it may, or it asks for no such thing."""
    if not gated(version.kind, version.settings):
        return ""
    newest = PolicyReplay.objects.filter(version=version, state=PolicyReplay.State.DONE).order_by("-pk").first()
    report = newest.report if newest is not None and isinstance(newest.report, dict) else {}
    shown = (report.get("estimates") or {}).get("success")
    if not shown:
        return f"The replay of version {version.number} cannot say what its answers would have been like; leave it guarded"
    low, then = float(shown["low"]), float(shown["then"])
    if low >= then:
        return ""
    cost = report.get("cost") or {}
    cheaper = bool(cost.get("rows")) and not cost.get("unknown") and Decimal(cost["high"]) < Decimal(cost["then"])
    if cheaper and low >= then - TOLERATED:
        return ""
    return (
        f"By its replay version {version.number} may succeed in {low:.1%} of the requests, where {then:.1%} did"
        f"{', though it surely costs less' if cheaper else ''}; leave it guarded"
    )
