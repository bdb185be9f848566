"""Experiments and the learner over rows of the real gateway."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from tests.support.gateway import GatewayServer

from .test_policy_versions import keyed

ROOT = "/api/ai-models/experiments"


@pytest.fixture(autouse=True)
def restored(gateway: GatewayServer) -> Iterator[None]:
    from llm_gateway.actions.activate_strategy import activate_strategy
    from llm_gateway.models import Experiment, LearnerState, Strategy

    gateway.on_loop(gateway.gateway.health.contexts._named.clear)
    yield
    activate_strategy("enterprise", settings={})
    Experiment.objects.all().delete()
    Strategy.objects.filter(kind="learned").delete()
    LearnerState.objects.all().delete()
    gateway.refresh()


def call(gateway: GatewayServer, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    answer = gateway.http.request(method, f"{ROOT}{path}", json=body, headers={"Authorization": f"Bearer {keyed(gateway)}"})
    return answer.status_code, answer.json()


def test_an_experiment_is_planned_frozen_dealt_looked_at_and_stopped(gateway: GatewayServer) -> None:
    from llm_gateway.actions.activate_strategy import activate_strategy
    from llm_gateway.models import ExperimentVerdict, Strategy

    activate_strategy("ab-testing", settings={"arms": {"openai": 50, "anthropic": 50}})
    plan = {"name": "two", "strategy": "ab-testing", "unit": "user", "metric": "success", "guardrails": ["latency"]}
    status, made = call(gateway, "POST", "", plan)
    assert (status, made["state"], made["verdict"]) == (200, "draft", "collecting")
    assert call(gateway, "POST", "", plan)[0] == 400, "the name is taken"
    assert call(gateway, "POST", "", {**plan, "name": "x", "metric": "beauty"})[0] == 400
    assert call(gateway, "POST", "", {**plan, "name": "x", "strategy": "enterprise"})[0] == 400
    other = call(gateway, "POST", "", {**plan, "name": "another"})[1]
    at = f"/{made['id']}"
    started = call(gateway, "POST", f"{at}/start", {})[1]
    assert (started["state"], started["arms"]) == ("running", {"anthropic": 50.0, "openai": 50.0})
    assert call(gateway, "POST", f"/{other['id']}/start", {})[0] == 400, "one at a time"
    frozen = Strategy.objects.get(name="ab-testing")
    assert (frozen.settings["sticky"], frozen.settings["salt"], frozen.active) == ("user", f"experiment-{made['id']}", True)
    gateway.refresh()
    served: dict[str, str] = {}
    for turn in range(2):
        for user in map(str, range(8)):
            row = gateway.row(gateway.ask("openai_chat", "auto", max_tokens=5, user=user))
            assert served.setdefault(user, row.provider_slug) == row.provider_slug, turn
    gateway.ask("openai_chat", "auto", max_tokens=5)  # nobody's: not in it
    status, ended = call(gateway, "POST", f"{at}/stop", {})
    assert (ended["state"], ended["verdict"]) == ("stopped", "undecided")
    arms = {arm["arm"]: arm for arm in ended["figures"]["arms"]}
    assert {name: arm["units"] for name, arm in arms.items()} == {
        name: list(served.values()).count(name) for name in ("openai", "anthropic")
    }, "as they were assigned, by user"
    assert sum(arm["requests"] for arm in arms.values()) == 16
    assert ExperimentVerdict.objects.get(experiment_id=made["id"]).verdict == "undecided"
    assert call(gateway, "POST", f"{at}/stop", {})[0] == 400
    assert call(gateway, "GET", "/999999")[0] == 404


def test_the_learner_learns_from_the_log_and_the_workers_choose_by_it(gateway: GatewayServer) -> None:
    """What stood first and what came of it becomes sums, coefficients, the next catalogue's beliefs, and a replayable choice."""
    from llm_gateway.actions.activate_strategy import validate_settings
    from llm_gateway.actions.fit_learner import fit_learner
    from llm_gateway.actions.replay_policy import replayed
    from llm_gateway.models import LanguageModel, LearnerClock, LearnerState, PolicyVersion, RequestLog, Strategy

    LearnerClock.objects.all().delete()
    settings = validate_settings("learned", {"mode": "active", "base": "round-robin", "holdout_share": 0, "cost_weight": 0})
    Strategy.objects.create(name="learned", kind="learned", title="Learned", settings=settings)
    gateway.refresh()
    rows = [gateway.row(gateway.ask("openai_chat", "strategy:learned", max_tokens=5)) for _ in range(16)]
    assert all("Too little is learnt" in row.decision["note"] for row in rows)
    gateway.refresh()
    good = LanguageModel.objects.get(provider__slug="gemini", auto=True)
    RequestLog.objects.filter(pk__in=[row.pk for row in rows]).update(simulated=False, created_at=timezone.now() - timedelta(minutes=5))
    RequestLog.objects.filter(pk__in=[row.pk for row in rows]).exclude(model=good).update(state="failed")
    assert fit_learner() >= 16
    assert fit_learner() == 0, "each answer teaches once"
    _taught_by_scores([row.pk for row in rows], good)
    for state in LearnerState.objects.all():
        state.learnt["n"] = 500.0
        state.save()
    from llm_gateway.models import CatalogueVersion

    CatalogueVersion.bump()
    gateway.refresh()
    chosen = [gateway.row(gateway.ask("openai_chat", "strategy:learned", max_tokens=5)) for _ in range(8)]
    assert [row.provider_slug for row in chosen].count("gemini") >= 6
    assert any("Chosen because it is expected to be best" in row.decision["note"] for row in chosen)
    gateway.refresh()
    found = replayed(PolicyVersion.objects.get(strategy__name="learned"), last=8)
    assert found["checked"] == {"rows": 8, "differing": 0}, "beliefs are in the catalogue's copy"
    RequestLog.objects.filter(pk__in=[row.pk for row in rows]).update(state="ok")


def _taught_by_scores(ids: list[Any], good: Any) -> None:
    """Where quality has a weight, what is scored an hour later teaches; what has no score teaches nothing, and is not 0."""
    from llm_gateway.actions.fit_learner import fit_learner
    from llm_gateway.models import AnswerScore, LearnerClock, LearnerState, RequestLog, Strategy
    from llm_gateway.scorers import FORMULA

    assert not any("quality" in state.memory["sums"] for state in LearnerState.objects.all()), "nobody weighs it"
    head = Strategy.objects.get(name="learned")
    Strategy.objects.filter(pk=head.pk).update(settings={**head.settings, "quality_weight": 0.5})
    now = timezone.now()
    RequestLog.objects.filter(pk__in=ids).update(created_at=now - timedelta(hours=2))
    LearnerClock.objects.update(learnt_until=now - timedelta(minutes=4), measured_until=now - timedelta(hours=3))
    AnswerScore.objects.filter(request_id__in=ids).delete()
    of_good = RequestLog.objects.filter(pk__in=ids, model=good)
    for row in of_good:
        AnswerScore.objects.create(
            request_id=row.pk, formula=FORMULA, created_at=now, team=row.team, model=good, score=90, coded=True, scorers=[]
        )
    fit_learner()
    (state,) = [one for one in LearnerState.objects.all() if "quality" in one.memory["sums"]]
    assert (state.model_id, state.learnt["scored"], state.memory["sums"]["quality"]["total"]) == (
        good.pk, of_good.count(), pytest.approx(0.9 * of_good.count()),
    )  # fmt: skip
    fit_learner()
    assert LearnerState.objects.get(pk=good.pk).learnt["scored"] == pytest.approx(of_good.count(), abs=0.01), "each score teaches once"
    AnswerScore.objects.filter(request_id__in=ids).delete()
    Strategy.objects.filter(pk=head.pk).update(settings=head.settings)


def test_a_guarded_learner_that_does_worse_than_its_holdout_is_rolled_back(gateway: GatewayServer) -> None:
    from llm_gateway.actions.activate_strategy import activate_strategy, validate_settings
    from llm_gateway.actions.guard_learned import compared, guard_learned
    from llm_gateway.models import PolicyVersion, RequestLog, Strategy

    settings = validate_settings("learned", {"mode": "guarded", "holdout_share": 0.4, "base": "enterprise"})
    Strategy.objects.create(name="learned", kind="learned", title="Learned", settings=settings)
    activate_strategy("learned")
    gateway.refresh()
    made = [gateway.row(gateway.ask("openai_chat", "auto", max_tokens=5, user=f"u{n}")) for n in range(12)]
    version = PolicyVersion.objects.get(state="active", alias="")
    held, learned = compared(version, version.activated_at)
    assert (held.requests > 0, learned.requests > 0, held.requests + learned.requests) == (True, True, 12)
    from tests.decisions.test_policy_versions import _fill

    for like in made:
        _fill(like, version.number, 60, failing=0)
    assert guard_learned() is None, "nothing fails"
    kept = RequestLog.objects.filter(tag="filled")
    from llm_gateway.strategies import read_choice
    from llm_gateway.strategies.learned import held_out

    worse = [row.pk for row in kept if not held_out(read_choice(row.choice).facts(row.created_at, "", False), 0.4, 0.0)]
    kept.filter(pk__in=worse[::3]).update(state="failed")
    why = guard_learned()
    kept.delete()
    assert why is not None
    assert "Success fell" in why
    assert PolicyVersion.objects.get(state="active", alias="").kind == "enterprise"
