"""Batches whose requests come in the body: each is stored while the body arrives, and never all of them are in memory."""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

import msgspec

from llm_gateway.actions.create_batch import AskedBatch, create_batch
from llm_gateway.api.http import HttpCall
from llm_gateway.core import json
from llm_gateway.core.catalog import Scope
from llm_gateway.core.errors import InvalidJsonBody, PermissionDenied
from llm_gateway.core.json_items import Items, NotItems, one_line
from llm_gateway.models import Batch, StoredFile
from llm_gateway.policies.batches import FILES_KEPT, LARGEST_INLINE, LONGEST_LINE
from llm_gateway.policies.idempotency import HEADER
from llm_gateway.stores import files
from llm_gateway.wiring import gateway

Shape = Callable[[int, bytes], bytes]


class Sent(msgspec.Struct, frozen=True):
    """``rest``: the body without its requests; ``digest``: of all of it."""

    file: StoredFile
    rest: dict[str, Any]
    digest: bytes


def may_create(http: HttpCall) -> None:
    if Scope.GENERATE not in http.identity.scopes:
        raise PermissionDenied("This key lacks the scope `generate`; ask the gateway's operator for one that has it.")


async def stored(http: HttpCall, names: Collection[bytes], shape: Shape = lambda number, element: element) -> Sent:
    """``shape`` makes a line of the file of the request with this number. Raises what the caller is told."""
    assert http.upload is not None
    threaded = gateway().threaded
    file: StoredFile = await threaded(_begin, http)
    writer = files.FileWriter(file, LARGEST_INLINE)
    items = Items(names, LONGEST_LINE)
    digest = sha256()
    kept = False
    try:
        async for part in http.upload():
            digest.update(part)
            for element in items.feed(part):
                writer.add(shape(items.count, one_line(element)) + b"\n")
            if writer.full:
                await threaded(writer.store)
        for element in items.close():
            writer.add(shape(items.count, one_line(element)) + b"\n")
        rest = json.loads(items.rest)
        file = await threaded(writer.finish)
        kept = True
    except (NotItems, json.InvalidJson) as error:
        raise InvalidJsonBody(f"The body cannot be read: {error}") from None
    finally:
        if not kept:
            await threaded(writer.give_up)
    return Sent(file, rest, digest.digest())


def _begin(http: HttpCall) -> StoredFile:
    return files.begin(http.identity, datetime.now(UTC), name="inline", purpose="batch", inline=True, keep=FILES_KEPT)


async def created(http: HttpCall, sent: Sent, dialect: str, endpoint: str, **more: Any) -> Batch:
    """Blocking work in a thread. What was stored for nothing is deleted again."""
    asked = AskedBatch(dialect=dialect, endpoint=endpoint, file=sent.file, key=http.headers.get(HEADER), asked=sent.digest, **more)
    found = gateway()
    batch: Batch | None = None
    try:
        batch = await found.threaded(create_batch, http.identity, asked, found.catalog.snapshot(), datetime.now(UTC))
    finally:
        if batch is None or batch.input_id != sent.file.pk:
            await found.threaded(files.delete, sent.file)
    assert batch is not None
    return batch
