"""Budgets and prices as a caller meets them, over HTTP; every test ends with the audit."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tests.support.gateway import GatewayServer
from tests.support.waiting import until


def errors(answer: Any) -> dict[str, Any]:
    found: dict[str, Any] = answer.json["error"]
    return found


def test_a_used_up_budget_is_told_with_its_name_and_its_end_and_is_not_retried(gateway: GatewayServer) -> None:
    # 8 tokens of answer are held at about 0.00004 USD.
    key = gateway.issue("little", budget_usd=Decimal("0.00006"), period="day")
    first = gateway.ask("openai_chat", "chat/m", key=key, max_tokens=8)
    assert first.status == 200
    refused = gateway.ask("openai_chat", "chat/m", key=key, max_tokens=8)
    assert (refused.status, refused.code) == (429, "insufficient_quota")
    assert refused.headers["x-should-retry"] == "false"
    assert "is used up" in errors(refused)["message"]
    assert "It resets at" in errors(refused)["message"]
    row = gateway.row(refused)
    assert (row.state, row.error_code, row.attempt_count, row.cost_nusd) == ("rejected", "insufficient_quota", 0, 0)


def test_a_request_above_the_whole_budget_is_a_402(gateway: GatewayServer) -> None:
    key = gateway.issue("tiny", budget_usd=Decimal("0.000001"), period="total")
    refused = gateway.ask("openai_chat", "chat/m", key=key, max_tokens=500)
    assert (refused.status, refused.code) == (402, "request_exceeds_budget")
    assert refused.headers["x-should-retry"] == "false"
    mark = gateway.mark
    assert gateway.received(mark) == []


def test_a_model_without_a_price_is_refused_and_nothing_is_sent(gateway: GatewayServer) -> None:
    gateway.rows.model("chat", "priceless", name="chat/priceless", priced=False)
    gateway.refresh()
    mark = gateway.mark
    refused = gateway.ask("openai_chat", "chat/priceless")
    assert (refused.status, refused.code) == (502, "config_error")
    assert "No price is known" in errors(refused)["message"]
    assert gateway.received(mark) == []


def test_a_key_that_may_use_unpriced_models_is_charged_the_ceiling_and_never_nothing(gateway: GatewayServer) -> None:
    from llm_gateway.models import Budget

    gateway.rows.model("chat", "priceless3", name="chat/priceless3", priced=False)
    key = gateway.issue("daring", allow_unpriced=True, budget_usd=Decimal("0.02"), period="total")
    answer = gateway.ask("openai_chat", "chat/priceless3", key=key, max_tokens=50)
    assert answer.status == 200
    row = gateway.row(answer)
    assert row.cost_nusd is None
    assert row.hold_nusd > 50 * 100_000
    assert Budget.objects.get(client_key__name="daring").posted_nusd == row.hold_nusd
    refused = [gateway.ask("openai_chat", "chat/priceless3", key=key, max_tokens=50) for _ in range(3)][-1]
    assert (refused.status, refused.code) == (429, "insufficient_quota")


def test_under_a_ceiling_an_unpriced_model_is_held_and_billed_by_it(gateway: GatewayServer, monkeypatch: pytest.MonkeyPatch) -> None:
    from django.conf import settings

    from llm_gateway.models import LedgerEntry

    monkeypatch.setitem(settings.COGO, "unpriced", "ceiling")
    monkeypatch.setitem(settings.COGO, "unpriced_ceiling_usd_per_million", "100")
    gateway.rows.model("chat", "priceless2", name="chat/priceless2", priced=False)
    gateway.refresh()
    try:
        answer = gateway.ask("openai_chat", "chat/priceless2", max_tokens=10)
        row = gateway.row(answer)
        assert row.cost_nusd is None
        assert row.hold_nusd > 10 * 100_000
        charged = set(LedgerEntry.objects.filter(request=row).values_list("amount_nusd", flat=True))
        assert charged == {row.hold_nusd}
    finally:
        monkeypatch.undo()
        gateway.rows.model("chat", "another", name="chat/another")
        gateway.refresh()


def test_a_free_model_costs_nothing_on_purpose(gateway: GatewayServer) -> None:
    from llm_gateway.models import Price

    model = gateway.rows.model("chat", "free", name="chat/free")
    Price.objects.filter(model=model).update(input=0, output=0)
    gateway.refresh()
    row = gateway.row(gateway.ask("openai_chat", "chat/free"))
    assert (row.state, row.cost_nusd, row.usage_source) == ("ok", 0, "reported")
    assert row.price_id is not None


def test_a_soft_budget_lets_everything_through_and_alerts(gateway: GatewayServer) -> None:
    from llm_gateway.models import Alert, Budget

    key = gateway.issue("soft")
    from llm_gateway.models import ClientKey

    budget = Budget.objects.create(
        name="soft", client_key=ClientKey.objects.get(name="soft"), limit_nusd=10_000, hard=False, thresholds=[50, 100]
    )
    gateway.refresh()
    for _ in range(3):
        assert gateway.ask("openai_chat", "chat/m", key=key).status == 200
    assert list(Alert.objects.filter(budget=budget).order_by("threshold").values_list("threshold", flat=True)) == [50, 100]
    budget.refresh_from_db()
    assert budget.posted_nusd > budget.limit_nusd


def test_a_bill_is_what_the_provider_counted(gateway: GatewayServer) -> None:
    mark = gateway.mark
    for dialect, model in (("openai_chat", "chat/m"), ("anthropic_messages", "claude/m"), ("gemini_generate", "gem/m")):
        row = gateway.row(gateway.ask(dialect, model))
        # The simulator writes down what it billed after its last byte.
        until(lambda: gateway.received(mark)[-1]["input_tokens"] > 0)
        (entry,) = gateway.received(mark)[-1:]
        assert row.cost_nusd == entry["input_tokens"] * 1000 + entry["output_tokens"] * 2000
        assert row.input_tokens == entry["input_tokens"]


def test_fallbacks_hold_the_budgets_of_the_provider_they_go_to(gateway: GatewayServer) -> None:
    from llm_gateway.models import Budget, LedgerEntry

    first, second = gateway.rows.providers["chat"], gateway.rows.providers["chat2"]
    budgets = [Budget.objects.create(name=f"of {p.slug}", provider=p, limit_nusd=10**9) for p in (first, second)]
    name = gateway.alias("two", ("chat", "a-fault:status:500"), ("chat2", "b"))
    try:
        row = gateway.row(gateway.ask("openai_chat", name))
        assert (row.state, row.attempt_count) == ("ok", 2)
        assert set(LedgerEntry.objects.filter(request=row, budget__in=budgets).values_list("budget__name", "state", "amount_nusd")) == {
            ("of chat", "voided", 0), ("of chat2", "posted", row.cost_nusd),
        }  # fmt: skip
    finally:
        for budget in budgets:
            Budget.objects.filter(pk=budget.pk).update(enabled=False)
        gateway.refresh()
