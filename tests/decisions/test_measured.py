"""What experiments and the learner read of the log: scores, feedback, the time before, and what the holdout says."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from llm_gateway.actions.evaluate_experiments import told_of
from llm_gateway.actions.events import events
from llm_gateway.actions.measure_learned import measure
from llm_gateway.models import (
    AnswerScore,
    Experiment,
    ExperimentHistory,
    Feedback,
    LearnedDay,
    PolicyEvent,
    PolicyVersion,
    RequestLog,
    Strategy,
)
from llm_gateway.scorers import FORMULA
from llm_gateway.strategies import RequestFacts, write_choice
from llm_gateway.strategies.ab_testing import assigned
from llm_gateway.strategies.learned import held_out
from tests.analytics import factories

pytestmark = pytest.mark.django_db
NOON = datetime(2026, 11, 18, 12, 0, tzinfo=UTC)
ARMS = {"acme": 50.0, "other": 50.0}


def decided(user: str, policy: int = 7, **more: Any) -> RequestLog:
    """A request of an end user that a strategy decided."""
    at = more.pop("at", NOON)
    facts = RequestFacts(now=at, prompt_tokens=100, max_tokens=10, sticky=user, user=user)
    text = write_choice(
        facts, draw=0.25, policy=policy, catalogue=1, statistics="", candidates="", first=0, estimates=[1], p=[1.0], canary=False
    )
    return factories.request(at, _key(), None, choice=text, policy=policy, **more)


def _key() -> Any:
    from llm_gateway.models import ClientKey

    return ClientKey.objects.first() or factories.client_key("bot")


def scored(row: RequestLog, score: int | None, **more: Any) -> None:
    values = {"team": row.team, "created_at": row.created_at, "formula": FORMULA, "coded": True, **more}
    AnswerScore.objects.create(request_id=row.pk, score=score, **values)


def _experiment(metric: str, *guardrails: str) -> Experiment:
    strategy = Strategy.objects.create(name="ab", kind="ab-testing", title="A/B", settings={})
    return Experiment.objects.create(
        name="one", strategy=strategy, unit="user", metric=metric, guardrails=list(guardrails), state="running", version=7, salt="s",
        arms=list(ARMS.items()), started_at=NOON - timedelta(hours=1),
    )  # fmt: skip


def test_quality_and_feedback_are_metrics_and_what_is_unknown_is_left_out() -> None:
    row = _experiment("quality", "feedback")
    seen: dict[str, list[float]] = {arm: [] for arm in ARMS}
    for number in range(24):
        user = f"user {number}"
        arm = assigned(ARMS, "s", user, 0.25)
        one = decided(user)
        score = 90 if arm == "acme" else 60
        if number % 3:
            scored(one, score)
            seen[arm].append(score)
        elif number % 2:
            scored(one, None)
        else:
            scored(one, 5, coded=False)
            scored(one, 5, formula=FORMULA - 1)
        if number % 4 == 0:
            Feedback.objects.create(request_id=one.pk, client_key=_key(), score=0.5, updated_at=NOON)
    told = told_of(row)
    assert {arm["arm"]: arm["means"]["quality"] for arm in told.arms} == {"acme": 90.0, "other": 60.0}
    assert all(seen.values())
    assert {arm["means"]["feedback"] for arm in told.arms} == {0.5}


def test_what_units_did_before_is_read_once_and_forgotten_at_the_end() -> None:
    row = _experiment("success")
    for number in range(120):
        user, good = f"user {number}", number % 4 != 0
        for back in (timedelta(days=2), timedelta(days=3)):
            decided(user, policy=3, at=NOON - back, state="ok" if good else "failed")
        decided(user, policy=3, at=NOON - timedelta(days=15), state="failed")  # too long ago
        decided(user, state="ok" if good or number % 8 == 0 else "failed")
    told = told_of(row)
    kept = ExperimentHistory.objects.get(experiment=row)
    assert kept.units["success"]["user 1"] == [2.0, 2.0]
    assert kept.units["success"]["user 4"] == [0.0, 2.0]
    assert told.narrowed["success"] > 0.2
    decided("user 1", policy=3, at=NOON - timedelta(days=2), state="failed")
    told_of(row)
    assert ExperimentHistory.objects.get(experiment=row).units == kept.units
    from llm_gateway.actions.plan_experiment import stop_experiment

    stopped = stop_experiment(row)
    assert "narrowed" in stopped.figures
    assert not ExperimentHistory.objects.exists()


def _learned(**settings: Any) -> PolicyVersion:
    strategy = Strategy.objects.create(name="learned", kind="learned", title="Learned", settings=settings, version=7)
    return PolicyVersion.objects.create(number=7, strategy=strategy, kind="learned", settings=settings, state="approved")


def test_the_holdout_says_what_was_saved_and_what_it_cost() -> None:
    """Costs and scores by side, added once; the report computes the saving with its interval, and says where there is none."""
    version = _learned(mode="guarded", holdout_share=0.5, quality_weight=0.0)
    sides = {True: 0, False: 0}
    for number in range(240):
        user = f"user {number}"
        facts = RequestFacts(now=NOON, prompt_tokens=1, max_tokens=1, sticky=user)
        held = held_out(facts, 0.5, 0.25)
        sides[held] += 1
        one = decided(user, at=NOON, cost_nusd=2_000_000 + number if held else 1_000_000 + number)
        if number % 2:
            scored(one, 80)
    decided("user 1", origin="judge", cost_nusd=9)  # no caller's request
    later = NOON + timedelta(hours=2)
    taught, until = measure([version.settings], None, later)
    assert (taught, until) == ([], later - timedelta(minutes=65))
    assert measure([version.settings], until, later) == ([], until), "each request counts once"
    for held, count in sides.items():
        assert sum(LearnedDay.objects.filter(held=held).values_list("requests", flat=True)) == count
    assert sum(LearnedDay.objects.values_list("scored", flat=True)) == 120
    client = Client()
    client.force_login(User.objects.create(username="boss", is_superuser=True, is_staff=True))
    page = client.get("/admin/reports/learned/?from=2026-11-01&to=2026-11-30").content.decode()
    assert "It saved 0." in page
    assert "no difference in success or quality can be told" in page
    LearnedDay.objects.filter(held=True).update(cost_nusd=0)
    page = client.get("/admin/reports/learned/?from=2026-11-01&to=2026-11-30").content.decode()
    assert "It saved nothing: it cost" in page
    LearnedDay.objects.filter(bucket__gt=5).delete()
    page = client.get("/admin/reports/learned/?from=2026-11-01&to=2026-11-30").content.decode()
    assert "It cannot be told" in page


def test_a_model_whose_scores_fell_and_a_canary_that_was_taken_back_are_told() -> None:
    model = factories.model("one", factories.provider("acme"), ("1", "2"))
    steady = factories.model("two", model.provider, ("1", "2"))
    for number in range(120):
        for who, then, now in ((model, 95, 60), (steady, 95, 94)):
            for at, score in ((NOON - timedelta(days=3), then), (NOON - timedelta(hours=3), now)):
                row = factories.request(at, _key(), who)
                scored(row, score - number % 3, model=who, task_type="generate")
    fell = events.get("quality_drop")
    assert fell.look is not None
    figures = fell.settled({})
    (told,) = fell.look(figures, NOON)
    assert told.about == "quality:one:generate"
    assert "score 59 in the last 24 hours and scored 94" in told.text
    AnswerScore.objects.filter(created_at__lt=NOON - timedelta(days=1)).delete()
    assert len(fell.look(figures, NOON)) == 1, "days that are over are read once"
    assert not fell.look({**figures, "answers": 121}, NOON)
    version = _learned(mode="active")
    back = events.get("policy_rolled_back")
    assert back.look is not None
    now = datetime.now(UTC)
    assert not back.look(back.settled({}), now)
    PolicyEvent.objects.create(version=version, kind="ended", via="guard", note="Success fell from 95 % to 80 %.")
    PolicyEvent.objects.create(version=version, kind="ended", via="admin", note="by hand")
    (told,) = back.look(back.settled({}), now + timedelta(seconds=5))
    assert told.text == "The canary, version 7 of learned, was rolled back. Success fell from 95 % to 80 %."
    PolicyVersion.objects.filter(pk=version.pk).update(state="active", watch={"stuck": "Success fell."})
    assert len(back.look(back.settled({}), now + timedelta(days=2))) == 1, "what is stuck stays told"


def test_the_guard_comes_off_only_where_the_replay_is_good_at_its_worst() -> None:
    from llm_gateway.actions import ActionError
    from llm_gateway.actions.activate_policy import activate_policy
    from llm_gateway.actions.activate_strategy import activate_strategy
    from llm_gateway.core.errors import Conflict
    from llm_gateway.models import CatalogueVersion, PolicyReplay

    settings = {"mode": "active", "base": "enterprise"}
    version = _learned(**settings)
    Strategy.objects.filter(name="learned").update(version=0)
    with pytest.raises(ActionError, match="goes unguarded by a policy version"):
        activate_strategy("learned")

    def replay(success: Any, low: str = "1.0", then: str = "1.0") -> None:
        report = {"estimates": {"success": success} if success else None, "cost": {"rows": 9, "unknown": 0, "high": low, "then": then}}
        PolicyReplay.objects.create(
            version=version, state="done", finished_at=datetime.now(UTC), report=report, catalogue=CatalogueVersion.current()
        )

    for success, high, words in (
        (None, "1.0", "cannot say"),
        ({"low": 0.93, "then": 0.95}, "1.0", "may succeed in 93.0%"),
        ({"low": 0.93, "then": 0.95}, "0.5", "though it surely costs less"),
    ):
        replay(success, high)
        with pytest.raises(Conflict, match=words):
            activate_policy(version)
    replay({"low": 0.945, "then": 0.95}, "0.5")
    assert activate_policy(version).state == "active"
    PolicyVersion.objects.update(state="approved")
    Strategy.objects.update(active=False)
    replay({"low": 0.5, "then": 0.95})
    assert activate_policy(version, confirm=True).state == "active"
    assert "Confirmed although: By its replay" in PolicyEvent.objects.filter(kind="activated").latest("pk").note
