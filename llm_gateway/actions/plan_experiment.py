"""Plan an experiment, start it (which freezes the plan), and stop it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone

from llm_gateway.models import Experiment, Strategy
from llm_gateway.policies.experiments import METRICS

from . import ActionError
from .activate_strategy import activate_strategy, validate_settings
from .evaluate_experiments import evaluate

KIND = "ab-testing"
_STATES = Experiment.State


def plan_experiment(
    *, name: str, strategy: str, unit: str, metric: str, hypothesis: str = "", guardrails: Sequence[str] = (),
    minimal_effect: float | None = None, ends_at: datetime | None = None, stops_itself: bool = False, user: Any = None, via: str = "admin",
) -> Experiment:  # fmt: skip
    """A draft. Raises :class:`ActionError` for what cannot be measured."""
    if not name.strip() or len(name) > 100:
        raise ActionError("An experiment has a name of at most 100 characters.")
    head = Strategy.objects.filter(name=strategy).first()
    if head is None or head.kind != KIND:
        raise ActionError("An experiment compares the arms of a strategy of the kind ab-testing; name one.")
    if unit not in Experiment.Unit.values:
        raise ActionError(f"unit has to be one of {', '.join(Experiment.Unit.values)}.")
    check_plan((metric, *guardrails), minimal_effect, ends_at)
    if Experiment.objects.filter(name=name).exists():
        raise ActionError(f"There is an experiment named {name} already.")
    return Experiment.objects.create(
        name=name.strip(), hypothesis=hypothesis[:500], strategy=head, unit=unit, metric=metric, guardrails=list(dict.fromkeys(guardrails)),
        minimal_effect=minimal_effect, ends_at=ends_at, stops_itself=stops_itself, author=user if getattr(user, "pk", None) else None,
        via=via[:100],
    )  # fmt: skip


def check_plan(metrics: Sequence[str], minimal_effect: float | None, ends_at: datetime | None) -> None:
    """Raises :class:`ActionError` for what cannot be measured."""
    for one in metrics:
        if one not in METRICS:
            raise ActionError(f"There is no metric {str(one)[:40]}; there are {', '.join(METRICS)}.")
    if minimal_effect is not None and not 0 < minimal_effect < 1e9:
        raise ActionError("minimal_effect has to be above 0, in the metric's own unit: a share for success, USD or milliseconds.")
    if ends_at is not None and ends_at <= timezone.now():
        raise ActionError("ends_at is in the past.")


def start_experiment(row: Experiment, user: Any = None, via: str = "admin") -> Experiment:
    """Freeze the plan, deal the callers anew and put the strategy in force. Raises :class:`ActionError`."""
    try:
        with transaction.atomic():
            found = Experiment.objects.select_for_update(of=("self",)).select_related("strategy").get(pk=row.pk)
            if found.state != _STATES.DRAFT:
                raise ActionError(f"{found.name} is {found.state} already; plan another one to look once more.")
            if (other := Experiment.objects.filter(state=_STATES.RUNNING).first()) is not None:
                raise ActionError(f"{other.name} still runs; two experiments on the same callers answer neither question.")
            salt = f"experiment-{found.pk}"
            wanted = {**found.strategy.settings, "sticky": found.unit, "salt": salt}
            settings = validate_settings(found.strategy.kind, wanted)
            if len(settings["arms"]) < 2:
                raise ActionError("Name the arms in the settings of the strategy first: at least two.")
            activation = activate_strategy(found.strategy.name, user=user, via=via, settings=settings)
            # PostgreSQL keeps no order of names: the largest share is what the others are compared with.
            found.arms = sorted(settings["arms"].items(), key=lambda arm: (-arm[1], arm[0]))
            found.salt, found.version = salt, activation.version
            found.state, found.started_at = _STATES.RUNNING, timezone.now()
            found.sentence = "It has just begun."
            found.save()
            return found
    except IntegrityError:
        raise ActionError("Another experiment was started at the same moment.") from None


def stop_experiment(row: Experiment, user: Any = None, via: str = "admin") -> Experiment:
    """A last look, then the end. The strategy stays in force; switching is the operator's. Raises :class:`ActionError`."""
    if row.state != _STATES.RUNNING:
        raise ActionError(f"{row.name} does not run.")
    return evaluate(row, stop=True)
