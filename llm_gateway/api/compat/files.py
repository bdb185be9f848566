"""OpenAI's files: uploaded in pieces, sealed as they come, for the key that sent them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from llm_gateway.api.http import JSON, HttpCall, HttpReply, id_headers, page_size
from llm_gateway.core import json
from llm_gateway.core.errors import GatewayError, InvalidRequest, NotFound
from llm_gateway.core.multipart import Multipart, NotMultipart, boundary_of
from llm_gateway.models import Batch, StoredFile
from llm_gateway.policies.batches import FILES_KEPT, LARGEST_FILE, PURPOSES, UPLOADS_KEPT
from llm_gateway.stores import batch_results, files
from llm_gateway.wiring import gateway

from ._routes import routes

CHAT = "openai_chat"
# Fields and heads beside the file's own bytes.
_AROUND = 1 << 20


async def upload(http: HttpCall) -> HttpReply:
    assert http.upload is not None  # the route says so
    try:
        reader = Multipart(boundary_of(http.headers.get("content-type", "")))
    except NotMultipart as error:
        raise InvalidRequest(str(error), param="content-type") from None
    now = datetime.now(UTC)
    threaded = gateway().threaded
    file: StoredFile = await threaded(_begin, http, now)
    writer = files.FileWriter(file)
    kept = False
    try:
        async for part in http.upload():
            try:
                for piece in reader.feed(part):
                    writer.add(piece)
            except NotMultipart as error:
                raise InvalidRequest(str(error)) from None
            if writer.full:
                await threaded(writer.store)
        keep = _checked(reader)
        file = await threaded(_finish, writer, reader, now, keep)
        kept = True
    finally:
        if not kept:
            await threaded(writer.give_up)
    return _json(http, shown(file))


def _begin(http: HttpCall, now: datetime) -> StoredFile:
    return files.begin(http.identity, now, name="", purpose="", keep=UPLOADS_KEPT)


def _checked(reader: Multipart) -> timedelta:
    """How long it stays. Raises :class:`InvalidRequest`."""
    if not reader.done:
        raise InvalidRequest("The multipart body ends in the middle.")
    if not reader.found:
        raise InvalidRequest("`file` is missing.", param="file")
    if reader.fields.get("purpose") not in PURPOSES:
        raise InvalidRequest(f"`purpose` is one of {', '.join(PURPOSES)}.", param="purpose")
    seconds = reader.fields.get("expires_after[seconds]")
    if seconds is None:
        return FILES_KEPT
    if not seconds.isdecimal() or not 3600 <= int(seconds[:9]) <= FILES_KEPT.total_seconds():
        raise InvalidRequest(
            f"`expires_after[seconds]` is between 3600 and {int(FILES_KEPT.total_seconds())}.", param="expires_after[seconds]"
        )
    return timedelta(seconds=int(seconds))


def _finish(writer: files.FileWriter, reader: Multipart, now: datetime, keep: timedelta) -> StoredFile:
    file = writer.file
    file.name = (reader.filename or "upload").replace("\x00", "")[:200]
    file.media_type, file.purpose, file.expires_at = reader.media_type[:100], reader.fields["purpose"], now + keep
    file.save(update_fields=["name", "media_type", "purpose", "expires_at"])
    return writer.finish()


async def listed(http: HttpCall) -> HttpReply:
    rows, more = await gateway().threaded(_listed, http)
    data = [shown(row) for row in rows]
    first, last = (data[0]["id"], data[-1]["id"]) if data else (None, None)
    return _json(http, {"object": "list", "data": data, "first_id": first, "last_id": last, "has_more": more})


def _listed(http: HttpCall) -> tuple[list[StoredFile], bool]:
    order = "" if http.query.get("order") == "asc" else "-"
    rows = files.of_key(http.identity).filter(expires_at__gt=datetime.now(UTC)).order_by(f"{order}id")
    if purpose := http.query.get("purpose"):
        rows = rows.filter(purpose=purpose[:20])
    if (after := file_id(http.query.get("after", ""))) is not None:
        rows = rows.filter(**{"pk__gt" if order == "" else "pk__lt": after})
    size = page_size(http.query.get("limit"), usual=1000, most=10_000)
    found = list(rows[: size + 1])
    return found[:size], len(found) > size


async def retrieve(http: HttpCall) -> HttpReply:
    return _json(http, shown(await found_file(http, http.path.rsplit("/", 1)[1])))


async def content(http: HttpCall) -> HttpReply:
    file = await found_file(http, http.path.split("/")[3])
    headers = ((b"content-type", b"application/octet-stream"), *id_headers(http.id))
    return HttpReply(headers=headers, chunks=pieces_of(file))


async def pieces_of(file: StoredFile) -> AsyncIterator[bytes]:
    threaded = gateway().threaded
    if file.batch_id is None:
        number = 0
        while (piece := await threaded(_piece, file.pk, number)) is not None:
            yield piece
            number += 1
        return
    batch: Batch = await threaded(_batch, file)
    after = 0
    while True:
        after, lines = await threaded(batch_results.piece, batch, after, file.part)
        if not lines:
            return
        yield lines


def _batch(file: StoredFile) -> Batch:
    assert file.batch_id is not None
    return Batch.objects.get(pk=file.batch_id)


def _piece(pk: UUID, number: int) -> bytes | None:
    try:
        return files.piece(pk, number)
    except files.FileGone:
        return None


async def delete(http: HttpCall) -> HttpReply:
    file = await found_file(http, http.path.rsplit("/", 1)[1])
    gone = {"id": str(file), "object": "file", "deleted": True}
    await gateway().threaded(files.delete, file)
    return _json(http, gone)


async def found_file(http: HttpCall, text: str) -> StoredFile:
    """Raises :class:`NotFound`, the same for what belongs to somebody else."""
    pk = file_id(text)
    file: StoredFile | None = None if pk is None else await gateway().threaded(files.find, http.identity, pk, datetime.now(UTC))
    if file is None:
        raise missing_file(text)
    return file


def missing_file(text: str) -> GatewayError:
    return NotFound(f"No such file: {text[:100]!r}; it expired, was deleted, or belongs to another key.", param="id")


def file_id(text: str) -> UUID | None:
    try:
        return UUID(hex=text.removeprefix("file-")) if text.startswith("file-") and len(text) == 37 else None
    except ValueError:
        return None


def shown(file: StoredFile) -> dict[str, Any]:
    return {
        "id": str(file),
        "object": "file",
        "bytes": file.bytes,
        "created_at": int(file.created_at.timestamp()),
        "expires_at": int(file.expires_at.timestamp()),
        "filename": file.name,
        "purpose": file.purpose,
        "status": "processed",
        "status_details": None,
    }


def _json(http: HttpCall, value: object) -> HttpReply:
    return HttpReply(headers=(JSON, *id_headers(http.id)), body=json.dumps(value))


routes.add("POST", "/v1/files", CHAT, upload, uploads=LARGEST_FILE + _AROUND)
routes.add("GET", "/v1/files", CHAT, listed)
routes.add("GET", "/v1/files/[^/:]+", CHAT, retrieve)
routes.add("DELETE", "/v1/files/[^/:]+", CHAT, delete)
routes.add("GET", "/v1/files/[^/:]+/content", CHAT, content)
