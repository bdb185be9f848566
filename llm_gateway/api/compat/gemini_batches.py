"""Gemini's batches: https://ai.google.dev/api/batch-api (read 2026-11-30).

Below ``/v1beta`` and, for callers with Google's header, ``/v1``."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

import msgspec

from llm_gateway.actions.create_batch import AskedBatch, create_batch
from llm_gateway.api.http import JSON, HttpCall, HttpReply, id_headers, page_size
from llm_gateway.core import json
from llm_gateway.core.errors import InvalidRequest
from llm_gateway.models import Batch, BatchLine
from llm_gateway.policies.batches import LARGEST_INLINE
from llm_gateway.policies.idempotency import HEADER
from llm_gateway.stores import batch_ends, batch_results, files
from llm_gateway.wires._batch.gemini import EMBED, GENERATE, told
from llm_gateway.wiring import gateway

from ._batches import batch_id, find, found_batch, paged
from ._inline import Sent, created, may_create, stored
from ._routes import routes
from .gemini_files import found_file

DIALECT, WIRE = "gemini", "gemini_generate"
_PATH = re.compile(r"/v1(?:beta)?/(?:models/)?(?P<model>.+):(?P<verb>[A-Za-z]+)")
_TYPE = "type.googleapis.com/google.ai.generativelanguage.v1beta."
_STATES = {"completed": "SUCCEEDED", "failed": "FAILED", "cancelled": "CANCELLED", "expired": "EXPIRED", "validating": "PENDING"}
# Answers that together are longer than this come as a file, even for requests that came in the body.
MOST_INLINE = 32 << 20


class _Config(msgspec.Struct, rename="camel"):
    file_name: Any = None


class _Inner(msgspec.Struct, rename="camel"):
    display_name: Any = None
    input_config: _Config | None = None


class _Asked(msgspec.Struct):
    batch: _Inner | None = None


async def create(http: HttpCall) -> HttpReply:
    may_create(http)
    match = _PATH.fullmatch(http.path)
    assert match is not None  # the route matched
    endpoint = EMBED if match["verb"] == "asyncBatchEmbedContent" else GENERATE
    head = b""
    assert http.upload is not None
    if int(http.headers.get("content-length") or LARGEST_INLINE) <= 64 << 10:
        head = b"".join([part async for part in http.upload()])
        asked = _asked(head)
        config = asked.input_config
        if config is not None and config.file_name is not None:
            return await _from_file(http, match["model"], endpoint, asked, head)
        pieces = head

        async def again() -> Any:
            yield pieces

        http = msgspec.structs.replace(http, upload=again)
    sent: Sent = await stored(http, (b"requests",), _shaped)
    described = sent.rest.get("batch")
    title = described.get("displayName") if isinstance(described, dict) else ""
    batch = await created(http, sent, DIALECT, endpoint, model=match["model"], title=title if isinstance(title, str) else "")
    return await _told(http, batch)


def _asked(body: bytes) -> _Inner:
    try:
        return msgspec.json.decode(body, type=_Asked).batch or _Inner()
    except msgspec.DecodeError:
        return _Inner()  # whoever takes the body apart says what is wrong


async def _from_file(http: HttpCall, model: str, endpoint: str, asked: _Inner, body: bytes) -> HttpReply:
    assert asked.input_config is not None
    file = await found_file(http, str(asked.input_config.file_name))
    wanted = AskedBatch(
        dialect=DIALECT,
        endpoint=endpoint,
        file=file,
        model=model,
        title=asked.display_name if isinstance(asked.display_name, str) else "",
        key=http.headers.get(HEADER),
        asked=body,
    )
    found = gateway()
    batch = await found.threaded(create_batch, http.identity, wanted, found.catalog.snapshot(), datetime.now(UTC))
    return await _told(http, batch)


class _Inlined(msgspec.Struct):
    request: msgspec.Raw = msgspec.Raw(b"null")
    metadata: msgspec.Raw = msgspec.Raw(b"null")


_inlined = msgspec.json.Decoder(_Inlined)


def _shaped(number: int, element: bytes) -> bytes:
    try:
        found = _inlined.decode(element)
    except msgspec.DecodeError as error:
        raise InvalidRequest(f"Request {number}: {str(error)[:150]}") from None
    return json.dumps({"key": f"request-{number}", "request": found.request, "metadata": found.metadata})


async def retrieve(http: HttpCall) -> HttpReply:
    return await _told(http, await _found(http))


async def listed(http: HttpCall) -> HttpReply:
    size = page_size(http.query.get("pageSize"), usual=20, most=100)
    after = batch_id(f"batches/{http.query.get('pageToken', '')}")
    rows, more = await gateway().threaded(paged, http.identity, DIALECT, after, size)
    shown = {"operations": [operation(row, None) for row in rows]}
    if more:
        shown["nextPageToken"] = rows[-1].pk.hex
    return _json(http, shown)


async def cancel(http: HttpCall) -> HttpReply:
    batch = await _found(http)
    await gateway().threaded(batch_ends.cancel, batch.pk, datetime.now(UTC))
    return _json(http, {})


async def delete(http: HttpCall) -> HttpReply:
    batch = await _found(http)
    if batch.ended_at is None:
        raise InvalidRequest("The batch has not ended; cancel it, then delete it when it has.")
    await gateway().threaded(batch_results.delete_batch, batch)
    return _json(http, {})


async def _found(http: HttpCall) -> Batch:
    name = http.path.rpartition("/batches/")[2].removesuffix(":cancel")
    return await found_batch(http.identity, f"batches/{name}", DIALECT)


async def _told(http: HttpCall, batch: Batch) -> HttpReply:
    # Looked at once: a batch that ends between two looks would be told as ended and without its results.
    again = await gateway().threaded(find, http.identity, batch.pk, DIALECT) or batch
    output = await gateway().threaded(_output, again) if again.ended_at else None
    return _json(http, operation(again, output))


def _output(batch: Batch) -> dict[str, Any] | None:
    """Of a batch that has ended; ``None`` where it has no results. Blocking."""
    if batch.state == "failed":
        return None
    file = batch.files.filter(part="all", state="ready").first()
    if batch.input is None or not batch.input.inline or file is None or file.bytes > MOST_INLINE:
        return {"responsesFile": f"files/{file.pk.hex}"} if file else None
    name = "inlinedEmbedContentResponses" if batch.endpoint == EMBED else "inlinedResponses"
    return {name: {"inlinedResponses": _inline(batch)}}


def _inline(batch: Batch) -> list[dict[str, Any]]:
    reader, found, after = files.Reader(), [], 0
    assert batch.input_id is not None
    while page := batch_results.page(batch, after, batch_results.STATES[""]):
        lines = BatchLine.objects.filter(batch=batch, number__gte=page[0].number, number__lte=page[-1].number)
        places = {number: (offset, length) for number, offset, length in lines.values_list("number", "offset", "length")}
        for result in page:
            shown = told(result)
            metadata = _inlined.decode(reader.read(batch.input_id, *places[result.number])).metadata
            if bytes(metadata) != b"null":
                shown["metadata"] = metadata
            found.append(shown)
        after = page[-1].number
    return found


def operation(batch: Batch, output: dict[str, Any] | None) -> dict[str, Any]:
    state = _STATES.get(batch.state, "RUNNING" if batch.completed + batch.failed + batch.running else "PENDING")
    name = f"batches/{batch.pk.hex}"
    metadata: dict[str, Any] = {
        "@type": f"{_TYPE}GenerateContentBatch",
        "model": f"models/{batch.model}",
        "displayName": batch.title,
        "state": f"BATCH_STATE_{state}",
        "createTime": _at(batch.created_at),
        "updateTime": _at(batch.ended_at or datetime.now(UTC)),
        "name": name,
        "batchStats": {
            "requestCount": str(batch.total),
            "successfulRequestCount": str(batch.completed),
            "failedRequestCount": str(batch.failed + batch.expired + batch.cancelled),
            "pendingRequestCount": str(batch.queued + batch.running),
        },
    }
    shown: dict[str, Any] = {"name": name, "metadata": metadata, "done": batch.ended_at is not None}
    if batch.ended_at:
        metadata["endTime"] = _at(batch.ended_at)
    if output is not None:
        metadata["output"] = output
        shown["response"] = {"@type": f"{_TYPE}GenerateContentBatchOutput", **output}
    if batch.faults:
        first = batch.faults[0]
        shown["error"] = {"code": 3, "message": f"Line {first['line']}: {first['message']}", "details": batch.faults}
    return shown


def _at(value: datetime) -> str:
    return value.isoformat().replace("+00:00", "Z")


def _json(http: HttpCall, value: object) -> HttpReply:
    return HttpReply(headers=(JSON, *id_headers(http.id)), body=json.dumps(value))


routes.add("POST", r"/v1(?:beta)?/.+:(?:batchGenerateContent|asyncBatchEmbedContent)", WIRE, create, uploads=LARGEST_INLINE)
for _base, _when in ((r"/v1(?:beta)?/batches", "x-goog-api-key"), (r"/v1beta/batches", None)):
    routes.add("GET", _base, WIRE, listed, when=_when)
    routes.add("GET", _base + "/[^/:]+", WIRE, retrieve, when=_when)
    routes.add("DELETE", _base + "/[^/:]+", WIRE, delete, when=_when)
    routes.add("POST", _base + "/[^/:]+:cancel", WIRE, cancel, when=_when)
