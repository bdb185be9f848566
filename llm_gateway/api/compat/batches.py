"""OpenAI's batches over the gateway's own runners: https://platform.openai.com/docs/api-reference/batch (read 2026-11-30)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec

from llm_gateway.actions.create_batch import AskedBatch, create_batch
from llm_gateway.api.http import JSON, HttpCall, HttpReply, id_headers, page_size
from llm_gateway.core import json
from llm_gateway.core.catalog import Scope
from llm_gateway.core.errors import InvalidJsonBody, InvalidRequest, PermissionDenied
from llm_gateway.models import Batch
from llm_gateway.policies.idempotency import HEADER
from llm_gateway.stores import batch_ends
from llm_gateway.wires._batch.openai import KINDS
from llm_gateway.wiring import gateway

from ._batches import all_of, batch_id, found_batch, paged
from ._routes import routes
from .files import file_id, found_file

CHAT, DIALECT = "openai_chat", "openai"
WINDOWS = ("24h",)


class _Asked(msgspec.Struct):
    input_file_id: Any = None
    endpoint: Any = None
    completion_window: Any = None
    metadata: Any = None


async def create(http: HttpCall) -> HttpReply:
    if Scope.GENERATE not in http.identity.scopes:
        raise PermissionDenied("This key lacks the scope `generate`; ask the gateway's operator for one that has it.")
    body = await http.body()
    try:
        json.check(body)
        asked = msgspec.json.decode(body, type=_Asked)
    except (json.InvalidJson, msgspec.DecodeError) as error:
        raise InvalidJsonBody(f"The body cannot be read: {str(error)[:150]}") from None
    if asked.endpoint not in KINDS:
        raise InvalidRequest(f"`endpoint` is one of {', '.join(KINDS)}.", param="endpoint")
    if asked.completion_window not in WINDOWS:
        raise InvalidRequest("`completion_window` is 24h.", param="completion_window")
    if not isinstance(asked.input_file_id, str) or file_id(asked.input_file_id) is None:
        raise InvalidRequest("`input_file_id` is the id of a file that was uploaded with the purpose batch.", param="input_file_id")
    file = await found_file(http, asked.input_file_id)
    if file.purpose != "batch":
        raise InvalidRequest(f"The file's purpose is {file.purpose}; upload it with the purpose batch.", param="input_file_id")
    wanted = AskedBatch(
        dialect=DIALECT,
        endpoint=asked.endpoint,
        file=file,
        title=file.name,
        metadata=asked.metadata,
        key=http.headers.get(HEADER),
        asked=body,
    )
    found = gateway()
    batch: Batch = await found.threaded(create_batch, http.identity, wanted, found.catalog.snapshot(), datetime.now(UTC))
    return _json(http, await found.threaded(shown, batch))


async def listed(http: HttpCall) -> HttpReply:
    size = page_size(http.query.get("limit"), usual=20, most=100)
    rows, more = await gateway().threaded(paged, http.identity, DIALECT, batch_id(http.query.get("after", "")), size)
    data = await gateway().threaded(all_of, shown, rows)
    first, last = (data[0]["id"], data[-1]["id"]) if data else (None, None)
    return _json(http, {"object": "list", "data": data, "first_id": first, "last_id": last, "has_more": more})


async def retrieve(http: HttpCall) -> HttpReply:
    batch = await found_batch(http.identity, http.path.rsplit("/", 1)[1], DIALECT)
    return _json(http, await gateway().threaded(shown, batch))


async def cancel(http: HttpCall) -> HttpReply:
    batch = await found_batch(http.identity, http.path.split("/")[3], DIALECT)
    await gateway().threaded(batch_ends.cancel, batch.pk, datetime.now(UTC))
    batch = await found_batch(http.identity, str(batch), DIALECT)
    return _json(http, await gateway().threaded(shown, batch))


def shown(batch: Batch) -> dict[str, Any]:
    """Blocking."""
    files = {file.part: str(file) for file in batch.files.filter(state="ready")} if batch.ended_at else {}
    ended = {batch.state: _at(batch.ended_at)} if batch.ended_at else {}
    failed = batch.failed
    return {
        "id": str(batch),
        "object": "batch",
        "endpoint": batch.endpoint,
        "model": None,
        "errors": {"object": "list", "data": [_fault(one) for one in batch.faults]} if batch.faults else None,
        "input_file_id": f"file-{batch.input_id.hex}" if batch.input_id else "",
        "completion_window": "24h",
        "status": batch.state,
        "output_file_id": files.get("outputs"),
        "error_file_id": files.get("errors"),
        "created_at": int(batch.created_at.timestamp()),
        "in_progress_at": _at(batch.started_at),
        "expires_at": _at(batch.ends_at),
        "finalizing_at": ended.get("completed") or ended.get("expired"),
        "completed_at": ended.get("completed"),
        "failed_at": ended.get("failed"),
        "expired_at": ended.get("expired"),
        "cancelling_at": _at(batch.cancelling_at),
        "cancelled_at": ended.get("cancelled"),
        "request_counts": {"total": batch.total, "completed": batch.completed, "failed": failed},
        "metadata": batch.metadata,
        "usage": {
            "input_tokens": batch.input_tokens,
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": batch.output_tokens,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": batch.input_tokens + batch.output_tokens,
        },
    }


def _fault(one: dict[str, Any]) -> dict[str, Any]:
    return {"code": one["code"], "line": one["line"], "message": one["message"], "param": one["field"] or None}


def _at(value: datetime | None) -> int | None:
    return None if value is None else int(value.timestamp())


def _json(http: HttpCall, value: object) -> HttpReply:
    return HttpReply(headers=(JSON, *id_headers(http.id)), body=json.dumps(value))


routes.add("POST", "/v1/batches", CHAT, create)
routes.add("GET", "/v1/batches", CHAT, listed)
routes.add("GET", "/v1/batches/[^/:]+", CHAT, retrieve)
routes.add("POST", "/v1/batches/[^/:]+/cancel", CHAT, cancel)
