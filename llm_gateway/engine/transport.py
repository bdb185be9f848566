"""The one door to the network.

Upstream calls go through aiohttp, called plainly: it costs a fourteenth of httpx per request (docs/decisions). Key checks, which are few,
go through httpx. Whatever goes wrong leaves here as :class:`AttemptFailed`; no library's exception does.

Nobody but the operator decides where bytes go: no redirects, no proxy from the environment, no cookies, and every resolved address is
checked before it is connected to unless the provider row admits private ones.
"""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import socket
import ssl
import zlib
from collections.abc import AsyncIterator, Mapping
from contextvars import ContextVar
from typing import Any, Protocol

import aiohttp
import httpx
import msgspec
from aiohttp.abc import AbstractResolver, ResolveResult
from typing_extensions import override
from yarl import URL

from llm_gateway.core.errors import AttemptFailed, Failure, FailureClass, Overloaded
from llm_gateway.policies.addresses import refusal

MAX_RESPONSE_BYTES = 64 << 20
MAX_HEADER_BYTES = 64 << 10
READ_BYTES = 1 << 16
USER_AGENT = "cogo-llm-gateway"

_K = FailureClass
_LACKING = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
# Whether the request at hand went out on a connection made for it: only a pooled one may have been closed before it was used.
_fresh: ContextVar[bool] = ContextVar("fresh", default=False)


class UpstreamResponse(Protocol):
    """An answer whose head has arrived. Header names are lower-case."""

    status: int
    headers: dict[str, str]

    async def read(self) -> bytes:
        """The whole body, at most :data:`MAX_RESPONSE_BYTES`. Raises :class:`AttemptFailed`."""
        ...

    def chunks(self) -> AsyncIterator[bytes]:
        """The body as it arrives. Raises :class:`AttemptFailed`."""
        ...

    def close(self) -> None:
        """Hang up; a provider that still works for us learns of it."""
        ...


class Upstream(Protocol):
    async def send(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes, *, connect_s: float, allow_private: bool
    ) -> UpstreamResponse: ...


class HttpUpstream:
    """Two pools of connections, one of which refuses private addresses. Belongs to one event loop, lives as long as the process."""

    def __init__(self) -> None:
        self._guarded = _session(_GuardedResolver(allow_private=False))
        self._open = _session(_GuardedResolver(allow_private=True))
        self._timeouts: dict[float, aiohttp.ClientTimeout] = {}
        self._urls: dict[tuple[str, bool], URL] = {}

    async def send(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes, *, connect_s: float, allow_private: bool
    ) -> UpstreamResponse:
        target = self._urls.get((url, allow_private)) or self._remember(url, allow_private)
        timeout = self._timeouts.get(connect_s)
        if timeout is None:
            timeout = self._timeouts[connect_s] = aiohttp.ClientTimeout(total=None, sock_connect=connect_s)
        session = self._open if allow_private else self._guarded
        _fresh.set(False)
        try:
            response = await session.request(method, target, data=body or None, headers=headers, timeout=timeout, allow_redirects=False)
        except (TimeoutError, aiohttp.ClientError, OSError, ValueError) as error:
            if _is_ours(error):
                raise Overloaded("The gateway has no room for another connection; try again shortly.", retry_after_s=1) from None
            raise AttemptFailed(_failure(error, fresh=_fresh.get())) from None
        return _AiohttpResponse(response)

    async def close(self) -> None:
        await self._guarded.close()
        await self._open.close()

    def _remember(self, url: str, allow_private: bool) -> URL:
        if len(self._urls) > 4096:
            self._urls.clear()
        target = URL(url, encoded=True)
        _refuse_literal(target, allow_private)
        self._urls[url, allow_private] = target
        return target


class _AiohttpResponse:
    __slots__ = ("_inflate", "_response", "headers", "status")

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response
        self.status = response.status
        self.headers = {name.lower(): value for name, value in response.headers.items()}
        encoding = self.headers.get("content-encoding", "identity").strip().lower()
        self._inflate = None if encoding in ("", "identity") else _Inflater(encoding)

    async def read(self) -> bytes:
        if self._inflate is None and int(self.headers.get("content-length") or READ_BYTES + 1) <= READ_BYTES:
            try:
                return await self._response.read()
            except (aiohttp.ClientError, OSError, ValueError) as error:
                raise AttemptFailed(_failure(error, reading=True)) from None
        parts = []
        size = 0
        async for part in self.chunks():
            size += len(part)
            if size > MAX_RESPONSE_BYTES:
                self.close()
                raise AttemptFailed(Failure(kind=_K.TOO_LARGE_RESPONSE, message=f"more than {MAX_RESPONSE_BYTES} bytes"))
            parts.append(part)
        return b"".join(parts)

    async def chunks(self) -> AsyncIterator[bytes]:
        content = self._response.content
        try:
            while data := await content.readany():
                if self._inflate is None:
                    yield data
                else:
                    for part in self._inflate.feed(data):
                        yield part
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise AttemptFailed(_failure(error, reading=True)) from None

    def close(self) -> None:
        self._response.close()


class _Inflater:
    """Bounded decompression for hosts that compress although asked not to: a small body must not become gigabytes (reliability.md T8)."""

    MAX_RATIO = 200

    def __init__(self, encoding: str) -> None:
        if encoding not in ("gzip", "deflate", "x-gzip"):
            raise AttemptFailed(Failure(kind=_K.BAD_CONTENT_TYPE, message="the answer is compressed in a way that was not asked for"))
        self._object = zlib.decompressobj(zlib.MAX_WBITS | 32)
        self._in = self._out = 0

    def feed(self, data: bytes) -> list[bytes]:
        parts = []
        self._in += len(data)
        try:
            while data:
                part = self._object.decompress(data, READ_BYTES)
                data = self._object.unconsumed_tail
                self._out += len(part)
                if self._out > MAX_RESPONSE_BYTES or (self._out > 1 << 20 and self._out > self.MAX_RATIO * self._in):
                    raise AttemptFailed(Failure(kind=_K.TOO_LARGE_RESPONSE, message="the compressed answer is too large"))
                parts.append(part)
        except zlib.error:
            raise AttemptFailed(Failure(kind=_K.BAD_JSON, message="the compressed answer is damaged")) from None
        return parts


class _GuardedResolver(AbstractResolver):
    """Resolves and lets only addresses through that a provider may have (never those of a cloud's metadata service): checked here, these
    very addresses are connected to, so that a second answer of the name server cannot lead elsewhere."""

    def __init__(self, *, allow_private: bool) -> None:
        self._inner = aiohttp.ThreadedResolver()
        self._allow_private = allow_private

    @override
    async def resolve(self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET) -> list[ResolveResult]:
        found = await self._inner.resolve(host, port, family)
        if not found or any(refusal(ipaddress.ip_address(entry["host"]), allow_private=self._allow_private) for entry in found):
            raise _PrivateAddress(host)
        return found

    @override
    async def close(self) -> None:
        await self._inner.close()


class _PrivateAddress(ValueError):
    """The provider's host leads to a private address and its row does not admit one."""


def _refuse_literal(url: URL, allow_private: bool) -> None:
    try:
        address = ipaddress.ip_address((url.host or "").rstrip("."))
    except ValueError:
        return
    if refusal(address, allow_private=allow_private):
        raise AttemptFailed(_failure(_PrivateAddress(url.host)))


class _Connector(aiohttp.TCPConnector):
    @override
    async def _create_connection(self, *args: Any, **options: Any) -> Any:
        _fresh.set(True)
        return await super()._create_connection(*args, **options)


def _session(resolver: AbstractResolver | None) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=_Connector(limit=0, ttl_dns_cache=30, resolver=resolver, keepalive_timeout=30),
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        trust_env=False,
        headers={"user-agent": USER_AGENT},
        skip_auto_headers=("Accept", "Accept-Encoding", "Content-Type"),
        read_bufsize=READ_BYTES,
        max_line_size=MAX_HEADER_BYTES,
        max_field_size=MAX_HEADER_BYTES,
    )


def _is_ours(error: BaseException) -> bool:
    """Whether this process or machine lacks what a connection needs: no provider's fault."""
    cause = getattr(error, "os_error", error)
    if isinstance(cause, socket.gaierror):
        # The resolver does not say that it could open no socket.
        try:
            socket.socket().close()
        except OSError as lacking:
            cause = lacking
    return isinstance(cause, OSError) and not isinstance(cause, socket.gaierror) and cause.errno in _LACKING


def _failure(error: BaseException, *, reading: bool = False, fresh: bool = False) -> Failure:
    """The class of a network fault. ``reading``: the head had arrived; ``fresh``: the connection was made for this request."""
    kind: FailureClass
    match error:
        case _PrivateAddress():
            return Failure(kind=_K.CONFIG, message="the provider's address is private; admit it on the provider's page if it is yours")
        case aiohttp.ClientConnectorDNSError() | socket.gaierror():
            kind = _K.DNS
        case aiohttp.ClientSSLError() | ssl.SSLError():
            kind = _K.TLS
        case aiohttp.ConnectionTimeoutError() | aiohttp.ServerTimeoutError():
            kind = _K.CONNECT_TIMEOUT
        case aiohttp.ClientConnectorError():
            if isinstance(error.os_error, _PrivateAddress | ssl.SSLError):
                return _failure(error.os_error)
            kind = _K.CONNECT_REFUSED
        case aiohttp.ClientPayloadError():
            # aiohttp names what ended the connection only in the text.
            kind = _K.RESET if "ConnectionResetError" in str(error) else _K.TRUNCATED
        case aiohttp.ServerDisconnectedError() | ConnectionError() | aiohttp.ClientOSError():
            kind = _K.RESET if reading or fresh else _K.STALE_CONNECTION
        case aiohttp.ClientResponseError():
            kind = _K.PROTOCOL
        case aiohttp.InvalidURL() | UnicodeError():
            kind = _K.CONFIG
        case ValueError():
            # aiohttp refuses header values with line breaks before sending anything.
            kind = _K.PROTOCOL if reading else _K.CONFIG
        case _:
            kind = _K.PROTOCOL
    return Failure(kind=kind, message=type(error).__name__)


class ProbeAnswer(msgspec.Struct, frozen=True):
    """What a key check got. ``headers`` have lower-case names; the body is cut at 64 KiB."""

    status: int
    headers: dict[str, str]
    body: bytes


async def probe(method: str, url: str, headers: Mapping[str, str], *, timeout_s: float, allow_private: bool) -> ProbeAnswer:
    """One unbilled call of the slow lane. Raises :class:`AttemptFailed` for network faults."""
    host = httpx.URL(url).host
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
        addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
        if any(refusal(ipaddress.ip_address(one), allow_private=allow_private) for one in addresses):
            raise _PrivateAddress(host)
        for one in addresses[:-1]:
            try:
                return await _probe_at(one, method, url, headers, timeout_s)
            except (httpx.ConnectError, httpx.ConnectTimeout):
                continue
        return await _probe_at(addresses[-1], method, url, headers, timeout_s)
    except socket.gaierror:
        raise AttemptFailed(Failure(kind=_K.DNS)) from None
    except httpx.ConnectTimeout:
        raise AttemptFailed(Failure(kind=_K.CONNECT_TIMEOUT)) from None
    except httpx.TimeoutException:
        raise AttemptFailed(Failure(kind=_K.TTFB_TIMEOUT)) from None
    except httpx.ConnectError as error:
        raise AttemptFailed(Failure(kind=_connect_kind(error), message=type(error).__name__)) from None
    except (httpx.HTTPError, OSError, ValueError) as error:
        raise AttemptFailed(_failure(error)) from None


async def _probe_at(address: str, method: str, url: str, headers: Mapping[str, str], timeout_s: float) -> ProbeAnswer:
    """At this very address, which was judged: the name is not resolved a second time. Certificate and Host stay the name's."""
    named = httpx.URL(url)
    async with (
        httpx.AsyncClient(trust_env=False, follow_redirects=False, timeout=timeout_s, headers={"user-agent": USER_AGENT}) as client,  # noqa: TID251  # this is the door
        client.stream(
            method,
            named.copy_with(host=address),
            headers={**headers, "host": named.netloc.decode("ascii")},
            extensions={"sni_hostname": named.host},
        ) as response,
    ):
        body = b""
        async for part in response.aiter_raw():
            body += part
            if len(body) > READ_BYTES:
                break
        return ProbeAnswer(response.status_code, {k.lower(): v for k, v in response.headers.items()}, body[:READ_BYTES])


def _connect_kind(error: BaseException) -> FailureClass:
    seen: Any = error
    while seen is not None:
        if isinstance(seen, ssl.SSLError):
            return _K.TLS
        if isinstance(seen, socket.gaierror):
            return _K.DNS
        seen = seen.__cause__ or seen.__context__
    return _K.CONNECT_REFUSED
