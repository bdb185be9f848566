"""A refused request keeps what its caller was told: the words, the sums, and the budget that refused."""

from __future__ import annotations

import time

import pytest

from llm_gateway.actions.send_alerts import text_of
from llm_gateway.core.errors import BudgetExhausted, GatewayError, InvalidRequest, RequestExceedsBudget
from llm_gateway.engine.ports import Rejection
from llm_gateway.models import Alert, RequestLog

from .bench import Bench


def refuse(bench: Bench, amount: int, budget: object) -> tuple[GatewayError, RequestLog]:
    opening = bench.opening(amount, (budget,))
    with pytest.raises(GatewayError) as caught:
        bench.run(bench.journal.open(opening))
    bench.run(bench.journal.reject(Rejection(call=opening.call, at=time.time(), error=caught.value)))
    return caught.value, bench.row(opening)


def test_a_refusal_keeps_the_callers_own_words_and_the_budget(bench: Bench) -> None:
    small, other = bench.budget("small", 100), bench.budget("other", 10**9)
    error, row = refuse(bench, 101, small)
    assert isinstance(error, RequestExceedsBudget)
    assert (row.state, row.error_message, row.refused_by_id) == ("rejected", error.message, small.pk)
    assert "more than the whole budget “small” (0.0000001 USD)" in row.error_message
    assert row.error_details == dict(error.details or {})
    assert row.error_details["limit_usd"] == "0.0000001"
    opened = bench.opening(60, (small,))
    bench.run(bench.journal.open(opened))
    bench.run(bench.journal.settle(bench.settlement(opened, 60)))
    error, row = refuse(bench, 50, small)
    assert isinstance(error, BudgetExhausted)
    assert (row.error_message, row.refused_by_id, row.error_details["spent_usd"]) == (error.message, small.pk, "0.00000006")
    assert not other.refusals.exists()


def test_other_refusals_keep_their_words_and_no_budget(bench: Bench) -> None:
    call = bench.call()
    error = InvalidRequest("Unknown field promt, with cogo_ and a NUL \x00 in it.", param="promt")
    bench.run(bench.journal.reject(Rejection(call=call, at=time.time(), error=error)))
    row = bench.row(call.id)
    assert row.error_message.startswith("Unknown field promt")
    assert (row.error_details, row.refused_by_id) == ({"param": "promt"}, None)
    long = bench.call()
    bench.run(bench.journal.reject(Rejection(call=long, at=time.time(), error=InvalidRequest("x" * 5000))))
    assert len(bench.row(long.id).error_message) <= 600


def test_an_alert_says_that_what_requests_reserve_does_not_fit(bench: Bench) -> None:
    budget = bench.budget("team", 75_000_000)
    refuse(bench, 80_000_000, budget)
    refuse(bench, 80_000_000, budget)
    opened = bench.opening(19_000_000, (budget,))
    bench.run(bench.journal.open(opened))
    bench.run(bench.journal.settle(bench.settlement(opened, 19_000_000)))
    refuse(bench, 60_000_000, budget)
    large, full = Alert.objects.filter(kind__in=("too_small", "exhausted")).order_by("pk")
    assert "could cost more than its whole limit" in text_of(large)
    said = text_of(full)
    assert "what they reserve no longer fits beside what is spent and held: 0.019 of 0.075 USD spent" in said
    assert "used up" not in said
    full.spent_nusd = full.limit_nusd
    assert "is used up; requests are refused" in text_of(full)
