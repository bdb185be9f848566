"""The one door to the network.

Upstream calls go through a client of our own (engine.client), those through a proxy by aiohttp (docs/decisions). Key checks, which are few,
go through httpx. Whatever goes wrong leaves here as :class:`AttemptFailed`; no library's exception does.

Nobody but the operator decides where bytes go: no redirects, no cookies, no proxy but the one in the settings (engine.network), and every
resolved address is checked before it is connected to unless the provider row admits private ones.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import AsyncIterator, Coroutine, Mapping
from typing import TYPE_CHECKING, Any, Protocol

import httpx
import msgspec
from yarl import URL

from llm_gateway.core.errors import AttemptFailed, Failure, FailureClass
from llm_gateway.policies.addresses import refusal

from .client import USER_AGENT, Client, Target
from .inflating import READ_BYTES
from .network import Network
from .network_faults import PrivateAddress, failure_of

if TYPE_CHECKING:
    from .through_aiohttp import AiohttpUpstream

_K = FailureClass


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
    """Belongs to one event loop, lives as long as the process."""

    def __init__(self, network: Network | None = None) -> None:
        self._network = network or Network()
        self._client = Client(self._network.trust())
        self._proxied: AiohttpUpstream | None = None
        # None for what goes through a proxy.
        self._targets: dict[tuple[str, bool], Target | None] = {}

    def send(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes, *, connect_s: float, allow_private: bool
    ) -> Coroutine[Any, Any, UpstreamResponse]:
        key = (url, allow_private)
        target = self._targets[key] if key in self._targets else self._remember(url, allow_private)
        if target is None:
            return self._by_proxy().send(method, url, headers, body, connect_s=connect_s, allow_private=allow_private)
        return self._client.ask(target, method, headers, body, connect_s)

    async def close(self) -> None:
        await self._client.close()
        if self._proxied is not None:
            await self._proxied.close()

    def _by_proxy(self) -> AiohttpUpstream:
        if self._proxied is None:
            from .through_aiohttp import AiohttpUpstream

            self._proxied = AiohttpUpstream(self._network)
        return self._proxied

    def _remember(self, url: str, allow_private: bool) -> Target | None:
        if len(self._targets) > 4096:
            self._targets.clear()
        try:
            asked = URL(url, encoded=True)
        except ValueError as error:
            raise AttemptFailed(failure_of(error)) from None
        target = None if self._network.proxy_for(asked) else self._client.target(asked, allow_private)
        self._targets[url, allow_private] = target
        return target


class ProbeAnswer(msgspec.Struct, frozen=True):
    """What a key check got. ``headers`` have lower-case names; the body is cut at 64 KiB."""

    status: int
    headers: dict[str, str]
    body: bytes


async def probe(
    method: str, url: str, headers: Mapping[str, str], *, timeout_s: float, allow_private: bool, network: Network | None = None
) -> ProbeAnswer:
    """One unbilled call of the slow lane. Raises :class:`AttemptFailed` for network faults."""
    way = network or Network()
    if way.proxy_for(URL(url)):
        return await _probe_through_proxy(way, method, url, headers, timeout_s, allow_private)
    host = httpx.URL(url).host
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
        addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
        if any(refusal(ipaddress.ip_address(one), allow_private=allow_private) for one in addresses):
            raise PrivateAddress(host)
        for one in addresses[:-1]:
            try:
                return await _probe_at(one, method, url, headers, timeout_s, way)
            except (httpx.ConnectError, httpx.ConnectTimeout):
                continue
        return await _probe_at(addresses[-1], method, url, headers, timeout_s, way)
    except socket.gaierror:
        raise AttemptFailed(Failure(kind=_K.DNS)) from None
    except httpx.ConnectTimeout:
        raise AttemptFailed(Failure(kind=_K.CONNECT_TIMEOUT)) from None
    except httpx.TimeoutException:
        raise AttemptFailed(Failure(kind=_K.TTFB_TIMEOUT)) from None
    except httpx.ConnectError as error:
        raise AttemptFailed(Failure(kind=_connect_kind(error), message=type(error).__name__)) from None
    except (httpx.HTTPError, OSError, ValueError) as error:
        raise AttemptFailed(failure_of(error)) from None


async def _probe_through_proxy(
    way: Network, method: str, url: str, headers: Mapping[str, str], timeout_s: float, allow_private: bool
) -> ProbeAnswer:
    """As a call goes, with its guard and its words for what goes wrong."""
    upstream = HttpUpstream(way)
    try:
        async with asyncio.timeout(timeout_s):
            response = await upstream.send(method, url, headers, b"", connect_s=timeout_s, allow_private=allow_private)
            body = await response.read()
        return ProbeAnswer(response.status, response.headers, body[:READ_BYTES])
    except TimeoutError:
        raise AttemptFailed(Failure(kind=_K.TTFB_TIMEOUT)) from None
    finally:
        await upstream.close()


async def _probe_at(address: str, method: str, url: str, headers: Mapping[str, str], timeout_s: float, way: Network) -> ProbeAnswer:
    """At this very address, which was judged: the name is not resolved a second time. Certificate and Host stay the name's."""
    named = httpx.URL(url)
    async with (
        httpx.AsyncClient(  # noqa: TID251  # this is the door
            verify=way.trust(), trust_env=False, follow_redirects=False, timeout=timeout_s, headers={"user-agent": USER_AGENT}
        ) as client,
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
