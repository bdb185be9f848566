"""The trial that runs, and the policy that somebody asked about."""

from __future__ import annotations

from datetime import datetime, timedelta

from llm_gateway.actions.activate_strategy import validate_settings
from llm_gateway.actions.draft_policy import draft_policy
from llm_gateway.actions.evaluate_experiments import evaluate_experiments
from llm_gateway.actions.plan_experiment import plan_experiment, start_experiment
from llm_gateway.actions.replay_policy import start_replay
from llm_gateway.models import PolicyVersion, Strategy, StrategyActivation

from .writing import move_back

ARMS = {"anthropic": 50.0, "openai": 50.0}
WISHED = {"anthropic": 20.0, "openai": 80.0}
# Decisions that the replay makes again: enough for what it estimates, and done in seconds.
REPLAYED = 1000
_BEHIND = timedelta(minutes=7)


def begin(at: datetime, first: datetime) -> None:
    """An experiment that has run since ``at``; what was in force before was so since ``first``."""
    move_back(StrategyActivation.objects.all(), at=first)
    head = Strategy.objects.get(name="ab-testing")
    head.settings = validate_settings(head.kind, {**head.settings, "arms": ARMS})
    head.save()
    row = plan_experiment(
        name="Claude or GPT for the shop", strategy=head.name, unit="user", metric="latency", guardrails=("success", "cost"),
        hypothesis="GPT answers the shop's customers sooner than Claude, and costs no more.", via="demo",
    )  # fmt: skip
    row = start_experiment(row, via="demo")
    move_back([row], started_at=at, created_at=at - _BEHIND)
    newest = StrategyActivation.objects.order_by("-pk")[:1]
    move_back(newest, at=at)
    versions = PolicyVersion.objects.filter(strategy__isnull=False)
    for version in versions:
        began = at if version.number == row.version else first
        PolicyVersion.objects.filter(pk=version.pk).update(created_at=began, activated_at=began if version.activated_at else None)
        version.events.update(at=began)


def look() -> int:
    """What is known by now, and a replay of another share, queued; its id."""
    evaluate_experiments()
    version = draft_policy(strategy="weighted", settings={"weights": WISHED}, note="What if GPT answered four of five?", via="demo")
    return start_replay(version, last=REPLAYED).pk
