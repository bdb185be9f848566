"""The arms of an A/B strategy beside each other, without an experiment: what the log says since its present version took force."""

from __future__ import annotations

from datetime import timedelta

from django.utils import timezone

from llm_gateway.models import Experiment, Strategy
from llm_gateway.policies.experiments import METRICS, Told, analyse

from .evaluate_experiments import gathered

KIND = "ab-testing"
# A page is no place to read a month of a busy gateway.
LONGEST = timedelta(days=14)
MOST = 20_000


def compare_arms(row: Strategy) -> Told | None:
    """As the callers were dealt, of the newest :data:`MOST` requests of the last 14 days; the sentence is about the first metric of which
    something is certain. ``None``: the strategy deals nobody, or has no version that ever decided. Intervals as in experiments: they hold
    however often one looks, and for all metrics together."""
    arms = row.settings.get("arms") if isinstance(row.settings, dict) else None
    latest = row.activations.order_by("-pk").first()
    if row.kind != KIND or not arms or latest is None or not row.version:
        return None
    asked = Experiment(
        strategy=row,
        arms=sorted(arms.items(), key=lambda arm: (-arm[1], arm[0])),
        salt=row.settings.get("salt", ""),
        version=row.version,
        started_at=max(latest.at, timezone.now() - LONGEST),
    )
    found = gathered(asked, list(METRICS), by=row.settings.get("sticky", True), most=MOST)
    told = [analyse(*found, metric, [name for name in METRICS if name != metric], None) for metric in METRICS]
    certain = [one for one in told if one.verdict != "collecting"]
    varying = [one for one in told if not one.sentence.startswith("Too little")]
    return (certain or varying or told)[0]
