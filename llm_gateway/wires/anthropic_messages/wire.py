"""What we speak to a provider of this format."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llm_gateway.core import json
from llm_gateway.core.chat import ChatRequest, ChatResponse
from llm_gateway.core.errors import Failure, UnsupportedParameter
from llm_gateway.core.usage import count
from llm_gateway.wires._base import Edits, ModelFacts, StreamDecoder

from . import errors, own_thinking, request_out, response_in
from .names import NAME
from .signatures import MARK_IN_JSON
from .stream_in import Decoder

_PATHS = {"chat": "/v1/messages", "count_tokens": "/v1/messages/count_tokens", "models": "/v1/models"}


class AnthropicMessages:
    """The provider's base URL is the host without ``/v1``."""

    name = NAME
    one_call = True
    end_mark = b'event: message_stop\ndata: {"type":"message_stop"}\n\n'

    def path(self, kind: str, facts: ModelFacts, stream: bool) -> str:
        try:
            return _PATHS[kind]
        except KeyError:
            raise UnsupportedParameter(f"This provider has no endpoint for {kind}.", param="model") from None

    def encode_request(self, chat: ChatRequest, facts: ModelFacts) -> dict[str, Any]:
        return request_out.encode(chat, facts)

    def edit_request(self, body: bytes, edits: Edits) -> bytes:
        changes: dict[str, Any] = {"model": edits.facts.upstream_id}
        drop = edits.drop
        if MARK_IN_JSON in body or (edits.foreign and b'thinking"' in body):
            kept, dropped = own_thinking.edited(body, edits.foreign)
            changes |= kept
            drop += dropped
        if edits.stream or b'"stream"' in body:
            changes["stream"] = edits.stream
        if edits.max_tokens is not None:
            changes["max_tokens"] = edits.max_tokens
        return json.edit_object(body, changes, drop)

    def decode_response(self, body: bytes) -> ChatResponse:
        return response_in.decode(body)

    def stream_decoder(self) -> StreamDecoder:
        return Decoder()

    def decode_error(self, status: int, headers: Mapping[str, str], body: bytes) -> Failure:
        return errors.decode(status, headers, body)


class MessagesCounter:
    def encode_request(self, chat: ChatRequest, facts: ModelFacts) -> dict[str, Any]:
        return request_out.encode_count(chat, facts)

    def decode_response(self, body: bytes) -> int | None:
        document = json.lenient(body)
        return count(document.get("input_tokens")) if isinstance(document, dict) else None

    def encode_response(self, tokens: int) -> bytes:
        return json.dumps({"input_tokens": tokens})
