"""Gemini's batches with the requests in the call (less than 20 MB):
https://ai.google.dev/api/batch-api (read 2026-12-01).

``displayName`` keeps our name; an answer carries its request's key in its metadata, and answers
without one stand in the order of the requests, which is not relied on: such a line counts as
missing.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from llm_gateway.core import json

from ._base import NotUnderstood, Shard, Step, Told, ToldLine, obj, objects, text

_RUNNING = ("PENDING", "RUNNING", "QUEUED", "UPDATING", "PAUSED", "CANCELLING")
_ENDED = ("SUCCEEDED", "PARTIALLY_SUCCEEDED", "CANCELLED", "EXPIRED")
# google/rpc/code.proto, as HTTP has it.
_HTTP = {3: 400, 5: 404, 7: 403, 8: 429, 9: 400, 10: 409, 13: 500, 14: 503, 16: 401}
_NAMES = {400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED", 404: "NOT_FOUND", 429: "RESOURCE_EXHAUSTED"}


class _Metadata(msgspec.Struct):
    key: str = ""


class _Answer(msgspec.Struct):
    metadata: _Metadata = msgspec.field(default_factory=_Metadata)
    response: msgspec.Raw = msgspec.Raw(b"")
    error: dict[str, Any] | None = None


_raw_objects = msgspec.json.Decoder(dict[str, msgspec.Raw])
_raw_list = msgspec.json.Decoder(list[msgspec.Raw])
_answer = msgspec.json.Decoder(_Answer)


class GeminiBatches:
    wire = "gemini_generate"
    most_lines = 500
    most_bytes = 16 << 20
    named = True

    def upload(self, shard: Shard) -> Step | None:
        return None

    def uploaded(self, body: bytes) -> str:
        return ""

    def create(self, shard: Shard, upload: str) -> Step:
        requests = [{"request": msgspec.Raw(line.body), "metadata": {"key": line.name}} for line in shard.lines]
        batch = {"displayName": shard.name, "inputConfig": {"requests": {"requests": requests}}}
        return Step(method="POST", path=f"/models/{shard.model}:batchGenerateContent", body=json.dumps({"batch": batch}))

    def created(self, body: bytes) -> str:
        return text(obj(body).get("name"), "name of a batch").removeprefix("batches/")

    def listing(self) -> Step:
        return Step(method="GET", path="/batches?pageSize=100")

    def find(self, body: bytes, shard: Shard) -> tuple[str, ...]:
        page = obj(body)
        if page and not isinstance(page.get("operations"), list):
            raise NotUnderstood("the answer is no list of batches")
        found = []
        for one in objects(page.get("operations")):
            metadata = one.get("metadata")
            if isinstance(metadata, dict) and metadata.get("displayName") == shard.name and one.get("name"):
                found.append(str(one["name"]).removeprefix("batches/"))
        return tuple(found)

    def poll(self, remote: str) -> Step:
        return Step(method="GET", path=f"/batches/{remote}")

    def told(self, body: bytes, remote: str, upload: str) -> Told:
        found = obj(body)
        metadata = found.get("metadata") if isinstance(found.get("metadata"), dict) else {}
        assert isinstance(metadata, dict)
        state = str(metadata.get("state", "")).removeprefix("BATCH_STATE_").removeprefix("JOB_STATE_")
        if state in _RUNNING:
            return Told(state="running")
        tidy = (Step(method="DELETE", path=f"/batches/{remote}"),)
        if state == "FAILED":
            error = found.get("error") if isinstance(found.get("error"), dict) else {}
            return Told(state="refused", why=str((error or {}).get("message") or "no reason given"), tidy=tidy)
        if state not in _ENDED:
            raise NotUnderstood("the batch is in no state that is known")
        return Told(state="ended", inline=body, tidy=tidy)

    def cancel(self, remote: str) -> Step:
        return Step(method="POST", path=f"/batches/{remote}:cancel")

    def read(self, body: bytes) -> Iterator[ToldLine | None]:
        for raw in _answers(body):
            yield _told(raw)


def _answers(body: bytes) -> list[msgspec.Raw]:
    """Raises :class:`NotUnderstood`."""
    try:
        found: bytes | msgspec.Raw = body
        for name in ("response", "inlinedResponses", "inlinedResponses"):
            level = _raw_objects.decode(found)
            if name not in level:
                return []
            found = level[name]
        return _raw_list.decode(found)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        raise NotUnderstood("the results are no JSON") from None


def _told(raw: msgspec.Raw) -> ToldLine | None:
    try:
        found = _answer.decode(raw)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return None
    name = found.metadata.key
    if found.error is None:
        return ToldLine(name, "answered", 200, bytes(found.response)) if found.response else None
    code = found.error.get("code")
    if code == 1:
        return ToldLine(name, "cancelled")
    if code == 4:
        return ToldLine(name, "expired")
    status = _HTTP.get(code, 500) if isinstance(code, int) else 500
    error = {"code": status, "message": str(found.error.get("message") or ""), "status": _NAMES.get(status, "INTERNAL")}
    return ToldLine(name, "failed", status, json.dumps({"error": error}))


__all__ = ["GeminiBatches"]
