"""The client of calls that carry traffic: HTTP/1.1 straight to the provider, one pool of connections per origin.

It follows no redirect, keeps no cookie and reads nothing of the environment. A connection is made only to an address that was judged
(engine.lookups), and one that was made for rows that admit private addresses serves no other.
"""

from __future__ import annotations

import asyncio
import re
import ssl
from base64 import b64encode
from collections.abc import Coroutine, Mapping
from typing import Any, NamedTuple

from yarl import URL

from llm_gateway.core.errors import AttemptFailed, Failure, FailureClass, Overloaded

from .connections import KEPT_S, Answer, Connection
from .lookups import Lookups, first_socket
from .network_faults import failure_of, is_ours, unreached

USER_AGENT = "cogo-llm-gateway"
# How long a closed connection may take to go.
_GONE_S = 1.0

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VISIBLE = re.compile(r"[!-~]+")
# What says where a message ends is written here and nowhere else.
_OURS = frozenset({"content-length", "transfer-encoding", "connection", "keep-alive", "upgrade", "te", "trailer", "expect"})
_WITHOUT_BODY = frozenset({"GET", "HEAD", "OPTIONS", "TRACE", "DELETE"})


class FixedHeaders(dict[str, str]):
    """Headers that many requests share and nobody changes. ``heads``: what is written of them, by where it goes."""

    __slots__ = ("heads",)

    def __init__(self, headers: Mapping[str, str]) -> None:
        super().__init__(headers)
        self.heads: dict[Target, bytes] = {}


class Target(NamedTuple):
    """A URL, taken apart. ``path``: what stands between method and version; ``host`` and ``asks``, the user of the URL if it names one,
    are whole fields."""

    pool: Pool
    path: str
    host: str
    asks: str


class Pool:
    """The connections to one origin for rows of one kind."""

    def __init__(self, client: Client, host: str, port: int, trust: ssl.SSLContext | None, allow_private: bool) -> None:
        self.host = host
        self.port = port
        self.trust = trust
        self.allow_private = allow_private
        self.idle: list[Connection] = []
        self._client = client

    def take(self) -> Connection | None:
        """The one used last that may still be used."""
        idle = self.idle
        while idle:
            connection = idle.pop()
            if connection.usable():
                return connection
            connection.abort()
        return None

    def made(self, connection: Connection) -> None:
        self._client.connections.add(connection)

    def free(self, connection: Connection) -> None:
        self.idle.append(connection)
        self._client.watch()

    def lost(self, connection: Connection) -> None:
        if connection in self.idle:
            self.idle.remove(connection)
        self._client.lost(connection)


class Client:
    """Belongs to one event loop, lives as long as the process."""

    def __init__(self, trust: ssl.SSLContext) -> None:
        self.connections: set[Connection] = set()
        self.lookups = Lookups()
        self._trust = trust
        self._pools: dict[tuple[str, str, int, bool], Pool] = {}
        self._names: dict[str, str] = {}
        self._sweep: asyncio.TimerHandle | None = None
        self._closed = False
        self._gone: asyncio.Future[None] | None = None

    def target(self, url: URL, allow_private: bool) -> Target:
        """Raises :class:`AttemptFailed` where the URL is none."""
        host, port, path = url.raw_host, url.port, url.raw_path_qs or "/"
        if url.scheme not in ("http", "https") or not host or not port or not _VISIBLE.fullmatch(path) or not _VISIBLE.fullmatch(host):
            raise AttemptFailed(Failure(kind=FailureClass.CONFIG, message="not the URL of a host"))
        key = (url.scheme, host, port, allow_private)
        pool = self._pools.get(key)
        if pool is None:
            trust = self._trust if url.scheme == "https" else None
            pool = self._pools[key] = Pool(self, host, port, trust, allow_private)
        named = f"[{host}]" if ":" in host else host.removesuffix(".")
        asks = ""
        if url.user is not None or url.password is not None:
            pair = b64encode(f"{url.user or ''}:{url.password or ''}".encode()).decode()
            asks = f"authorization: Basic {pair}\r\n"
        return Target(pool, path, f"host: {named}\r\n" if url.is_default_port() else f"host: {named}:{port}\r\n", asks)

    def ask(self, target: Target, method: str, headers: Mapping[str, str], body: bytes, connect_s: float) -> Coroutine[Any, Any, Answer]:
        """The answer once its head has come; to be awaited at once. It raises :class:`AttemptFailed`, or :class:`Overloaded` where this
        process lacks descriptors."""
        try:
            head = self._known_head(target, headers, body) if body and type(headers) is FixedHeaders else None
            if head is None or method != "POST":
                head = self._head(target, method, headers, body)
        except ValueError as error:
            raise AttemptFailed(failure_of(error)) from None
        pool = target.pool
        connection = pool.take()
        if connection is None:
            return self._ask_anew(pool, connect_s, head, body, method)
        return connection.exchange(head, body, no_body=method == "HEAD")

    async def _ask_anew(self, pool: Pool, connect_s: float, head: bytes, body: bytes, method: str) -> Answer:
        connection = await self._connected(pool, connect_s)
        return await connection.exchange(head, body, no_body=method == "HEAD")

    async def close(self) -> None:
        """Close every connection, also those in use, and wait until they are gone."""
        self._closed = True
        self.lookups.close()
        if self._sweep is not None:
            self._sweep.cancel()
        for connection in list(self.connections):
            connection.abort()
        if self.connections:
            self._gone = asyncio.get_running_loop().create_future()
            await asyncio.wait((self._gone,), timeout=_GONE_S)

    def lost(self, connection: Connection) -> None:
        self.connections.discard(connection)
        if self._gone is not None and not self.connections and not self._gone.done():
            self._gone.set_result(None)

    def watch(self) -> None:
        """Look after connections that are kept, while there are any."""
        if self._sweep is None and not self._closed:
            self._sweep = asyncio.get_running_loop().call_later(KEPT_S / 2, self._swept)

    def _swept(self) -> None:
        self._sweep = None
        for pool in self._pools.values():
            kept = []
            for connection in pool.idle:
                if connection.usable():
                    kept.append(connection)
                else:
                    connection.abort()
            pool.idle = kept
            if kept:
                self.watch()

    def _known_head(self, target: Target, headers: FixedHeaders, body: bytes) -> bytes:
        """Of a POST. Raises ValueError for what would be more than one field."""
        known = headers.heads.get(target)
        if known is None:
            # With the length, which is last, cut off.
            known = headers.heads[target] = self._head(target, "POST", headers, b"1")[:-5]
        return b"%b%d\r\n\r\n" % (known, len(body))

    def _head(self, target: Target, method: str, headers: Mapping[str, str], body: bytes) -> bytes:
        """Raises ValueError for what would be more than one field."""
        lines = [f"{method} {target.path} HTTP/1.1\r\n", target.host]
        agent, asks = f"user-agent: {USER_AGENT}\r\n", target.asks
        names = self._names
        for name, value in headers.items():
            lower = names.get(name) or self._name(name)
            line = f"{name}: {value}\r\n"
            if lower == "host":
                lines[1] = line
                continue
            if lower == "user-agent":
                agent = ""
            elif lower == "authorization":
                asks = ""
            lines.append(line)
        if agent:
            lines.append(agent)
        if asks:
            lines.append(asks)
        if body or method not in _WITHOUT_BODY:
            lines.append(f"content-length: {len(body)}\r\n")
        text = "".join(lines)
        if text.count("\n") != len(lines) or text.count("\r") != len(lines) or "\0" in text:
            raise ValueError("a header holds a line break")
        return f"{text}\r\n".encode("utf-8", "surrogateescape")

    def _name(self, name: str) -> str:
        lower = name.lower()
        if not _TOKEN.fullmatch(name) or lower in _OURS:
            raise ValueError("a header's name is none")
        if len(self._names) < 512:
            self._names[name] = lower
        return lower

    async def _connected(self, pool: Pool, connect_s: float) -> Connection:
        loop = asyncio.get_running_loop()
        connection = Connection(pool)
        try:
            found = await self.lookups.addresses(pool.host, pool.port, allow_private=pool.allow_private)
            async with asyncio.timeout(connect_s):
                made = await first_socket(found)
                # From here on the loop owns the socket.
                name = pool.host.rstrip(".") if pool.trust else None
                await loop.create_connection(lambda: connection, sock=made, ssl=pool.trust, server_hostname=name)
        except BaseException as error:
            connection.abort()
            # uvloop says nothing of a connection that was given up while it was made.
            self.lost(connection)
            if not isinstance(error, Exception):
                raise
            if is_ours(error):
                raise Overloaded("The gateway has no room for another connection; try again shortly.", retry_after_s=1) from None
            raise AttemptFailed(unreached(error)) from None
        if self._closed:
            connection.abort()
            raise AttemptFailed(Failure(kind=FailureClass.CONFIG, message="the gateway is closing"))
        return connection
