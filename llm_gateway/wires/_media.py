"""What a picture, a document or a sound really is: its bytes decide, then its label in the
registered spelling."""

from __future__ import annotations

import base64
import binascii
from ipaddress import ip_address
from urllib.parse import urlsplit

import msgspec

from llm_gateway.core.chat import Audio, Document, Image

Medium = Image | Document | Audio

_HEAD_CHARS = 64
_SPELLINGS = {
    "image/jpg": "image/jpeg",
    "image/pjpeg": "image/jpeg",
    "image/jfif": "image/jpeg",
    "image/x-png": "image/png",
    "image/apng": "image/png",
    "application/x-pdf": "application/pdf",
    "application/acrobat": "application/pdf",
    "text/pdf": "application/pdf",
}
_SOUNDS = {
    "mpeg": "mp3",
    "mpga": "mp3",
    "x-mp3": "mp3",
    "x-wav": "wav",
    "wave": "wav",
    "vnd.wave": "wav",
    "x-aiff": "aiff",
    "x-flac": "flac",
}
_TEXTS = frozenset(
    f"application/{kind}"
    for kind in ("json", "xml", "yaml", "x-yaml", "toml", "javascript", "x-javascript", "typescript", "x-sh", "x-python", "sql", "x-ndjson")
)
_UNNAMED = frozenset(("", "application/octet-stream", "binary/octet-stream", "application/binary", "application/unknown"))


def normal_type(label: str | None) -> str:
    """A media type without parameters, in its registered spelling; ``""`` for none."""
    plain = (label or "").partition(";")[0].strip().lower()
    return _SPELLINGS.get(plain, plain)


def type_of_bytes(data: str) -> str | None:
    """The type that the first bytes of base64 name; ``None`` for bytes that name none."""
    try:
        head = base64.b64decode(data[:_HEAD_CHARS] + "=" * (-len(data[:_HEAD_CHARS]) % 4))
    except (binascii.Error, ValueError):
        return None
    match head:
        case _ if head.startswith(b"\xff\xd8\xff"):
            return "image/jpeg"
        case _ if head.startswith(b"\x89PNG\r\n\x1a\n"):
            return "image/png"
        case _ if head.startswith((b"GIF87a", b"GIF89a")):
            return "image/gif"
        case _ if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
            return "image/webp"
        case _ if head.startswith(b"RIFF") and head[8:12] == b"WAVE":
            return "audio/wav"
        case _ if head[4:8] == b"ftyp" and head[8:12] in (b"heic", b"heix", b"hevc", b"mif1", b"msf1"):
            return "image/heic"
        case _ if head.startswith((b"II*\x00", b"MM\x00*")):
            return "image/tiff"
        case _ if head.startswith(b"%PDF-"):
            return "application/pdf"
        case _ if head.startswith((b"ID3", b"\xff\xfb", b"\xff\xf3")):
            return "audio/mp3"
        case _ if head.startswith(b"OggS"):
            return "audio/ogg"
        case _ if head.startswith(b"fLaC"):
            return "audio/flac"
    return None


def identified(part: Medium) -> Medium:
    """The same bytes as what they are: a JPEG labelled ``image/png`` becomes one, a PDF sent as a
    picture a document, text labelled as bytes a text document."""
    if isinstance(part, Audio):
        sniffed = type_of_bytes(part.data) or ""
        told = part.format.lower()
        kind = sniffed.removeprefix("audio/") if sniffed.startswith("audio/") else _SOUNDS.get(told, told)
        return part if kind == part.format else msgspec.structs.replace(part, format=kind)
    if part.data is None:
        return part
    label = normal_type(part.media_type)
    kind = type_of_bytes(part.data) or label
    if kind == "image/svg+xml" and (words := plain_text(part.data)) is not None:
        return Document(media_type="text/plain", text=words, cache=part.cache)
    if kind.startswith("audio/"):
        return Audio(data=part.data, format=_SOUNDS.get(kind[6:], kind[6:]))
    if kind.startswith("image/") or (isinstance(part, Image) and kind in _UNNAMED):
        named = kind or None
        if isinstance(part, Image):
            return part if named == part.media_type else msgspec.structs.replace(part, media_type=named)
        return Image(media_type=named, data=part.data, cache=part.cache)
    if isinstance(part, Image):
        return _document(Document(media_type=kind, data=part.data, cache=part.cache), kind, label)
    return _document(part, kind, label)


def _document(part: Document, kind: str, label: str) -> Document:
    assert part.data is not None
    is_text = kind.startswith("text/") or kind in _TEXTS or kind.endswith(("+json", "+xml"))
    if is_text or (kind in _UNNAMED and label):
        words = plain_text(part.data)
        if words is not None:
            return msgspec.structs.replace(part, media_type="text/plain", data=None, text=words)
    return part if (kind or None) == part.media_type else msgspec.structs.replace(part, media_type=kind or None)


def plain_text(data: str) -> str | None:
    """Base64 of UTF-8 text as that text; ``None`` for anything else."""
    try:
        words = base64.b64decode(data, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return None
    return None if "\0" in words else words


def is_public(address: str) -> bool:
    """Whether an address names a host that a provider can reach: https, no bare name, no private
    number."""
    try:
        parts = urlsplit(address)
        host = (parts.hostname or "").rstrip(".").lower()
    except ValueError:
        return False
    if parts.scheme.lower() != "https" or not host or parts.username or parts.password:
        return False
    try:
        return ip_address(host).is_global
    except ValueError:
        return "." in host and not host.endswith((".local", ".localhost", ".internal", ".lan", ".home.arpa"))
