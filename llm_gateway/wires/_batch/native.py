"""The gateway's own batches: each request has the fields of ``generate`` or, with ``kind:
analyze``, of ``analyze``."""

from __future__ import annotations

from typing import Any

import msgspec

from llm_gateway.core import json

from ._base import Fault, Item, Result, custom_id, limit_of, message_of, read_error, wanted


class _Line(msgspec.Struct):
    custom_id: Any = None
    kind: Any = "generate"
    prompt: Any = None
    code: Any = None


_line = msgspec.json.Decoder(_Line)


class NativeBatch:
    name = "native"
    parts: tuple[tuple[str, tuple[str, ...]], ...] = ()

    def read(self, line: bytes, endpoint: str) -> Item:
        try:
            found = _line.decode(line)
        except (msgspec.DecodeError, RecursionError) as error:
            raise read_error(error) from None
        own = custom_id(found.custom_id)
        if found.kind not in ("generate", "analyze"):
            raise Fault("kind", "`kind` is generate or analyze.")
        field = "prompt" if found.kind == "generate" else "code"
        text = getattr(found, field)
        if not isinstance(text, str) or not text.strip():
            raise Fault(field, f"`{field}` is missing or blank.")
        asked = wanted(line)
        if asked.model is not None and not isinstance(asked.model, str):
            raise Fault("model", "`model` has to be a text.")
        body = json.edit_object(line, {}, ("custom_id", "kind"))
        return Item(custom_id=own, kind=found.kind, model=asked.model or "auto", body=body, max_tokens=limit_of(asked))

    def write(self, result: Result) -> bytes:
        return json.dumps(told(result))


def told(result: Result) -> dict[str, Any]:
    """A result of any dialect as the native API gives it."""
    shown: dict[str, Any] = {"line": result.number, "custom_id": result.custom_id, "status": result.state}
    if result.body is None:
        return {**shown, "error": {"code": result.code, "message": message_of(result.code), "request_id": result.request_id or None}}
    if result.state == "completed":
        return {**shown, "response": msgspec.Raw(result.body)}
    return {**shown, "error": _error(result)}


def _error(result: Result) -> Any:
    found = json.lenient(result.body or b"")
    inner = found.get("error") if isinstance(found, dict) else None
    if isinstance(inner, dict):
        return {"code": result.code, "message": inner.get("message"), "request_id": result.request_id, "status": result.status}
    return {"code": result.code, "message": message_of(result.code), "request_id": result.request_id}


FORMAT = NativeBatch()
