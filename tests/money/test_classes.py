"""Classes that are billed by figures of their own: pictures, searches, fast answers. Each bill is worked out by hand."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from llm_gateway.core.money import Rate, cost_nusd, rate_at
from llm_gateway.core.usage import Usage
from llm_gateway.wires import dialects, wires
from llm_gateway.wires._openai.usage import decode_usage

NOW = datetime(2026, 11, 22, tzinfo=UTC)
# 1, 2, 5 and 30 USD per million, 0.01 USD per search, 0.005 USD per request, in pico-USD.
RATE = Rate(
    price_id=1, effective_from=NOW, input=1_000_000, output=2_000_000, image_input=5_000_000, image_output=30_000_000,
    web_search=10_000_000_000, request=5_000_000_000,
)  # fmt: skip
FAST = Rate(price_id=2, effective_from=NOW, tier="fast", input=6_000_000, output=12_000_000)


def usage_of(wire: str, body: dict[str, Any]) -> Usage:
    found = wires.get(wire).decode_response(json.dumps(body).encode()).usage
    assert found is not None
    return found


def test_pictures_in_and_out_have_their_own_price() -> None:
    told = decode_usage(
        {
            "prompt_tokens": 1100, "completion_tokens": 700, "total_tokens": 1800,
            "prompt_tokens_details": {"image_tokens": 1000}, "completion_tokens_details": {"image_tokens": 600},
        }
    )  # fmt: skip
    assert told is not None
    assert (told.input_tokens, told.image_input_tokens, told.output_tokens, told.image_output_tokens) == (100, 1000, 100, 600)
    assert (told.prompt_tokens, told.completion_tokens) == (1100, 700)
    # 0.0001 + 0.005 + 0.0002 + 0.018 + 0.005 USD.
    assert cost_nusd(told, RATE) == 28_300_000
    # Without prices of their own they cost what text does.
    assert cost_nusd(told, Rate(price_id=1, effective_from=NOW, input=1_000_000, output=2_000_000)) == 1_100_000 + 1_400_000


def test_geminis_pictures_and_searches_are_counted() -> None:
    body = {
        "candidates": [
            {"content": {"parts": [{"text": "hi"}]}, "finishReason": "STOP", "groundingMetadata": {"webSearchQueries": ["a", "b"]}}
        ],
        "usageMetadata": {
            "promptTokenCount": 300, "candidatesTokenCount": 1300, "totalTokenCount": 1600, "cachedContentTokenCount": 50,
            "promptTokensDetails": [{"modality": "IMAGE", "tokenCount": 258}, {"modality": "TEXT", "tokenCount": 42}],
            "cacheTokensDetails": [{"modality": "IMAGE", "tokenCount": 50}],
            "candidatesTokensDetails": [{"modality": "IMAGE", "tokenCount": 1290}],
        },
    }  # fmt: skip
    told = usage_of("gemini_generate", {**body, "modelVersion": "gemini-3.8-flash"})
    assert (told.input_tokens, told.cache_read_tokens, told.image_input_tokens) == (42, 50, 208)
    assert (told.output_tokens, told.image_output_tokens, told.web_searches) == (10, 1290, 2)
    # 92 at 1, 208 at 5, 10 at 2, 1290 at 30 USD per million, two searches, one request.
    assert cost_nusd(told, RATE) == 92_000 + 1_040_000 + 20_000 + 38_700_000 + 20_000_000 + 5_000_000
    # Until the second generation an answer pays for its searches once.
    assert usage_of("gemini_generate", {**body, "modelVersion": "gemini-2.5-flash"}).web_searches == 1


def test_a_fast_answer_is_billed_as_one() -> None:
    answer = {
        "id": "m", "type": "message", "role": "assistant", "model": "c", "stop_reason": "end_turn",
        "content": [{"type": "text", "text": "x"}],
        "usage": {"input_tokens": 100, "output_tokens": 50, "service_tier": "standard", "speed": "fast"},
    }  # fmt: skip
    told = usage_of("anthropic_messages", answer)
    rate = rate_at((RATE, FAST), NOW, told.prompt_tokens, told.service_tier or "standard")
    assert rate is FAST
    assert cost_nusd(told, rate) == 600_000 + 600_000


@pytest.mark.parametrize(
    ("dialect", "body", "searches", "tier"),
    [
        ("anthropic_messages", {"tools": [{"type": "web_search_20250305", "name": "w", "max_uses": 3}], "speed": "fast"}, 3, "fast"),
        ("anthropic_messages", {"tools": [{"type": "web_search_20250305", "name": "w"}]}, 5, None),
        ("anthropic_messages", {"tools": [{"name": "web_search", "input_schema": {"type": "object"}}]}, 0, None),
        ("openai_responses", {"input": "x", "tools": [{"type": "web_search"}], "service_tier": "priority"}, 5, "priority"),
        ("openai_responses", {"input": "x", "tools": [{"type": "function", "name": "web_search", "parameters": {}}]}, 0, None),
        ("openai_chat", {"web_search_options": {}}, 5, None),
        ("gemini_generate", {"contents": [{"parts": [{"text": "x"}]}], "tools": [{"googleSearch": {}}]}, 5, None),
        ("gemini_generate", {"contents": [{"parts": [{"text": "x"}]}]}, 0, None),
    ],
)
def test_a_request_says_what_has_to_be_held_for_it(dialect: str, body: dict[str, Any], searches: int, tier: str | None) -> None:
    said = (
        {"model": "m", "max_tokens": 5, "messages": [{"role": "user", "content": "x"}]}
        if dialect in ("anthropic_messages", "openai_chat")
        else {"model": "m"}
    )
    found = dialects.get(dialect).decode_request(json.dumps({**said, **body}).encode(), {"model": "m"})
    assert (found.searches, found.service_tier) == (searches, tier)
