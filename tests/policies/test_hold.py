"""What is reserved and what is charged: hand-computed bills and the "Budget" column of the fault matrix."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_gateway.core.catalog import ModelInfo
from llm_gateway.core.errors import FailureClass
from llm_gateway.core.money import Rate, cost_nusd, per_token_pusd, rate_at
from llm_gateway.core.usage import Usage, UsageSource
from llm_gateway.policies import hold as h
from llm_gateway.policies.hold import BillingRule

F = FailureClass
R = BillingRule
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


def rate(price_id: int = 1, since: datetime = datetime(2026, 1, 1, tzinfo=UTC), above: int = 0, **usd: str) -> Rate:
    prices = {name: per_token_pusd(Decimal(value)) for name, value in usd.items()}
    return Rate(price_id=price_id, effective_from=since, min_prompt_tokens=above, **prices)  # type: ignore[arg-type]


SONNET = (rate(input="2", output="10", cache_read="0.10", cache_write="2.50", cache_write_1h="4"),)
HAIKU = (
    rate(1, input="0.10", output="0.50", cache_read="0.01", cache_write="0.125", cache_write_1h="0.20"),
    rate(2, above=100_001, input="0.50", output="2.50", cache_read="0.05", cache_write="0.625", cache_write_1h="1.00"),
)


@pytest.mark.parametrize(("chars", "tokens"), [(0, 16), (1, 17), (3, 17), (4, 18), (3000, 1016), (-5, 16)])
def test_the_prompt_estimate_rounds_up_and_adds_the_frame(chars: int, tokens: int) -> None:
    assert h.estimate_tokens(chars) == tokens


@pytest.mark.parametrize(
    ("asked", "models", "ceiling", "limit"),
    [
        (None, None, None, 4096),
        (None, 64_000, None, 64_000),
        (100, 64_000, None, 100),
        (10**9, 64_000, None, 64_000),
        (10**9, 64_000, 2000, 2000),
        (None, 64_000, 2000, 2000),
        (500, None, 200, 200),
        (0, None, None, 1),
    ],
)
def test_the_output_limit_is_bounded_by_model_and_client_key(
    asked: int | None, models: int | None, ceiling: int | None, limit: int
) -> None:
    model = ModelInfo(id=1, provider_id=1, name="m", upstream_id="m", max_output_tokens=models)
    assert h.output_limit(asked, model, ceiling) == limit


def test_the_hold_takes_the_dearest_input_class_and_every_answer_in_full() -> None:
    # 1000 tokens as 5-minute cache writes at 2.50, twice 500 tokens of answer at 10: 0.0025 + 0.01 USD.
    assert h.hold_nusd(1000, 500, 2, SONNET, NOW) == 12_500_000
    # The same as 1-hour writes at 4: 0.004 + 0.01 USD.
    assert h.hold_nusd(1000, 500, 2, SONNET, NOW, cache_1h=True) == 14_000_000


def test_the_hold_uses_the_band_the_prompt_reaches() -> None:
    assert h.hold_nusd(100_000, 1000, 1, HAIKU, NOW) == 12_500_000 + 500_000
    assert h.hold_nusd(100_001, 1000, 1, HAIKU, NOW) == 62_500_625 + 2_500_000


def test_the_hold_covers_reasoning_audio_fees_and_searches() -> None:
    rates = (
        Rate(
            price_id=1,
            effective_from=NOW,
            input=1_000_000,
            output=2_000_000,
            reasoning=5_000_000,
            audio_input=9_000_000,
            audio_output=20_000_000,
            request=7_000_000,
            web_search=10_000_000_000,
        ),
    )
    assert h.hold_nusd(10, 10, 1, rates, NOW) == 10_000 + 50_000 + 7_000
    assert h.hold_nusd(10, 10, 1, rates, NOW, audio=True, searches=2) == 90_000 + 200_000 + 7_000 + 20_000_000


def test_the_hold_covers_pictures_and_the_dearer_of_the_tier_and_the_standard_one() -> None:
    standard = Rate(price_id=1, effective_from=NOW, input=1000, output=2000)
    flex = Rate(price_id=2, effective_from=NOW, tier="flex", input=500, output=1000)
    quick = Rate(price_id=3, effective_from=NOW, tier="priority", input=2000, output=4000)
    assert h.hold_nusd(10, 10, 1, (standard, flex, quick), NOW, tier="flex") == 30
    assert h.hold_nusd(10, 10, 1, (standard, flex, quick), NOW, tier="priority") == 60
    drawing = Rate(price_id=4, effective_from=NOW, input=1000, output=2000, image_input=3000, image_output=30_000)
    assert h.hold_nusd(10, 10, 1, (drawing,), NOW) == 30 + 300


def test_without_a_price_in_force_there_is_no_hold() -> None:
    assert h.hold_nusd(10, 10, 1, (), NOW) is None
    later = rate(since=datetime(2027, 1, 1, tzinfo=UTC), input="1", output="1")
    assert h.hold_nusd(10, 10, 1, (later,), NOW) == 20_000, "before the first price list the first one holds"


@given(
    prompt=st.integers(0, 300_000),
    output=st.integers(1, 10_000),
    parts=st.lists(st.floats(0, 1), min_size=4, max_size=4),
    used=st.floats(0, 1),
)
def test_no_usage_within_the_limits_costs_more_than_the_hold(prompt: int, output: int, parts: list[float], used: float) -> None:
    total = sum(parts) or 1
    read, write, hour = (int(prompt * part / total) for part in parts[:3])
    usage = Usage(
        input_tokens=max(0, prompt - read - write - hour),
        cache_read_tokens=read,
        cache_write_tokens=write,
        cache_write_1h_tokens=hour,
        output_tokens=int(output * used),
    )
    in_force = rate_at(HAIKU, NOW, usage.prompt_tokens)
    held = h.hold_nusd(max(prompt, usage.prompt_tokens), output, 1, HAIKU, NOW, cache_1h=True)
    assert in_force is not None
    assert held is not None
    assert cost_nusd(usage, in_force) <= held


# (row, class or None for a good end, circumstances, rule)
BUDGET: list[tuple[str, FailureClass | None, dict[str, Any], BillingRule]] = [
    ("U1", F.CONNECT_REFUSED, {}, R.VOID),
    ("U2", F.DNS, {}, R.VOID),
    ("U3", F.TLS, {}, R.VOID),
    ("U4", F.CONNECT_TIMEOUT, {}, R.VOID),
    ("U5", F.TTFB_TIMEOUT, {}, R.VOID),
    ("U5 billed", F.TTFB_TIMEOUT, {"bills_aborted": True}, R.HOLD),
    ("U6", F.STALE_CONNECTION, {}, R.VOID),
    ("U7", F.BAD_REQUEST, {}, R.VOID),
    ("U8", F.AUTH, {}, R.VOID),
    ("U9", F.FORBIDDEN, {}, R.VOID),
    ("U10", F.MODEL_GONE, {}, R.VOID),
    ("U11", F.TIMEOUT, {}, R.VOID),
    ("U12", F.CONFLICT, {}, R.VOID),
    ("U13", F.TOO_LARGE, {}, R.VOID),
    ("U13 window", F.CONTEXT_LENGTH, {}, R.VOID),
    ("U14", F.UNSUPPORTED_PARAMETER, {}, R.VOID),
    ("U15", F.RATE_LIMITED, {}, R.VOID),
    ("U17", F.QUOTA, {}, R.VOID),
    ("U18", F.SERVER_ERROR, {}, R.VOID),
    ("U19", F.OVERLOADED, {}, R.VOID),
    ("U21", F.ERROR_IN_200, {"bytes_of_200": 80}, R.VOID),
    ("U21 usage", F.ERROR_IN_200, {"bytes_of_200": 80, "usage_seen": True}, R.REPORTED),
    ("U22", F.CONTENT_FILTER, {}, R.ESTIMATE),
    ("U22 usage", F.CONTENT_FILTER, {"usage_seen": True}, R.REPORTED),
    ("U23", None, {}, R.REPORTED),
    ("U24", F.BAD_CONTENT_TYPE, {"bytes_of_200": 500}, R.VOID),
    ("U25", F.BAD_JSON, {"bytes_of_200": 1}, R.HOLD),
    ("U25 empty", F.BAD_JSON, {"bytes_of_200": 0}, R.VOID),
    ("U26", F.REDIRECT, {}, R.VOID),
    ("U27", F.TOO_LARGE_RESPONSE, {"bytes_of_200": 1}, R.HOLD),
    ("U28", F.PROTOCOL, {}, R.VOID),
    ("U30", F.IDLE_TIMEOUT, {"content_seen": True}, R.ESTIMATE),
    ("U30 no content yet", F.IDLE_TIMEOUT, {"bytes_of_200": 90}, R.ESTIMATE),
    ("U31", F.RESET, {"content_seen": True}, R.ESTIMATE),
    ("U31 nothing yet", F.RESET, {}, R.VOID),
    ("U32", F.TRUNCATED, {"content_seen": True}, R.ESTIMATE),
    ("U33", F.NO_TERMINAL, {"content_seen": True}, R.ESTIMATE),
    ("U33 usage", F.NO_TERMINAL, {"content_seen": True, "usage_seen": True}, R.REPORTED),
    ("U34", F.BAD_EVENT, {"content_seen": True}, R.ESTIMATE),
    ("U35", F.OVERLOADED, {"content_seen": True}, R.ESTIMATE),
    ("U36", F.EVENT_TOO_LARGE, {"content_seen": True}, R.ESTIMATE),
    ("U37", F.SLOW_DRIP, {"content_seen": True}, R.ESTIMATE),
    ("U37 total", F.TOTAL_TIMEOUT, {"content_seen": True}, R.ESTIMATE),
    ("U38 to U42", None, {"content_seen": True, "usage_seen": True}, R.REPORTED),
    ("C1", None, {"cancelled": True, "request_sent": False}, R.VOID),
    ("C2", None, {"cancelled": True}, R.ESTIMATE),
    ("C3", None, {"cancelled": True, "content_seen": True}, R.ESTIMATE),
    ("C4", None, {"cancelled": True, "content_seen": True, "usage_seen": True}, R.ESTIMATE),
    ("C23", F.DEADLINE, {}, R.VOID),
    ("A22", F.CONFIG, {}, R.VOID),
    ("P3", None, {"cancelled": True, "content_seen": True}, R.ESTIMATE),
]


@pytest.mark.parametrize(("row", "kind", "facts", "rule"), BUDGET, ids=[row[0] for row in BUDGET])
def test_the_budget_column_holds(row: str, kind: FailureClass | None, facts: dict[str, Any], rule: BillingRule) -> None:
    assert h.billing(kind, **facts) is rule


def test_every_class_has_a_row() -> None:
    assert {row[1] for row in BUDGET if row[1]} == set(FailureClass)


def final(reported: Usage | None, rule: BillingRule = R.REPORTED, prompt: int = 100, chars: int = 30) -> Usage:
    return h.final_usage(reported, est_prompt_tokens=prompt, text_chars_received=chars, rule=rule)


def test_u41_an_explicit_zero_stays_zero_and_reported() -> None:
    zero = Usage(input_tokens=0, output_tokens=0)
    assert final(zero) == zero
    assert h.charge(R.REPORTED, final(zero), 1000, SONNET, NOW).cost_nusd == 0


def test_u40_missing_usage_is_estimated_and_marked() -> None:
    assert final(None) == Usage(input_tokens=100, output_tokens=10, source=UsageSource.ESTIMATED)


def test_a_missing_half_is_estimated_and_the_other_kept() -> None:
    assert final(Usage(input_tokens=7)) == Usage(input_tokens=7, output_tokens=10, source=UsageSource.ESTIMATED)
    assert final(Usage(output_tokens=3)) == Usage(input_tokens=100, output_tokens=3, source=UsageSource.ESTIMATED)
    assert final(Usage(cache_read_tokens=50, output_tokens=3)).source is UsageSource.REPORTED


def test_a_stream_cut_after_its_first_usage_counts_the_text_that_came() -> None:
    opened = Usage(input_tokens=40, cache_read_tokens=5, output_tokens=1)
    assert final(opened, R.ESTIMATE, chars=300) == Usage(
        input_tokens=40, cache_read_tokens=5, output_tokens=100, source=UsageSource.ESTIMATED
    )
    assert final(Usage(input_tokens=40, output_tokens=500), R.ESTIMATE, chars=300).output_tokens == 500


def test_c2_a_caller_who_left_before_the_first_byte_pays_the_prompt() -> None:
    usage = final(None, R.ESTIMATE, chars=0)
    assert (usage.input_tokens, usage.output_tokens) == (100, 0)


def test_an_estimate_is_never_charged_above_the_hold() -> None:
    usage = final(None, R.ESTIMATE, prompt=1000, chars=0)
    assert h.charge(R.ESTIMATE, usage, 1_500_000, SONNET, NOW) == h.Charge(cost_nusd=1_500_000, price_id=1)
    assert h.charge(R.ESTIMATE, usage, 9_000_000, SONNET, NOW).cost_nusd == 2_000_000


def test_u42_a_reported_overrun_is_charged_and_flagged() -> None:
    usage = Usage(input_tokens=1000, output_tokens=0)
    assert h.charge(R.REPORTED, usage, 1_500_000, SONNET, NOW) == h.Charge(cost_nusd=2_000_000, price_id=1, overrun=True)


def test_void_charges_nothing_and_hold_charges_all() -> None:
    assert h.charge(R.VOID, Usage(), 1000, SONNET, NOW).cost_nusd == 0
    assert h.charge(R.HOLD, Usage(), 1000, SONNET, NOW).cost_nusd == 1000


def test_without_a_price_the_cost_is_unknown_not_zero() -> None:
    assert h.charge(R.REPORTED, Usage(input_tokens=5), None, (), NOW).cost_nusd is None


def test_the_tier_that_served_sets_the_price() -> None:
    fast = Rate(price_id=9, effective_from=NOW, tier="priority", input=4_250_000, output=17_000_000)
    usage = Usage(input_tokens=1000, output_tokens=0, service_tier="priority")
    assert h.charge(R.REPORTED, usage, None, (*SONNET, fast), NOW) == h.Charge(cost_nusd=4_250_000, price_id=9)
