"""Inline data and files: images, sound, documents."""

from __future__ import annotations

from typing import Any

import msgspec

from llm_gateway.core.chat import Audio, Document, Image, Part
from llm_gateway.core.errors import UnsupportedParameter

_FORMAT_OF_SOUND = {"mpeg": "mp3", "x-wav": "wav", "wave": "wav", "vnd.wave": "wav"}
_TYPES = {
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "png": "image/png",
    "webp": "image/webp",
    "heic": "image/heic",
    "heif": "image/heif",
    "pdf": "application/pdf",
    "txt": "text/plain",
    "md": "text/markdown",
    "csv": "text/csv",
    "html": "text/html",
}
_URL_ALPHABET = str.maketrans("-_", "+/")
_KINDS_OF_IMAGE = {"/9j/": "image/jpeg", "iVBOR": "image/png", "R0lGOD": "image/gif", "UklGR": "image/webp"}


class Blob(msgspec.Struct, rename="camel"):
    data: str | None = None
    mime_type: str | None = None


class File(msgspec.Struct, rename="camel"):
    file_uri: str
    mime_type: str | None = None


def standard(data: str) -> str:
    """Google's SDKs write base64 with the URL alphabet, which other formats refuse."""
    return data.translate(_URL_ALPHABET) if "-" in data or "_" in data else data


def read(blob: Blob) -> Part | None:
    """``None`` for what no part holds (video)."""
    family, _, kind = (blob.mime_type or "").partition("/")
    data = standard(blob.data or "")
    match family:
        case "image":
            return Image(media_type=blob.mime_type, data=data)
        case "audio":
            return Audio(data=data, format=_FORMAT_OF_SOUND.get(kind, kind))
        case "application" | "text":
            return Document(media_type=blob.mime_type, data=data)
    return None


def read_file(file: File) -> Part | None:
    """A file of Google's own has an id only Google knows; other addresses are plain URLs."""
    stored = file.file_uri.startswith(("https://generativelanguage.googleapis.com/", "gs://"))
    where = {"file_id": file.file_uri} if stored else {"url": file.file_uri}
    family = (file.mime_type or "").partition("/")[0]
    if family == "image":
        return Image(media_type=file.mime_type, **where)
    if family in ("application", "text"):
        return Document(media_type=file.mime_type, **where)
    return None


def write(part: Part, path: str, *, own: bool) -> dict[str, Any]:
    """The wire's part for an image, a sound or a document. ``own``: the request came in this
    format, so its file addresses hold."""
    match part:
        case Audio():
            return _inline(f"audio/{part.format}", part.data)
        case Image() if part.data is not None:
            kind = next((kind for head, kind in _KINDS_OF_IMAGE.items() if part.data.startswith(head)), "image/png")
            return _inline(part.media_type or kind, part.data)
        case Document() if part.text is not None:
            return {"text": f"{part.name}:\n{part.text}" if part.name and not own else part.text}
        case Document() if part.data is not None:
            return _inline(part.media_type or "application/pdf", part.data)
        case Image() | Document() if own:
            known = {"mimeType": part.media_type} if part.media_type else {}
            return {"fileData": {**known, "fileUri": part.file_id or part.url}}
        case Image() | Document() if part.url is not None:
            # Google fetches it; the gateway never does.
            # https://ai.google.dev/gemini-api/docs/file-input-methods
            return {"fileData": {"mimeType": part.media_type or _type_by_name(part), "fileUri": part.url}}
    raise UnsupportedParameter("A file id is known only to the service that gave it; send the file's content.", param=path)


def _type_by_name(part: Image | Document) -> str:
    """What an address ends in says what is there; else the commonest of its kind."""
    ending = (part.url or "").partition("?")[0].partition("#")[0].rpartition(".")[2].lower()
    return _TYPES.get(ending, "image/jpeg" if isinstance(part, Image) else "application/pdf")


def _inline(kind: str, data: str) -> dict[str, Any]:
    return {"inlineData": {"mimeType": kind, "data": data}}
