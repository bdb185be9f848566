"""Results of batches as files for the console: sent as they are read, for staff who may read texts; each download is in the audit trail."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any
from uuid import UUID

from asgiref.sync import sync_to_async
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.urls import reverse

from llm_gateway.core.roles import READS_TEXTS
from llm_gateway.models import Batch, trail
from llm_gateway.stores import batch_results

from .native.batch_zip import zipped
from .native.host import gateway

SEES_BATCHES = "llm_gateway.view_batch"
JSONL, ZIP = "application/x-ndjson", "application/zip"


async def results(request: HttpRequest, pk: UUID) -> HttpResponseBase:
    """The completed lines in order, as their dialect's file has them."""
    return await _sent(request, pk, "results.jsonl", JSONL, lambda batch: _lines(batch, "outputs"))


async def errors(request: HttpRequest, pk: UUID) -> HttpResponseBase:
    """Those that failed or expired."""
    return await _sent(request, pk, "errors.jsonl", JSONL, lambda batch: _lines(batch, "errors"))


async def code(request: HttpRequest, pk: UUID) -> HttpResponseBase:
    """A file for each block of code."""
    return await _sent(request, pk, "code.zip", ZIP, zipped)


async def _sent(
    request: HttpRequest, pk: UUID, name: str, media_type: str, pieces: Callable[[Batch], AsyncIterator[bytes]]
) -> HttpResponseBase:
    if request.method != "GET":
        return HttpResponseNotAllowed(["GET"])
    user = await request.auser()
    if not (user.is_authenticated and user.is_active and user.is_staff):
        return redirect_to_login(request.get_full_path(), reverse("admin:login"))
    batch = await sync_to_async(_allowed)(user, pk, name)
    if batch is None:
        return HttpResponse("Reading prompts and answers is a right of its own, and this batch has to be there.", status=403)
    response = StreamingHttpResponse(pieces(batch), content_type=media_type)
    response["content-disposition"] = f'attachment; filename="{batch}-{name}"'
    response["cache-control"] = "no-store"
    return response


def _allowed(user: Any, pk: UUID, name: str) -> Batch | None:
    """The batch, once it is written down that its texts are read."""
    if not (user.has_perm(SEES_BATCHES) and user.has_perm(READS_TEXTS)):
        return None
    batch = Batch.objects.filter(pk=pk).first()
    if batch is not None:
        trail.record("read texts", batch, detail=f"Downloaded {name}.")
    return batch


async def _lines(batch: Batch, part: str) -> AsyncIterator[bytes]:
    after = 0
    while True:
        after, text = await gateway().threaded(batch_results.piece, batch, after, part)
        if not text:
            return
        yield text
