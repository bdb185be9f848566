"""Gemini's files: the resumable upload of google-genai, metadata and download. https://ai.google.dev/api/files (read 2026-11-30)

The address of an upload authorises by itself, because google-genai sends no key with the pieces: it names the file and proves that we gave
it out."""

from __future__ import annotations

import hmac
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any
from uuid import UUID

import msgspec
from django.conf import settings
from django.http.request import split_domain_port, validate_host

from llm_gateway.api.http import JSON, HttpCall, HttpReply, id_headers, page_size
from llm_gateway.core import json
from llm_gateway.core.errors import InvalidJsonBody, InvalidRequest, NotFound
from llm_gateway.models import StoredFile
from llm_gateway.policies.batches import CHUNK_BYTES, FILES_KEPT, LARGEST_FILE, UPLOADS_KEPT
from llm_gateway.stores import files
from llm_gateway.wiring import gateway

from ._routes import routes
from .files import pieces_of

WIRE = "gemini_generate"
_MARK = 32


class _Asked(msgspec.Struct):
    file: dict[str, Any] | None = None


async def start(http: HttpCall) -> HttpReply:
    if "start" not in http.headers.get("x-goog-upload-command", "").lower():
        raise InvalidRequest("Begin with `X-Goog-Upload-Command: start`; the answer names the address for the file's bytes.")
    size = http.headers.get("x-goog-upload-header-content-length", "0")
    if not size.isdecimal() or int(size[:15]) > LARGEST_FILE:
        raise InvalidRequest(f"A file has at most {LARGEST_FILE >> 20} MB.", param="x-goog-upload-header-content-length")
    try:
        asked = msgspec.json.decode(await http.body() or b"{}", type=_Asked).file or {}
    except msgspec.DecodeError as error:
        raise InvalidJsonBody(f"The body cannot be read: {str(error)[:150]}") from None
    media = http.headers.get("x-goog-upload-header-content-type") or asked.get("mimeType") or asked.get("mime_type")
    # Google's own parsers take both spellings, and its SDK sends the second.
    name = asked.get("displayName") or asked.get("display_name") or ""
    file = await gateway().threaded(_begin, http, str(name), str(media or ""))
    version = http.path.split("/")[2]
    where = f"{_here(http)}/upload/{version}/files/{_token(file.pk)}"
    headers = ((b"x-goog-upload-url", where.encode()), (b"x-goog-upload-status", b"active"))
    return HttpReply(headers=(JSON, *id_headers(http.id), *headers, (b"x-goog-upload-chunk-granularity", str(CHUNK_BYTES).encode())))


def _here(http: HttpCall) -> str:
    """The configured address of the gateway; without one, the caller's own name for it, where that is one of the gateway's hosts."""
    if settings.COGO["public_url"]:
        return str(settings.COGO["public_url"])
    host = http.headers.get("host", "")
    known = validate_host(split_domain_port(host)[0], settings.ALLOWED_HOSTS)
    return f"{'https' if settings.COGO_HTTPS else 'http'}://{host}{settings.BASE_PATH}" if known else str(settings.BASE_PATH)


def _begin(http: HttpCall, name: str, media: str) -> StoredFile:
    return files.begin(http.identity, datetime.now(UTC), name=name, purpose="batch", media_type=media, keep=UPLOADS_KEPT)


async def piece(http: HttpCall) -> HttpReply:
    assert http.upload is not None
    pk = _named(http.path.rsplit("/", 1)[1])
    threaded = gateway().threaded
    file: StoredFile | None = None if pk is None else await threaded(_uploading, pk)
    if file is None:
        raise NotFound("No such upload; it ended, was too slow, or was never begun.")
    command = http.headers.get("x-goog-upload-command", "").lower()
    if "cancel" in command:
        await threaded(files.FileWriter(file).give_up)
        return _status(http, b"cancelled", b"{}")
    if "upload" in command or "finalize" in command:
        file = await _take(http, file, command)
    if file.state == "ready":
        return _status(http, b"final", json.dumps({"file": shown(file)}))
    return _status(http, b"active", b"{}", file.bytes)


async def _take(http: HttpCall, file: StoredFile, command: str) -> StoredFile:
    assert http.upload is not None
    threaded = gateway().threaded
    offset = http.headers.get("x-goog-upload-offset", "0")
    if not offset.isdecimal() or int(offset[:15]) != file.bytes or file.bytes % CHUNK_BYTES:
        raise InvalidRequest(f"The upload goes on at byte {file.bytes}; pieces but the last are multiples of {CHUNK_BYTES} bytes.")
    writer = files.FileWriter(file, at=file.bytes)
    async for part in http.upload():
        writer.add(part)
        if writer.full:
            await threaded(writer.store)
    if "finalize" in command:
        file.expires_at = file.created_at + FILES_KEPT
        return await threaded(writer.finish)  # type: ignore[no-any-return]
    await threaded(writer.pause)
    return file


def _status(http: HttpCall, status: bytes, body: bytes, received: int | None = None) -> HttpReply:
    size = () if received is None else ((b"x-goog-upload-size-received", str(received).encode()),)
    return HttpReply(headers=(JSON, *id_headers(http.id), (b"x-goog-upload-status", status), *size), body=body)


def _uploading(pk: UUID) -> StoredFile | None:
    return StoredFile.objects.filter(pk=pk, state="uploading", expires_at__gt=datetime.now(UTC)).first()


def _token(pk: UUID) -> str:
    return pk.hex + hmac.digest(settings.COGO_KEY_PEPPER.encode(), b"upload\0" + pk.bytes, sha256).hex()[:_MARK]


def _named(token: str) -> UUID | None:
    try:
        pk = UUID(hex=token[:32])
    except ValueError:
        return None
    return pk if hmac.compare_digest(_token(pk).encode(), token.encode()) else None


async def listed(http: HttpCall) -> HttpReply:
    size = page_size(http.query.get("pageSize"), usual=10, most=100)
    rows = await gateway().threaded(_page, http, size)
    told: dict[str, Any] = {"files": [shown(row) for row in rows[:size]]}
    if len(rows) > size:
        told["nextPageToken"] = rows[size - 1].pk.hex
    return _json(http, told)


def _page(http: HttpCall, size: int) -> list[StoredFile]:
    rows = files.of_key(http.identity).filter(expires_at__gt=datetime.now(UTC)).order_by("-id")
    token = http.query.get("pageToken", "")
    if len(token) == 32 and all(c in "0123456789abcdef" for c in token):
        rows = rows.filter(pk__lt=UUID(hex=token))
    return list(rows[: size + 1])


async def retrieve(http: HttpCall) -> HttpReply:
    return _json(http, shown(await found_file(http, _name(http))))


async def download(http: HttpCall) -> HttpReply:
    file = await found_file(http, _name(http))
    return HttpReply(headers=((b"content-type", b"application/octet-stream"), *id_headers(http.id)), chunks=pieces_of(file))


async def delete(http: HttpCall) -> HttpReply:
    await gateway().threaded(files.delete, await found_file(http, _name(http)))
    return _json(http, {})


def _name(http: HttpCall) -> str:
    return "files/" + http.path.rpartition("/files/")[2].removesuffix(":download")


async def found_file(http: HttpCall, name: str) -> StoredFile:
    """Raises :class:`NotFound`, the same for what belongs to somebody else."""
    text = name.removeprefix("files/")
    try:
        pk = UUID(hex=text) if len(text) == 32 else None
    except ValueError:
        pk = None
    file: StoredFile | None = None if pk is None else await gateway().threaded(files.find, http.identity, pk, datetime.now(UTC))
    if file is None:
        raise NotFound(f"No such file: {name[:100]!r}; it expired, was deleted, or belongs to another key.")
    return file


def shown(file: StoredFile) -> dict[str, Any]:
    name = f"files/{file.pk.hex}"
    made = file.batch_id is not None
    told = {
        "name": name,
        "displayName": file.name,
        "mimeType": file.media_type,
        "sizeBytes": str(file.bytes),
        "createTime": _at(file.created_at),
        "updateTime": _at(file.created_at),
        "expirationTime": _at(file.expires_at),
        "uri": f"{settings.COGO['public_url']}/v1beta/{name}",
        "state": "ACTIVE",
        "source": "GENERATED" if made else "UPLOADED",
    }
    return {**told, "downloadUri": f"{settings.COGO['public_url']}/v1beta/{name}:download?alt=media"} if made else told


def _at(value: datetime) -> str:
    return value.isoformat().replace("+00:00", "Z")


def _json(http: HttpCall, value: object) -> HttpReply:
    return HttpReply(headers=(JSON, *id_headers(http.id)), body=json.dumps(value))


routes.add("POST", r"/upload/v1(?:beta)?/files", WIRE, start)
for _method in ("POST", "PUT"):
    routes.add(_method, r"/upload/v1(?:beta)?/files/[^/]+", WIRE, piece, uploads=LARGEST_FILE, keyless=True)
for _base, _when in ((r"/v1(?:beta)?/files", "x-goog-api-key"), (r"/v1beta/files", None)):
    routes.add("GET", _base, WIRE, listed, when=_when)
    routes.add("GET", _base + "/[^/:]+", WIRE, retrieve, when=_when)
    routes.add("GET", _base + "/[^/:]+:download", WIRE, download, when=_when)
    routes.add("DELETE", _base + "/[^/:]+", WIRE, delete, when=_when)
