"""End users of a caller: a pseudonym on the row, a budget of their own, and nothing where nothing is to be kept."""

from __future__ import annotations

from typing import Any

import pytest

from llm_gateway.actions.purge import erase_subject
from llm_gateway.policies.end_users import end_user_of, pseudonym
from llm_gateway.stores import vault
from tests.support.gateway import GatewayServer


def _ask(gateway: GatewayServer, key: str, user: str, dialect: str = "openai_chat") -> Any:
    return gateway.ask(dialect, "chat/x", key=key, **({"user": user} if dialect == "openai_chat" else {"metadata": {"user_id": user}}))


def test_a_budget_binds_one_end_user_and_no_other(gateway: GatewayServer) -> None:
    from llm_gateway.models import Budget, ClientKey, RequestLog

    key = gateway.issue("app with users")
    row = ClientKey.objects.get(name="app with users")
    alice = pseudonym(vault.end_user_key(), row.team_id, "alice@example.test")
    own = Budget.objects.create(name="alice", client_key=row, end_user=alice, limit_nusd=1, period="total")
    shared = Budget.objects.create(name="all of the team", team=row.team, limit_nusd=10**12, period="total")
    gateway.refresh()
    for dialect in ("openai_chat", "anthropic_messages", "native"):
        refused = _ask(gateway, key, "alice@example.test", dialect)
        assert (refused.status, str(refused.code).lower()) == (402, "request_exceeds_budget"), dialect
        assert gateway.row(refused).end_user == alice
        assert _ask(gateway, key, "bob", dialect).status == 200
    assert gateway.ask("openai_chat", "chat/x", key=key).status == 200, "no end user at all"
    Budget.objects.filter(pk=own.pk).update(limit_nusd=10**12)
    gateway.refresh()
    answer = _ask(gateway, key, "alice@example.test")
    assert answer.status == 200
    own.refresh_from_db()
    shared.refresh_from_db()
    assert own.posted_nusd == gateway.row(answer).cost_nusd > 0
    assert shared.posted_nusd > own.posted_nusd
    assert RequestLog.objects.filter(end_user=alice).count() == 4
    assert erase_subject("alice@example.test") == 4
    assert not RequestLog.objects.filter(end_user=alice).exists()


def test_where_nothing_is_to_be_kept_no_pseudonym_is(gateway: GatewayServer) -> None:
    from llm_gateway.models import Team

    team = Team.objects.create(slug="silent", name="Silent", bodies="off")
    key = gateway.issue("silent", team=team)
    assert gateway.row(_ask(gateway, key, "alice@example.test")).end_user is None


@pytest.mark.parametrize(
    ("user", "metadata", "found"),
    [
        ("a", {"user_id": "b"}, "a"), (None, {"user_id": "b", "user": "c"}, "b"), ("", {"user": "c"}, "c"), (None, {"user_id": 7}, ""),
        (None, {}, ""), (None, None, ""),
    ],
)  # fmt: skip
def test_whom_a_request_names(user: str | None, metadata: Any, found: str) -> None:
    assert end_user_of(user, metadata) == found


def test_pseudonyms_tell_nothing_and_differ_by_team() -> None:
    one, other = (pseudonym(b"k", team, "alice") for team in (1, 2))
    assert len({one, other, pseudonym(b"l", 1, "alice")}) == 3
    assert len(one) == 32
    assert pseudonym(b"k", 1, "") == ""
    assert pseudonym(b"k", 1, "\ud800")
