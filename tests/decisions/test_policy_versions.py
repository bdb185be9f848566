"""From draft over replay and approval to force, and back: by the API, as its callers meet it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from tests.support.gateway import GatewayServer

ROOT = "/api/ai-models/policies"


@pytest.fixture(autouse=True)
def restored(gateway: GatewayServer) -> Iterator[None]:
    from llm_gateway.actions.activate_strategy import activate_strategy
    from llm_gateway.models import RequestLog, Strategy

    gateway.on_loop(gateway.gateway.health.contexts._named.clear)
    yield
    RequestLog.objects.filter(tag="filled").delete()
    activate_strategy("enterprise", settings={})
    Strategy.objects.update(four_eyes=False)
    gateway.refresh()


def keyed(gateway: GatewayServer, *scopes: str) -> str:
    """A key with these scopes, the same each time."""
    wanted = scopes or ("read", "manage", "generate")
    keys: dict[Any, str] = gateway.rows.__dict__.setdefault("keys_by_scope", {})
    if wanted not in keys:
        keys[wanted] = gateway.rows.issue(f"policies {' '.join(wanted)}", scopes=list(wanted))
        gateway.refresh()
    return keys[wanted]


def call(gateway: GatewayServer, method: str, path: str, body: Any = None, *, key: str | None = None) -> tuple[int, Any]:
    answer = gateway.http.request(method, f"{ROOT}{path}", json=body, headers={"Authorization": f"Bearer {key or keyed(gateway)}"})
    return answer.status_code, answer.json()


def test_a_version_goes_from_draft_to_force_and_back(gateway: GatewayServer) -> None:
    from llm_gateway.models import PolicyVersion, Strategy, StrategyActivation

    Strategy.objects.get_or_create(name="weighted", defaults={"kind": "weighted", "title": "Weighted"})
    for _ in range(3):
        assert gateway.ask("openai_chat", "auto", max_tokens=5).status == 200
    gateway.refresh()
    before = call(gateway, "GET", "")[1]
    status, made = call(gateway, "POST", "", {"strategy": "weighted", "settings": {"weights": {"openai": 1}}, "note": "all to one"})
    assert (status, made["state"], made["revision"]) == (200, "draft", before["revision"])
    at = f"/{made['version']}"
    assert call(gateway, "POST", f"{at}/approve", {})[0] == 400, "not before it was replayed"
    assert call(gateway, "POST", f"{at}/activate", {"revision": made["revision"]})[0] == 400, "not before it was approved"
    status, replay = call(gateway, "POST", f"{at}/replay", {"last": 3})
    assert status == 202
    report = call(gateway, "GET", f"/replays/{replay['id']}")[1]["report"]
    assert (report["rows"], report["not_replayable"], report["moved_share"]) == (3, {}, 1.0)
    assert report["flows"][0]["count"] == 3
    assert report["estimates"] is None
    assert "cannot be estimated from this log" in report["why"]
    assert call(gateway, "POST", f"{at}/approve", {"note": "good"})[1]["state"] == "approved"
    assert call(gateway, "POST", f"{at}/activate", {"revision": made["revision"] + 1})[0] == 409
    status, active = call(gateway, "POST", f"{at}/activate", {"revision": made["revision"], "confirm": True})
    assert (status, active["state"]) == (200, "active")
    gateway.refresh()
    row = gateway.row(gateway.ask("openai_chat", "auto", max_tokens=5))
    assert (row.policy, row.provider_slug, row.strategy) == (made["version"], "openai", "weighted")
    assert StrategyActivation.objects.order_by("-pk").first().version == made["version"]
    status, back = call(gateway, "POST", "/rollback", {})
    assert (status, back["version"]) == (200, before["active"])
    gateway.refresh()
    assert gateway.row(gateway.ask("openai_chat", "auto", max_tokens=5)).policy == before["active"]
    assert PolicyVersion.objects.filter(state="active", alias="").count() == 1
    again = call(gateway, "POST", "/rollback", {"to": made["version"]})[1]
    assert again["version"] == made["version"], "a roll-back can be taken back, too"


def test_a_canary_keeps_its_callers_and_a_bad_one_is_rolled_back_by_itself(gateway: GatewayServer) -> None:
    from llm_gateway.actions.activate_policy import activate_policy
    from llm_gateway.actions.draft_policy import draft_policy
    from llm_gateway.actions.guard_policies import guard_policies
    from llm_gateway.models import PolicyEvent, PolicyVersion, Strategy

    Strategy.objects.get_or_create(name="weighted", defaults={"kind": "weighted", "title": "Weighted"})
    draft = draft_policy(strategy="weighted", settings={"weights": {"gemini": 1}}, guards={"min_requests": 50})
    PolicyVersion.objects.filter(pk=draft.pk).update(state="approved")
    activate_policy(draft, canary_share=0.4, confirm=True)
    gateway.refresh()

    def ask(user: int) -> Any:
        return gateway.row(gateway.ask("openai_chat", "auto", max_tokens=5, user=str(user)))

    of = {user: [ask(user), ask(user)] for user in range(24)}
    assert all(len({row.policy for row in rows}) == 1 for rows in of.values()), "a caller stays where it fell"
    trial = [rows[0] for rows in of.values() if rows[0].policy == draft.number]
    assert 2 <= len(trial) <= 18
    assert {row.provider_slug for row in trial} == {"gemini"}
    named = gateway.row(gateway.ask("openai_chat", "strategy:enterprise", max_tokens=5, user="0"))
    assert named.policy != draft.number, "who names a strategy gets it"

    assert guard_policies() is None, "too little is seen"
    active = PolicyVersion.objects.get(state="active", canary_share=None, alias="")
    _fill(of[0][0], active.number, 600, failing=6)
    _fill(of[0][0], draft.number, 150, failing=2)
    assert guard_policies() is None, "as good as before"
    _fill(of[0][0], draft.number, 100, failing=45)
    why = guard_policies()
    assert why is not None, PolicyVersion.objects.get(pk=draft.pk).watch
    assert "Success fell" in why
    draft.refresh_from_db()
    assert (draft.state, draft.canary_share) == ("retired", None)
    assert PolicyEvent.objects.filter(version=draft, kind="ended", via="guard").count() == 1
    gateway.refresh()
    assert {ask(user).policy for user in range(10)} == {active.number}


def _fill(like: Any, policy: int, count: int, failing: int) -> None:
    from llm_gateway.core.ids import uuid7
    from llm_gateway.models import RequestLog

    now = timezone.now()
    rows = []
    for n in range(count):
        row = RequestLog.objects.get(pk=like.pk)
        row.created_at = row.finished_at = now
        row.attempt_count = 0
        row.policy, row.state, row.tag = policy, "failed" if n < failing else "ok", "filled"
        row.pk = uuid7(
            int(now.timestamp() * 1000) + policy, (like.pk.int % 10**9 * 10**9 + policy * 10**6 + n + failing * 1000).to_bytes(10, "big")
        )
        rows.append(row)
    RequestLog.objects.bulk_create(rows)


def test_four_eyes_are_two_peoples_and_no_door_goes_round_them(gateway: GatewayServer) -> None:
    from django.contrib.auth import get_user_model

    from llm_gateway.actions import ActionError
    from llm_gateway.actions.activate_strategy import activate_strategy
    from llm_gateway.actions.approve_policy import approve_policy
    from llm_gateway.actions.draft_policy import draft_policy
    from llm_gateway.models import PolicyVersion, Strategy

    users = get_user_model().objects
    ann, bob = (users.get_or_create(username=name)[0] for name in ("ann", "bob"))
    Strategy.objects.filter(name="performance-based").update(four_eyes=True)
    with pytest.raises(ActionError, match="four eyes"):
        activate_strategy("performance-based", user=ann, settings={"exploration": 0.2})
    draft = draft_policy(strategy="performance-based", settings={"exploration": 0.2}, user=ann)
    PolicyVersion.objects.filter(pk=draft.pk).update(state="replayed")
    with pytest.raises(ActionError, match="four eyes"):
        approve_policy(draft, user=ann)
    with pytest.raises(ActionError, match="four eyes"):
        activate_strategy("performance-based", user=ann, settings={"exploration": 0.2})
    approve_policy(draft, user=bob)
    assert activate_strategy("performance-based", user=ann, settings={"exploration": 0.2}).version == draft.number


def test_versions_never_change_and_the_schema_holds_what_the_states_promise(gateway: GatewayServer) -> None:
    from llm_gateway.actions.draft_policy import draft_policy
    from llm_gateway.models import PolicyVersion

    draft = draft_policy(strategy="enterprise")
    draft.settings = {"x": 1}
    with pytest.raises(ValueError, match="never changed"):
        draft.save()
    for wrong in ({"canary_share": 0.5}, {"state": "active"}, {"alias": "a"}, {"number": 1}):
        with pytest.raises(IntegrityError), transaction.atomic():
            PolicyVersion.objects.filter(pk=draft.pk).update(**wrong)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({}, "Name a strategy or an alias"),
        ({"strategy": "nobody"}, "There is no strategy named"),
        ({"strategy": "enterprise", "kind": "nobody"}, "There is no kind"),
        ({"strategy": "ab-testing", "settings": {"arms": {"nobody": 1, "openai": 1}}}, "There is no provider or model named nobody"),
        ({"strategy": "enterprise", "guards": {"p95": 2}}, "There is no guard p95"),
        ({"strategy": "enterprise", "guards": {"p95_factor": 0.5}}, "p95_factor has to be a number"),
        ({"alias": "nobody", "settings": {"models": ["x"]}}, "There is no alias"),
    ],
)
def test_nonsense_is_refused_with_what_to_write_instead(gateway: GatewayServer, body: Any, says: str) -> None:
    status, told = call(gateway, "POST", "", body)
    assert (status, says in told["error"]["message"]) == (400, True), told


def test_unknown_numbers_and_keys_without_the_scope_get_nothing(gateway: GatewayServer) -> None:
    assert call(gateway, "GET", "/999999")[0] == call(gateway, "GET", "/replays/999999")[0] == 404
    assert call(gateway, "POST", "/999999/activate", {"revision": 0})[0] == 404
    reader = keyed(gateway, "read")
    assert call(gateway, "GET", "", key=reader)[0] == 200
    for path in ("", "/1/replay", "/1/approve", "/rollback"):
        assert call(gateway, "POST", path, {"strategy": "enterprise"}, key=reader)[0] == 403


def test_the_list_of_an_alias_is_versioned_and_comes_back(gateway: GatewayServer) -> None:
    from llm_gateway.actions.activate_policy import activate_policy
    from llm_gateway.actions.approve_policy import approve_policy
    from llm_gateway.actions.draft_policy import draft_policy
    from llm_gateway.actions.rollback_policy import rollback_policy
    from llm_gateway.models import Alias, AliasTarget, LanguageModel

    names = [one.name for one in LanguageModel.objects.filter(auto=True).order_by("pk")[:2]]
    alias, _ = Alias.objects.get_or_create(name="versioned")
    AliasTarget.objects.filter(alias=alias).delete()
    AliasTarget.objects.create(alias=alias, model=LanguageModel.objects.get(name=names[0]), position=1)

    def listed() -> list[str]:
        return list(AliasTarget.objects.filter(alias=alias).order_by("position").values_list("model__name", flat=True))

    from llm_gateway.models import PolicyVersion

    first = PolicyVersion.objects.get(alias="versioned", state="active")
    assert first.settings == {"models": names[:1]}
    draft = draft_policy(alias="versioned", settings={"models": names[::-1]})
    approve_policy(draft)
    activate_policy(draft)
    assert listed() == names[::-1]
    rollback_policy(first.number)
    assert listed() == names[:1]
    alias.delete()
