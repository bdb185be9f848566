"""What one format calls something reaches a caller of another in that caller's words, and what a provider bills is counted once."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_gateway.core import json
from llm_gateway.core.chat import (
    ChatRequest,
    ChatResponse,
    Choice,
    FinishReason,
    Message,
    Reasoning,
    Refusal,
    Text,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from llm_gateway.core.events import replay
from llm_gateway.core.usage import COMPLETION, PROMPT, Usage
from llm_gateway.wires import ModelFacts, Reply, dialects, left_out, wires

FORMATS = ("anthropic_messages", "gemini_generate", "openai_chat", "openai_responses")
FACTS = ModelFacts(upstream_id="m")
SPOKEN = ("standard", "default", "auto", "flex", "scale", "priority", "batch", "fast", "on_demand", "brand_new", None)
WORDS = {
    "anthropic_messages": {"standard", "priority", "batch"},
    "openai_chat": {"auto", "default", "flex", "scale", "priority"},
    "openai_responses": {"auto", "default", "flex", "scale", "priority"},
    "gemini_generate": {"standard", "flex", "priority"},
}
ASKED = {
    "anthropic_messages": {"auto", "standard_only"},
    "openai_chat": {"auto", "default", "flex", "scale", "priority", "fast"},
    "openai_responses": {"auto", "default", "flex", "scale", "priority", "fast"},
    "gemini_generate": {"standard", "flex", "priority"},
}


def reply(**more: Any) -> Reply:
    return Reply(request_id="r", model="m", created=1, include_usage=True, **more)


def answer(finish: FinishReason = FinishReason.STOP, raw: str | None = None, **usage: Any) -> ChatResponse:
    used = Usage(input_tokens=5, output_tokens=3, **usage)
    return ChatResponse(id="x", model="m", choices=(Choice(parts=(Text(text="hi"),), finish=finish, raw_finish=raw),), usage=used)


def tier_in(document: Any) -> Any:
    if "usageMetadata" in document:
        return document["usageMetadata"].get("serviceTier")
    return document.get("service_tier") or (document.get("usage") or {}).get("service_tier")


@pytest.mark.parametrize("dialect", FORMATS)
@pytest.mark.parametrize("word", SPOKEN)
def test_a_tier_is_told_in_the_callers_words_or_not_at_all(dialect: str, word: str | None) -> None:
    response = answer(service_tier=word)
    whole = json.loads(dialects.get(dialect).encode_response(response, reply()))
    streamed = dialects.get(dialect).stream_encoder(reply()).encode(replay(response))
    told = tier_in(whole)
    if dialect == "anthropic_messages" and word == "fast":
        assert whole["usage"]["speed"] == "fast"
    elif word in ("brand_new", None) or (word == "fast" and dialect == "anthropic_messages"):
        # A whole Responses object names a tier in any case.
        assert told is None or (told, dialect) == ("default", "openai_responses")
    else:
        assert told in WORDS[dialect]
        assert f'ervice_tier":"{told}"' in streamed.decode() or f'serviceTier":"{told}"' in streamed.decode()


@pytest.mark.parametrize("wire", FORMATS)
@pytest.mark.parametrize("word", ["auto", "default", "standard", "standard_only", "flex", "priority", "scale", "PRIORITY", "brand_new"])
def test_a_tier_is_asked_for_in_the_providers_words_or_not_at_all(wire: str, word: str) -> None:
    chat = ChatRequest(
        model="m", messages=(Message(role="user", parts=(Text(text="x"),)),), service_tier=word, origin="other", max_tokens=9
    )
    body = wires.get(wire).encode_request(chat, FACTS)
    assert body.get("service_tier", body.get("serviceTier")) in ASKED[wire] | {None}


FAULTS = (
    "OTHER", "UNEXPECTED_TOOL_CALL", "MALFORMED_FUNCTION_CALL", "MALFORMED_RESPONSE", "MISSING_THOUGHT_SIGNATURE", "TOO_MANY_TOOL_CALLS",
    "LANGUAGE", "NEW_ONE",
)  # fmt: skip


@pytest.mark.parametrize("reason", FAULTS)
@pytest.mark.parametrize("dialect", ["anthropic_messages", "openai_chat", "openai_responses"])
@pytest.mark.parametrize("parts", [[], [{"text": "so"}], [{"functionCall": {"name": "f", "args": {}}}]])
def test_a_fault_of_geminis_model_never_looks_complete(reason: str, dialect: str, parts: list[Any]) -> None:
    body = {
        "candidates": [{"content": {"role": "model", "parts": parts}, "finishReason": reason}],
        "usageMetadata": {"promptTokenCount": 3},
    }
    response = wires.get("gemini_generate").decode_response(json.dumps(body))
    whole = dialects.get(dialect).encode_response(response, reply()).decode()
    streamed = dialects.get(dialect).stream_encoder(reply()).encode(replay(response)).decode()
    ended = {
        "anthropic_messages": '"stop_reason":"max_tokens"',
        "openai_chat": '"finish_reason":"length"',
        "openai_responses": '"status":"failed"',
    }
    assert ended[dialect] in whole
    assert ended[dialect] in streamed
    assert not any(f'reason":"{word}"' in whole + streamed for word in ("end_turn", "tool_use", "stop", "tool_calls"))


def test_a_refusal_of_openai_is_text_with_its_own_stop_reason_for_a_messages_caller() -> None:
    response = ChatResponse(id="x", model="m", choices=(Choice(parts=(Refusal(text="I cannot."),), finish=FinishReason.STOP),))
    message = json.loads(dialects.get("anthropic_messages").encode_response(response, reply()))
    assert message["content"] == [{"type": "text", "text": "I cannot."}]
    assert message["stop_reason"] == "refusal"
    streamed = dialects.get("anthropic_messages").stream_encoder(reply()).encode(replay(response)).decode()
    assert '"text_delta","text":"I cannot."' in streamed
    assert '"stop_reason":"refusal"' in streamed


def test_a_messages_caller_gets_numbers_and_an_estimate_before_the_provider_tells() -> None:
    message = json.loads(dialects.get("anthropic_messages").encode_response(answer(), reply()))
    assert (message["usage"]["cache_read_input_tokens"], message["usage"]["cache_creation_input_tokens"]) == (0, 0)
    streamed = dialects.get("anthropic_messages").stream_encoder(reply(prompt_tokens=321)).encode(replay(answer())).decode()
    start, _, rest = streamed.partition("content_block_start")
    assert '"input_tokens":321' in start
    assert '"input_tokens":5' in rest
    assert "null" not in start.partition('"usage"')[2]


@pytest.mark.parametrize("origin", ["openai_chat", "openai_responses", "anthropic_messages"])
@pytest.mark.parametrize("thinking", ["level", "budget"])
def test_who_asks_gemini_for_thinking_is_shown_it(origin: str, thinking: str) -> None:
    chat = ChatRequest(
        model="m", messages=(Message(role="user", parts=(Text(text="x"),)),), reasoning=Reasoning(effort="high"), origin=origin
    )
    config = wires.get("gemini_generate").encode_request(chat, ModelFacts(upstream_id="m", thinking=thinking))["generationConfig"]
    assert config["thinkingConfig"]["includeThoughts"] is True


@pytest.mark.parametrize(
    "text",
    ['{"$ref":"#/a"}', '{"a":[{"b":{"$defs":{}}}]}', '{"":1}', '{"id":12345678901234567890}', "[1]", "5", '{"x":' * 30 + "1" + "}" * 30],
)
@pytest.mark.parametrize("origin", ["openai_chat", "anthropic_messages"])
def test_json_that_google_would_read_otherwise_goes_to_it_as_text(text: str, origin: str) -> None:
    call = ToolCall(id="c", name="f", arguments="{}")
    chat = ChatRequest(
        model="m",
        messages=(
            Message(role="user", parts=(Text(text="x"),)),
            Message(role="assistant", parts=(call,)),
            Message(role="user", parts=(ToolResult(call_id="c", content=(Text(text=text),)),)),
        ),
        origin=origin,
    )
    part = wires.get("gemini_generate").encode_request(chat, FACTS)["contents"][-1]["parts"][0]
    assert part["functionResponse"]["response"] == {"result": text}


@pytest.mark.parametrize("wire", [name for name in FORMATS if name != "anthropic_messages"])
def test_a_note_for_billing_at_anthropic_stands_before_nobody_elses_prompt(wire: str) -> None:
    def sent(number: str, system: list[Any]) -> tuple[bytes, str]:
        note = {"type": "text", "text": f"x-anthropic-billing-header: cc_version=2.1; cc_entrypoint=cli; cch={number};"}
        body = json.dumps({"model": "m", "max_tokens": 9, "system": [note, *system], "messages": [{"role": "user", "content": "hi"}]})
        inbound = dialects.get("anthropic_messages").decode_request(body, {"kind": "chat"})
        return json.dumps(wires.get(wire).encode_request(inbound.chat(), FACTS)), inbound.affinity

    for system in ([], [{"type": "text", "text": "You are an agent."}]):
        assert sent("36ee5", system) == sent("77aa1", system)
        assert b"billing" not in sent("36ee5", system)[0]
    body = {"model": "m", "max_tokens": 9, "system": [{"type": "text", "text": "x-anthropic-billing-header: cch=1;"}], "messages": []}
    body["messages"] = [{"role": "user", "content": "hi"}]
    chat = dialects.get("anthropic_messages").decode_request(json.dumps(body), {"kind": "chat"}).chat()
    assert b"billing" in json.dumps(wires.get("anthropic_messages").encode_request(chat, FACTS))


def test_a_session_is_one_cache_key_for_responses() -> None:
    def key(session: str, **more: Any) -> Any:
        chat = ChatRequest(
            model="m", messages=(Message(role="user", parts=(Text(text="x"),)),), session=session, origin="anthropic_messages", **more
        )
        return wires.get("openai_responses").encode_request(chat, FACTS).get("prompt_cache_key")

    assert key("s" * 300) == key("s" * 300) != key("t")
    assert len(key("s" * 300)) <= 64
    assert key("") is None


@given(
    prompt=st.integers(0, 2000), cached=st.none() | st.integers(0, 2500), tool=st.none() | st.integers(0, 500),
    image=st.none() | st.integers(0, 2500), audio=st.none() | st.integers(0, 2500), told=st.none() | st.integers(0, 2500),
    said=st.integers(0, 500), thoughts=st.none() | st.integers(0, 500), drawn=st.none() | st.integers(0, 900),
)  # fmt: skip
def test_geminis_classes_are_disjoint_and_their_sum_is_the_whole(
    prompt: int, cached: int | None, tool: int | None, image: int | None, audio: int | None, told: int | None, said: int,
    thoughts: int | None, drawn: int | None,
) -> None:  # fmt: skip
    def details(**counts: int | None) -> list[dict[str, Any]]:
        return [{"modality": name, "tokenCount": count} for name, count in counts.items() if count is not None]

    block = {
        "promptTokenCount": prompt, "cachedContentTokenCount": cached, "toolUsePromptTokenCount": tool, "candidatesTokenCount": said,
        "thoughtsTokenCount": thoughts, "promptTokensDetails": details(IMAGE=image, AUDIO=audio), "cacheTokensDetails": details(IMAGE=told),
        "candidatesTokensDetails": details(IMAGE=drawn),
    }  # fmt: skip
    body = {"candidates": [{"content": {"parts": [{"text": "x"}]}, "finishReason": "STOP"}], "usageMetadata": block}
    usage = wires.get("gemini_generate").decode_response(json.dumps(body)).usage
    assert usage is not None
    assert sum(getattr(usage, name) or 0 for name in PROMPT) == prompt + (tool or 0)
    assert sum(getattr(usage, name) or 0 for name in COMPLETION) == said + (thoughts or 0)


def test_pictures_out_of_the_cache_are_billed_once() -> None:
    block = {"promptTokenCount": 1000, "cachedContentTokenCount": 900, "promptTokensDetails": [{"modality": "IMAGE", "tokenCount": 800}]}
    body = {"candidates": [{"content": {"parts": [{"text": "x"}]}, "finishReason": "STOP"}], "usageMetadata": block}
    usage = wires.get("gemini_generate").decode_response(json.dumps(body)).usage
    assert usage is not None
    assert (usage.prompt_tokens, usage.cache_read_tokens, usage.image_input_tokens, usage.input_tokens) == (1000, 900, 100, 0)


BUDGET = ModelFacts(upstream_id="claude-x", thinking="budget", default_max_tokens=16_000, max_output_tokens=32_000)
CALLED = (
    Message(role="user", parts=(Text(text="x"),)),
    Message(role="assistant", parts=(ToolCall(id="c", name="f", arguments="{}"),)),
    Message(role="user", parts=(ToolResult(call_id="c", content=(Text(text="r"),)),)),
)


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"tool_choice": ToolChoice(mode="required")}, ("reasoning",)),
        ({"messages": CALLED}, ("reasoning",)),
        ({"max_tokens": 1000}, ("reasoning",)),
        ({"temperature": 0.2}, ("reasoning",)),
        ({}, ()),
    ],
)
def test_thinking_that_claude_cannot_do_beside_the_rest_is_named(more: dict[str, Any], told: tuple[str, ...]) -> None:
    fields = {"messages": CALLED[:1], "max_tokens": 5000} | more
    chat = ChatRequest(model="m", tools=(Tool(name="f"),), reasoning=Reasoning(effort="high"), origin="openai_chat", **fields)
    assert left_out(chat, BUDGET, "anthropic_messages") == told
