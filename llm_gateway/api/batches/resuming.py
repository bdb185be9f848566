"""Paused batches: their next line is looked at as the journal would, without a row and without a hold, and they go on when it may."""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime, timedelta
from typing import Any

from llm_gateway.core.errors import BudgetExhausted, GatewayError
from llm_gateway.engine.batch_lines import Line
from llm_gateway.engine.calls import Call
from llm_gateway.engine.fresh import new_id
from llm_gateway.models import Batch, BatchLine
from llm_gateway.stores.batch_queue import LOOK_AGAIN, line_of
from llm_gateway.stores.files import FileGone, Reader
from llm_gateway.wiring import Gateway

from .executing import call_of

log = logging.getLogger("cogo.batches")
LOOK_S = 2.0


async def resume_paused(found: Gateway) -> None:
    while True:
        try:
            for batch, line in await found.threaded(_due, datetime.now(UTC)):
                await found.threaded(_looked, batch, await _may_go_on(found, line))
        except Exception as error:
            log.warning("paused batches could not be looked at", extra={"reason": f"{type(error).__name__}: {error}"[:200]})
        await asyncio.sleep(LOOK_S)


async def _may_go_on(found: Gateway, line: Line | None) -> bool:
    if line is None:
        return True
    try:
        call: Call = await call_of(line, found)
    except GatewayError:
        return True  # its own execution tells
    explanation, _ = await found.explain(call)
    return not isinstance(explanation.error, BudgetExhausted)


def _due(now: datetime) -> list[tuple[Any, Line | None]]:
    """Claimed by moving the moment of the next look: one runner looks at a batch."""
    found: list[tuple[Any, Line | None]] = []
    paused = Batch.objects.filter(state="in_progress", look_again_at__lte=now).exclude(pause_reason="").select_related("client_key")
    for batch in paused:
        if not Batch.objects.filter(pk=batch.pk, look_again_at=batch.look_again_at).update(
            look_again_at=now + LOOK_AGAIN + timedelta(seconds=5)
        ):
            continue
        row = BatchLine.objects.filter(batch=batch, state="queued").order_by("number").first()
        line = None
        if row is not None and batch.input_id is not None:
            line = line_of(batch, row, new_id())
            try:
                line = _with_text(line)
            except FileGone:
                line = None
        found.append((batch.pk, line))
    return found


def _with_text(line: Line) -> Line:
    import msgspec

    return msgspec.structs.replace(line, text=Reader().read(line.file, line.offset, line.length))


def _looked(batch: Any, may: bool) -> None:
    paused = Batch.objects.filter(pk=batch, state="in_progress")
    if may:
        paused.update(pause_reason="", look_again_at=None)
    else:
        paused.update(look_again_at=datetime.now(UTC) + LOOK_AGAIN)
