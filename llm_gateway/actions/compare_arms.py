"""The arms of an A/B strategy beside each other, without an experiment: what the log says since its present version took force."""

from __future__ import annotations

from datetime import timedelta

from django.utils import timezone

from llm_gateway.models import Experiment, Strategy
from llm_gateway.policies.experiments import METRICS, Told

from .evaluate_experiments import told_of

KIND = "ab-testing"
# A page is no place to read a month of a busy gateway.
LONGEST = timedelta(days=14)
MOST = 20_000


def compare_arms(row: Strategy) -> Told | None:
    """By success first, then cost and latency, as the callers were dealt; the newest :data:`MOST` requests of the last 14 days. ``None``:
    the strategy deals nobody, or has no version that ever decided. Intervals as in experiments: they hold however often one looks."""
    arms = row.settings.get("arms") if isinstance(row.settings, dict) else None
    latest = row.activations.order_by("-pk").first()
    if row.kind != KIND or not arms or latest is None or not row.version:
        return None
    asked = Experiment(
        strategy=row,
        arms=sorted(arms.items(), key=lambda arm: (-arm[1], arm[0])),
        metric="success",
        guardrails=[name for name in METRICS if name != "success"],
        salt=row.settings.get("salt", ""),
        version=row.version,
        started_at=max(latest.at, timezone.now() - LONGEST),
    )
    return told_of(asked, by=row.settings.get("sticky", True), most=MOST)
