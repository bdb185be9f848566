"""Answers that the door gives by itself, in the shape that the caller's API has for errors."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from uuid import UUID

from llm_gateway.api import refusal
from llm_gateway.api.http import HttpReply, error_headers, request_id
from llm_gateway.core import json
from llm_gateway.core.errors import GatewayError, Overloaded
from llm_gateway.wires import dialects

Send = Callable[[dict[str, Any]], Awaitable[None]]

# A body of a refused request that may come and be thrown away.
SMALL_BYTES = 64 << 10


def dialect_of(path: str, headers: Mapping[str, str]) -> str:
    """Whose error shape an unknown path gets."""
    if path.startswith("/v1beta") or "x-goog-api-key" in headers:
        return "gemini_generate"
    if "anthropic-version" in headers or path.startswith("/v1/messages"):
        return "anthropic_messages"
    return "openai_chat"


def compatible(error: GatewayError, dialect: str, call_id: UUID) -> HttpReply:
    status, body = dialects.get(dialect).encode_error(error, request_id(call_id))
    return HttpReply(status=status, headers=error_headers(error, call_id), body=body)


def native(error: GatewayError, call_id: UUID) -> HttpReply:
    body = json.dumps(refusal.native_body(error, request_id(call_id)))
    return HttpReply(status=error.status, headers=error_headers(error, call_id), body=body)


def stays(error: GatewayError, headers: Mapping[str, str]) -> bool:
    """Whether a refused caller keeps its connection. The door does not drain the body of a refused request, so large uploads are
    disconnected; a caller that was refused as one too many keeps its connection because reconnecting would cost more than the refusal."""
    length = headers.get("content-length", "")
    return type(error) is Overloaded and length.isdigit() and int(length) <= SMALL_BYTES


async def send_reply(send: Send, reply: HttpReply, *, close: bool = False) -> None:
    headers = [*reply.headers, (b"content-length", str(len(reply.body)).encode())]
    if close:
        # What the caller still sends is not read.
        headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": reply.body, "more_body": False})
