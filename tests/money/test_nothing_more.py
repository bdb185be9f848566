"""What costs nothing passes every budget; and limits, keys and budgets that change while a request runs."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.support.gateway import GatewayServer
from tests.support.speaking import DIALECTS, auth
from tests.support.waiting import until


@pytest.fixture(scope="module", autouse=True)
def free(gateway_server: GatewayServer) -> None:
    from llm_gateway.models import Price

    rows = gateway_server.rows
    for slug in ("chat", "claude", "responses", "gem"):
        Price.objects.filter(model=rows.model(slug, "gratis", name=f"{slug}/gratis")).update(input=0, output=0)
    gateway_server.refresh()


def used_up(gateway: GatewayServer, name: str, **more: Any) -> tuple[str, Any]:
    """A key whose hard budget was lowered below what it had spent."""
    from llm_gateway.models import Budget, ClientKey

    key = gateway.issue(name)
    budget = Budget.objects.create(name=name, client_key=ClientKey.objects.get(name=name), limit_nusd=10**9, period="total", **more)
    gateway.refresh()
    assert gateway.ask("openai_chat", "chat/paid", key=key, max_tokens=8).status == 200
    lowered(budget, 1)
    assert gateway.ask("openai_chat", "chat/paid", key=key, max_tokens=8).status == 402
    return key, budget


def lowered(budget: Any, limit_nusd: int) -> None:
    from llm_gateway.models import Budget

    row = Budget.objects.get(pk=budget.pk)
    row.limit_nusd = limit_nusd
    row.save()


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_free_model_answers_a_key_whose_budget_is_used_up(gateway: GatewayServer, dialect: str, stream: bool) -> None:
    key, budget = used_up(gateway, f"used-{dialect}-{stream}")
    budget.refresh_from_db()
    spent = budget.posted_nusd
    answer = gateway.ask(dialect, "chat/gratis", key=key, stream=stream)
    assert (answer.status, answer.errors) == (200, [])
    assert gateway.row(answer).cost_nusd == 0
    budget.refresh_from_db()
    assert (budget.posted_nusd, budget.held_nusd) == (spent, 0)


def test_free_embeddings_and_counts_pass_as_well(gateway: GatewayServer) -> None:
    key, _ = used_up(gateway, "used-other-kinds")
    for path, dialect, body in (
        ("/v1/embeddings", "openai_chat", {"model": "chat/gratis", "input": "x"}),
        ("/v1/messages/count_tokens", "anthropic_messages", {"model": "claude/gratis", "messages": [{"role": "user", "content": "x"}]}),
    ):
        assert gateway.http.post(path, json=body, headers=auth(dialect, key)).status_code == 200, path


@pytest.mark.parametrize("order", [("gratis", "paid"), ("paid", "gratis")])
def test_of_an_alias_the_free_ones_are_left(gateway: GatewayServer, order: tuple[str, str]) -> None:
    key, _ = used_up(gateway, f"used-{order[0]}-first")
    alias = gateway.alias(f"{order[0]}-first", *(("chat", name) for name in order))
    before = gateway.mark
    answer = gateway.ask("openai_chat", alias, key=key)
    assert answer.status == 200
    row = gateway.row(answer)
    assert (row.cost_nusd, row.hold_nusd) == (0, 0)
    assert [entry["model"] for entry in gateway.received(before)] == ["gratis"]
    assert any("budget" in line["why"] for line in row.decision["skipped"])
    told = gateway.http.post("/api/ai-models/explain", json={"prompt": "x", "model": alias}, headers=auth("native", key)).json()
    assert (told["would"], told["error"], told["reserves"]["amount"]) == ("try", None, "0.00")
    assert [(line["upstream_id"], line["place"]) for line in told["targets"] if line["place"]] == [("gratis", 1)]
    assert all("budget" in line["why"] for line in told["targets"] if not line["place"])


def test_a_free_fallback_passes_its_providers_budget(gateway: GatewayServer) -> None:
    from llm_gateway.models import Budget, Price

    provider = gateway.rows.providers["chat2"]
    Price.objects.filter(model=gateway.rows.model("chat2", "gratis", name="chat2/gratis")).update(input=0, output=0)
    budget = Budget.objects.create(name="none for chat2", provider=provider, limit_nusd=0, period="total")
    alias = gateway.alias("to-the-free", ("chat", "x-fault:status:500"), ("chat2", "gratis"))
    try:
        answer = gateway.ask("openai_chat", alias)
        assert (answer.status, gateway.row(answer).attempt_count) == (200, 2)
        paid = gateway.alias("to-the-paid", ("chat", "y-fault:status:500"), ("chat2", "paid"))
        assert gateway.ask("openai_chat", paid).status == 502
    finally:
        Budget.objects.filter(pk=budget.pk).update(enabled=False)
        gateway.refresh()


@pytest.mark.parametrize("change", ["lower", "raise", "disable", "delete", "revoke the key", "disable the team"])
def test_what_changes_while_a_request_runs_leaves_the_books_whole(gateway: GatewayServer, change: str) -> None:
    """The audit after each test looks at the books."""
    from django.utils import timezone

    from llm_gateway.models import Budget, ClientKey, LedgerEntry, Team

    team = Team.objects.create(name=f"team {change}", slug=change.replace(" ", "-"))
    name = f"flying {change}"
    key = gateway.issue(name, team=team)
    owner = ClientKey.objects.get(name=name)
    budget = Budget.objects.create(name=name, client_key=owner, limit_nusd=10**7, period="total", thresholds=[50])
    gateway.refresh()
    before = gateway.mark
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(gateway.ask, "openai_chat", "chat/fault:slow:700", key=key, max_tokens=8)
        until(lambda: len(gateway.received(before)) == 1)
        match change:
            case "lower":
                lowered(budget, 1)
            case "raise":
                lowered(budget, 10**9)
            case "disable":
                Budget.objects.filter(pk=budget.pk).update(enabled=False)
            case "delete":
                Budget.objects.get(pk=budget.pk).delete()
            case "revoke the key":
                ClientKey.objects.filter(pk=owner.pk).update(revoked_at=timezone.now())
            case _:
                Team.objects.filter(pk=team.pk).update(enabled=False)
        gateway.refresh()
        answer = running.result()
    row = gateway.row(answer)
    entry = LedgerEntry.objects.get(request=row)
    assert (entry.state, entry.amount_nusd) == ("posted" if row.cost_nusd else "voided", row.cost_nusd)
    if change == "delete":
        assert entry.budget_id is None
    else:
        budget.refresh_from_db()
        assert (budget.posted_nusd, budget.held_nusd) == (row.cost_nusd, 0)
    if change == "lower":
        assert gateway.ask("openai_chat", "chat/paid", key=key, max_tokens=8).status == 402
    if change in ("raise", "disable", "delete"):
        assert gateway.ask("openai_chat", "chat/paid", key=key, max_tokens=8).status == 200
