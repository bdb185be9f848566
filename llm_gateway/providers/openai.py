"""OpenAI: chat and Responses. Its reasoning models refuse sampling parameters and stop
sequences."""

from __future__ import annotations

import re
from collections.abc import Mapping

from llm_gateway.core.keys import KeyState, KeyVerdict
from llm_gateway.core.secret import Secret
from llm_gateway.wires import ModelFacts
from llm_gateway.wires._batch_apis import OpenAIBatches

from . import services
from ._base import Probe, ServiceFacts, bearer, join_url, json_headers, read_probe, verdict

# o1 … o9 and gpt-5 onward, but not their chat variants; a fine-tuned id names its base:
# ft:gpt-…:org::id.
_REASONS = re.compile(r"(?:ft:)?(?:o\d|gpt-(?:[5-9]|\d\d)(?![\w.-]*chat))")
_RESTRICTED = ("insufficient permissions", "missing scopes")


class OpenAI:
    facts = ServiceFacts(
        name="openai",
        title="OpenAI",
        wire="openai_chat",
        base_url="https://api.openai.com/v1",
        key_env=("OPENAI_API_KEY",),
        model_env=("OPENAI_MODEL",),
        priority=30,
        counts_tokens=True,
        price_provider="openai",
        batches=OpenAIBatches(),
    )

    def headers(self, wire: str, key: Secret, passed: Mapping[str, str]) -> dict[str, str]:
        return json_headers(passed, self.facts.pass_headers, authorization=bearer(key))

    def model_facts(self, wire: str, upstream_id: str) -> ModelFacts:
        """``max_completion_tokens`` always: every model accepts it, and reasoning models accept
        nothing else (https://platform.openai.com/docs/api-reference/chat/create)."""
        reasons = _REASONS.match(upstream_id.lower()) is not None
        return ModelFacts(
            upstream_id=upstream_id,
            max_tokens_field="max_completion_tokens",
            sampling=not reasons,
            stop=not reasons,
            thinking="effort" if reasons else "none",
        )

    def adapt(self, wire: str, body: bytes) -> bytes:
        return body

    def probes(self, base_url: str, wire: str) -> tuple[Probe, ...]:
        return (Probe(name="models", url=join_url(base_url, "/models")),)

    def judge(self, probe: Probe, status: int, headers: Mapping[str, str], body: bytes) -> KeyVerdict | None:
        answer = read_probe(status, body)
        if not answer.is_json and status != 401:
            return None
        match status:
            case 200:
                return verdict(KeyState.VALID, "OpenAI accepts the key.", answer)
            case 401 | 403 if any(mark in answer.text for mark in _RESTRICTED):
                return verdict(KeyState.VALID, "OpenAI accepts the key; it is restricted and may not list models.", answer)
            case 401:
                return verdict(KeyState.INVALID, "OpenAI does not know this key; paste a new one.", answer)
            case 403:
                return verdict(KeyState.NO_PERMISSION, "The key is known but not allowed here; check its project and region.", answer)
            case 429 if "insufficient_quota" in answer.text:
                return verdict(KeyState.OUT_OF_CREDIT, "The account is out of credit; buy credit.", answer)
            case 429:
                return verdict(KeyState.RATE_LIMITED, "The key works; its rate limit is reached just now.", answer)
        return None


services.add(OpenAI.facts.name, OpenAI())
