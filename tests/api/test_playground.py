"""The playground sends what any caller sends, under a client key's rights and budgets, for staff who may spend."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import httpx
import pytest

from tests.support.gateway import GatewayServer

SEND = "/admin/playground/send/"
ASK = {"model": "chat/x", "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 20}


def _browser(gateway: GatewayServer, role: str = "", **more: Any) -> httpx.Client:
    from django.contrib.auth.models import Group, User
    from django.test import Client

    user, _ = User.objects.get_or_create(username=f"player {role} {'boss' if more else ''}", defaults={"is_staff": True, **more})
    user.groups.set(Group.objects.filter(name=role))
    client = Client()
    client.force_login(user)
    token = "a" * 32
    cookies = {"sessionid": client.cookies["sessionid"].value, "csrftoken": token}
    return httpx.Client(base_url=gateway.url, cookies=cookies, headers={"x-csrftoken": token}, timeout=30, trust_env=False)


@pytest.fixture
def boss(gateway: GatewayServer) -> Iterator[httpx.Client]:
    with _browser(gateway, is_superuser=True) as browser:
        yield browser


def public(key: str) -> str:
    return key.split("_")[1]


def events(answer: httpx.Response) -> list[tuple[str, Any]]:
    found = []
    for block in answer.text.split("\n\n"):
        lines = dict(line.partition(": ")[::2] for line in block.splitlines() if not line.startswith(":"))
        if "event" in lines:
            found.append((lines["event"], json.loads(lines["data"])))
    return found


def code(answer: httpx.Response) -> tuple[int, str]:
    assert "json" in answer.headers["content-type"], (answer.status_code, answer.text[:300])
    return answer.status_code, answer.json()["error"]["code"]


def test_it_streams_under_the_chosen_key_and_the_row_says_who(gateway: GatewayServer, boss: httpx.Client) -> None:
    from llm_gateway.models import RequestLog

    key = gateway.issue("played", budget_usd=Decimal(1), period="total")
    answer = boss.post(SEND, json={"key": public(key), "request": ASK})
    assert answer.status_code == 200, answer.text
    found = events(answer)
    assert [name for name, _ in found][:2] == ["start", "delta"]
    assert found[-1][0] == "done"
    assert {"decision", "attempts", "cost", "usage", "id"} <= found[-1][1].keys()
    row = RequestLog.objects.get(pk=found[-1][1]["id"])
    assert (row.client_key.name, row.tag, row.dialect, row.stream) == ("played", "playground", "openai_chat", True)
    assert row.user_id is not None
    assert row.cost_nusd > 0
    own = events(boss.post(SEND, json={"key": "", "request": ASK}))
    assert RequestLog.objects.get(pk=own[-1][1]["id"]).client_key is None


def test_a_keys_budget_rights_and_end_hold_here_too(gateway: GatewayServer, boss: httpx.Client) -> None:
    from django.utils import timezone

    from llm_gateway.models import ClientKey, RequestLog

    broke = gateway.issue("played broke", budget_usd=Decimal("0.0000001"), period="total")
    assert code(boss.post(SEND, json={"key": public(broke), "request": ASK})) == (402, "request_exceeds_budget")
    narrow = gateway.issue("played narrow", models=["chat2/*"])
    assert code(boss.post(SEND, json={"key": public(narrow), "request": ASK}))[0] == 404
    reader = gateway.issue("played reader", scopes=["read"])
    assert code(boss.post(SEND, json={"key": public(reader), "request": ASK}))[0] == 403
    elsewhere = gateway.issue("played elsewhere", addresses=["203.0.113.0/24"])
    assert code(boss.post(SEND, json={"key": public(elsewhere), "request": ASK}))[0] == 403
    ended = gateway.issue("played ended")
    ClientKey.objects.filter(name="played ended").update(revoked_at=timezone.now())
    gateway.refresh()
    assert code(boss.post(SEND, json={"key": public(ended), "request": ASK})) == (401, "key_revoked")
    assert code(boss.post(SEND, json={"key": "nobodys", "request": ASK}))[0] == 404
    assert not RequestLog.objects.filter(client_key__name__startswith="played", state="ok").exclude(client_key__name="played").exists()


def test_who_may_not_spend_sends_nothing(gateway: GatewayServer) -> None:
    from llm_gateway.models import RequestLog

    key = gateway.issue("played by nobody")
    before = RequestLog.objects.count()
    for role in ("viewer", "finance", "auditor", ""):
        with _browser(gateway, role) as browser:
            assert code(browser.post(SEND, json={"key": public(key), "request": ASK}))[0] == 403, role
            assert browser.get("/admin/llm_gateway/clientkey/playground/").status_code == 403
    with _browser(gateway, "operator") as browser:
        page = browser.get("/admin/llm_gateway/clientkey/playground/")
        assert page.status_code == 200
        assert "played by nobody" in page.text
        browser.headers.pop("x-csrftoken")
        assert browser.post(SEND, json={"key": "", "request": ASK}).status_code == 403, "no CSRF token"
    assert httpx.post(f"{gateway.url}{SEND}", json={"key": "", "request": ASK}).status_code == 403
    assert RequestLog.objects.count() == before


@pytest.mark.parametrize(
    ("body", "status"),
    [(b"", 400), (b"[]", 400), (b"{", 400), (b'{"request": 7}', 400), (b'{"request": {}}', 400), (b'{"key": 7, "request": {}}', 404)],
)
def test_nonsense_gets_an_error_in_words(boss: httpx.Client, body: bytes, status: int) -> None:
    answer = boss.post(SEND, content=body, headers={"content-type": "application/json"})
    assert answer.status_code == status, answer.text
    assert answer.json()["error"]["message"]
    assert boss.get(SEND).status_code == 405


def test_tool_calls_are_told(gateway: GatewayServer, boss: httpx.Client) -> None:
    tools = [
        {"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}}
    ]
    found = events(boss.post(SEND, json={"request": {**ASK, "tools": tools, "tool_choice": "required", "max_tokens": 200}}))
    said = [data for name, data in found if name == "tool"]
    assert said[0]["name"] == "weather"
    assert json.loads("".join(one.get("arguments", "") for one in said))


def test_texts_are_opened_by_those_who_may_read_them_and_that_is_written_down(gateway: GatewayServer, boss: httpx.Client) -> None:
    from llm_gateway.models import AuditEntry, Team

    team = Team.objects.create(slug="kept", name="Kept", bodies="full")
    key = gateway.issue("kept", team=team)
    told = {"messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "A secret question"}]}
    row = gateway.row(gateway.client("openai_chat", key).ask("chat/x", **told))
    url = f"/admin/llm_gateway/clientkey/playground/?request={row.pk}"
    page = boss.get(url).text
    assert "A secret question" in page
    assert AuditEntry.objects.filter(action="read texts", object_id=str(row.pk)).count() == 1
    with _browser(gateway, "operator") as operator:
        seen = operator.get(url).text
        assert "A secret question" not in seen
        assert "a right of its own" in seen
    assert AuditEntry.objects.filter(action="read texts", object_id=str(row.pk)).count() == 1
    assert "no such request" in boss.get("/admin/llm_gateway/clientkey/playground/?request=nonsense").text
