"""Gemini's batches: https://ai.google.dev/api/batch-api (read 2026-11-30). The model stands in the
address, for all of a batch's lines."""

from __future__ import annotations

from typing import Any

import msgspec

from llm_gateway.core import json

from ._base import Fault, Item, Result, custom_id, message_of, read_error, wanted

GENERATE, EMBED = "generateContent", "embedContent"
# Google's canonical codes for what never ran: google/rpc/code.proto.
_STATUS = {"batch_expired": (4, "DEADLINE_EXCEEDED"), "batch_cancelled": (1, "CANCELLED"), "insufficient_quota": (8, "RESOURCE_EXHAUSTED")}


class _Line(msgspec.Struct):
    key: Any = None
    request: msgspec.Raw = msgspec.Raw(b"")


class _Config(msgspec.Struct):
    max_output_tokens: Any = msgspec.field(default=None, name="maxOutputTokens")


class _Request(msgspec.Struct):
    config: _Config | None = msgspec.field(default=None, name="generationConfig")


_line = msgspec.json.Decoder(_Line)
_request = msgspec.json.Decoder(_Request)


class GeminiBatch:
    name = "gemini"
    parts: tuple[tuple[str, tuple[str, ...]], ...] = (("all", ("completed", "failed", "expired")),)

    def read(self, line: bytes, endpoint: str) -> Item:
        try:
            found = _line.decode(line)
        except (msgspec.DecodeError, RecursionError) as error:
            raise read_error(error) from None
        own = custom_id(found.key, field="key")
        if not found.request:
            raise Fault("request", "`request` is missing.")
        wanted(found.request)
        try:
            config = _request.decode(found.request).config
        except msgspec.DecodeError:
            config = None
        most = config.max_output_tokens if config else None
        kind = "embed_content" if endpoint == EMBED else "generate_content"
        return Item(custom_id=own, kind=kind, model="", body=bytes(found.request), max_tokens=most if type(most) is int else None)

    def write(self, result: Result) -> bytes:
        return json.dumps({"key": result.custom_id, **told(result)})


def told(result: Result) -> dict[str, Any]:
    """``response`` or ``error``, as both a file's line and an inline answer have it."""
    if result.state == "completed" and result.body is not None:
        return {"response": msgspec.Raw(result.body)}
    if result.body is not None:
        error = json.lenient(result.body)
        found = error.get("error") if isinstance(error, dict) else None
        return {"error": found if isinstance(found, dict) else {"code": 13, "message": "The request failed.", "status": "INTERNAL"}}
    code, status = _STATUS.get(result.code, (13, "INTERNAL"))
    return {"error": {"code": code, "message": message_of(result.code), "status": status}}


FORMAT = GeminiBatch()
