"""Anthropic's message batches: https://docs.claude.com/en/api/creating-message-batches (read 2026-11-30)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

from django.conf import settings

from llm_gateway.api.http import JSON, HttpCall, HttpReply, id_headers, page_size
from llm_gateway.core import json
from llm_gateway.core.errors import InvalidRequest, NotFound
from llm_gateway.models import Batch
from llm_gateway.policies.batches import LARGEST_INLINE
from llm_gateway.stores import batch_ends, batch_results
from llm_gateway.wiring import gateway

from ._batches import all_of, batch_id, find, found_batch, of_key
from ._inline import created, may_create, stored
from ._routes import routes

MESSAGES, DIALECT = "anthropic_messages", "anthropic"
_AT = "/v1/messages/batches"


async def create(http: HttpCall) -> HttpReply:
    may_create(http)
    sent = await stored(http, (b"requests",))
    return _json(http, shown(await created(http, sent, DIALECT, "/v1/messages")))


async def listed(http: HttpCall) -> HttpReply:
    size = page_size(http.query.get("limit"), usual=20, most=1000)
    rows, more = await gateway().threaded(_page, http, size)
    data = all_of(shown, rows)
    first, last = (data[0]["id"], data[-1]["id"]) if data else (None, None)
    return _json(http, {"data": data, "has_more": more, "first_id": first, "last_id": last})


def _page(http: HttpCall, size: int) -> tuple[list[Batch], bool]:
    rows = of_key(http.identity, DIALECT)
    after, before = batch_id(http.query.get("after_id", "")), batch_id(http.query.get("before_id", ""))
    if before is not None:
        found = list(rows.filter(pk__gt=before).order_by("id")[: size + 1])
        return found[:size][::-1], len(found) > size
    if after is not None:
        rows = rows.filter(pk__lt=after)
    found = list(rows.order_by("-id")[: size + 1])
    return found[:size], len(found) > size


async def retrieve(http: HttpCall) -> HttpReply:
    return _json(http, shown(await found_batch(http.identity, http.path.rsplit("/", 1)[1], DIALECT)))


async def cancel(http: HttpCall) -> HttpReply:
    batch = await found_batch(http.identity, http.path.split("/")[4], DIALECT)
    await gateway().threaded(batch_ends.cancel, batch.pk, datetime.now(UTC))
    again = await gateway().threaded(find, http.identity, batch.pk, DIALECT)
    return _json(http, shown(again or batch))


async def delete(http: HttpCall) -> HttpReply:
    text = http.path.rsplit("/", 1)[1]
    batch = await found_batch(http.identity, text, DIALECT)
    if batch.ended_at is None:
        raise InvalidRequest("The batch has not ended; cancel it, then delete it when it has.")
    await gateway().threaded(batch_results.delete_batch, batch)
    return _json(http, {"id": text, "type": "message_batch_deleted"})


async def results(http: HttpCall) -> HttpReply:
    batch = await found_batch(http.identity, http.path.split("/")[4], DIALECT)
    if batch.ended_at is None:
        raise NotFound("The batch has not ended, so it has no results yet.")
    return HttpReply(headers=((b"content-type", b"application/x-jsonl"), *id_headers(http.id)), chunks=lines_of(batch))


async def lines_of(batch: Batch, part: str = "") -> AsyncIterator[bytes]:
    after = 0
    while True:
        after, lines = await gateway().threaded(batch_results.piece, batch, after, part)
        if not lines:
            return
        yield lines


def shown(batch: Batch) -> dict[str, Any]:
    name = f"msgbatch_{batch.pk.hex}"
    ended = batch.ended_at is not None
    status = "ended" if ended else "canceling" if batch.state == "cancelling" else "in_progress"
    waiting = batch.queued + batch.running
    return {
        "id": name,
        "type": "message_batch",
        "processing_status": status,
        # Anthropic tells how they ended only when all have.
        "request_counts": {
            "processing": waiting if ended else batch.total,
            "succeeded": batch.completed if ended else 0,
            "errored": batch.failed if ended else 0,
            "canceled": batch.cancelled if ended else 0,
            "expired": batch.expired if ended else 0,
        },
        "created_at": _at(batch.created_at),
        "expires_at": _at(batch.ends_at),
        "ended_at": _at(batch.ended_at),
        "cancel_initiated_at": _at(batch.cancelling_at),
        "archived_at": None,
        # The SDK sends its key to this address: it is the configured one, whatever the request's Host says.
        "results_url": f"{settings.COGO['public_url']}{_AT}/{name}/results" if ended else None,
    }


def _at(value: datetime | None) -> str | None:
    return None if value is None else value.isoformat().replace("+00:00", "Z")


def _json(http: HttpCall, value: object) -> HttpReply:
    return HttpReply(headers=(JSON, *id_headers(http.id)), body=json.dumps(value))


routes.add("POST", _AT, MESSAGES, create, uploads=LARGEST_INLINE)
routes.add("GET", _AT, MESSAGES, listed)
routes.add("GET", _AT + "/[^/]+", MESSAGES, retrieve)
routes.add("DELETE", _AT + "/[^/]+", MESSAGES, delete)
routes.add("POST", _AT + "/[^/]+/cancel", MESSAGES, cancel)
routes.add("GET", _AT + "/[^/]+/results", MESSAGES, results)
