"""OpenAI's batches: https://platform.openai.com/docs/api-reference/batch (read 2026-11-30)."""

from __future__ import annotations

from typing import Any

import msgspec

from llm_gateway.core import json

from ._base import Fault, Item, Result, custom_id, limit_of, message_of, model_of, read_error, wanted

KINDS = {"/v1/chat/completions": "chat", "/v1/responses": "responses", "/v1/embeddings": "embeddings"}


class _Line(msgspec.Struct):
    custom_id: Any = None
    method: Any = None
    url: Any = None
    body: msgspec.Raw = msgspec.Raw(b"")


_line = msgspec.json.Decoder(_Line)


class OpenAIBatch:
    name = "openai"
    parts: tuple[tuple[str, tuple[str, ...]], ...] = (("outputs", ("completed",)), ("errors", ("failed", "expired")))

    def read(self, line: bytes, endpoint: str) -> Item:
        try:
            found = _line.decode(line)
        except (msgspec.DecodeError, RecursionError) as error:
            raise read_error(error) from None
        own = custom_id(found.custom_id)
        if found.method != "POST":
            raise Fault("method", "`method` has to be POST.", "invalid_method")
        if found.url != endpoint:
            raise Fault("url", f"`url` has to be the batch's endpoint, {endpoint}.", "invalid_url")
        if not found.body:
            raise Fault("body", "`body` is missing.", "missing_required_parameter")
        asked = wanted(found.body)
        return Item(
            custom_id=own, kind=KINDS[endpoint], model=model_of(asked, "body.model"), body=bytes(found.body), max_tokens=limit_of(asked)
        )

    def write(self, result: Result) -> bytes:
        response = error = None
        if result.body is not None:
            response = {"status_code": result.status, "request_id": result.request_id, "body": msgspec.Raw(result.body)}
        else:
            error = {"code": result.code, "message": message_of(result.code)}
        told = {
            "id": f"batch_req_{result.batch}_{result.number}",
            "custom_id": result.custom_id,
            "response": response,
            "error": error,
        }
        return json.dumps(told)


FORMAT = OpenAIBatch()
