"""The arms of an A/B strategy beside each other, without an experiment: what the log says since its present version took force."""

from __future__ import annotations

from collections import defaultdict
from datetime import timedelta

from django.utils import timezone

from llm_gateway.models import Experiment, Strategy
from llm_gateway.policies.experiments import Arm, Told, analyse
from llm_gateway.strategies import DRAWS
from llm_gateway.strategies.ab_testing import assigned

from ._experiment_rows import dealt

KIND = "ab-testing"
# A page is no place to read a month of a busy gateway.
LONGEST = timedelta(days=14)
MOST = 20_000
# What every request tells, by itself.
COMPARED = ("success", "cost", "latency")


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
    weights = {str(name): float(weight) for name, weight in asked.arms}
    data: dict[str, dict[str, Arm]] = {name: {arm: Arm() for arm in weights} for name in COMPARED}
    units: dict[str, set[str]] = defaultdict(set)
    for one in dealt(asked, row.settings.get("sticky", True), COMPARED, MOST):
        alone = one.unit.startswith("request ")
        arm = assigned(weights, asked.salt, "" if alone else one.unit, one.choice.draw / DRAWS)
        units[arm].add(one.unit)
        for name, value in one.values.items():
            data[name][arm].add(one.unit, value)
    counts = {arm: len(found) for arm, found in units.items()}
    told = [analyse(weights, data, counts, metric, [name for name in COMPARED if name != metric], None) for metric in COMPARED]
    certain = [one for one in told if one.verdict != "collecting"]
    varying = [one for one in told if not one.sentence.startswith("Too little")]
    return (certain or varying or told)[0]
