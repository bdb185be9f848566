"""Anthropic's message batches: https://docs.claude.com/en/api/creating-message-batches and its
neighbours (read 2026-12-01).

The requests are in the call. It keeps no name of ours, but the results name our lines; expired,
cancelled and errored ones cost nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import msgspec

from llm_gateway.core import json

from ._base import NotUnderstood, Shard, Step, Told, ToldLine, moment, obj, objects, text

ROOT = "/v1/messages/batches"
# How far a provider's clock may be behind ours.
_SKEW = timedelta(seconds=30)
_STATUS = {
    "invalid_request_error": 400, "authentication_error": 401, "billing_error": 402, "permission_error": 403, "not_found_error": 404,
    "request_too_large": 413, "rate_limit_error": 429, "api_error": 500, "timeout_error": 504, "overloaded_error": 529,
}  # fmt: skip


class _Result(msgspec.Struct):
    type: str
    message: msgspec.Raw = msgspec.Raw(b"")
    error: msgspec.Raw = msgspec.Raw(b"")


class _ResultLine(msgspec.Struct):
    custom_id: str
    result: _Result


_line = msgspec.json.Decoder(_ResultLine)


class AnthropicBatches:
    wire = "anthropic_messages"
    most_lines = 500
    most_bytes = 16 << 20
    named = False

    def upload(self, shard: Shard) -> Step | None:
        return None

    def uploaded(self, body: bytes) -> str:
        return ""

    def create(self, shard: Shard, upload: str) -> Step:
        requests = [{"custom_id": line.name, "params": msgspec.Raw(line.body)} for line in shard.lines]
        return Step(method="POST", path=ROOT, body=json.dumps({"requests": requests}))

    def created(self, body: bytes) -> str:
        return text(obj(body).get("id"), "id of a batch")

    def listing(self) -> Step:
        return Step(method="GET", path=f"{ROOT}?limit=100")

    def find(self, body: bytes, shard: Shard) -> tuple[str, ...]:
        """The oldest first: it is the first that our call can have made."""
        page = obj(body)
        if not isinstance(page.get("data"), list):
            raise NotUnderstood("the answer is no list of batches")
        found = []
        for one in objects(page["data"]):
            at = moment(one.get("created_at"))
            if at is not None and at >= shard.since - _SKEW and one.get("id") and _size(one.get("request_counts")) == shard.count:
                found.append((at, str(one["id"])))
        return tuple(remote for _, remote in sorted(found))

    def poll(self, remote: str) -> Step:
        return Step(method="GET", path=f"{ROOT}/{remote}")

    def told(self, body: bytes, remote: str, upload: str) -> Told:
        found = obj(body)
        state = found.get("processing_status")
        if state in ("in_progress", "canceling"):
            return Told(state="running")
        if state != "ended":
            raise NotUnderstood("the batch is in no state that is known")
        # Its results_url is not followed: the key would go wherever an answer says.
        results = Step(method="GET", path=f"{ROOT}/{remote}/results")
        return Told(state="ended", results=(results,), tidy=(Step(method="DELETE", path=f"{ROOT}/{remote}"),))

    def cancel(self, remote: str) -> Step:
        return Step(method="POST", path=f"{ROOT}/{remote}/cancel")

    def read(self, body: bytes) -> Iterator[ToldLine | None]:
        for line in body.split(b"\n"):
            if line.strip():
                yield _told(line)


def _size(counts: Any) -> int | None:
    if not isinstance(counts, dict):
        return None
    return sum(value for value in counts.values() if type(value) is int)


def _told(line: bytes) -> ToldLine | None:
    try:
        found = _line.decode(line)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return None
    result = found.result
    match result.type:
        case "succeeded" if result.message:
            return ToldLine(found.custom_id, "answered", 200, bytes(result.message))
        case "errored":
            return ToldLine(found.custom_id, "failed", _status(bytes(result.error)), bytes(result.error))
        case "expired":
            return ToldLine(found.custom_id, "expired")
        case "canceled":
            return ToldLine(found.custom_id, "cancelled")
    return None


def _status(body: bytes) -> int:
    try:
        found = obj(body)
    except NotUnderstood:
        return 500
    inner = found.get("error") if isinstance(found.get("error"), dict) else found
    return _STATUS.get(str(inner.get("type") if isinstance(inner, dict) else ""), 500)
