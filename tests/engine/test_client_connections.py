"""Which connections the HTTP client makes, keeps, uses again and closes, and what it sends over them."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from typing import Any

import pytest

from llm_gateway.core.errors import FailureClass
from llm_gateway.engine import client as clients
from llm_gateway.engine import connections
from tests.support.clients import CLIENTS, OWN, Client, Host, failure_of, post, request_of, reset, saying

from .test_going_out import authority  # noqa: F401  # a fixture

_K = FailureClass
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
CLOSING = OK.replace(b"OK\r\n", b"OK\r\nconnection: close\r\n")
CLIENT = pytest.mark.parametrize("client", CLIENTS, ids=lambda one: one.name)
OUR_CLIENT = pytest.mark.parametrize("client", OWN, ids=lambda one: one.name)


async def body_of(upstream: Any, url: str, **options: Any) -> bytes:
    return await (await post(upstream, url, **options)).read()


async def until(condition: Any) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.01)


@CLIENT
def test_the_request_is_written_as_it_was_given(client: Client) -> None:
    async def scene(upstream: Any) -> None:
        await body_of(upstream, host.url, body=b'{"a":1}', headers={"X-Key": "käy", "content-type": "application/json"})
        await body_of(upstream, host.url, body=b"")
        await body_of(upstream, host.url, body=b"", method="GET", headers={"User-Agent": "mine", "Host": "other.example"})
        await body_of(upstream, host.url.replace("127.0.0.1", "us%C3%A9r:p%40ss@127.0.0.1"))
        await body_of(upstream, f"http://127.0.0.1:{host.port}/a%2Fb?q=%20")

    with Host(saying(OK)) as host:
        client.run(scene)
    heads = [request.partition(b"\r\n\r\n")[0].decode() for request in host.requests]
    fields = [{line.split(": ")[0].lower(): line.split(": ")[1] for line in head.split("\r\n")[1:]} for head in heads]
    own = {"host": f"127.0.0.1:{host.port}", "user-agent": "cogo-llm-gateway"}
    assert heads[0].startswith("POST /v1/x?y=z HTTP/1.1\r\n")
    assert fields[0] == {**own, "x-key": "käy", "content-type": "application/json", "content-length": "7"}
    assert host.requests[0].endswith(b'\r\n\r\n{"a":1}')
    assert fields[1] == {**own, "content-length": "0"}
    assert fields[2] == {"host": "other.example", "user-agent": "mine"}
    assert fields[3]["authorization"].startswith("Basic ")
    assert heads[4].startswith("POST /a%2Fb?q=%20 HTTP/1.1\r\n")
    assert host.connections == 1


@CLIENT
@pytest.mark.parametrize(
    ("name", "value"), [("x-a", "a\r\nx-b: c"), ("x-a", "a\nb"), ("x-a", "a\rb"), ("x-a\r\nx-b", "c"), ("x-a: b\r\nx", "c"), ("x a", "b")]
)
def test_a_field_that_would_be_two_is_refused_before_anything_is_sent(client: Client, name: str, value: str) -> None:
    if name == "x a" and not client.own:
        pytest.skip("aiohttp sends it")

    async def scene(upstream: Any) -> None:
        assert (await failure_of(post(upstream, host.url, headers={name: value}))).kind is _K.CONFIG
        assert (await failure_of(post(upstream, host.url, headers={"x-ok": "1", name: value}))).kind is _K.CONFIG

    with Host(saying(OK)) as host:
        client.run(scene)
    assert host.requests == []
    assert host.connections == 0 or not client.own


@OUR_CLIENT
@pytest.mark.parametrize("name", ["Content-Length", "transfer-encoding", "Connection", "expect", "upgrade"])
def test_where_a_message_ends_is_nobody_else_s_to_say(client: Client, name: str) -> None:
    async def scene(upstream: Any) -> None:
        assert (await failure_of(post(upstream, host.url, headers={name: "5"}))).kind is _K.CONFIG

    with Host(saying(OK)) as host:
        client.run(scene)
    assert host.connections == 0


@CLIENT
@pytest.mark.parametrize("url", ["ftp://127.0.0.1/", "http:///v1", "http://127.0.0.1:9/a b", "http://127.0.0.1:9/\r\nx: y"])
def test_what_is_no_url_is_our_own_matter(client: Client, url: str) -> None:
    if (" " in url or url.startswith("ftp")) and not client.own:
        pytest.skip("aiohttp sends it, or blames the host")

    async def scene(upstream: Any) -> FailureClass:
        return (await failure_of(post(upstream, url))).kind

    assert client.run(scene) is _K.CONFIG


@CLIENT
@pytest.mark.parametrize("hard", [False, True], ids=["closed", "reset"])
def test_a_kept_connection_that_is_dropped_unanswered_is_stale_and_a_new_one_is_not(client: Client, hard: bool) -> None:
    def talk(host: Host, peer: socket.socket, number: int) -> None:
        if number == 1 and host.asked(peer):
            peer.sendall(OK)
        request_of(peer)
        if hard:
            reset(peer)

    async def scene(upstream: Any) -> None:
        assert await body_of(upstream, host.url) == b"ok"
        assert (await failure_of(post(upstream, host.url))).kind is _K.STALE_CONNECTION
        assert (await failure_of(post(upstream, host.url))).kind is _K.RESET

    with Host(talk) as host:
        client.run(scene)
    assert host.connections == 2


@OUR_CLIENT
def test_a_kept_connection_that_began_to_answer_is_not_stale(client: Client) -> None:
    """Asked again, it might do twice what it has begun."""

    def talk(host: Host, peer: socket.socket, number: int) -> None:
        host.asked(peer)
        peer.sendall(OK)
        host.asked(peer)
        peer.sendall(b"HTTP/1.1 2")
        time.sleep(0.05)

    async def scene(upstream: Any) -> None:
        assert await body_of(upstream, host.url) == b"ok"
        assert (await failure_of(post(upstream, host.url))).kind is _K.RESET

    with Host(talk) as host:
        client.run(scene)


@CLIENT
@pytest.mark.parametrize("busy", [False, True], ids=["seen", "unseen"])
def test_a_kept_connection_that_the_host_closed_is_not_used(client: Client, busy: bool) -> None:
    """``unseen``: the loop had no time to hear of it."""
    if busy and not client.own:
        pytest.skip("aiohttp does not look before it writes")

    def talk(host: Host, peer: socket.socket, number: int) -> None:
        host.asked(peer)
        peer.sendall(OK)
        time.sleep(0.02)

    async def scene(upstream: Any) -> None:
        for _ in range(3):
            assert await body_of(upstream, host.url) == b"ok"
            if busy:
                time.sleep(0.06)  # noqa: ASYNC251  # the loop is to be busy
            else:
                await asyncio.sleep(0.06)

    with Host(talk) as host:
        client.run(scene)
    assert host.connections == 3


@OUR_CLIENT
def test_a_quiet_connection_is_closed_in_time(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (clients, connections):
        monkeypatch.setattr(module, "KEPT_S", 0.2)

    async def scene(upstream: Any) -> None:
        assert await body_of(upstream, host.url) == b"ok"
        await until(host.hung_up.is_set)
        assert not upstream._client.connections

    with Host(saying(OK)) as host:
        client.run(scene)


@OUR_CLIENT
def test_a_host_may_say_how_long_it_keeps_a_connection(client: Client) -> None:
    with Host(saying(OK.replace(b"OK\r\n", b"OK\r\nKeep-Alive: timeout=1, max=9\r\n"))) as host:
        client.run(lambda upstream: _twice(upstream, host.url))
        assert host.connections == 2
    with Host(saying(OK.replace(b"OK\r\n", b"OK\r\nKeep-Alive: timeout=9, max=9\r\n"))) as host:
        client.run(lambda upstream: _twice(upstream, host.url))
        assert host.connections == 1


async def _twice(upstream: Any, url: str) -> None:
    for _ in range(2):
        assert await body_of(upstream, url) == b"ok"


@CLIENT
def test_many_at_once_get_each_their_own_answer(client: Client) -> None:
    def talk(host: Host, peer: socket.socket, number: int) -> None:
        while request := host.asked(peer):
            body = request.partition(b"\r\n\r\n")[2]
            time.sleep(0.01)
            peer.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body))

    async def scene(upstream: Any) -> None:
        async def one(number: int) -> None:
            body = str(number).encode() * 50
            assert await body_of(upstream, host.url, body=body) == body

        for _ in range(3):
            await asyncio.gather(*(one(number) for number in range(20)))

    with Host(talk) as host:
        client.run(scene)
    assert host.connections == 20


@CLIENT
@pytest.mark.parametrize("moment", ["before the head", "in the body", "sending"])
def test_who_is_cancelled_hangs_up_and_leaves_nothing_to_the_next(client: Client, moment: str) -> None:
    if moment == "sending" and not client.own:
        pytest.skip("aiohttp waits until all of it is sent")

    def talk(host: Host, peer: socket.socket, number: int) -> None:
        if number > 1:
            host.asked(peer)
            peer.sendall(OK)
            return
        if moment != "sending":
            host.asked(peer)
        if moment == "in the body":
            peer.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhello")
        if moment == "sending":
            started.wait(5)
            time.sleep(0.2)
        host.until_closed(peer)

    started = threading.Event()

    async def scene(upstream: Any) -> None:
        async def ask() -> None:
            response = await post(upstream, host.url, body=bytes(32 << 20) if moment == "sending" else b"{}")
            try:
                await response.read()
            except asyncio.CancelledError:
                response.close()
                raise

        task = asyncio.ensure_future(ask())
        await asyncio.sleep(0.1)
        started.set()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await until(host.hung_up.is_set)
        assert await body_of(upstream, host.url) == b"ok"

    with Host(talk) as host:
        client.run(scene)
    assert host.connections == 2


@OUR_CLIENT
def test_who_is_cancelled_at_any_moment_leaves_no_connection_behind(client: Client) -> None:
    async def scene(upstream: Any) -> None:
        for _ in range(20):
            tasks = [asyncio.ensure_future(body_of(upstream, host.url)) for _ in range(10)]
            for task in tasks:
                await asyncio.sleep(0.0001)
                task.cancel()
            await asyncio.wait(tasks)
        await asyncio.sleep(0.05)
        assert len(upstream._client.connections) == sum(len(pool.idle) for pool in upstream._client._pools.values())
        await _twice(upstream, host.url)

    with Host(saying(CLOSING)) as host:
        client.run(scene)


@OUR_CLIENT
def test_a_reader_that_is_cancelled_needs_nobody_to_hang_up(client: Client) -> None:
    def talk(host: Host, peer: socket.socket, number: int) -> None:
        host.asked(peer)
        peer.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhello")
        host.until_closed(peer)

    async def scene(upstream: Any) -> None:
        answer = await post(upstream, host.url)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await answer.read()
        await until(host.hung_up.is_set)
        assert not any(pool.idle for pool in upstream._client._pools.values())

    with Host(talk) as host:
        client.run(scene)


@CLIENT
def test_to_close_an_answer_wakes_whoever_waits_for_it(client: Client) -> None:
    def talk(host: Host, peer: socket.socket, number: int) -> None:
        host.asked(peer)
        peer.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhello")
        host.until_closed(peer)

    async def scene(upstream: Any) -> None:
        answer = await post(upstream, host.url)
        asyncio.get_running_loop().call_later(0.05, answer.close)
        async with asyncio.timeout(2):
            await failure_of(answer.read())
        await until(host.hung_up.is_set)

    with Host(talk) as host:
        client.run(scene)


@CLIENT
def test_at_close_nothing_stays_open(client: Client) -> None:
    def talk(host: Host, peer: socket.socket, number: int) -> None:
        if number == 1:
            host.asked(peer)
            peer.sendall(OK)
        host.until_closed(peer)

    async def scene(upstream: Any) -> list[Any]:
        assert await body_of(upstream, host.url) == b"ok"
        kept = asyncio.ensure_future(failure_of(post(upstream, host.url)))
        new = asyncio.ensure_future(failure_of(post(upstream, host.url)))
        await asyncio.sleep(0.1)
        await upstream.close()
        async with asyncio.timeout(2):
            return [await kept, await new]

    with Host(talk) as host:
        client.run(scene)
        assert host.hung_up.wait(2)


@OUR_CLIENT
def test_an_answer_that_comes_before_the_request_is_out_is_the_answer(client: Client) -> None:
    refused = b"HTTP/1.1 413 Too Large\r\ncontent-length: 2\r\n\r\nno"

    def talk(host: Host, peer: socket.socket, number: int) -> None:
        if number == 1:
            peer.recv(1 << 16)
            peer.sendall(refused)
            time.sleep(0.3)
        else:
            host.asked(peer)
            peer.sendall(OK)

    async def scene(upstream: Any) -> None:
        answer = await post(upstream, host.url, body=bytes(32 << 20))
        assert (answer.status, await answer.read()) == (413, b"no")
        assert await body_of(upstream, host.url) == b"ok"

    with Host(talk) as host:
        client.run(scene)
    assert host.connections == 2
