"""Facts, headers, model facts and last edits of each service."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_gateway.core.secret import Secret
from llm_gateway.providers import services
from llm_gateway.providers._base import join_url
from llm_gateway.wires import ModelFacts

KEY = Secret("a-provider-key")
HOSTILE = {
    "authorization": "Bearer theirs",
    "x-api-key": "theirs",
    "x-goog-api-key": "theirs",
    "host": "evil.test",
    "cookie": "c",
    "openai-organization": "o",
}


def test_every_service_is_found_by_its_own_name() -> None:
    assert list(services) == ["anthropic", "custom", "fireworks", "gemini", "openai"]
    assert all(service.facts.name == name for name, service in services.items())


def test_the_enterprise_order_and_the_environment_names_are_the_originals() -> None:
    ranked = sorted((service.facts.priority, name, service.facts.key_env, service.facts.model_env) for name, service in services.items())
    assert ranked == [
        (10, "fireworks", ("FIREWORKS_API_KEY",), ("FIREWORKS_MODEL",)),
        (20, "anthropic", ("ANTHROPIC_API_KEY",), ("ANTHROPIC_MODEL", "CLAUDE_MODEL")),
        (30, "openai", ("OPENAI_API_KEY",), ("OPENAI_MODEL",)),
        (40, "gemini", ("GEMINI_API_KEY",), ("GEMINI_MODEL",)),
        (100, "custom", (), ()),
    ]


def test_only_fireworks_has_a_cap_on_unstreamed_answers() -> None:
    caps = {name: service.facts.non_stream_cap for name, service in services.items()}
    assert caps == {"fireworks": 4096, "anthropic": None, "openai": None, "gemini": None, "custom": None}


@pytest.mark.parametrize(
    ("service", "wire", "auth"),
    [
        ("fireworks", "openai_chat", {"authorization": "Bearer a-provider-key"}),
        ("openai", "openai_responses", {"authorization": "Bearer a-provider-key"}),
        ("anthropic", "anthropic_messages", {"x-api-key": "a-provider-key", "anthropic-version": "2023-06-01"}),
        ("gemini", "gemini_generate", {"x-goog-api-key": "a-provider-key"}),
        ("custom", "openai_chat", {"authorization": "Bearer a-provider-key"}),
        ("custom", "anthropic_messages", {"x-api-key": "a-provider-key", "anthropic-version": "2023-06-01"}),
        ("custom", "gemini_generate", {"x-goog-api-key": "a-provider-key"}),
    ],
)
def test_only_our_own_credential_travels_whatever_a_caller_sent(service: str, wire: str, auth: dict[str, str]) -> None:
    common = {"content-type": "application/json", "accept": "application/json, text/event-stream", "accept-encoding": "identity"}
    assert services.get(service).headers(wire, KEY, HOSTILE) == {**common, **auth}


def test_a_host_without_a_key_gets_no_credential_header() -> None:
    for wire in ("openai_chat", "anthropic_messages", "gemini_generate"):
        names = set(services.get("custom").headers(wire, Secret(""), {}))
        assert not names & {"authorization", "x-api-key", "x-goog-api-key"}


def test_anthropics_beta_flags_pass_and_its_version_is_ours() -> None:
    passed = {"anthropic-beta": "context-1m", "anthropic-version": "1999-01-01"}
    headers = services.get("anthropic").headers("anthropic_messages", KEY, passed)
    assert (headers["anthropic-beta"], headers["anthropic-version"]) == ("context-1m", "2023-06-01")
    assert "anthropic-beta" not in services.get("custom").headers("openai_chat", KEY, passed)


def facts(service: str, upstream_id: str) -> ModelFacts:
    found = services.get(service)
    return found.model_facts(found.facts.wire or "openai_chat", upstream_id)


@pytest.mark.parametrize(
    ("model", "reasons"),
    [
        ("gpt-4o", False),
        ("gpt-4.1-mini", False),
        ("chatgpt-4o-latest", False),
        ("gpt-5-chat-latest", False),
        ("ft:gpt-4o-2024-08-06:org::id", False),
        ("o3", True),
        ("o4-mini", True),
        ("gpt-5", True),
        ("gpt-5.4-mini", True),
        ("gpt-6-luna", True),
        ("gpt-6.1-sol", True),
        ("ft:gpt-5-2025-08-07:org::id", True),
    ],
)
def test_openais_reasoning_models_take_neither_sampling_nor_stop(model: str, reasons: bool) -> None:
    found = facts("openai", model)
    assert (found.sampling, found.stop, found.thinking) == ((False, False, "effort") if reasons else (True, True, "none"))
    assert found.max_tokens_field == "max_completion_tokens"


@pytest.mark.parametrize(
    ("model", "sampling", "thinking", "most"),
    [
        ("claude-3-opus-20240229", True, "none", 4096),
        ("claude-3-5-sonnet-20241022", True, "none", 8192),
        ("claude-3-7-sonnet-20250219", True, "budget", 64_000),
        ("claude-opus-4-20250514", True, "budget", 32_000),
        ("claude-opus-4-1-20250805", True, "budget", 32_000),
        ("claude-sonnet-4-20250514", True, "budget", 64_000),
        ("claude-sonnet-4-5-20250929", True, "budget", 64_000),
        ("claude-haiku-4-5", True, "budget", 64_000),
        ("claude-sonnet-4-6", True, "budget", None),
        ("claude-opus-4-6", True, "budget", None),
        ("claude-opus-4-7", False, "adaptive", None),
        ("claude-opus-4-8", False, "adaptive", None),
        ("claude-sonnet-5", False, "adaptive", None),
        ("claude-sonnet-5-5", False, "adaptive", None),
        ("claude-haiku-5-5", False, "adaptive", None),
        ("claude-fable-5-2", False, "adaptive", None),
        ("claude-mythos-5-2", False, "adaptive", None),
        ("something-newer", False, "adaptive", None),
    ],
)
def test_anthropics_generations_differ(model: str, sampling: bool, thinking: str, most: int | None) -> None:
    found = facts("anthropic", model)
    assert (found.sampling, found.thinking, found.max_output_tokens) == (sampling, thinking, most)
    assert 0 < found.default_max_tokens <= (most or 32_000)


@pytest.mark.parametrize(
    ("model", "thinking"),
    [
        ("gemini-1.5-pro", "none"),
        ("gemini-2.0-flash", "none"),
        ("gemini-2.5-pro", "budget"),
        ("gemini-2.5-flash-lite", "budget"),
        ("gemini-3.1-pro-preview", "level"),
        ("gemini-3.8-flash", "level"),
        ("gemini-4-argon", "level"),
        ("gemini-flash-latest", "level"),
        ("gemma-3-27b-it", "none"),
        ("gemini-embedding-001", "none"),
    ],
)
def test_gemini_thinks_by_level_or_by_budget(model: str, thinking: str) -> None:
    assert facts("gemini", model).thinking == thinking
    assert facts("gemini", f"models/{model}").upstream_id == model


def test_fireworks_takes_no_hints_and_the_old_name_of_the_token_limit() -> None:
    found = facts("fireworks", "accounts/fireworks/models/kimi-k3")
    assert (found.drop_hints, found.max_tokens_field, found.thinking) == (True, "max_tokens", "effort")
    assert facts("fireworks", "accounts/fireworks/models/llama-v3p1-8b-instruct").thinking == "none"


def adapted(body: Any) -> Any:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return json.loads(services.get("fireworks").adapt("openai_chat", raw))


def test_fireworks_gets_no_field_that_means_nothing() -> None:
    hints = {
        "store": False,
        "metadata": {"a": "b"},
        "client_metadata": {},
        "safety_identifier": "u",
        "prompt_cache_retention": "24h",
        "promptCacheKey": "k",
    }
    assert adapted({"model": "m", **hints, "prompt_cache_key": "k", "user": "u"}) == {"model": "m", "prompt_cache_key": "k", "user": "u"}


def test_cache_marks_are_taken_out_of_messages_and_tools_but_not_out_of_schemas() -> None:
    mark = {"type": "ephemeral"}
    schema = {"type": "object", "properties": {"cache_control": {"type": "string"}, "store": {"type": "boolean"}}}
    body = {
        "messages": [
            {"role": "system", "content": [{"type": "text", "text": 'say "cache_control"', "cache_control": mark}]},
            {"role": "user", "content": "plain", "cache_control": mark},
            {
                "role": "assistant",
                "content": None,
                "refusal": None,
                "annotations": [],
                "provider_specific_fields": {"refusal": None},
                "tool_calls": [{"id": "1", "function": {"name": "f"}}],
            },
        ],
        "tools": [{"type": "function", "cache_control": mark, "function": {"name": "f", "parameters": schema, "cache_control": mark}}],
    }
    assert adapted(body) == {
        "messages": [
            {"role": "system", "content": [{"type": "text", "text": 'say "cache_control"'}]},
            {"role": "user", "content": "plain"},
            {"role": "assistant", "content": None, "tool_calls": [{"id": "1", "function": {"name": "f"}}]},
        ],
        "tools": [{"type": "function", "function": {"name": "f", "parameters": schema}}],
    }


def test_a_refusal_that_says_something_stays() -> None:
    said = {"messages": [{"role": "assistant", "content": None, "refusal": "I will not."}]}
    assert adapted(said) == said


def test_a_schemas_dialect_mark_and_stream_obfuscation_go() -> None:
    body = {
        "stream_options": {"include_usage": True, "include_obfuscation": False},
        "response_format": {"type": "json_schema", "json_schema": {"name": "n", "$schema": "x", "schema": {"$schema": "kept"}}},
    }
    assert adapted(body) == {
        "stream_options": {"include_usage": True},
        "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {"$schema": "kept"}}},
    }


def test_unknown_fields_with_a_meaning_stay_for_the_providers_own_400() -> None:
    body = {"model": "m", "top_kk": 3, "web_search_options": {}, "store": True}
    assert adapted(body) == {"model": "m", "top_kk": 3, "web_search_options": {}}


def test_a_body_without_hints_keeps_every_byte() -> None:
    body = b'{ "model":"m", "temperature":1.0, "seed":12345678901234567890123, "messages":[] }'
    assert services.get("fireworks").adapt("openai_chat", body) is body


def test_numbers_keep_their_spelling_when_a_hint_goes() -> None:
    body = b'{"temperature":1.0,"seed":12345678901234567890123,"store":true}'
    assert services.get("fireworks").adapt("openai_chat", body) == b'{"temperature":1.0,"seed":12345678901234567890123}'


@pytest.mark.parametrize("body", [b"", b"[]", b"store", b'{"messages":"store","store":1}', b'{"messages":[1],"store":1}', b'{"store"'])
def test_a_body_of_the_wrong_shape_is_left_to_the_provider(body: bytes) -> None:
    assert services.get("fireworks").adapt("openai_chat", body) is body


def test_nulls_are_no_wrong_shape() -> None:
    nulls = {"tools": None, "response_format": None, "stream_options": None, "messages": None}
    assert adapted({**nulls, "store": True}) == nulls


@given(
    st.binary(max_size=200)
    | st.builds(
        lambda v: json.dumps(v).encode(),
        st.recursive(
            st.none() | st.text(),
            lambda v: st.dictionaries(st.sampled_from(["messages", "tools", "store", "content", "function", "cache_control"]), v),
        ),
    )
)
def test_no_body_makes_it_fail(body: bytes) -> None:
    for name, service in services.items():
        result = service.adapt("openai_chat", body)
        assert name == "fireworks" or result is body


@pytest.mark.parametrize(
    ("base", "path", "url"),
    [
        ("https://h.test/v1", "/chat/completions", "https://h.test/v1/chat/completions"),
        ("https://h.test/v1/", "/v1/messages", "https://h.test/v1/messages"),
        ("https://h.test", "/v1/messages?beta=true", "https://h.test/v1/messages?beta=true"),
        ("https://h.test/v1beta", "/models/m:generateContent", "https://h.test/v1beta/models/m:generateContent"),
        ("https://h.test/inference/v1", "/v1/messages/count_tokens", "https://h.test/inference/v1/messages/count_tokens"),
        ("https://h.test/openai/v1", "/responses", "https://h.test/openai/v1/responses"),
    ],
)
def test_a_version_named_twice_stands_once(base: str, path: str, url: str) -> None:
    assert join_url(base, path) == url
