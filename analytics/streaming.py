"""Answers sent while they are made. Django would collect a plain iterator whole before it sends it from its asynchronous host."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator
from itertools import islice

from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest, StreamingHttpResponse

PIECES = 500


def streamed(request: HttpRequest, pieces: Iterable[bytes | str], content_type: str) -> StreamingHttpResponse:
    """``pieces`` are joined by the hundreds, so that a small line costs no thread switch of its own."""
    joined = _joined(iter(pieces))
    return StreamingHttpResponse(_apart(joined) if isinstance(request, ASGIRequest) else joined, content_type=content_type)


def _joined(pieces: Iterator[bytes | str]) -> Iterator[bytes]:
    while some := list(islice(pieces, PIECES)):
        yield b"".join(one.encode() if isinstance(one, str) else one for one in some)


async def _apart(pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
    """Made in the request's own thread, where its database connection is."""
    following = sync_to_async(lambda: next(pieces, None))
    while (piece := await following()) is not None:
        yield piece
