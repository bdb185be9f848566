"""What the tests of streams and answers share."""

from __future__ import annotations

from typing import Any

from llm_gateway.core import json
from llm_gateway.core.chat import (
    ChatResponse,
)
from llm_gateway.core.errors import (
    Failure,
    FailureClass,
)
from llm_gateway.core.events import (
    Event,
    Failed,
)
from llm_gateway.wires._base import Reply
from llm_gateway.wires.gemini_generate import DIALECT, WIRE

K = FailureClass


REPLY = Reply(request_id="r1", model="m", created=0)


ARRAY = Reply(request_id="r1", model="m", created=0, stream_form="array")


def candidate(*parts: dict[str, Any], finish: Any = None, index: int | None = None) -> dict[str, Any]:
    found: dict[str, Any] = {"content": {"parts": list(parts), "role": "model"}}
    if finish is not None:
        found["finishReason"] = finish
    return found if index is None else found | {"index": index}


def chunk(*candidates: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"candidates": list(candidates), "modelVersion": "m", "responseId": "r", **fields}


def sse(*documents: dict[str, Any]) -> bytes:
    return b"".join(b"data: " + json.dumps(document) + b"\r\n\r\n" for document in documents)


def read(body: bytes) -> list[Event]:
    decoder = WIRE.stream_decoder()
    return [event for frame in decoder.feed(body) + decoder.close() for event in frame.events]


def whole(*candidates: dict[str, Any], **fields: Any) -> ChatResponse:
    return WIRE.decode_response(json.dumps(chunk(*candidates, **fields)))


def failures(events: list[Event]) -> list[Failure]:
    return [event.failure for event in events if isinstance(event, Failed)]


def error(code: int, status: str, message: str = "x", *details: dict[str, Any]) -> bytes:
    return json.dumps({"error": {"code": code, "message": message, "status": status, "details": list(details)}})


INVALID_KEY = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}


RETRY = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "48.5s"}


PER_DAY = {"@type": "QuotaFailure", "violations": [{"quotaId": "GenerateRequestsPerDayPerProjectPerModel-FreeTier", "quotaValue": "50"}]}


NOTHING = {"@type": "QuotaFailure", "violations": [{"quotaId": "FreeTier", "quotaValue": "0"}]}


def shown(*events: Event, reply: Reply = REPLY) -> list[dict[str, Any]]:
    body = DIALECT.stream_encoder(reply).encode(events)
    assert body.endswith(b"\r\n\r\n")
    return [json.loads(frame.removeprefix(b"data: ")) for frame in body.split(b"\r\n\r\n")[:-1]]
