"""Bills of real responses, worked out by hand: tokens times the provider's published price, to the nano-dollar.

A price is written as published (USD per million tokens); the bill beside it is plain arithmetic in nano-dollars a token (3 USD per million
are 3000). Where the host told its own cost, ``host_usd`` is that figure, and the bill must be it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from llm_gateway.core.money import Rate, to_nusd
from llm_gateway.core.usage import Usage, UsageSource
from llm_gateway.engine.tally import Tally
from llm_gateway.models import Price
from llm_gateway.policies.hold import BillingRule, charge, final_usage
from llm_gateway.stores.catalog import rate_of
from llm_gateway.wires import embedders, wires
from tests.wires import recorded

pytestmark = recorded.mark

NOW = datetime(2026, 11, 22, tzinfo=UTC)
BEFORE = datetime(2020, 1, 1, tzinfo=UTC)


def price(number: int = 1, since: datetime = BEFORE, **usd: str) -> Rate:
    """A row of the price book, through the model that holds it."""
    band = int(usd.pop("above", "0"))
    tier = usd.pop("tier", "standard")
    given = {name: Decimal(value) for name, value in usd.items()}
    return rate_of(Price(pk=number, effective_from=since, min_prompt_tokens=band, tier=tier, **given))


def claude(i: str, o: str, read: str, w5: str, w1: str) -> tuple[Rate, ...]:
    return (price(input=i, output=o, cache_read=read, cache_write=w5, cache_write_1h=w1, web_search="0.01"),)


SONNET = claude("3", "15", "0.30", "3.75", "6")
SONNET_45 = (*SONNET, price(2, input="6", output="22.50", cache_read="0.60", cache_write="7.50", above="200001", web_search="0.01"))
HAIKU_45 = claude("1", "5", "0.10", "1.25", "2")
SONNET_5 = claude("2", "10", "0.20", "2.50", "4")
OPUS = claude("5", "25", "0.50", "6.25", "10")
HAIKU_35 = claude("0.80", "4", "0.08", "1", "1.60")
GPT_4O = (price(input="2.50", output="10", cache_read="1.25"),)
GPT_41 = (price(input="2", output="8", cache_read="0.50"),)
GPT_4O_MINI = (price(input="0.15", output="0.60", cache_read="0.075", audio_input="10", audio_output="20"),)
GPT_AUDIO = (price(input="2.50", output="10", audio_input="40", audio_output="80"),)
GPT_5 = (price(input="1.25", output="10", cache_read="0.125"), price(2, tier="flex", input="0.625", output="5", cache_read="0.0625"))
GPT_5_MINI = (price(input="0.25", output="2", cache_read="0.025", web_search="0.01"),)
GPT_5_NANO = (price(input="0.05", output="0.40", cache_read="0.005"),)
GPT_56_SOL = (price(input="4", output="20", cache_read="0.40", cache_write="5", web_search="0.01"),)
GPT_55 = (price(input="5", output="30", cache_read="0.50"),)
O3 = (price(input="2", output="8", cache_read="0.50"),)
O4_MINI = (price(input="1.10", output="4.40", cache_read="0.275"),)
G25_PRO = (price(input="1.25", output="10", cache_read="0.125"), price(2, input="2.50", output="15", cache_read="0.25", above="200001"))
G25_FLASH = (price(input="0.30", output="2.50", cache_read="0.03", audio_input="1"),)
G31_PRO = (price(input="2", output="12", cache_read="0.20"), price(2, input="4", output="18", cache_read="0.40", above="200001"))
G3_FLASH = (price(input="0.50", output="3", cache_read="0.05", audio_input="1"),)
G35_FLASH = (price(input="1.50", output="9", cache_read="0.15"),)
R1 = (price(input="3", output="8"),)
V4_PRO = (price(input="1.74", output="3.48", cache_read="0.145"),)
V4_FLASH = (price(input="0.14", output="0.28", cache_read="0.028"),)
GROK_3_MINI = (price(input="0.30", output="0.50", cache_read="0.075"),)
GROK_43 = (price(input="1.25", output="2.50", cache_read="0.20"),)
GROK_41 = (price(input="0.20", output="0.50", cache_read="0.05"),)
GROK_4_FAST = (price(input="0.20", output="0.50", cache_read="0.05", web_search="0.005"),)
OSS_20B = (price(input="0.05", output="0.20"),)


@dataclass(frozen=True)
class Bill:
    """``file``: provider/kind/the end of its name. ``host_usd``: what the host itself said it costs."""

    file: str
    wire: str
    rates: tuple[Rate, ...]
    nusd: int
    host_usd: str | None = None


A, G, C, R = "anthropic_messages", "gemini_generate", "openai_chat", "openai_responses"
BILLS = (
    # Cache reads are apart from the input, thoughts are inside the output, the last word of a stream counts.
    Bill("anthropic/messages-stream/completion_stream_cache_read-0", A, SONNET, 11 * 3000 + 1031 * 300 + 100 * 15000),
    Bill("anthropic/messages-stream/anthropic_file_lifecycle-1", A, SONNET, 3 * 3000 + 1636 * 3750 + 4 * 15000),
    Bill("anthropic/messages-stream/anthropic_tool_variations-6", A, HAIKU_45, 751 * 1000 + 65 * 5000),
    Bill("anthropic/messages-stream/native_tool_search_streaming-1", A, SONNET, 1007 * 3000 + 59 * 15000),
    # Above 200,000 tokens the whole prompt costs more; ten searches at one cent.
    Bill("anthropic/messages-stream/pause_turn_web_search_streaming_vcr-0", A, SONNET_45, 404500 * 6000 + 943 * 22500 + 10 * 10_000_000),
    Bill("anthropic/messages-stream/claude_3_5_sonnet_20241022_object_streaming-0", A, SONNET, 451 * 3000 + 69 * 15000),
    Bill("anthropic/messages-stream/claude_3_5_sonnet_20241022_streaming-0", A, SONNET, 25 * 3000 + 18 * 15000),
    Bill("anthropic/messages-stream/tool_chain_with_thinking_display_regression-0", A, HAIKU_45, 598 * 1000 + 92 * 5000),
    Bill("anthropic/messages/test_pdf_upload_anthropic-1", A, HAIKU_35, 3 * 800 + 73839 * 80 + 141 * 4000),
    Bill("anthropic/messages/prefix_stable-messages-sonnet-5-2", A, SONNET_5, 4 * 2000 + 426 * 2500 + 14210 * 200 + 290 * 10000),
    Bill("anthropic/messages/deferred_capability_history_replay-1", A, SONNET_45, 7 * 3000 + 1069 * 3750 + 60 * 15000),
    Bill("anthropic/messages/fallback_failover_capability_load_and_recovery-1", A, OPUS, 825 * 5000 + 72 * 25000),
    Bill("anthropic/messages/claude_3_5_sonnet_20241022_token_limit-0", A, SONNET, 16 * 3000 + 100 * 15000),
    Bill("openai-compatible/messages-stream/claude_opus_4_5_streaming-0", A, OPUS, 55 * 5000 + 63 * 25000),
    # Thoughts are outside the candidates; cached tokens inside the prompt; audio of the prompt that is not cached has its own price.
    Bill("gemini/generate/cassettes_agent_run_async-0", G, G25_PRO, 194 * 1250 + (33 + 216) * 10000),
    Bill(
        "gemini/generate/test_video_file-gemini-gemini-2.5-flash-1", G, G25_FLASH,
        (1518 - 1122 - (160 - 118)) * 300 + (160 - 118) * 1000 + 1122 * 30 + (202 + 185) * 2500,
    ),
    Bill("gemini/generate/gemini_research_workflow_generates_steps-4", G, G25_FLASH, (557 - 330) * 300 + 330 * 30 + (73 + 70) * 2500),
    Bill("gemini/generate/uploaded_file-document-google_2_5-1", G, G25_FLASH, 347 * 300 + (26 + 95) * 2500),
    # What a tool brought in is input, too.
    Bill("gemini/generate/file_search_grounding_gemini_3-False-4", G, G3_FLASH, (332 + 643) * 500 + (53 + 173) * 3000),
    Bill("gemini/generate-stream/generate_content_describe_image-True-0", G, G25_FLASH, 277 * 300 + (124 + 570) * 2500),
    Bill("gemini/generate-stream/google_mixed_tools_end_to_end-1", G, G35_FLASH, 128 * 1500 + (16 + 158) * 9000),
    Bill("gemini/generate-stream/thinking-function-call-thought-summary-signature-0", G, G25_FLASH, 38 * 300 + (6 + 168) * 2500),
    Bill("fireworks/chat/tapes-0265c4102914-0", C, R1, 15 * 3000 + 417 * 8000),
    Bill("fireworks/chat/DeepSeek-V4-Pro-0813_GenSync-TopLogprobs-0", C, V4_PRO, 1 * 1740 + 11 * 145 + 68 * 3480),
    Bill("fireworks/chat/DeepSeek-V4-Pro-0813_GenSync-JSON-0", C, V4_PRO, 55 * 1740 + 97 * 3480),
    Bill("fireworks/chat-stream/DeepSeek-V4-Pro-0813_GenStream-Text-0", C, V4_PRO, 12 * 1740 + 53 * 3480),
    Bill("openai/chat-stream/openai_streaming_cached_prompt_tokens-0", C, GPT_41, (1144 - 1024) * 2000 + 1024 * 500 + 2 * 8000),
    Bill("openai/chat-stream/gpt_4o_streaming-0", C, GPT_4O, 28 * 2500 + 14 * 10000),
    Bill("openai/chat-stream/chat-streaming-detailed-usage-0", C, GPT_5_NANO, 12 * 50 + 100 * 400),
    # All classes at once: 20 in, of which 1 cached and 2 audio; 4 out, all audio.
    Bill("openai/chat/openinference__test_token_counts-0", C, GPT_4O_MINI, 17 * 150 + 1 * 75 + 2 * 10_000 + 4 * 20_000),
    Bill("openai/chat/prompt_caching_5_6_cache_write-0", C, GPT_56_SOL, 3 * 4000 + 1217 * 5000 + 100 * 20_000),
    Bill("openai/chat/ai-gateway__chat-audio-to-text-0", C, GPT_AUDIO, 27 * 2500 + 1 * 40_000 + 17 * 10_000),
    Bill("openai/chat/gpt_4o_multi_tool-0", C, GPT_4O, 105 * 2500 + 16 * 10000),
    Bill("openai/responses-stream/reasoning_streaming-0", R, O3, 38 * 2000 + 71 * 8000),
    # Of five calls of the tool two are searches; opening a page and finding in it are free.
    Bill(
        "openai/responses-stream/web_search_streaming-0", R, GPT_5_MINI,
        (25278 - 3712) * 250 + 3712 * 25 + 1390 * 2000 + 2 * 10_000_000,
    ),
    # Asked for and served in the flex tier, at half the price.
    Bill("openai/responses-stream/openai_responses_streaming_usage-0", R, GPT_5, 53 * 625 + 469 * 5000),
    Bill(
        "openai/responses/web_search_tool_without_external_access-0", R, GPT_56_SOL,
        (8576 - 4418) * 4000 + 4418 * 5000 + 52 * 20_000 + 1 * 10_000_000,
    ),
    Bill("openai/responses/test_pdf_file-openai-o4-mini-responses-1", R, O4_MINI, 52 * 1100 + 254 * 4400),
    Bill("openai/responses/multiple_tool_calls_in_a_single_response-2", R, GPT_5_NANO, (1542 - 1408) * 50 + 1408 * 5 + 30 * 400),
    Bill("openai/responses/interleaved_reasoning_between_tool_calls-1", R, GPT_55, 171 * 5000 + 118 * 30_000),
    # These hosts told what they charged.
    Bill("openai-compatible/chat-stream/openrouter_claude-hai*", C, HAIKU_45, 791 * 1000 + 41 * 5000, "0.000996"),
    Bill("openai-compatible/chat-stream/req_llm__object_streaming-0", C, G25_PRO, 41 * 1250 + 74 * 10000, "0.00079125"),
    Bill(
        "openai-compatible/chat/openrouter_cache_all_settings_real_api-1", C, SONNET,
        1 * 3000 + 79 * 3750 + 2569 * 300 + 100 * 15000, "0.00256995",
    ),
    Bill("openai-compatible/responses-stream/raw_cot_stream_openrouter-0", R, OSS_20B, 78 * 50 + 37 * 200, "0.0000113"),
    Bill("openai-compatible/responses-stream/xai_grok-4-1-fast-non*", R, GROK_43, 125 * 1250 + 448 * 200 + 125 * 2500, "0.00055835"),
    Bill("openai-compatible/responses/xai_grok-4-1-fast-non*", R, GROK_43, (598 - 192) * 1250 + 192 * 200 + 98 * 2500, "0.0007909"),
    # A search of X costs what a search of the web does: 5 USD per thousand.
    Bill(
        "openai-compatible/responses-stream/x_search_streaming-0", R, GROK_4_FAST,
        (4070 - 3519) * 200 + 3519 * 50 + 617 * 500 + 5_000_000, "0.00559465",
    ),
    # xAI counts its reasoning outside the completion: total 493 = 32 + 31 + 430.
    Bill("openai-compatible/chat/tool_round_trip_1-0", C, GROK_3_MINI, 30 * 300 + 2 * 75 + (31 + 430) * 500),
    # More cached tokens (403) than the prompt has (347): never a negative remainder.
    Bill("openai-compatible/chat-stream/azure_grok-4-1-fast-n*", C, GROK_41, 347 * 50 + 18 * 500),
    Bill("openai-compatible/chat/deepseek_deferred_capability_wit*", C, V4_FLASH, 80 * 140 + 896 * 28 + 61 * 280),
    Bill("openai-compatible/chat-stream/deepseek_tool_variations_async-1", C, V4_FLASH, 106 * 140 + 256 * 28 + 19 * 280),
)  # fmt: skip


def exchange(of: str) -> recorded.Recorded:
    provider, kind, end = of.split("/")
    named = [one for one in recorded.load(provider, kind) if _ends(one.file.stem, end)]
    assert len(named) == 1, [str(one) for one in named]
    return named[0]


def _ends(stem: str, end: str) -> bool:
    return end.removesuffix("*") in stem if end.endswith("*") else stem.endswith(end)


def usage_of(one: recorded.Recorded, wire: str) -> Usage:
    """As the engine comes by it: decoded by the wire, kept by the tally, finished by the billing rule."""
    tally = Tally()
    if one.kind.endswith("-stream"):
        decoder = wires.get(wire).stream_decoder()
        tally.add([*decoder.feed(one.body_bytes), *decoder.close()])
        usage = tally.usage
    else:
        usage = wires.get(wire).decode_response(one.body_bytes).usage
    assert usage is not None
    return final_usage(usage, est_prompt_tokens=10**6, text_chars_received=tally.chars, rule=BillingRule.REPORTED)


@pytest.mark.parametrize("bill", BILLS, ids=lambda bill: bill.file)
def test_a_real_response_costs_what_a_hand_says(bill: Bill) -> None:
    usage = usage_of(exchange(bill.file), bill.wire)
    assert usage.source is UsageSource.REPORTED
    charged = charge(BillingRule.REPORTED, usage, None, bill.rates, NOW)
    assert charged.cost_nusd == bill.nusd
    if bill.host_usd is not None:
        assert charged.cost_nusd == to_nusd(Decimal(bill.host_usd))


def test_there_are_at_least_thirty_bills_of_every_provider() -> None:
    assert len(BILLS) >= 30
    assert {bill.file.split("/")[0] for bill in BILLS} == {"anthropic", "gemini", "fireworks", "openai", "openai-compatible"}


def test_the_figures_a_host_told_are_in_its_answer() -> None:
    """The hand did not copy the gateway: the recordings themselves hold the costs."""
    for bill in BILLS:
        if bill.host_usd is None:
            continue
        found = set(_costs(exchange(bill.file).body_bytes))
        assert Decimal(bill.host_usd) in found, bill.file


def _costs(body: bytes) -> Any:
    for line in body.replace(b"data: ", b"").splitlines():
        try:
            yield from _costs_in(json.loads(line, parse_float=Decimal))
        except ValueError:
            continue


def _costs_in(value: Any) -> Any:
    if isinstance(value, dict):
        if isinstance(value.get("cost"), Decimal):
            yield value["cost"]
        if isinstance(value.get("cost_in_usd_ticks"), int):
            yield Decimal(value["cost_in_usd_ticks"]) / 10**10
        for one in value.values():
            yield from _costs_in(one)
    elif isinstance(value, list):
        for one in value:
            yield from _costs_in(one)


EMBEDDINGS = (
    ("openai/embeddings/v1_embedding-0", "openai_chat", "0.10", 2 * 100),
    ("openai/embeddings/ai-gateway__embeddings-dimensions-0", "openai_chat", "0.02", 5 * 20),
    ("openai/embeddings/test_rag_with_chroma-1", "openai_chat", "0.13", 8 * 130),
    ("openai-compatible/embeddings/embedding_basic_functionality_openrouter_op*", "openai_chat", "0.02", 140),
)


@pytest.mark.parametrize(("file", "wire", "usd", "nusd"), EMBEDDINGS)
def test_a_real_embedding_costs_what_a_hand_says(file: str, wire: str, usd: str, nusd: int) -> None:
    _, usage = embedders.get(wire).decode_response(exchange(file).body_bytes)
    assert usage is not None
    assert charge(BillingRule.REPORTED, usage, None, (price(input=usd, output="0"),), NOW).cost_nusd == nusd


def test_the_date_of_the_request_chooses_the_price_list() -> None:
    """gemini-4-argon doubles on 1 December 2026; the request's own moment decides, to the microsecond."""
    rates = (
        price(1, input="2", output="10", cache_read="0.10"),
        price(2, datetime(2026, 12, 1, tzinfo=UTC), input="4", output="20", cache_read="0.20"),
    )
    usage = usage_of(exchange("gemini/generate/cassettes_agent_run_async-0"), G)
    last = datetime(2026, 11, 30, 23, 59, 59, 999999, tzinfo=UTC)
    first = datetime(2026, 12, 1, tzinfo=UTC)
    assert charge(BillingRule.REPORTED, usage, None, rates, last).cost_nusd == 194 * 2000 + 249 * 10_000
    assert charge(BillingRule.REPORTED, usage, None, rates, first).cost_nusd == 194 * 4000 + 249 * 20_000
    assert [charge(BillingRule.REPORTED, usage, None, rates, at).price_id for at in (last, first)] == [1, 2]


def test_a_band_counts_cache_reads_and_writes_and_prices_the_whole_request() -> None:
    """claude-haiku-5-5: up to 100,000 tokens of prompt 0.10 / 0.50, above it 0.50 / 2.50 for all of it."""
    rates = (
        price(1, input="0.10", output="0.50", cache_read="0.01", cache_write="0.125"),
        price(2, input="0.50", output="2.50", cache_read="0.05", cache_write="0.625", above="100001"),
    )
    usage = usage_of(exchange("anthropic/messages/test_pdf_upload_anthropic-1"), A)
    assert charge(BillingRule.REPORTED, usage, None, rates, NOW).cost_nusd == 3 * 100 + 73839 * 10 + 141 * 500
    more = usage_of(exchange("anthropic/messages-stream/pause_turn_web_search_streaming_vcr-0"), A)
    assert charge(BillingRule.REPORTED, more, None, rates, NOW).cost_nusd == 404500 * 500 + 943 * 2500
