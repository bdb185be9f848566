"""Google Gemini, the Developer API. An invalid key is a 400 here."""

from __future__ import annotations

from collections.abc import Mapping

from llm_gateway.core.keys import KeyState, KeyVerdict
from llm_gateway.core.secret import Secret
from llm_gateway.wires import ModelFacts
from llm_gateway.wires._batch_apis import GeminiBatches

from . import services
from ._base import Probe, ServiceFacts, gemini_thinking, join_url, json_headers, read_probe, verdict

_BAD_KEY = ("api_key_invalid", "api_key_expired", "api key not valid", "api key expired")
_UNKNOWN_CALLER = ("unregistered callers", "leaked")


class Gemini:
    facts = ServiceFacts(
        name="gemini",
        title="Google Gemini",
        wire="gemini_generate",
        base_url="https://generativelanguage.googleapis.com/v1beta",
        key_env=("GEMINI_API_KEY",),
        model_env=("GEMINI_MODEL",),
        priority=40,
        counts_tokens=True,
        price_provider="google",
        batches=GeminiBatches(),
    )

    def headers(self, wire: str, key: Secret, passed: Mapping[str, str]) -> dict[str, str]:
        return json_headers(passed, self.facts.pass_headers, x_goog_api_key=key.reveal())

    def model_facts(self, wire: str, upstream_id: str) -> ModelFacts:
        thinking = gemini_thinking(upstream_id) or "none"
        return ModelFacts(upstream_id=upstream_id.removeprefix("models/"), thinking=thinking)

    def adapt(self, wire: str, body: bytes) -> bytes:
        return body

    def probes(self, base_url: str, wire: str) -> tuple[Probe, ...]:
        return (Probe(name="models", url=join_url(base_url, "/models?pageSize=1")),)

    def judge(self, probe: Probe, status: int, headers: Mapping[str, str], body: bytes) -> KeyVerdict | None:
        answer = read_probe(status, body)
        if not answer.is_json:
            return None
        match status:
            case 200:
                return verdict(KeyState.VALID, "Google accepts the key.", answer)
            case 400 if any(mark in answer.text for mark in _BAD_KEY):
                return verdict(KeyState.INVALID, "Google does not know this key or it has expired; paste a new one.", answer)
            case 400 if "failed_precondition" in answer.text:
                return verdict(KeyState.NO_PERMISSION, "The key works, but not from this location or without billing.", answer)
            case 401:
                return verdict(KeyState.INVALID, "Google refuses this key; paste a new one.", answer)
            case 403 if any(mark in answer.text for mark in _UNKNOWN_CALLER):
                return verdict(KeyState.INVALID, "Google refuses this key; paste a new one.", answer)
            case 403:
                return verdict(KeyState.NO_PERMISSION, "The key works, but the API is off for its project or closed to it.", answer)
            case 402:
                return verdict(KeyState.OUT_OF_CREDIT, "The project needs billing.", answer)
            case 429:
                return verdict(KeyState.RATE_LIMITED, "The key works; its quota or rate limit is reached just now.", answer)
        return None


services.add(Gemini.facts.name, Gemini())
