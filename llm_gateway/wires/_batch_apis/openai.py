"""OpenAI's batches: https://platform.openai.com/docs/api-reference/batch and …/files (read
2026-12-01).

A file of lines is uploaded, a batch is made of it; its metadata keeps our name. Results are in two
files, of what went well and what did not. A batch that fails its validation, and a line that
expires, cost nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from llm_gateway.core import json

from ._base import Line, NotUnderstood, Shard, Step, Told, ToldLine, obj, objects, text

# What the API accepts in the name of a batch's endpoint, whatever the base URL says.
ENDPOINT = "/v1/chat/completions"
MARK = "cogo_shard"
# Seconds after which an uploaded file is deleted there, should nobody do it before.
_KEPT_S = 3 * 86_400
_RUNNING = ("validating", "in_progress", "finalizing", "cancelling")
_ENDED = ("completed", "expired", "cancelled")


class _Response(msgspec.Struct):
    status_code: int = 0
    body: msgspec.Raw = msgspec.Raw(b"")


class _Error(msgspec.Struct):
    code: str | None = None
    message: str | None = None


class _ResultLine(msgspec.Struct):
    custom_id: str
    response: _Response | None = None
    error: _Error | None = None


_line = msgspec.json.Decoder(_ResultLine)


class OpenAIBatches:
    wire = "openai_chat"
    most_lines = 500
    most_bytes = 16 << 20
    named = True

    def upload(self, shard: Shard) -> Step | None:
        # Random digits of ours, so no line can hold them.
        boundary = f"cogo{shard.name.rpartition('-')[2]}"
        fields = {"purpose": "batch", "expires_after[anchor]": "created_at", "expires_after[seconds]": str(_KEPT_S)}
        parts = [f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n' for name, value in fields.items()]
        parts.append(f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{shard.name}.jsonl"\r\n')
        parts.append("Content-Type: application/jsonl\r\n\r\n")
        data = b"\n".join(_asked(line) for line in shard.lines)
        body = b"".join((*(part.encode() for part in parts), data, f"\r\n--{boundary}--\r\n".encode()))
        return Step(method="POST", path="/files", body=body, content_type=f"multipart/form-data; boundary={boundary}")

    def uploaded(self, body: bytes) -> str:
        return text(obj(body).get("id"), "id of a file")

    def create(self, shard: Shard, upload: str) -> Step:
        asked = {"input_file_id": upload, "endpoint": ENDPOINT, "completion_window": "24h", "metadata": {MARK: shard.name}}
        return Step(method="POST", path="/batches", body=json.dumps(asked))

    def created(self, body: bytes) -> str:
        return text(obj(body).get("id"), "id of a batch")

    def listing(self) -> Step:
        return Step(method="GET", path="/batches?limit=100")

    def find(self, body: bytes, shard: Shard) -> tuple[str, ...]:
        page = obj(body)
        if not isinstance(page.get("data"), list):
            raise NotUnderstood("the answer is no list of batches")
        mine = [one for one in objects(page["data"]) if isinstance(one.get("metadata"), dict) and one["metadata"].get(MARK) == shard.name]
        return tuple(str(one["id"]) for one in mine if one.get("id"))

    def poll(self, remote: str) -> Step:
        return Step(method="GET", path=f"/batches/{remote}")

    def told(self, body: bytes, remote: str, upload: str) -> Told:
        found = obj(body)
        state = found.get("status")
        if state in _RUNNING:
            return Told(state="running")
        files = [str(found[name]) for name in ("output_file_id", "error_file_id") if found.get(name)]
        tidy = tuple(Step(method="DELETE", path=f"/files/{name}") for name in (*([upload] if upload else []), *files))
        if state == "failed":
            return Told(state="refused", why=_why(found.get("errors")), tidy=tidy)
        if state not in _ENDED:
            raise NotUnderstood("the batch is in no state that is known")
        return Told(state="ended", results=tuple(Step(method="GET", path=f"/files/{name}/content") for name in files), tidy=tidy)

    def cancel(self, remote: str) -> Step:
        return Step(method="POST", path=f"/batches/{remote}/cancel")

    def read(self, body: bytes) -> Iterator[ToldLine | None]:
        for line in body.split(b"\n"):
            if line.strip():
                yield _told(line)


def _asked(line: Line) -> bytes:
    return json.dumps({"custom_id": line.name, "method": "POST", "url": ENDPOINT, "body": msgspec.Raw(line.body)})


def _told(line: bytes) -> ToldLine | None:
    try:
        found = _line.decode(line)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return None
    if found.response is not None and found.response.status_code:
        status = found.response.status_code
        return ToldLine(found.custom_id, "answered" if status == 200 else "failed", status, bytes(found.response.body))
    code = found.error.code if found.error else None
    if code in ("batch_expired", "batch_cancelled"):
        return ToldLine(found.custom_id, code.removeprefix("batch_"))
    message = (found.error.message if found.error else None) or "The batch API gave no reason."
    return ToldLine(found.custom_id, "failed", 500, json.dumps({"error": {"message": message, "type": "server_error", "code": code}}))


def _why(errors: Any) -> str:
    first = next(iter(objects(errors.get("data"))), {}) if isinstance(errors, dict) else {}
    return str(first.get("message") or "no reason given")
