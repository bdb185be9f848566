"""Reading HTTP/1.1 requests from a stream, bounded everywhere. Writing lives in deliver.py, where it may be broken."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from http import HTTPStatus
from urllib.parse import parse_qsl, unquote

HEAD_LIMIT = 256 * 1024
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class Malformed(Exception):
    """The request cannot be read; ``status`` says why. The connection must be closed after the answer."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason
        self.request = Request("GET", "/", {}, {}, b"", http10=False, keep_alive=False)


@dataclass(frozen=True, slots=True)
class Request:
    """A request read to its end. Header names are lower-case; of repeated headers the values are joined by comma."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes
    http10: bool
    keep_alive: bool

    @property
    def bearer(self) -> str:
        """The token of an Authorization: Bearer header, or nothing."""
        scheme, _, token = self.headers.get("authorization", "").partition(" ")
        return token.strip() if scheme.lower() == "bearer" else ""


def reason_phrase(status: int) -> str:
    """The usual words for a status, including those that only providers use."""
    if status == 529:
        return "Overloaded"
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"


async def read_request(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, body_limit: int) -> Request | None:
    """The next request of the connection; None when the peer closed between requests.

    Answers ``Expect: 100-continue`` itself. Raises Malformed.
    """
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as error:
        if error.partial.strip():
            raise Malformed(400, "request ended inside its headers") from None
        return None
    except asyncio.LimitOverrunError:
        raise Malformed(431, "request headers too large") from None
    first, _, rest = head[:-4].decode("latin-1").lstrip("\r\n").partition("\r\n")
    words = first.split(" ")
    if len(words) != 3 or not words[2].startswith("HTTP/1."):
        raise Malformed(400, "malformed request line")
    method, target, version = words
    if method not in METHODS:
        raise Malformed(501, "unknown method")
    headers = _headers(rest)
    http10 = version == "HTTP/1.0"
    connection = headers.get("connection", "").lower()
    keep_alive = "keep-alive" in connection if http10 else "close" not in connection
    if headers.get("expect", "").lower() == "100-continue":
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    path, _, query = target.partition("?")
    if path.startswith(("http://", "https://")):
        path = "/" + "/".join(path.split("/")[3:])
    if not path.startswith("/"):
        raise Malformed(400, "malformed request target")
    parsed = Request(
        method=method,
        path=unquote(path),
        query=dict(parse_qsl(query, keep_blank_values=True)),
        headers=headers,
        body=b"",
        http10=http10,
        keep_alive=keep_alive,
    )
    try:
        return replace(parsed, body=await _body(reader, headers, body_limit))
    except Malformed as error:
        error.request = replace(parsed, keep_alive=False)
        raise


def _headers(text: str) -> dict[str, str]:
    headers: dict[str, str] = {}
    for line in text.split("\r\n") if text else ():
        name, colon, value = line.partition(":")
        if not colon or not name or name != name.strip():
            raise Malformed(400, "malformed header line")
        name = name.lower()
        value = value.strip()
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


async def _body(reader: asyncio.StreamReader, headers: dict[str, str], limit: int) -> bytes:
    coding = headers.get("transfer-encoding", "").lower()
    try:
        if coding:
            if coding != "chunked" or "content-length" in headers:
                raise Malformed(400, "bad transfer-encoding")
            return await _chunked(reader, limit)
        length = headers.get("content-length", "0")
        if not length.isascii() or not length.isdigit():
            raise Malformed(400, "bad content-length")
        size = int(length)
        if size > limit:
            raise Malformed(413, "request body too large")
        return await reader.readexactly(size) if size else b""
    except asyncio.IncompleteReadError:
        raise Malformed(400, "request ended inside its body") from None
    except asyncio.LimitOverrunError:
        raise Malformed(400, "chunk line too long") from None


async def _chunked(reader: asyncio.StreamReader, limit: int) -> bytes:
    parts: list[bytes] = []
    total = 0
    while True:
        line = (await reader.readuntil(b"\r\n")).split(b";", 1)[0].strip()
        try:
            size = int(line, 16)
        except ValueError:
            raise Malformed(400, "bad chunk size") from None
        if size == 0:
            break
        total += size
        if size < 0 or total > limit:
            raise Malformed(413, "request body too large")
        parts.append(await reader.readexactly(size))
        if await reader.readexactly(2) != b"\r\n":
            raise Malformed(400, "chunk not ended")
    while await reader.readuntil(b"\r\n") != b"\r\n":
        continue
    return b"".join(parts)
