"""Anthropic's message batches: https://docs.claude.com/en/api/creating-message-batches (read
2026-11-30)."""

from __future__ import annotations

from typing import Any

import msgspec

from llm_gateway.core import json

from ._base import Fault, Item, Result, custom_id, limit_of, message_of, model_of, read_error, wanted

LONGEST_CUSTOM_ID = 64


class _Request(msgspec.Struct):
    custom_id: Any = None
    params: msgspec.Raw = msgspec.Raw(b"")


_request = msgspec.json.Decoder(_Request)


class AnthropicBatch:
    name = "anthropic"
    parts: tuple[tuple[str, tuple[str, ...]], ...] = ()

    def read(self, line: bytes, endpoint: str) -> Item:
        try:
            found = _request.decode(line)
        except (msgspec.DecodeError, RecursionError) as error:
            raise read_error(error) from None
        own = custom_id(found.custom_id, LONGEST_CUSTOM_ID)
        if not found.params:
            raise Fault("params", "`params` is missing.")
        asked = wanted(found.params)
        return Item(
            custom_id=own, kind="messages", model=model_of(asked, "params.model"), body=bytes(found.params), max_tokens=limit_of(asked)
        )

    def write(self, result: Result) -> bytes:
        return json.dumps({"custom_id": result.custom_id, "result": _ended(result)})


def _ended(result: Result) -> dict[str, Any]:
    if result.state == "completed" and result.body is not None:
        return {"type": "succeeded", "message": msgspec.Raw(result.body)}
    if result.state == "expired":
        return {"type": "expired"}
    if result.state == "cancelled":
        return {"type": "canceled"}
    if result.body is not None:
        return {"type": "errored", "error": msgspec.Raw(result.body)}
    error = {"type": "api_error", "message": message_of(result.code)}
    return {"type": "errored", "error": {"type": "error", "error": error}}


FORMAT = AnthropicBatch()
