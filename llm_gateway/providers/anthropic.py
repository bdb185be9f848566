"""Anthropic: the Messages API with its own key header. Models of one name differ by generation in
what they refuse."""

from __future__ import annotations

from collections.abc import Mapping

from llm_gateway.core.keys import KeyState, KeyVerdict
from llm_gateway.core.secret import Secret
from llm_gateway.wires import ModelFacts
from llm_gateway.wires._batch_apis import AnthropicBatches

from . import services
from ._base import Probe, ServiceFacts, claude_generation, claude_is_adaptive, join_url, json_headers, read_probe, verdict

VERSION = "2023-06-01"
_MAX_OUTPUT = {(3, 0): 4096, (3, 5): 8192, (3, 7): 64_000, (4, 0): 64_000, (4, 1): 32_000, (4, 5): 64_000}


class Anthropic:
    facts = ServiceFacts(
        name="anthropic",
        title="Anthropic",
        wire="anthropic_messages",
        base_url="https://api.anthropic.com",
        key_env=("ANTHROPIC_API_KEY",),
        model_env=("ANTHROPIC_MODEL", "CLAUDE_MODEL"),
        priority=20,
        pass_headers=frozenset({"anthropic-beta"}),
        counts_tokens=True,
        price_provider="anthropic",
        batches=AnthropicBatches(),
    )

    def headers(self, wire: str, key: Secret, passed: Mapping[str, str]) -> dict[str, str]:
        return json_headers(passed, self.facts.pass_headers, x_api_key=key.reveal(), anthropic_version=VERSION)

    def model_facts(self, wire: str, upstream_id: str) -> ModelFacts:
        """An unknown id counts as a newer model, which is stricter."""
        generation, family = claude_generation(upstream_id) or ((99, 0), "")
        if claude_is_adaptive(generation, family):
            return ModelFacts(upstream_id=upstream_id, sampling=False, thinking="adaptive", default_max_tokens=32_000)
        limit = 32_000 if family == "opus" and generation == (4, 0) else _MAX_OUTPUT.get(generation)
        return ModelFacts(
            upstream_id=upstream_id,
            thinking="budget" if generation >= (3, 7) else "none",
            default_max_tokens=min(limit or 16_000, 16_000),
            max_output_tokens=limit,
            context_window=200_000 if generation < (4, 5) or family == "haiku" else None,
        )

    def adapt(self, wire: str, body: bytes) -> bytes:
        return body

    def probes(self, base_url: str, wire: str) -> tuple[Probe, ...]:
        return (Probe(name="models", url=join_url(base_url, "/v1/models?limit=1")),)

    def judge(self, probe: Probe, status: int, headers: Mapping[str, str], body: bytes) -> KeyVerdict | None:
        answer = read_probe(status, body)
        if not answer.is_json and status not in (401, 529):
            return None
        match status:
            case 200:
                return verdict(KeyState.VALID, "Anthropic accepts the key.", answer)
            case 401:
                return verdict(KeyState.INVALID, "Anthropic does not know this key; paste a new one.", answer)
            case 402:
                return verdict(KeyState.OUT_OF_CREDIT, "The account has an unpaid bill or no credit; settle it.", answer)
            case 400 if "credit balance" in answer.text:
                return verdict(KeyState.OUT_OF_CREDIT, "The account's credit is used up; buy credit.", answer)
            case 403:
                return verdict(KeyState.NO_PERMISSION, "The key is known but has no permission; check its workspace and region.", answer)
            case 429:
                return verdict(KeyState.RATE_LIMITED, "The key works; its rate limit is reached just now.", answer)
            case 529:
                return verdict(KeyState.VALID, "Anthropic knows the key but is overloaded just now.", answer)
        return None


services.add(Anthropic.facts.name, Anthropic())
