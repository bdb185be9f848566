"""Whatever stands in a usage block, on every wire: money is never negative, never absurd, never free by mistake."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llm_gateway.core.catalog import ModelInfo
from llm_gateway.core.errors import AttemptFailed, FailureClass
from llm_gateway.core.money import Rate, per_token_pusd
from llm_gateway.core.usage import MAX_TOKENS, Usage, UsageSource
from llm_gateway.engine.tally import Tally
from llm_gateway.policies.hold import BillingRule, billing, charge, final_usage, hold_nusd, output_limit
from llm_gateway.wires import wires

NOW = datetime(2026, 11, 22, tzinfo=UTC)
RATES = (
    Rate(price_id=1, effective_from=datetime(2020, 1, 1, tzinfo=UTC), input=3_000_000, output=15_000_000, cache_read=300_000, cache_write=3_750_000),
)  # fmt: skip
HOLD = hold_nusd(1000, 1000, 1, RATES, NOW)
FIELDS = (
    "prompt_tokens", "completion_tokens", "total_tokens", "input_tokens", "output_tokens", "cache_read_input_tokens",
    "cache_creation_input_tokens", "promptTokenCount", "candidatesTokenCount", "thoughtsTokenCount", "totalTokenCount",
    "cachedContentTokenCount", "toolUsePromptTokenCount", "cached_tokens", "reasoning_tokens", "audio_tokens", "cache_write_tokens",
    "ephemeral_5m_input_tokens", "ephemeral_1h_input_tokens", "prompt_cache_hit_tokens", "num_search_queries", "web_search_requests", "cost",
    "tokenCount", "modality",
)  # fmt: skip
NESTS = (
    "prompt_tokens_details", "completion_tokens_details", "input_tokens_details", "output_tokens_details", "cache_creation",
    "promptTokensDetails", "cacheTokensDetails", "candidatesTokensDetails", "server_tool_use",
)  # fmt: skip

# JSON as a hostile or broken host may write it; raw text, because NaN and 1e400 have no Python value that survives.
numbers = st.sampled_from(
    ["-1", "0", "1", "7", "123", "1e3", "1.5", "-0.0", "1e30", "-1e30", "1e400", "9" * 40, "-" + "9" * 40, "NaN", "Infinity", "-Infinity",
     "100000000", "100000001", "2147483648", '"12"', '"abc"', '"-5"', "null", "true", "false", "[]", "[1]", "{}", '"\\u0000"'],
)  # fmt: skip
flat = st.dictionaries(st.sampled_from(FIELDS), numbers, max_size=8)
nested = st.dictionaries(st.sampled_from(NESTS), st.one_of(flat, numbers, st.lists(flat, max_size=2)), max_size=3)


def text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return "[" + ",".join(text(one) for one in value) + "]"
    return "{" + ",".join(f"{json.dumps(name)}:{text(one)}" for name, one in value.items()) + "}"


blocks = st.one_of(st.builds(lambda a, b: text({**a, **b}), flat, nested), numbers)

# ruff: noqa: E501  # bodies as they travel, a line each
WHOLE = {
    "openai_chat": '{"id":"c","model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"hello you"},"finish_reason":"stop"}],"usage":%s}',
    "openai_responses": '{"id":"r","model":"m","status":"completed","output":[{"type":"message","id":"i","role":"assistant","content":[{"type":"output_text","text":"hello you","annotations":[]}]}],"usage":%s}',
    "anthropic_messages": '{"id":"m","type":"message","role":"assistant","model":"m","content":[{"type":"text","text":"hello you"}],"stop_reason":"end_turn","usage":%s}',
    "gemini_generate": '{"candidates":[{"index":0,"content":{"role":"model","parts":[{"text":"hello you"}]},"finishReason":"STOP"}],"modelVersion":"m","usageMetadata":%s}',
}  # fmt: skip
STREAM = {
    "openai_chat": 'data: {"id":"c","model":"m","choices":[{"index":0,"delta":{"content":"hello you"}}]}\n\ndata: {"id":"c","model":"m","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: {"id":"c","model":"m","choices":[],"usage":%s}\n\ndata: [DONE]\n\n',
    "openai_responses": 'data: {"type":"response.created","response":{"id":"r","model":"m","status":"in_progress","output":[]}}\n\ndata: {"type":"response.output_text.delta","item_id":"i","output_index":0,"content_index":0,"delta":"hello you"}\n\ndata: {"type":"response.completed","response":{"id":"r","model":"m","status":"completed","output":[],"usage":%s}}\n\n',
    "anthropic_messages": 'event: message_start\ndata: {"type":"message_start","message":{"id":"m","type":"message","role":"assistant","model":"m","content":[],"usage":%s}}\n\nevent: content_block_start\ndata: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}\n\nevent: content_block_delta\ndata: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"hello you"}}\n\nevent: content_block_stop\ndata: {"type":"content_block_stop","index":0}\n\nevent: message_delta\ndata: {"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":%s}\n\nevent: message_stop\ndata: {"type":"message_stop"}\n\n',
    "gemini_generate": 'data: {"candidates":[{"index":0,"content":{"role":"model","parts":[{"text":"hello you"}]},"finishReason":"STOP"}],"modelVersion":"m","usageMetadata":%s}\n\n',
}  # fmt: skip


def decoded(wire: str, body: str, stream: bool) -> tuple[Usage | None, int, FailureClass | None]:
    """(usage, characters that arrived, why it failed)"""
    tally = Tally()
    try:
        if stream:
            decoder = wires.get(wire).stream_decoder()
            tally.add([*decoder.feed(body.encode()), *decoder.close()])
            return tally.usage, tally.chars, tally.failure.kind if tally.failure else None
        answer = wires.get(wire).decode_response(body.encode())
        return answer.usage, len(answer.choices[0].text), None
    except AttemptFailed as error:
        return tally.usage, tally.chars, error.failure.kind


def bill(usage: Usage | None, chars: int, failure: FailureClass | None) -> tuple[Usage, int]:
    rule = billing(failure, content_seen=chars > 0, bytes_of_200=500, usage_seen=usage is not None)
    used = final_usage(usage, est_prompt_tokens=50, text_chars_received=chars, rule=rule)
    cost = charge(rule, used, HOLD, RATES, NOW).cost_nusd
    assert cost is not None
    return used, cost


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("wire", sorted(WHOLE))
@given(first=blocks, last=blocks)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_usage_block_moves_money_wrongly(wire: str, stream: bool, first: str, last: str) -> None:
    template = (STREAM if stream else WHOLE)[wire]
    body = template % ((first, last) if template.count("%s") == 2 else last)
    usage, chars, failure = decoded(wire, body, stream)
    used, cost = bill(usage, chars, failure)
    counts = [getattr(used, name) for name in used.__struct_fields__ if name.endswith(("_tokens", "searches"))]
    assert all(n is None or (isinstance(n, int) and 0 <= n <= 4 * MAX_TOKENS) for n in counts)
    assert 0 <= cost <= 5 * MAX_TOKENS * 15_000
    if used.source is UsageSource.ESTIMATED or failure is not None:
        assert HOLD is not None
        assert cost <= HOLD
    if failure is None and (used.input_tokens, used.output_tokens) == (None, None):
        raise AssertionError("an answer without counts was billed as nothing")


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("wire", sorted(WHOLE))
@pytest.mark.parametrize("block", ["null", "{}", '"none"', "[]", "-3"])
def test_a_missing_usage_block_is_estimated_never_free(wire: str, stream: bool, block: str) -> None:
    template = (STREAM if stream else WHOLE)[wire]
    usage, chars, failure = decoded(wire, template % ((block,) * template.count("%s")), stream)
    used, cost = bill(usage, chars, failure)
    if failure is FailureClass.BAD_JSON:
        assert cost == HOLD
        return
    assert used.source is UsageSource.ESTIMATED
    if failure is FailureClass.BAD_EVENT:
        # The text came in the very event that cannot be read: the prompt is charged.
        assert cost == 50 * 3000
        return
    # "hello you": nine characters are three tokens; the prompt as estimated.
    assert cost == 50 * 3000 + 3 * 15_000


ZERO = {
    "openai_chat": '{"prompt_tokens":0,"completion_tokens":0,"total_tokens":0}',
    "openai_responses": '{"input_tokens":0,"output_tokens":0,"total_tokens":0}',
    "anthropic_messages": '{"input_tokens":0,"output_tokens":0}',
    "gemini_generate": '{"promptTokenCount":0,"candidatesTokenCount":0,"totalTokenCount":0}',
}


@pytest.mark.parametrize("wire", sorted(WHOLE))
def test_an_explicit_zero_of_the_provider_is_zero(wire: str) -> None:
    usage, chars, failure = decoded(wire, WHOLE[wire] % ZERO[wire], stream=False)
    used, cost = bill(usage, chars, failure)
    assert (cost, used.source) == (0, UsageSource.REPORTED)


def test_a_free_model_is_priced_nothing_on_purpose_and_an_unpriced_one_is_not() -> None:
    free = (Rate(price_id=9, effective_from=datetime(2020, 1, 1, tzinfo=UTC), input=0, output=0),)
    usage = Usage(input_tokens=10, output_tokens=10)
    assert charge(BillingRule.REPORTED, usage, 0, free, NOW).cost_nusd == 0
    assert charge(BillingRule.REPORTED, usage, 0, free, NOW).price_id == 9
    assert charge(BillingRule.REPORTED, usage, 70, (), NOW).cost_nusd is None
    assert hold_nusd(10, 10, 1, (), NOW) is None


@given(st.integers(0, 10**6), st.integers(1, 10**6), st.integers(1, 128), st.integers(0, 10**9), st.integers(0, 10**9))
def test_a_hold_covers_every_bill_within_the_limits_it_was_made_for(prompt: int, most: int, n: int, split: int, answer: int) -> None:
    """Whatever part of the prompt is cached, and however long the answers within their limit are."""
    cached = split % (prompt + 1)
    usage = Usage(
        input_tokens=prompt - cached,
        cache_read_tokens=cached // 2,
        cache_write_tokens=cached - cached // 2,
        output_tokens=answer % (most * n + 1),
    )
    hold = hold_nusd(prompt, most, n, RATES, NOW)
    cost = charge(BillingRule.REPORTED, usage, hold, RATES, NOW)
    assert cost.cost_nusd is not None
    assert hold is not None
    assert 0 <= cost.cost_nusd <= hold
    assert not cost.overrun


def test_the_limit_of_an_answer_is_never_the_callers_alone() -> None:
    model = ModelInfo(id=1, provider_id=1, name="m", upstream_id="m", max_output_tokens=1000)
    assert output_limit(10**9, model) == 1000
    assert output_limit(10**9, model, ceiling=50) == 50
    assert output_limit(None, None) == 4096
    assert per_token_pusd(Decimal("0.000001")) == 1
