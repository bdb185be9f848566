"""Calls through a proxy, by aiohttp.

It can do all that engine.client does, at several times the cost; tests hold both to the same answers. Nobody but the operator decides where
bytes go: no redirects, no cookies, no proxy but the one in the settings, every resolved address judged. Behind a proxy, which looks names
up by itself, a literal address is judged as ever, and so is a name that this machine can look up, too.
"""

from __future__ import annotations

import ipaddress
import socket
import ssl
import time
from collections.abc import AsyncIterator, Mapping
from contextvars import ContextVar
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from typing_extensions import override
from yarl import URL

from llm_gateway.core.errors import AttemptFailed, Failure, FailureClass, Overloaded
from llm_gateway.policies.addresses import refusal

from .client import USER_AGENT
from .connections import MAX_HEADER_BYTES
from .inflating import MAX_RESPONSE_BYTES, READ_BYTES, Inflater
from .lookups import LOOKED_UP_S
from .network import Network
from .network_faults import PrivateAddress, failure_of, is_ours, of_proxy

_K = FailureClass
# Whether the request at hand went out on a connection made for it: only a pooled one may have been closed before it was used.
_fresh: ContextVar[bool] = ContextVar("fresh", default=False)


class AiohttpUpstream:
    """Two pools of connections, one of which refuses private addresses, and a third through the proxy. Belongs to one event loop, lives as
    long as the process."""

    def __init__(self, network: Network | None = None) -> None:
        self._network = network or Network()
        trust = self._network.trust()
        self._guarded = _session(_GuardedResolver(allow_private=False), trust)
        self._open = _session(_GuardedResolver(allow_private=True), trust)
        # What these connect to is the proxy, whose address the operator gave.
        self._proxied = {
            proxy: _session(aiohttp.ThreadedResolver(), trust, proxy)
            for proxy in {self._network.https_proxy, self._network.http_proxy}
            if proxy
        }
        self._judged: dict[tuple[str, bool], float] = {}
        self._timeouts: dict[float, aiohttp.ClientTimeout] = {}
        self._urls: dict[tuple[str, bool], URL] = {}

    async def send(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes, *, connect_s: float, allow_private: bool
    ) -> _AiohttpResponse:
        target = self._urls.get((url, allow_private)) or self._remember(url, allow_private)
        timeout = self._timeouts.get(connect_s)
        if timeout is None:
            timeout = self._timeouts[connect_s] = aiohttp.ClientTimeout(total=None, sock_connect=connect_s)
        session = self._open if allow_private else self._guarded
        proxy = self._network.proxy_for(target) if self._proxied else ""
        if proxy:
            session = self._proxied[proxy]
            await self._judge(target.host or "", allow_private)
        _fresh.set(False)
        try:
            response = await session.request(method, target, data=body or None, headers=headers, timeout=timeout, allow_redirects=False)
        except (TimeoutError, aiohttp.ClientError, OSError, ValueError) as error:
            if is_ours(error):
                raise Overloaded("The gateway has no room for another connection; try again shortly.", retry_after_s=1) from None
            raise AttemptFailed(failure_of(error, fresh=_fresh.get(), proxy=proxy)) from None
        if proxy and response.status == 407:
            response.close()
            raise AttemptFailed(of_proxy(proxy, 407))
        return _AiohttpResponse(response)

    async def close(self) -> None:
        await self._guarded.close()
        await self._open.close()
        for session in self._proxied.values():
            await session.close()

    async def _judge(self, host: str, allow_private: bool) -> None:
        """Refuse a name that leads where it must not, as far as this machine can tell; the proxy looks it up again."""
        now = time.monotonic()
        if self._judged.get((host, allow_private), 0.0) > now:
            return
        try:
            await _GuardedResolver(allow_private=allow_private).resolve(host, 0, socket.AF_UNSPEC)
        except PrivateAddress as error:
            raise AttemptFailed(failure_of(error)) from None
        except OSError:
            pass  # only the proxy knows this name
        if len(self._judged) > 4096:
            self._judged.clear()
        self._judged[host, allow_private] = now + LOOKED_UP_S

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
        self._inflate = None if encoding in ("", "identity") else Inflater(encoding)

    async def read(self) -> bytes:
        if self._inflate is None and int(self.headers.get("content-length") or READ_BYTES + 1) <= READ_BYTES:
            try:
                return await self._response.read()
            except (aiohttp.ClientError, OSError, ValueError) as error:
                raise AttemptFailed(failure_of(error, reading=True)) from None
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
            raise AttemptFailed(failure_of(error, reading=True)) from None

    def close(self) -> None:
        self._response.close()


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
            raise PrivateAddress(host)
        return found

    @override
    async def close(self) -> None:
        await self._inner.close()


def _refuse_literal(url: URL, allow_private: bool) -> None:
    """Raises :class:`AttemptFailed` for an address that no provider of this row may have, before anything is looked up."""
    try:
        address = ipaddress.ip_address((url.host or "").rstrip("."))
    except ValueError:
        return
    if refusal(address, allow_private=allow_private):
        raise AttemptFailed(failure_of(PrivateAddress(url.host)))


class _Connector(aiohttp.TCPConnector):
    @override
    async def _create_connection(self, *args: Any, **options: Any) -> Any:
        _fresh.set(True)
        return await super()._create_connection(*args, **options)


def _session(resolver: AbstractResolver, trust: ssl.SSLContext, proxy: str | None = None) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        proxy=proxy,
        connector=_Connector(limit=0, ttl_dns_cache=LOOKED_UP_S, resolver=resolver, keepalive_timeout=30, ssl=trust),
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        trust_env=False,
        headers={"user-agent": USER_AGENT},
        skip_auto_headers=("Accept", "Accept-Encoding", "Content-Type"),
        read_bufsize=READ_BYTES,
        max_line_size=MAX_HEADER_BYTES,
        max_field_size=MAX_HEADER_BYTES,
    )
