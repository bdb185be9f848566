"""Responses as we speak them to a provider."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from llm_gateway.core import json
from llm_gateway.core.chat import ChatRequest, ChatResponse
from llm_gateway.core.errors import Failure, UnsupportedParameter
from llm_gateway.wires._base import Edits, ModelFacts, StreamDecoder
from llm_gateway.wires._openai import errors

from . import names, request_out, stream_in

_PATHS: Final = {"chat": "/responses", "count_tokens": "/responses/input_tokens", "embeddings": "/embeddings", "models": "/models"}


class _Edited(msgspec.Struct, gc=False):
    """The fields that an edit looks at."""

    stream: Any = None
    max_output_tokens: Any = None
    service_tier: Any = None


_edited = msgspec.json.Decoder(_Edited)


class ResponsesWire:
    name = names.NAME
    one_call = True
    end_mark = b""

    def path(self, kind: str, facts: ModelFacts, stream: bool) -> str:
        try:
            return _PATHS[kind]
        except KeyError:
            raise UnsupportedParameter(f"OpenAI's Responses format has no endpoint for {kind}.") from None

    def encode_request(self, chat: ChatRequest, facts: ModelFacts) -> dict[str, Any]:
        return request_out.encode_request(chat, facts)

    def edit_request(self, body: bytes, edits: Edits) -> bytes:
        now = _edited.decode(body)
        changes: dict[str, Any] = {"model": edits.facts.upstream_id}
        drop = set(edits.drop)
        if edits.stream:
            if now.stream is not True:
                changes["stream"] = True
        else:
            if now.stream is not None:
                changes["stream"] = False
            drop.add("stream_options")
        asked = now.max_output_tokens
        if edits.max_tokens is not None and not (isinstance(asked, int) and asked <= edits.max_tokens):
            changes["max_output_tokens"] = edits.max_tokens
        if edits.facts.drop_hints:
            drop |= names.DROPPABLE
            if now.service_tier in names.PLAIN_TIERS:
                drop.add("service_tier")
        if any(mark in body for mark in names.OURS_IN_JSON) or (edits.foreign and b'"reasoning"' in body):
            document = msgspec.json.decode(body)
            if isinstance(document.get("input"), list):
                changes["input"] = [_theirs(item) for item in names.own_items(document["input"], edits.foreign)]
        return json.edit_object(body, {name: value for name, value in changes.items() if name not in drop}, tuple(drop))

    def decode_response(self, body: bytes) -> ChatResponse:
        return stream_in.decode_response(body)

    def stream_decoder(self) -> StreamDecoder:
        return stream_in.ResponsesStreamDecoder()

    def decode_error(self, status: int, headers: Mapping[str, str], body: bytes) -> Failure:
        return errors.decode_error(status, headers, body)


def _theirs(item: Any) -> Any:
    """An item of ours in words of theirs: a summary that the gateway made becomes the message it
    is."""
    summary = names.summary_of(item)
    return item if summary is None else {"type": "message", "role": "user", "content": summary}


WIRE = ResponsesWire()
