"""Chat completions as we speak them to a provider."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from llm_gateway.core import json
from llm_gateway.core.chat import ChatRequest, ChatResponse
from llm_gateway.core.errors import Failure, UnsupportedParameter
from llm_gateway.wires._base import Edits, ModelFacts, StreamDecoder
from llm_gateway.wires._openai import errors

from . import request_out, schema, stream_in
from .own_signatures import own_signatures

# The chat format has no count of its own; OpenAI's host counts by the other one.
_PATHS: Final = {
    "chat": "/chat/completions", "embeddings": "/embeddings", "models": "/models", "count_tokens": "/responses/input_tokens",
}  # fmt: skip


class _Edited(msgspec.Struct, gc=False):
    """The fields that an edit looks at."""

    stream: Any = None
    stream_options: Any = None
    max_tokens: Any = None
    max_completion_tokens: Any = None
    service_tier: Any = None


_edited = msgspec.json.Decoder(_Edited)


class ChatWire:
    name = "openai_chat"
    one_call = True
    end_mark = b"data: [DONE]\n\n"

    def path(self, kind: str, facts: ModelFacts, stream: bool) -> str:
        try:
            return _PATHS[kind]
        except KeyError:
            raise UnsupportedParameter(f"OpenAI's chat format has no endpoint for {kind}.") from None

    def encode_request(self, chat: ChatRequest, facts: ModelFacts) -> dict[str, Any]:
        return request_out.encode_request(chat, facts)

    def edit_request(self, body: bytes, edits: Edits) -> bytes:
        facts = edits.facts
        if _only_renamed(body, edits) and (renamed := json.with_text(body, "model", facts.upstream_id)) is not None:
            return renamed
        now = _edited.decode(body)
        changes: dict[str, Any] = {"model": facts.upstream_id}
        drop = set(edits.drop)
        if edits.stream:
            if now.stream is not True:
                changes["stream"] = True
            if not facts.stream_usage:
                drop.add("stream_options")
            elif edits.include_usage:
                own = now.stream_options if isinstance(now.stream_options, dict) else {}
                changes["stream_options"] = own | {"include_usage": True}
        else:
            if now.stream is not None:
                changes["stream"] = False
            drop.add("stream_options")
        changes |= _limit(now, edits, drop)
        bare = edits.foreign is not None and b'"reasoning' in body and edits.foreign("")
        if (bare or b'"thought_signature"' in body) and (messages := own_signatures(body, edits.foreign)) is not None:
            changes["messages"] = messages
        if facts.drop_hints:
            drop |= schema.HINTS - {"stream_options"}
            if now.service_tier in schema.PLAIN_TIERS:
                drop.add("service_tier")
            body = _without_cache_control(body)
        return json.edit_object(body, {name: value for name, value in changes.items() if name not in drop}, tuple(drop))

    def decode_response(self, body: bytes) -> ChatResponse:
        return stream_in.decode_response(body)

    def stream_decoder(self) -> StreamDecoder:
        return stream_in.ChatStreamDecoder()

    def decode_error(self, status: int, headers: Mapping[str, str], body: bytes) -> Failure:
        return errors.decode_error(status, headers, body)


def _only_renamed(body: bytes, edits: Edits) -> bool:
    """Whether nothing but the model's name is to be changed: the usual request that is not
    streamed."""
    facts = edits.facts
    if edits.stream or edits.drop or edits.max_tokens is not None or edits.foreign is not None or facts.drop_hints:
        return False
    other = b'"max_completion_tokens"' if facts.max_tokens_field == "max_tokens" else b'"max_tokens"'
    return not (b'"stream' in body or other in body or b'"thought_signature"' in body)


def _limit(now: _Edited, edits: Edits, drop: set[str]) -> dict[str, Any]:
    """The token limit under the one name this host knows, not above the ceiling."""
    field = edits.facts.max_tokens_field
    other = "max_completion_tokens" if field == "max_tokens" else "max_tokens"
    asked = now.max_completion_tokens if now.max_completion_tokens is not None else now.max_tokens
    limit = asked if edits.max_tokens is None else edits.max_tokens if not isinstance(asked, int) else min(asked, edits.max_tokens)
    drop.add(other)
    return {field: limit} if limit is not None and limit != getattr(now, field) else {}


def _without_cache_control(body: bytes) -> bytes:
    """Strict hosts refuse Anthropic's breakpoints, which lie deep inside messages and tools."""
    if b'"cache_control"' not in body:
        return body
    return json.dumps(_strip(msgspec.json.decode(body)))


def _strip(value: Any) -> Any:
    if isinstance(value, dict):
        # A schema may have a property of that name.
        return {name: item if name == "parameters" else _strip(item) for name, item in value.items() if name != "cache_control"}
    return [_strip(item) for item in value] if isinstance(value, list) else value


WIRE = ChatWire()
