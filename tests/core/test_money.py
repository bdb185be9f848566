"""Bills computed by hand from the price lists of 2026-11-22 (USD per 1,000,000 tokens)."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_gateway.core.money import Rate, cost_nusd, format_usd, per_token_pusd, rate_at, to_nusd, to_usd
from llm_gateway.core.usage import Usage

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
LONG_AGO = datetime(2025, 1, 1, tzinfo=UTC)


def rate(price_id: int = 1, since: datetime = LONG_AGO, above: int = 0, tier: str = "standard", **usd: str) -> Rate:
    prices = {name: per_token_pusd(Decimal(value)) for name, value in usd.items()}
    return Rate(price_id=price_id, effective_from=since, min_prompt_tokens=above, tier=tier, **prices)  # type: ignore[arg-type]


def bill(usage: Usage, rates: tuple[Rate, ...], at: datetime = NOW) -> Decimal:
    found = rate_at(rates, at, usage.prompt_tokens, usage.service_tier or "standard")
    assert found is not None
    return to_usd(cost_nusd(usage, found))


SONNET_5_5 = (rate(input="2", output="10", cache_read="0.10", cache_write="2.50", cache_write_1h="4"),)
HAIKU_5_5 = (
    rate(1, input="0.10", output="0.50", cache_read="0.01", cache_write="0.125", cache_write_1h="0.20"),
    rate(2, above=100_001, input="0.50", output="2.50", cache_read="0.05", cache_write="0.625", cache_write_1h="1.00"),
)
ARGON_DAY = datetime(2026, 12, 1, tzinfo=UTC)
GEMINI_4_ARGON = (
    rate(1, input="2", cache_read="0.10", output="10"),
    rate(2, since=ARGON_DAY, input="4", cache_read="0.20", output="20"),
)
GPT_4O = (
    rate(1, input="2.50", output="10", cache_read="1.25"),
    rate(2, tier="priority", input="4.25", output="17", cache_read="2.125"),
)
GPT_6_1_SOL = (
    rate(1, input="2", cache_read="0.10", cache_write="2.50", output="10"),
    rate(2, above=272_001, input="4", cache_read="0.20", cache_write="5", output="15"),
)


def test_the_originals_thousandfold_error_is_not_repeated() -> None:
    # One million tokens in and out of the original's primary model: 0.45 + 1.80 dollars, not thousands.
    coder = (rate(input="0.45", output="1.80"),)
    assert bill(Usage(input_tokens=1_000_000, output_tokens=1_000_000), coder) == Decimal("2.25")


def test_cache_classes_have_their_own_prices() -> None:
    # 1000 × 2 + 8000 × 0.10 + 500 × 2.50 + 250 × 4 + 300 × 10 = 2000 + 800 + 1250 + 1000 + 3000 millionths.
    usage = Usage(input_tokens=1000, cache_read_tokens=8000, cache_write_tokens=500, cache_write_1h_tokens=250, output_tokens=300)
    assert bill(usage, SONNET_5_5) == Decimal("0.00805")


def test_haiku_5_5_prices_the_whole_request_by_the_band_its_prompt_reaches_cache_included() -> None:
    # Prompt of exactly 100,000: 50,000 × 0.10 + 40,000 × 0.01 + 10,000 × 0.125 + 2,000 × 0.50 = 7,650 millionths.
    low = Usage(input_tokens=50_000, cache_read_tokens=40_000, cache_write_tokens=10_000, output_tokens=2_000)
    assert bill(low, HAIKU_5_5) == Decimal("0.00765")
    # One token more: 50,001 × 0.50 + 40,000 × 0.05 + 10,000 × 0.625 + 2,000 × 2.50 = 38,250.5 millionths.
    high = Usage(input_tokens=50_001, cache_read_tokens=40_000, cache_write_tokens=10_000, output_tokens=2_000)
    assert bill(high, HAIKU_5_5) == Decimal("0.0382505")


def test_gpt_6_1_sol_has_its_band_at_272k() -> None:
    assert bill(Usage(input_tokens=272_000, output_tokens=1000), GPT_6_1_SOL) == Decimal("0.554")
    assert bill(Usage(input_tokens=272_001, output_tokens=1000), GPT_6_1_SOL) == Decimal("1.103004")


def test_gemini_4_argon_doubles_on_its_day_and_not_a_second_earlier() -> None:
    # 1000 × 2 + 200 × 0.10 + 500 × 10 = 7,020 millionths; twice that from 2026-12-01.
    usage = Usage(input_tokens=1000, cache_read_tokens=200, output_tokens=500)
    assert bill(usage, GEMINI_4_ARGON, datetime(2026, 11, 30, 23, 59, 59, tzinfo=UTC)) == Decimal("0.00702")
    assert bill(usage, GEMINI_4_ARGON, ARGON_DAY) == Decimal("0.01404")


def test_a_band_of_an_older_list_does_not_mix_with_a_newer_one() -> None:
    lists = (*GPT_6_1_SOL, rate(3, since=ARGON_DAY, input="1", output="1"))
    found = rate_at(lists, ARGON_DAY, 500_000)
    assert found is not None
    assert found.price_id == 3


def test_before_the_first_list_the_first_one_is_in_force() -> None:
    """A clock that was set back leaves no model without a price."""
    before = rate_at(GPT_4O, datetime(2024, 12, 31, tzinfo=UTC), 10)
    assert before is not None
    assert before.effective_from == min(rate.effective_from for rate in GPT_4O)
    assert rate_at((), NOW, 10) is None


def test_the_served_tier_has_its_own_list_and_an_unknown_tier_the_standard_one() -> None:
    usage = Usage(input_tokens=1000, output_tokens=1000, service_tier="priority")
    assert bill(usage, GPT_4O) == Decimal("0.02125")
    assert bill(Usage(input_tokens=1000, output_tokens=1000, service_tier="flex"), GPT_4O) == Decimal("0.0125")


def test_reasoning_is_inside_output_and_priced_apart_only_where_it_has_a_price() -> None:
    usage = Usage(input_tokens=0, output_tokens=213, reasoning_tokens=200)
    assert bill(usage, GPT_4O) == Decimal("0.00213")
    # 13 × 10 + 200 × 4 = 930 millionths.
    assert bill(usage, (rate(input="2", output="10", reasoning="4"),)) == Decimal("0.00093")
    # A provider that reports more reasoning than output is billed for the output.
    assert bill(Usage(output_tokens=10, reasoning_tokens=99), (rate(input="2", output="10", reasoning="4"),)) == Decimal("0.00004")


def test_audio_searches_and_fees_are_added() -> None:
    # 100 × 0.30 + 50 × 1.00 + 10 × 2.50 = 105 millionths, two searches at 14 / 1000 and a fee of 0.005.
    gemini = Rate(
        price_id=1,
        effective_from=LONG_AGO,
        input=300_000,
        output=2_500_000,
        audio_input=1_000_000,
        request=5_000_000_000,
        web_search=14_000_000_000,
    )
    usage = Usage(input_tokens=100, audio_input_tokens=50, output_tokens=10, web_searches=2)
    assert to_usd(cost_nusd(usage, gemini)) == Decimal("0.033105")


def test_a_class_without_a_price_falls_back_to_its_parent() -> None:
    plain = (rate(input="1", output="3"),)
    usage = Usage(
        cache_read_tokens=10,
        cache_write_tokens=20,
        cache_write_1h_tokens=30,
        audio_input_tokens=40,
        audio_output_tokens=50,
        output_tokens=1,
    )
    assert bill(usage, plain) == Decimal("0.000253")
    writes = (rate(input="1", output="3", cache_write="2"),)
    assert bill(Usage(cache_write_1h_tokens=30), writes) == Decimal("0.00006")


def test_unknown_counts_add_nothing() -> None:
    assert bill(Usage(), SONNET_5_5) == 0


@pytest.mark.parametrize(("tokens", "nusd"), [(0, 0), (1, 1), (2, 1), (3, 2), (5, 3), (999, 500)])
def test_a_bill_is_rounded_once_half_up_to_a_billionth(tokens: int, nusd: int) -> None:
    # 0.0005 dollars per million: half a nano-dollar a token.
    assert cost_nusd(Usage(input_tokens=tokens), rate(input="0.0005", output="1")) == nusd


def test_rounding_happens_after_the_sum() -> None:
    tiny = rate(input="0.0004", output="0.0004")
    assert cost_nusd(Usage(input_tokens=1, output_tokens=1), tiny) == 1


@pytest.mark.parametrize(
    ("usd", "nusd"), [("1", 10**9), ("0.0000000005", 1), ("0.00000000049", 0), ("123.456789012", 123_456_789_012), ("0", 0)]
)
def test_dollars_become_billionths_half_up(usd: str, nusd: int) -> None:
    assert to_nusd(Decimal(usd)) == nusd


@given(st.integers(0, 10**18))
def test_billionths_survive_the_way_to_dollars_and_back(nusd: int) -> None:
    assert to_nusd(to_usd(nusd)) == nusd
    assert Decimal(format_usd(nusd)) == to_usd(nusd)


@pytest.mark.parametrize(("nusd", "text"), [(None, "unknown"), (0, "0.00"), (10**9, "1.00"), (1, "0.000000001"), (1_234_500_000, "1.2345")])
def test_money_is_shown_in_plain_digits(nusd: int | None, text: str) -> None:
    assert format_usd(nusd) == text


def test_prices_are_exact_down_to_a_millionth_of_a_dollar_per_million() -> None:
    assert per_token_pusd(Decimal("0.000001")) == 1
    assert per_token_pusd(Decimal("0.000006")) == 6
    assert per_token_pusd(None) is None
