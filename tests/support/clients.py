"""Our own HTTP client and the one it is measured by, on both event loops, and a host that says byte by byte what it is told to."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import uvloop

from llm_gateway.core.errors import AttemptFailed, Failure
from llm_gateway.engine.network import Network
from llm_gateway.engine.through_aiohttp import AiohttpUpstream
from llm_gateway.engine.transport import HttpUpstream

T = TypeVar("T")
Scene = Callable[[Any], Awaitable[T]]


@dataclass(frozen=True)
class Client:
    """``own``: the product's client; what only it promises is asked of it alone."""

    name: str
    make: Callable[[Network | None], Any]
    loop: Callable[[], asyncio.AbstractEventLoop]
    own: bool = True

    def run(self, scene: Scene[T], network: Network | None = None) -> T:
        async def main() -> T:
            upstream = self.make(network)
            try:
                async with asyncio.timeout(20):
                    return await scene(upstream)
            finally:
                await upstream.close()

        with asyncio.Runner(loop_factory=self.loop) as runner:
            return runner.run(main())


OWN = (Client("own", HttpUpstream, asyncio.new_event_loop), Client("own-uvloop", HttpUpstream, uvloop.new_event_loop))
CLIENTS = (*OWN, Client("aiohttp", AiohttpUpstream, asyncio.new_event_loop, own=False))


async def post(upstream: Any, url: str, body: bytes = b"{}", headers: Mapping[str, str] | None = None, **options: Any) -> Any:
    method = options.pop("method", "POST")
    return await upstream.send(method, url, headers or {}, body, **{"connect_s": 5.0, "allow_private": True, **options})


async def failure_of(answer: Awaitable[Any]) -> Failure:
    try:
        await answer
    except AttemptFailed as error:
        return error.failure
    raise AssertionError("it did not fail")


def forget_names(upstream: Any) -> None:
    """As if :data:`llm_gateway.engine.lookups.LOOKED_UP_S` had passed."""
    if isinstance(upstream, HttpUpstream):
        upstream._client.lookups.forget()
    else:
        upstream._guarded.connector.clear_dns_cache()
        upstream._open.connector.clear_dns_cache()


def reset(peer: socket.socket) -> None:
    """End it by RST."""
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    peer.close()


def request_of(peer: socket.socket) -> bytes:
    """One whole request, empty at the end of the connection."""
    data = b""
    while b"\r\n\r\n" not in data:
        part = peer.recv(1 << 16)
        if not part:
            return b""
        data += part
    head, _, body = data.partition(b"\r\n\r\n")
    length = next((int(line[16:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length: ")), 0)
    while len(body) < length and (part := peer.recv(1 << 16)):
        body += part
    return head + b"\r\n\r\n" + body


@dataclass
class Host:
    """``talk(host, peer, number)`` speaks on each connection, counted from 1, in a thread of its own."""

    talk: Callable[[Host, socket.socket, int], None]
    address: str = "127.0.0.1"
    requests: list[bytes] = field(default_factory=list)
    connections: int = 0
    hung_up: threading.Event = field(default_factory=threading.Event)
    port: int = 0

    def __enter__(self) -> Host:
        family = socket.AF_INET6 if ":" in self.address else socket.AF_INET
        self._socket = socket.create_server((self.address, self.port), family=family)
        self.port = self._socket.getsockname()[1]
        self._threads = [threading.Thread(target=self._serve, daemon=True)]
        self._threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        for thread in self._threads:
            thread.join(5)

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                peer, _ = self._socket.accept()
                self.connections += 1
                self._threads.append(threading.Thread(target=self._answer, args=(peer, self.connections), daemon=True))
                self._threads[-1].start()

    def _answer(self, peer: socket.socket, number: int) -> None:
        with contextlib.suppress(OSError), peer:
            peer.settimeout(10)
            self.talk(self, peer, number)

    @property
    def url(self) -> str:
        return f"http://{f'[{self.address}]' if ':' in self.address else self.address}:{self.port}/v1/x?y=z"

    def asked(self, peer: socket.socket) -> bytes:
        request = request_of(peer)
        if request:
            self.requests.append(request)
        return request

    def until_closed(self, peer: socket.socket) -> None:
        """Notes when the client hung up."""
        with contextlib.suppress(OSError):
            while peer.recv(1 << 16):
                pass
        self.hung_up.set()


def saying(*answers: bytes) -> Callable[[Host, socket.socket, int], None]:
    """Every connection: these answers, one to each request, the last again and again."""

    def talk(host: Host, peer: socket.socket, number: int) -> None:
        at = 0
        while host.asked(peer):
            peer.sendall(answers[min(at, len(answers) - 1)])
            at += 1
        host.hung_up.set()

    return talk
