"""Any other host that speaks one of the wires: a row in the database, with or without a key.

Its base URL is the whole base (``https://host/api/v1``). The gateway assumes nothing about it
beyond its wire.
"""

from __future__ import annotations

from collections.abc import Mapping

from llm_gateway.core.keys import KeyState, KeyVerdict
from llm_gateway.core.secret import Secret
from llm_gateway.wires import ModelFacts

from . import services
from ._base import (
    Probe,
    ServiceFacts,
    bearer,
    claude_generation,
    claude_is_adaptive,
    gemini_thinking,
    join_url,
    json_headers,
    read_probe,
    verdict,
)

_ANTHROPIC, _GEMINI = "anthropic_messages", "gemini_generate"
_NO_KEY = ("api_key_invalid", "api_key_expired", "api key not valid", "api key expired", "invalid api key", "incorrect api key")
_NO_MONEY = ("insufficient_quota", "insufficient balance", "credit balance", "insufficient credit")


class Custom:
    facts = ServiceFacts(
        name="custom", title="Custom host", wire=None, priority=100, pass_headers=frozenset({"anthropic-beta", "anthropic-version"})
    )

    def headers(self, wire: str, key: Secret, passed: Mapping[str, str]) -> dict[str, str]:
        if wire == _ANTHROPIC:
            defaults = {"anthropic-version": "2023-06-01", **passed}
            return json_headers(defaults, self.facts.pass_headers, x_api_key=key.reveal())
        if wire == _GEMINI:
            return json_headers(passed, frozenset(), x_goog_api_key=key.reveal())
        return json_headers(passed, frozenset(), authorization=bearer(key))

    def model_facts(self, wire: str, upstream_id: str) -> ModelFacts:
        thinking = {"openai_chat": "effort", "openai_responses": "effort", _ANTHROPIC: "budget", _GEMINI: "budget"}.get(wire, "none")
        if wire == _GEMINI:
            thinking = gemini_thinking(upstream_id) or thinking
        if wire == _ANTHROPIC and (generation := claude_generation(upstream_id)) and claude_is_adaptive(*generation):
            return ModelFacts(upstream_id=upstream_id, sampling=False, thinking="adaptive")
        return ModelFacts(upstream_id=upstream_id, thinking=thinking)

    def adapt(self, wire: str, body: bytes) -> bytes:
        return body

    def probes(self, base_url: str, wire: str) -> tuple[Probe, ...]:
        path = {_ANTHROPIC: "/v1/models?limit=1", _GEMINI: "/models?pageSize=1"}.get(wire, "/models")
        return (Probe(name="models", url=join_url(base_url, path)),)

    def judge(self, probe: Probe, status: int, headers: Mapping[str, str], body: bytes) -> KeyVerdict | None:
        answer = read_probe(status, body)
        if status in (404, 405, 501):
            return verdict(KeyState.UNCHECKED, "The host has no model list, so the key can only be tried with a real call.", answer)
        if status == 401 or (status == 400 and any(mark in answer.text for mark in _NO_KEY)):
            return verdict(KeyState.INVALID, "The host refuses this key; paste a new one.", answer)
        if not answer.is_json and not (status == 200 and body.lstrip().startswith(b"[")):
            return None
        match status:
            case 200:
                return verdict(KeyState.VALID, "The host lists its models for this key.", answer)
            case 402:
                return verdict(KeyState.OUT_OF_CREDIT, "The account at the host is out of credit.", answer)
            case 403:
                return verdict(KeyState.NO_PERMISSION, "The host knows the key but forbids it to list models.", answer)
            case 429 if any(mark in answer.text for mark in _NO_MONEY):
                return verdict(KeyState.OUT_OF_CREDIT, "The account at the host is out of credit.", answer)
            case 429:
                return verdict(KeyState.RATE_LIMITED, "The key works; its rate limit is reached just now.", answer)
        return None


services.add(Custom.facts.name, Custom())
