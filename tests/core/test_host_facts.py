"""Facts of hosts as data: what an operator may write, and what the presets say."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from llm_gateway.core.host_facts import EXTENSIONS, FactRow, HostFacts, read_facts
from llm_gateway.policies.addresses import read_base_url
from llm_gateway.providers.presets import facts_of, presets

NAMED = (
    "fireworks", "deepseek", "moonshot", "zai", "qwen", "minimax", "mistral", "groq", "xai", "together", "openrouter", "azure", "vllm",
    "sglang", "llamacpp", "ollama", "lmstudio", "openai",
)  # fmt: skip


def test_facts_are_read_as_an_operator_writes_them() -> None:
    found = read_facts({"user_limit": 64, "extensions": ["reasoning_content"], "efforts": ["low", "high"], "stream_usage": False})
    assert found == HostFacts(
        user_limit=64, extensions=frozenset({"reasoning_content"}), efforts=frozenset({"low", "high"}), stream_usage=False
    )
    assert found.known().keys() == {"user_limit", "extensions", "efforts", "stream_usage"}
    assert read_facts(None) == read_facts({}) == HostFacts()


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ([], "Facts are an object"),
        ({"user_limits": 64}, "There is no fact 'user_limits'; known are max_tokens_field"),
        ({"user_limit": "64"}, "user_limit"),
        ({"user_limit": 0}, "from 1 to 4096"),
        ({"max_tokens_field": "max"}, "max_tokens_field"),
        ({"extensions": ["reasoning_contents"]}, "There is no extension 'reasoning_contents'; known are reasoning_content"),
        ({"efforts": ["huge"]}, "efforts"),
        ({"sampling": 1}, "sampling"),
    ],
)
def test_a_wrong_fact_is_refused_by_name(value: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said.replace("(", r"\(")):
        read_facts(value)


@pytest.mark.parametrize("name", NAMED)
def test_every_named_host_has_a_preset_whose_facts_have_a_source_and_a_day(name: str) -> None:
    preset = presets()[name]
    assert preset.facts
    if preset.base_url:
        read_base_url(preset.base_url, allow_private=preset.local)
    assert bool(preset.key_env) != preset.local
    for row in preset.facts:
        assert row.source.startswith("https://")
        assert isinstance(row.noted, date)
        assert row.facts.known()
        assert (row.facts.extensions or frozenset()) <= EXTENSIONS.keys()
        assert all(pattern == pattern.lower() for pattern in row.models)


def test_a_fact_holds_for_the_models_its_patterns_name() -> None:
    row = FactRow(facts=HostFacts(stop=False), models=("kimi-k*", "*thinking*"))
    assert [row.holds_for(name) for name in ("kimi-k3", "moonshotai/Kimi-K3", "qwen-thinking", "qwen3")] == [True, True, True, False]
    assert FactRow(facts=HostFacts(stop=False)).holds_for("any")


def test_the_gateways_own_services_have_the_facts_of_their_name() -> None:
    assert facts_of("", "openai") == presets()["openai"].facts
    assert facts_of("deepseek", "custom") == presets()["deepseek"].facts
    assert facts_of("", "custom") == facts_of("gone", "custom") == ()
