"""What we speak to a provider of this format."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import msgspec

from llm_gateway.core import json
from llm_gateway.core.chat import ChatRequest, ChatResponse
from llm_gateway.core.errors import Failure
from llm_gateway.core.usage import count
from llm_gateway.wires._base import Edits, ModelFacts, StreamDecoder

from . import errors, request_out, response_in
from .names import NAME
from .own_thoughts import own_thoughts
from .signatures import PREFIX_IN_JSON
from .stream_in import Decoder

_METHODS = {"chat": "generateContent", "count_tokens": "countTokens", "embeddings": "batchEmbedContents", "embedding": "embedContent"}
_raw_object = msgspec.json.Decoder(dict[str, msgspec.Raw])


class GeminiGenerate:
    """The provider's base URL ends in its version (``/v1beta``)."""

    name = NAME
    one_call = False
    end_mark = b""

    def path(self, kind: str, facts: ModelFacts, stream: bool) -> str:
        method = "streamGenerateContent?alt=sse" if stream and kind == "chat" else _METHODS[kind]
        return f"/models/{quote(facts.upstream_id.removeprefix('models/'), safe='/-_.~@')}:{method}"

    def encode_request(self, chat: ChatRequest, facts: ModelFacts) -> dict[str, Any]:
        return request_out.encode(chat, facts)

    def edit_request(self, body: bytes, edits: Edits) -> bytes:
        """Model and streaming are in the path; what repeats the model follows it."""
        fields = _raw_object.decode(body)
        changes: dict[str, Any] = {}
        if edits.max_tokens is not None:
            changes |= _limited(fields, edits.max_tokens)
        changes |= _renamed(fields, f"models/{edits.facts.upstream_id.removeprefix('models/')}")
        if "contents" in fields and (PREFIX_IN_JSON in body or (edits.foreign and b"hought" in body)):
            contents = json.lenient(bytes(fields["contents"]))
            own = own_thoughts(contents, edits.foreign)
            if own != contents:
                changes["contents"] = own
        return json.edit_object(body, changes, edits.drop) if changes or edits.drop else body

    def decode_response(self, body: bytes) -> ChatResponse:
        return response_in.decode(body)

    def stream_decoder(self) -> StreamDecoder:
        return Decoder()

    def decode_error(self, status: int, headers: Mapping[str, str], body: bytes) -> Failure:
        return errors.decode(status, headers, body)


def _limited(fields: dict[str, msgspec.Raw], limit: int) -> dict[str, Any]:
    name = "generation_config" if "generation_config" in fields else "generationConfig"
    config = bytes(fields.get(name, b"null"))
    if config.strip() == b"null":
        return {name: {"maxOutputTokens": limit}}
    snake = b'"max_output_tokens"' in config
    return {name: msgspec.Raw(json.edit_object(config, {"max_output_tokens" if snake else "maxOutputTokens": limit}))}


def _renamed(fields: dict[str, msgspec.Raw], model: str) -> dict[str, Any]:
    changes: dict[str, Any] = {"model": model} if "model" in fields else {}
    for name in ("generateContentRequest", "generate_content_request"):
        if name in fields:
            changes[name] = msgspec.Raw(json.edit_object(bytes(fields[name]), {"model": model}))
    if "requests" in fields and isinstance(several := json.lenient(bytes(fields["requests"])), list):
        changes["requests"] = [{**one, "model": model} if isinstance(one, dict) else one for one in several]
    return changes


class GeminiCounter:
    def encode_request(self, chat: ChatRequest, facts: ModelFacts) -> dict[str, Any]:
        return request_out.encode_count(chat, facts)

    def decode_response(self, body: bytes) -> int | None:
        document = json.lenient(body)
        return count(document.get("totalTokens")) if isinstance(document, dict) else None

    def encode_response(self, tokens: int) -> bytes:
        return json.dumps({"totalTokens": tokens, "promptTokensDetails": [{"modality": "TEXT", "tokenCount": tokens}]})
