"""What the HTTP client makes of an answer's bytes: where it ends, what is refused, and whether the connection is used again."""

from __future__ import annotations

import asyncio
import gzip
import socket
import time
from typing import Any

import pytest

from llm_gateway.core.errors import FailureClass
from tests.support.clients import CLIENTS, OWN, Client, Host, failure_of, post, reset, saying

_K = FailureClass
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
CLIENT = pytest.mark.parametrize("client", CLIENTS, ids=lambda one: one.name)
# What aiohttp does otherwise: it looks only at what was read before it writes, and drops what came before a connection broke.
DIFFERS = frozenset({
    "bytes after the end", "a protocol nobody asked for", "between chunks", "before the last line", "reset", "reset without length",
    "a chunk that is none", "interim with a body",
})  # fmt: skip
OUR_CLIENT = pytest.mark.parametrize("client", OWN, ids=lambda one: one.name)


def only_ours(client: Client, what: str) -> None:
    if not client.own and what in DIFFERS:
        pytest.skip("aiohttp differs")


# name: (bytes, status, body, whether the connection is used again)
WHOLE: dict[str, tuple[bytes, int, bytes, bool]] = {
    "length": (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", 200, b"hello", True),
    "empty": (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 200, b"", True),
    "chunked": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n", 200, b"hello", True),
    "extensions": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n0\r\n\r\n", 200, b"hello", True),
    "spaces": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5  \r\nhello\r\n0\r\n\r\n", 200, b"hello", True),
    "trailers": (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nx-a: 1\r\nx-b: 2\r\n\r\n",
        200,
        b"hello",
        True,
    ),
    "no content": (b"HTTP/1.1 204 No Content\r\n\r\n", 204, b"", True),
    "not modified": (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", 304, b"", True),
    "interim": (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: x\r\nx-a: no\r\n\r\n" + OK, 200, b"ok", True),
    "interim with a body": (b"HTTP/1.1 150 Well\r\nContent-Length: 2\r\n\r\nno" + OK, 200, b"ok", True),
    "closing": (b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello", 200, b"hello", False),
    "version 1.0": (b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello", 200, b"hello", False),
    "redirect": (b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:9/\r\nContent-Length: 0\r\n\r\n", 302, b"", True),
}


@CLIENT
@pytest.mark.parametrize("step", [0, 1], ids=["at once", "byte by byte"])
@pytest.mark.parametrize("name", WHOLE)
def test_an_answer_ends_where_it_says(client: Client, name: str, step: int) -> None:
    only_ours(client, name)
    said, status, body, again = WHOLE[name]

    def talk(host: Host, peer: socket.socket, number: int) -> None:
        while host.asked(peer):
            for at in range(0, len(said), step or len(said)):
                peer.sendall(said[at : at + (step or len(said))])
            if not again:
                return

    async def scene(upstream: Any) -> None:
        for _ in range(3):
            answer = await post(upstream, host.url)
            assert (answer.status, await answer.read()) == (status, body)
            assert "x-a" not in answer.headers

    with Host(talk) as host:
        client.run(scene)
    assert host.connections == (1 if again else 3)
    assert len(host.requests) == 3


@CLIENT
def test_without_a_length_the_answer_ends_with_the_connection(client: Client) -> None:
    def talk(host: Host, peer: socket.socket, number: int) -> None:
        host.asked(peer)
        peer.sendall(b"HTTP/1.1 200 OK\r\n\r\nhel")
        time.sleep(0.02)
        peer.sendall(b"lo")

    async def scene(upstream: Any) -> list[bytes]:
        whole = await (await post(upstream, host.url)).read()
        return [whole, b"".join([part async for part in (await post(upstream, host.url)).chunks()])]

    with Host(talk) as host:
        assert client.run(scene) == [b"hello", b"hello"]
    assert host.connections == 2


@CLIENT
def test_the_answer_to_head_has_no_body(client: Client) -> None:
    with Host(saying(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n")) as host:

        async def scene(upstream: Any) -> list[tuple[int, bytes]]:
            answers = [await post(upstream, host.url, b"", method="HEAD") for _ in range(2)]
            return [(answer.status, await answer.read()) for answer in answers]

        assert client.run(scene) == [(200, b""), (200, b"")]


@CLIENT
@pytest.mark.parametrize("pause", [0.0, 0.05], ids=["with it", "later"])
@pytest.mark.parametrize("more", [OK.replace(b"ok", b"no"), b"rubbish", b"\0"], ids=["an answer", "rubbish", "a byte"])
def test_bytes_after_the_end_belong_to_nobody(client: Client, more: bytes, pause: float) -> None:
    """Least of all to the next request, and not even where they came while the loop was busy."""
    only_ours(client, "bytes after the end")

    def talk(host: Host, peer: socket.socket, number: int) -> None:
        while host.asked(peer):
            if number == 1 and pause:
                peer.sendall(OK)
                time.sleep(pause)
                peer.sendall(more)
            else:
                peer.sendall(OK + more * (number == 1))

    async def scene(upstream: Any) -> None:
        for _ in range(3):
            assert await (await post(upstream, host.url)).read() == b"ok"
            time.sleep(2 * pause)  # noqa: ASYNC251  # the loop is to be busy

    with Host(talk) as host:
        client.run(scene)
    assert host.connections == 2


REFUSED = {
    "no status": b"H\x01TP/banana two\r\n\r\n",
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok",
    "length and chunks": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    "a negative length": b"HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\nok",
    "a length in words": b"HTTP/1.1 200 OK\r\nContent-Length: two\r\n\r\nok",
    "NUL in a field": b"HTTP/1.1 200 OK\r\nx-a: a\0b\r\nContent-Length: 2\r\n\r\nok",
    "a long field": b"HTTP/1.1 200 OK\r\nx-a: " + b"a" * 70_000 + b"\r\nContent-Length: 2\r\n\r\nok",
    "many fields": b"HTTP/1.1 200 OK\r\n" + b"x-a: b\r\n" * 200 + b"Content-Length: 2\r\n\r\nok",
    "a protocol nobody asked for": b"HTTP/1.1 101 Switching\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n",
}


@CLIENT
@pytest.mark.parametrize("name", REFUSED)
def test_what_two_readers_could_read_in_two_ways_is_no_answer(client: Client, name: str) -> None:
    only_ours(client, name)

    async def scene(upstream: Any) -> FailureClass:
        return (await failure_of(post(upstream, host.url))).kind

    with Host(saying(REFUSED[name])) as host:
        assert client.run(scene) is _K.PROTOCOL
        assert host.hung_up.wait(2)


@OUR_CLIENT
@pytest.mark.parametrize("kind", ["fields", "interim", "one field", "trailers", "extension"])
def test_a_head_without_end_is_given_up(client: Client, kind: str) -> None:
    begin = {"trailers": b"transfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n", "extension": b"transfer-encoding: chunked\r\n\r\n2;"}
    more = {"interim": b"HTTP/1.1 100 Continue\r\n\r\n" * 100, "one field": b"a" * 1000, "extension": b"a" * 1000}.get(
        kind, b"a: b\r\n" * 20
    )
    first = b"" if kind == "interim" else b"HTTP/1.1 200 OK\r\n" + begin.get(kind, b"x: ")
    sent = [0]

    def talk(host: Host, peer: socket.socket, number: int) -> None:
        host.asked(peer)
        peer.sendall(first)
        try:
            while sent[0] < 64 << 20:
                peer.sendall(more)
                sent[0] += len(more)
        finally:
            host.hung_up.set()

    async def scene(upstream: Any) -> FailureClass:
        async def whole() -> None:
            await (await post(upstream, host.url)).read()

        return (await failure_of(whole())).kind

    with Host(talk) as host:
        assert client.run(scene) is _K.PROTOCOL
        assert host.hung_up.wait(5)
    assert sent[0] < 16 << 20


CUT = {
    "in the length": (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello", False, _K.TRUNCATED),
    "in a chunk": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nhello", False, _K.TRUNCATED),
    "between chunks": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", False, _K.TRUNCATED),
    "before the last line": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n", False, _K.TRUNCATED),
    "reset": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", True, _K.RESET),
    "reset without length": (b"HTTP/1.1 200 OK\r\n\r\nhello", True, _K.RESET),
}


@CLIENT
@pytest.mark.parametrize("name", CUT)
def test_an_answer_that_is_cut_says_how(client: Client, name: str) -> None:
    only_ours(client, name)
    said, hard, kind = CUT[name]

    def talk(host: Host, peer: socket.socket, number: int) -> None:
        host.asked(peer)
        peer.sendall(said)
        time.sleep(0.05)
        if hard:
            reset(peer)

    async def scene(upstream: Any) -> None:
        read: list[bytes] = []

        answer = await post(upstream, host.url)

        async def whole() -> None:
            async for part in answer.chunks():
                read.append(part)  # noqa: PERF401  # what came before the failure counts

        assert (await failure_of(whole())).kind is kind
        answer.close()
        assert b"".join(read) == b"hello"

    with Host(talk) as host:
        client.run(scene)


@CLIENT
def test_a_chunk_that_is_none_ends_the_answer_after_what_came(client: Client) -> None:
    only_ours(client, "a chunk that is none")

    async def scene(upstream: Any) -> None:
        answer = await post(upstream, host.url)
        chunks = answer.chunks()
        assert await anext(chunks) == b"ok"
        failure = await failure_of(anext(chunks))
        assert failure.kind is _K.PROTOCOL

    with Host(saying(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\nzz\r\nno\r\n")) as host:
        client.run(scene)
        assert host.hung_up.wait(2)


@CLIENT
def test_a_squeezed_answer_is_opened_and_a_bomb_is_not(client: Client) -> None:
    small, bomb = gzip.compress(b"hello" * 1000), gzip.compress(bytes(256 << 20), 9)

    def squeezed(data: bytes, how: bytes = b"gzip") -> bytes:
        return b"HTTP/1.1 200 OK\r\ncontent-encoding: %b\r\ncontent-length: %d\r\n\r\n%b" % (how, len(data), data)

    async def scene(upstream: Any) -> None:
        assert await (await post(upstream, host.url)).read() == b"hello" * 1000
        answer = await post(upstream, host.url)
        size = 0

        async def read() -> None:
            nonlocal size
            async for part in answer.chunks():
                size += len(part)

        assert (await failure_of(read())).kind is _K.TOO_LARGE_RESPONSE
        assert size < 32 << 20
        answer.close()
        assert (await failure_of(post(upstream, host.url))).kind is _K.BAD_CONTENT_TYPE

    answers = [squeezed(small), squeezed(bomb), squeezed(b"x", b"br")]

    def talk(host: Host, peer: socket.socket, number: int) -> None:
        while host.asked(peer):
            peer.sendall(answers[len(host.requests) - 1])
        host.hung_up.set()

    with Host(talk) as host:
        client.run(scene)


@CLIENT
@pytest.mark.parametrize("length", [True, False], ids=["declared", "chunked"])
def test_an_answer_larger_than_any_may_be_is_dropped(client: Client, length: bool) -> None:
    def talk(host: Host, peer: socket.socket, number: int) -> None:
        host.asked(peer)
        peer.sendall(
            b"HTTP/1.1 200 OK\r\n" + (b"content-length: %d\r\n\r\n" % (80 << 20) if length else b"transfer-encoding: chunked\r\n\r\n")
        )
        piece = bytes(1 << 20) if length else b"100000\r\n" + bytes(1 << 20) + b"\r\n"
        try:
            for _ in range(80):
                peer.sendall(piece)
        finally:
            host.hung_up.set()

    async def scene(upstream: Any) -> FailureClass:
        answer = await post(upstream, host.url)
        failure = await failure_of(answer.read())
        answer.close()
        return failure.kind

    with Host(talk) as host:
        assert client.run(scene) is _K.TOO_LARGE_RESPONSE
        assert host.hung_up.wait(2)


@CLIENT
def test_a_slow_reader_slows_the_provider_down(client: Client) -> None:
    size = 64 << 20
    sent = [0]

    def talk(host: Host, peer: socket.socket, number: int) -> None:
        while host.asked(peer):
            peer.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % size)
            for _ in range(64):
                peer.sendall(bytes(1 << 20))
                sent[0] += 1 << 20

    async def scene(upstream: Any) -> None:
        answer = await post(upstream, host.url)
        chunks = answer.chunks()
        got = len(await anext(chunks))
        await asyncio.sleep(0.3)
        assert sent[0] < 24 << 20
        async for part in chunks:
            got += len(part)
        assert got == size
        answer = await post(upstream, host.url)
        assert sum([len(part) async for part in answer.chunks()]) == size

    with Host(talk) as host:
        client.run(scene)
    assert host.connections == 1
