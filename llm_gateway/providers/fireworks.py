"""Fireworks AI: OpenAI's chat format with strict validation, a cap on unstreamed answers and an
unreliable model list."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from llm_gateway.core.json import dumps, edit_object
from llm_gateway.core.keys import KeyState, KeyVerdict
from llm_gateway.core.secret import Secret
from llm_gateway.wires import ModelFacts

from . import services
from ._base import Probe, ServiceFacts, bearer, join_url, json_headers, read_probe, verdict

# Fields without effect on the answer that Fireworks refuses ("Extra inputs are not permitted").
# Meaningful fields stay in, so that the provider's own 400 names them.
_HINTS = (
    "store",
    "metadata",
    "client_metadata",
    "safety_identifier",
    "prompt_cache_retention",
    "prompt_cache_options",
    "promptCacheKey",
    "cache_control",
    "user_agent",
)
# Fields of an earlier answer that have no meaning in a request: drop the first set always, the
# second when empty.
_ECHOES = ("annotations", "provider_specific_fields")  # the second: LiteLLM's own
_EMPTY_ECHOES = ("refusal", "audio", "function_call")
_EMPTY = (b"null", b"[]")
_TRIGGERS = tuple(f'"{name}"'.encode() for name in (*_HINTS, *_ECHOES, *_EMPTY_ECHOES, "include_obfuscation", "$schema", "minimal"))
_EFFORT = ("gpt-oss", "minimax", "glm-", "deepseek-v", "qwen3p", "kimi-k", "-thinking", "-r1")

# No model accepts `minimal`; the older ones accept only low, medium and high.
_PLAIN = ("gpt-oss", "minimax-m2")
_PLAIN_EFFORTS = frozenset(("low", "medium", "high"))
_EFFORTS = _PLAIN_EFFORTS | {"none", "xhigh", "max"}

_object = msgspec.json.Decoder(dict[str, msgspec.Raw])
_objects = msgspec.json.Decoder(list[dict[str, msgspec.Raw]])


class Fireworks:
    facts = ServiceFacts(
        name="fireworks",
        title="Fireworks AI",
        wire="openai_chat",
        base_url="https://api.fireworks.ai/inference/v1",
        key_env=("FIREWORKS_API_KEY",),
        model_env=("FIREWORKS_MODEL",),
        non_stream_cap=4096,
        priority=10,
        price_provider="fireworks",
    )

    def headers(self, wire: str, key: Secret, passed: Mapping[str, str]) -> dict[str, str]:
        return json_headers(passed, self.facts.pass_headers, authorization=bearer(key))

    def model_facts(self, wire: str, upstream_id: str) -> ModelFacts:
        name = upstream_id.rsplit("/", 1)[-1].lower()
        return ModelFacts(
            upstream_id=upstream_id,
            thinking="effort" if any(mark in name for mark in _EFFORT) else "none",
            drop_hints=True,
            efforts=_PLAIN_EFFORTS if any(mark in name for mark in _PLAIN) else _EFFORTS,
        )

    def adapt(self, wire: str, body: bytes) -> bytes:
        if wire != "openai_chat" or not any(trigger in body for trigger in _TRIGGERS):
            return body
        try:
            fields = _object.decode(body)
            changes = {name: change(fields[name]) for name, change in _CLEANERS.items() if not _absent(fields.get(name))}
        except msgspec.DecodeError:
            return body
        return edit_object(body, {name: value for name, value in changes.items() if value is not None}, _HINTS)

    def probes(self, base_url: str, wire: str) -> tuple[Probe, ...]:
        probes = [Probe(name="models", url=join_url(base_url, "/models"))]
        root = base_url.rstrip("/").removesuffix("/inference/v1")
        if root != base_url.rstrip("/"):
            # The model list returns 500 to valid keys of some accounts; the control plane does not.
            probes.append(Probe(name="control", url=f"{root}/v1/accounts/fireworks/models?pageSize=1"))
        return tuple(probes)

    def judge(self, probe: Probe, status: int, headers: Mapping[str, str], body: bytes) -> KeyVerdict | None:
        answer = read_probe(status, body)
        if not answer.is_json and status not in (401, 402, 412):
            return None
        match status:
            case 200:
                return verdict(KeyState.VALID, "Fireworks accepts the key.", answer)
            case 401:
                return verdict(KeyState.INVALID, "Fireworks does not know this key; paste a new one.", answer)
            case 403 if probe.name == "control" or "authenticat" in answer.text:
                return verdict(KeyState.INVALID, "Fireworks refuses this key; paste a new one.", answer)
            case 403:
                return verdict(KeyState.NO_PERMISSION, "The key is known but may not use inference; give it that right.", answer)
            case 402 | 412:
                return verdict(KeyState.OUT_OF_CREDIT, "The account is suspended or not on a paid plan; settle its bills.", answer)
            case 429:
                return verdict(KeyState.RATE_LIMITED, "The key works; its rate limit is reached just now.", answer)
        return None


def _absent(raw: msgspec.Raw | None) -> bool:
    return raw is None or bytes(raw).strip() == b"null"


def _messages(raw: msgspec.Raw) -> Any:
    messages = _objects.decode(raw)
    for message in messages:
        message.pop("cache_control", None)
        for name in _ECHOES:
            message.pop(name, None)
        for name in _EMPTY_ECHOES:
            if name in message and bytes(message[name]).strip() in _EMPTY:
                del message[name]
        content = message.get("content")
        if content is not None and bytes(content).lstrip().startswith(b"["):
            parts = _objects.decode(content)
            for part in parts:
                part.pop("cache_control", None)
            message["content"] = msgspec.Raw(dumps(parts))
    return messages


def _tools(raw: msgspec.Raw) -> Any:
    tools = _objects.decode(raw)
    for tool in tools:
        tool.pop("cache_control", None)
        if not _absent(tool.get("function")):
            function = _object.decode(tool["function"])
            if function.pop("cache_control", None) is not None:
                tool["function"] = msgspec.Raw(dumps(function))
    return tools


def _stream_options(raw: msgspec.Raw) -> Any:
    options = _object.decode(raw)
    return options if options.pop("include_obfuscation", None) is not None else None


def _response_format(raw: msgspec.Raw) -> Any:
    form = _object.decode(raw)
    if _absent(form.get("json_schema")):
        return None
    schema = _object.decode(form["json_schema"])
    if schema.pop("$schema", None) is None:
        return None
    form["json_schema"] = msgspec.Raw(dumps(schema))
    return form


def _effort(raw: msgspec.Raw) -> Any:
    """The nearest supported effort."""
    return "low" if bytes(raw).strip() == b'"minimal"' else None


_CLEANERS = {
    "messages": _messages,
    "tools": _tools,
    "stream_options": _stream_options,
    "response_format": _response_format,
    "reasoning_effort": _effort,
}

services.add(Fireworks.facts.name, Fireworks())
