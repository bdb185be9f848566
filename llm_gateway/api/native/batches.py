"""``batches``: bulk generation in the gateway's own shape; batches of every dialect are found here by their id."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID

from django.http import HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from drf_spectacular.utils import OpenApiParameter
from msgspec import Meta
from rest_framework.request import Request

from llm_gateway.actions.create_batch import AskedBatch, create_batch
from llm_gateway.actions.retry_batch import retry_batch
from llm_gateway.api.compat._batches import batch_id, find, paged
from llm_gateway.api.compat.files import file_id, missing_file
from llm_gateway.core import json
from llm_gateway.core.catalog import Identity
from llm_gateway.core.errors import InvalidRequest, NotFound
from llm_gateway.core.roles import READS_TEXTS
from llm_gateway.models import Batch, BatchLine, StoredFile
from llm_gateway.policies.batches import ECONOMY, LARGEST_INLINE, ON_BUDGET, WEBHOOK, WEBHOOK_SECRET
from llm_gateway.policies.idempotency import HEADER
from llm_gateway.stores import batch_ends, batch_results, files
from llm_gateway.wires._batch import Result
from llm_gateway.wires._batch.native import told
from llm_gateway.wires._batch.rows import requests_of

from .auth import HasScope
from .batch_zip import zipped
from .contract import Body, GenerateRequest
from .host import gateway
from .openapi import documented
from .render import cost_body
from .shapes import Cost, Shape
from .views import AsyncAPIView

NDJSON = "application/x-ndjson"
PAGE, LARGEST_PAGE = 100, 500
_REQUEST_FIELDS = frozenset(GenerateRequest.__struct_fields__) - {"prompt", "stream"}


class Webhook(Body, frozen=True, kw_only=True):
    url: Annotated[str, Meta(max_length=500)]
    secret: Annotated[str, Meta(min_length=16, max_length=512, description="Signs what is sent.")]


class BatchRequest(Body, frozen=True, kw_only=True):
    """Requests, or a prompt with `{field}`s and rows of values, or a file of requests that was uploaded to `/v1/files`."""

    requests: (
        Annotated[list[dict[str, Any]], Meta(max_length=50_000, description="Fields of generate, or of analyze with kind.")] | None
    ) = None
    prompt: (
        Annotated[str, Meta(description="With {field} where a row's value belongs.", examples=["Write {what} in {language}."])] | None
    ) = None
    rows: Annotated[list[dict[str, Any]], Meta(max_length=50_000)] | None = None
    defaults: Annotated[dict[str, Any], Meta(description="Fields of every request, and values that rows lack.")] | None = None
    input_file_id: Annotated[str, Meta(description="One native request per line.")] | None = None
    name: Annotated[str, Meta(max_length=200)] = ""
    on_budget: Annotated[str, Meta(pattern="^(pause|fail)$")] = "pause"
    economy: bool = False
    metadata: dict[str, str] | None = None
    webhook: Webhook | None = None


class Estimate(Shape, frozen=True, kw_only=True):
    expected: Cost | None
    worst: Cost | None


class BatchBody(Shape, frozen=True, kw_only=True):
    id: str
    dialect: str
    status: str
    counts: dict[str, int]
    estimate: Estimate
    cost: Cost | None
    pause_reason: str | None
    created_at: datetime
    ends_at: datetime
    name: str = ""
    metadata: dict[str, str] | None = None
    faults: list[dict[str, Any]] | None = None


class BatchPage(Shape, frozen=True, kw_only=True):
    batches: list[BatchBody]
    next: str | None


class ResultPage(Shape, frozen=True, kw_only=True):
    results: list[dict[str, Any]]
    next: int | None


class Deleted(Shape, frozen=True, kw_only=True):
    id: str
    deleted: bool = True


def shown(batch: Batch) -> BatchBody:
    """Blocking."""
    names = ("total", "queued", "running", "completed", "failed", "expired", "cancelled")
    return BatchBody(
        id=str(batch),
        dialect=batch.dialect,
        status="paused" if batch.pause_reason else batch.state,
        counts={name: getattr(batch, name) for name in names},
        estimate=Estimate(expected=cost_body(batch.estimate_nusd), worst=cost_body(batch.worst_nusd)),
        cost=cost_body(batch_ends.cost(batch)),
        pause_reason=batch.pause_reason or None,
        created_at=batch.created_at,
        ends_at=batch.ends_at,
        name=batch.title,
        metadata=batch.metadata,
        faults=batch.faults or None,
    )


class BatchesView(AsyncAPIView):
    """Execute many requests within a day: bulk generation of code. What runs when, and what happens at faults: docs/batch.md."""

    kind = ""
    body = BatchRequest
    example = {  # noqa: RUF012
        "prompt": "Write a function {name} in {language}.",
        "rows": [{"name": "slugify"}, {"name": "chunked"}],
        "defaults": {"language": "python", "model": "auto"},
    }

    def get_permissions(self) -> list[Any]:
        return [HasScope("read" if self.request.method in ("GET", "HEAD", "OPTIONS") else "generate")()]

    @documented(
        "batches_list",
        "Batches of this key",
        answer=BatchPage,
        parameters=[OpenApiParameter("limit", int, description="1 to 100; 20 when absent."), OpenApiParameter("after", str)],
    )
    async def get(self, request: Request) -> BatchPage:
        size = _number(request.query_params.get("limit"), "limit", 20, 100)
        after = request.query_params.get("after")
        rows, more = await gateway().threaded(paged, self.identity, "", batch_id(after) if after else None, size)
        told_ones = await gateway().threaded(_all, rows)
        return BatchPage(batches=told_ones, next=told_ones[-1].id if more else None)

    @documented("batches_create", "Create a batch", body=BatchRequest, answer=BatchBody, example=example)
    async def post(self, request: Request) -> BatchBody:
        asked = await self.read(BatchRequest)
        sent = self.request._request.body
        made: BatchBody = await gateway().threaded(_create, self.identity, asked, sent, request.headers.get(HEADER))
        return made


def _all(rows: Iterable[Batch]) -> list[BatchBody]:
    return [shown(row) for row in rows]


def _create(identity: Identity, asked: BatchRequest, sent: bytes, key: str | None) -> BatchBody:
    ways = [name for name in ("requests", "rows", "input_file_id") if getattr(asked, name) is not None]
    if len(ways) != 1:
        raise InvalidRequest("Send one of `requests`, `prompt` with `rows`, and `input_file_id`.", param="requests")
    now = datetime.now(UTC)
    file = _uploaded(identity, asked.input_file_id, now) if asked.input_file_id is not None else _stored(identity, asked, now)
    metadata: dict[str, Any] = {**(asked.metadata or {}), ON_BUDGET: asked.on_budget, ECONOMY: "true" if asked.economy else "false"}
    if asked.webhook is not None:
        metadata |= {WEBHOOK: asked.webhook.url, WEBHOOK_SECRET: asked.webhook.secret}
    wanted = AskedBatch(dialect="native", endpoint="generate", file=file, title=asked.name, metadata=metadata, key=key, asked=sent)
    batch: Batch | None = None
    try:
        batch = create_batch(identity, wanted, gateway().catalog.snapshot(), now)
    finally:
        if file.inline and (batch is None or batch.input_id != file.pk):
            files.delete(file)
    return shown(batch)


def _stored(identity: Identity, asked: BatchRequest, now: datetime) -> StoredFile:
    if asked.rows is not None:
        if not asked.prompt or not asked.prompt.strip():
            raise InvalidRequest("`prompt` is missing: `rows` are values for its fields.", param="prompt")
        requests: Iterable[dict[str, Any]] = list(requests_of(asked.prompt, asked.rows, asked.defaults or {}, _REQUEST_FIELDS))
    else:
        requests = (
            {"custom_id": f"request-{number}", **(asked.defaults or {}), **one} for number, one in enumerate(asked.requests or (), 1)
        )
    file = files.begin(identity, now, name=asked.name or "native", purpose="batch", inline=True)
    return files.write_whole(file, (json.dumps(one) + b"\n" for one in requests), LARGEST_INLINE)


def _uploaded(identity: Identity, text: str, now: datetime) -> StoredFile:
    pk = file_id(text)
    file = None if pk is None else files.find(identity, pk, now)
    if file is None:
        raise missing_file(text)
    return file


class _OneBatch(AsyncAPIView):
    def get_permissions(self) -> list[Any]:
        return [HasScope("read" if self.request.method in ("GET", "HEAD", "OPTIONS") else "generate")()]

    async def found(self) -> Batch:
        text = self.kwargs["id"]
        pk = batch_id(text)
        batch: Batch | None = None if pk is None else await gateway().threaded(_seen, self.identity, pk)
        if batch is None:
            raise NotFound(f"No such batch: {text[:100]!r}; it expired, was deleted, or belongs to another key.", param="id")
        return batch


def _seen(identity: Identity, pk: UUID) -> Batch | None:
    """Staff see every batch, a key its own."""
    return Batch.objects.filter(pk=pk).first() if identity.client_key_id is None else find(identity, pk, "")


class BatchView(_OneBatch):
    """One batch, of any dialect."""

    @documented("batches_get", "One batch", answer=BatchBody)
    async def get(self, request: Request, id: str) -> BatchBody:  # noqa: A002  # the route's name for it
        told_one: BatchBody = await gateway().threaded(shown, await self.found())
        return told_one

    @documented("batches_delete", "Delete a batch that has ended", answer=Deleted)
    async def delete(self, request: Request, id: str) -> Deleted:  # noqa: A002
        batch = await self.found()
        if batch.ended_at is None:
            raise InvalidRequest("The batch has not ended; cancel it, then delete it when it has.")
        await gateway().threaded(batch_results.delete_batch, batch)
        return Deleted(id=str(batch))


class CancelBatchView(_OneBatch):
    """Begin nothing more; what runs is finished."""

    @documented("batches_cancel", "Cancel a batch", answer=BatchBody)
    async def post(self, request: Request, id: str) -> BatchBody:  # noqa: A002
        batch = await self.found()
        await gateway().threaded(batch_ends.cancel, batch.pk, datetime.now(UTC))
        told_one: BatchBody = await gateway().threaded(shown, await self.found())
        return told_one


class RetryBatchView(_OneBatch):
    """Queue the failed and expired requests of a batch that has ended."""

    @documented("batches_retry", "Retry failed requests", answer=BatchBody)
    async def post(self, request: Request, id: str) -> BatchBody:  # noqa: A002
        batch = await self.found()
        await gateway().threaded(retry_batch, batch.pk, datetime.now(UTC))
        told_one: BatchBody = await gateway().threaded(shown, await self.found())
        return told_one


class _Texts(_OneBatch):
    """Answers are texts: staff need the right to read them."""

    def get_permissions(self) -> list[Any]:
        return [HasScope("read", READS_TEXTS)()]


class BatchResultsView(_Texts):
    """Results in the order of the requests, also while the batch runs: up to the first request that has not ended. `next` is where the
    next page begins; `null` when nothing more will come. With `Accept: application/x-ndjson` all of them, a line each."""

    @documented(
        "batches_results",
        "Results of a batch",
        answer=ResultPage,
        parameters=[
            OpenApiParameter("after", int, description="Number of the last line read; 0 when absent."),
            OpenApiParameter("limit", int, description=f"1 to {LARGEST_PAGE}; {PAGE} when absent."),
        ],
    )
    async def get(self, request: Request, id: str) -> HttpResponseBase:  # noqa: A002
        batch = await self.found()
        after = _number(request.query_params.get("after"), "after", 0, 10_000_000, least=0)
        limit = _number(request.query_params.get("limit"), "limit", PAGE, LARGEST_PAGE)
        if NDJSON in request.headers.get("accept", ""):
            return StreamingHttpResponse(_lines(batch, after), content_type=NDJSON)
        found, more = await gateway().threaded(in_order, batch, after, limit)
        ended = batch.ended_at is not None and not more
        last = found[-1].number if found else after
        page = {"results": [told(one) for one in found], "next": None if ended else last}
        return HttpResponse(json.dumps(page), content_type="application/json")


def in_order(batch: Batch, after: int, limit: int) -> tuple[list[Result], bool]:
    """Ended lines behind ``after`` up to the first that is open; whether more are there already. Blocking."""
    open_one = BatchLine.objects.filter(batch=batch, state__in=("queued", "running"), number__gt=after).order_by("number").first()
    found = batch_results.page(batch, after, batch_results.STATES[""], limit + 1)
    if open_one is not None:
        found = [one for one in found if one.number < open_one.number]
    return found[:limit], len(found) > limit or (len(found) > 0 and found[-1].number < batch.total)


async def _lines(batch: Batch, after: int) -> AsyncIterator[bytes]:
    while True:
        found, _ = await gateway().threaded(in_order, batch, after, LARGEST_PAGE)
        if not found:
            return
        after = found[-1].number
        yield b"".join(json.dumps(told(one)) + b"\n" for one in found)


class BatchFilesView(_Texts):
    """The code blocks of the answers as a zip: a file per block, named after `custom_id`."""

    @documented("batches_files", "Code of a batch as a zip", answer=Deleted, binary="application/octet-stream")
    async def get(self, request: Request, id: str) -> HttpResponseBase:  # noqa: A002
        batch = await self.found()
        response = StreamingHttpResponse(zipped(batch), content_type="application/octet-stream")
        response["content-disposition"] = f'attachment; filename="{batch}.zip"'
        return response


def _number(text: str | None, name: str, usual: int, most: int, *, least: int = 1) -> int:
    if text is None or text == "":
        return usual
    if not (text.isdecimal() and len(text) < 9 and least <= int(text) <= most):
        raise InvalidRequest(f"`{name}` has to be a whole number from {least} to {most}.", param=name)
    return int(text)
