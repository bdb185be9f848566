"""HTTP as the bare ASGI endpoints see it: hosted by the door, no Django request in between."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from functools import lru_cache
from uuid import UUID

import msgspec

from llm_gateway.core.caching import CacheNote
from llm_gateway.core.catalog import Identity
from llm_gateway.core.errors import GatewayError
from llm_gateway.core.money import format_usd
from llm_gateway.core.redact import without_keys
from llm_gateway.engine.calls import StreamAnswer, Summary

from . import refusal


class HttpCall(msgspec.Struct, frozen=True, kw_only=True):
    """An authenticated request. ``headers`` have lower-case names; ``path`` is what the route matched; ``address`` is the caller's, empty
    where it is not known; ``body`` reads at most the door's cap and raises :class:`BodyTooLarge` or :class:`BodyTimeout`. ``upload``: of a
    route that takes uploads, the body in pieces as they come; raises the same."""

    id: UUID
    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    identity: Identity
    address: str = ""
    body: Callable[[], Awaitable[bytes]]
    upload: Callable[[], AsyncIterator[bytes]] | None = None


class HttpReply(msgspec.Struct, frozen=True, kw_only=True):
    """``chunks`` instead of ``body``: a stream, whose every item is whole events; ``heartbeat`` may be sent between them while it is quiet.
    ``close`` is called in any case, also when no chunk was ever asked for; its argument: the caller did not take what it was sent."""

    status: int = 200
    headers: tuple[tuple[bytes, bytes], ...] = ()
    body: bytes = b""
    chunks: AsyncIterator[bytes] | None = None
    heartbeat: bytes = b""
    close: Callable[[bool], Awaitable[None]] | None = None


Endpoint = Callable[[HttpCall], Awaitable[HttpReply]]

JSON = (b"content-type", b"application/json")
EVENTS = (b"content-type", b"text/event-stream; charset=utf-8")
NO_CACHE = ((b"cache-control", b"no-cache, no-transform"), (b"x-accel-buffering", b"no"))


# What a caller writes its requests' costs under: a product, a customer, a job.
TAG_HEADER = "x-cogo-tag"


def tag_of(headers: Mapping[str, str]) -> str:
    """The caller's tag, printable and short; empty without one."""
    told = headers.get(TAG_HEADER)
    return "".join(c for c in told if c.isprintable())[:60].strip() if told else ""


def page_size(text: str | None, *, usual: int, most: int) -> int:
    """How many items a page holds: what was asked for within 1 and ``most``; ``usual`` for what is no whole number."""
    return min(max(int(text), 1), most) if text and text.isdecimal() and len(text) < 6 else usual


def request_id(value: UUID) -> str:
    return str(value)


def id_headers(value: UUID) -> tuple[tuple[bytes, bytes], ...]:
    """The id under the names that the SDKs read: OpenAI's, and Anthropic's."""
    text = str(value).encode()
    return (b"x-request-id", text), (b"request-id", text)


def error_headers(error: GatewayError, call_id: UUID) -> tuple[tuple[bytes, bytes], ...]:
    """:func:`refusal.headers` with the type of the body, as ASGI has them."""
    return (JSON, *((name.encode(), value.encode("latin-1")) for name, value in refusal.headers(error, request_id(call_id)).items()))


def summary_headers(summary: Summary) -> tuple[tuple[bytes, bytes], ...]:
    target = summary.target
    headers = [
        *id_headers(summary.id),
        (b"x-cogo-model", ascii_header(summary.served_model)),
        (b"x-cogo-attempts", b"%d" % len(summary.attempts)),
        (b"x-cogo-cost", format_usd(summary.cost_nusd).encode()),
    ]
    if summary.cache is not None:
        headers += cache_headers(summary.cache)
    if target is not None:
        headers.append((b"x-cogo-provider", ascii_header(target.provider.slug)))
        if target.provider.simulated:
            headers.append((b"x-cogo-simulated", b"true"))
    if "empty" in summary.flags:
        headers.append((b"x-cogo-warning", b"empty"))
    if target is not None and summary.decision.get("stands_in_for"):
        headers.append((b"x-cogo-warning", retired_warning(target.model.name)))
    return tuple(headers)


def stream_headers(answer: StreamAnswer) -> tuple[tuple[bytes, bytes], ...]:
    """What is known when the first content is in hand; the cost is in the log row and, natively, in the last event."""
    provider = answer.target.provider
    headers = [
        *id_headers(answer.id),
        (b"x-cogo-model", ascii_header(answer.model)),
        (b"x-cogo-provider", ascii_header(provider.slug)),
        (b"x-cogo-attempts", str(answer.attempts).encode()),
    ]
    headers += stream_cache_headers(answer.cache)
    if provider.simulated:
        headers.append((b"x-cogo-simulated", b"true"))
    if answer.stands_in_for:
        headers.append((b"x-cogo-warning", retired_warning(answer.target.model.name)))
    return tuple(headers)


def cache_headers(note: CacheNote | None) -> list[tuple[bytes, bytes]]:
    """What became of the wish to be answered out of the cache; nothing where there was none."""
    if note is None:
        return []
    status = f"{note.status}; {note.why}" if note.why else note.status
    found = [(b"x-cogo-cache", ascii_header(status))]
    if note.origin:
        found += [(b"age", str(note.age_s).encode()), (b"x-cogo-cached-from", note.origin.encode())]
    return found


def stream_cache_headers(note: CacheNote | None) -> list[tuple[bytes, bytes]]:
    """Of a stream only a hit's cost is known before its end: none."""
    free = note is not None and note.origin
    return [*cache_headers(note), *([(b"x-cogo-cost", format_usd(0).encode())] if free else ())]


def retired_warning(model: str) -> bytes:
    """Says that ``model`` stands in for the retired one that was asked for."""
    return b"retired; successor=" + ascii_header(model)


# Nearly always the name of a model or a provider.
@lru_cache(maxsize=2048)
def ascii_header(text: str) -> bytes:
    if text.isascii() and text.isprintable():
        return without_keys(text).encode()
    return "".join(c if " " <= c <= "~" else "?" for c in without_keys(text)).encode()
