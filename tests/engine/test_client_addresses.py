"""Where the HTTP client's connections lead: several addresses to a name, names that move, TLS."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from pathlib import Path
from typing import Any

import pytest

from llm_gateway.core.errors import FailureClass
from llm_gateway.engine import lookups
from llm_gateway.engine.network import Network
from tests.support.clients import CLIENTS, OWN, Client, Host, failure_of, forget_names, post, saying
from tests.support.clock import Stopwatch

from .test_going_out import authority  # noqa: F401  # a fixture

_K = FailureClass
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
CLOSING = OK.replace(b"OK\r\n", b"OK\r\nconnection: close\r\n")
CLIENT = pytest.mark.parametrize("client", CLIENTS, ids=lambda one: one.name)


async def body_of(upstream: Any, url: str, **options: Any) -> bytes:
    return await (await post(upstream, url, **options)).read()


@CLIENT
def test_an_address_of_the_sixth_version(client: Client) -> None:
    with Host(saying(OK), "::1") as host:
        assert client.run(lambda upstream: body_of(upstream, host.url)) == b"ok"
        assert f"host: [::1]:{host.port}".encode() in host.requests[0].lower()


def named(monkeypatch: pytest.MonkeyPatch, *answers: list[str]) -> list[str]:
    """A name server that knows one name; the last answer stands. What it was asked."""
    asked: list[str] = []

    async def getaddrinfo(loop: Any, host: Any, port: Any, **options: Any) -> Any:
        asked.append(host)
        await asyncio.sleep(0.02)
        found = answers[min(len(asked), len(answers)) - 1]
        six = [":" in one for one in found]
        return [
            (socket.AF_INET6, socket.SOCK_STREAM, 6, "", (one, port, 0, 0))
            if is_six
            else (socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, port))
            for one, is_six in zip(found, six, strict=True)
        ]

    monkeypatch.setattr(asyncio.BaseEventLoop, "getaddrinfo", getaddrinfo)
    return asked


# uvloop's lookup cannot be replaced; everything after it is the same code.
ON_ASYNCIO = pytest.mark.parametrize("client", [one for one in CLIENTS if "uvloop" not in one.name], ids=lambda one: one.name)


@ON_ASYNCIO
@pytest.mark.parametrize("first", [["127.0.0.2"], ["::1", "127.0.0.2"], ["::1"]], ids=["v4", "both", "v6"])
def test_of_several_addresses_one_that_answers_is_found(client: Client, first: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    named(monkeypatch, [*first, "127.0.0.1"])
    with Host(saying(CLOSING)) as host:

        async def scene(upstream: Any) -> None:
            for _ in range(3):
                assert await body_of(upstream, f"http://several.example:{host.port}/") == b"ok"

        client.run(scene)
    assert host.connections == 3


@ON_ASYNCIO
def test_an_address_that_says_nothing_holds_the_next_up_for_a_moment_only(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    named(monkeypatch, ["127.0.0.3", "127.0.0.1"], ["127.0.0.3"])
    with Host(saying(CLOSING)) as host, contextlib.ExitStack() as open_ones:
        full = open_ones.enter_context(socket.socket())
        full.bind(("127.0.0.3", host.port))
        full.listen(0)
        for _ in range(4):
            waiting = open_ones.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(("127.0.0.3", host.port))

        async def scene(upstream: Any) -> None:
            url = f"http://silent.example:{host.port}/"
            watch = Stopwatch()
            for _ in range(2):
                assert await body_of(upstream, url, connect_s=2.0) == b"ok"
            assert watch.took_s < 1.5
            forget_names(upstream)
            assert (await failure_of(post(upstream, url, connect_s=0.3))).kind is _K.CONNECT_TIMEOUT

        client.run(scene)


@ON_ASYNCIO
def test_all_addresses_refuse(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    named(monkeypatch, ["127.0.0.2", "127.0.0.3"])

    async def scene(upstream: Any) -> FailureClass:
        return (await failure_of(post(upstream, "http://nobody.example:9/"))).kind

    assert client.run(scene) is _K.CONNECT_REFUSED


@pytest.mark.parametrize("client", OWN[:1], ids=["own"])
def test_a_name_is_looked_up_again_after_a_while_and_not_before(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = named(monkeypatch, ["127.0.0.1"], ["127.0.0.2"])
    monkeypatch.setattr(lookups, "LOOKED_UP_S", 0.3)
    with Host(saying(CLOSING)) as old, Host(saying(CLOSING), "127.0.0.2", port=old.port) as new:

        async def scene(upstream: Any) -> None:
            url = f"http://moving.example:{old.port}/"
            await asyncio.gather(*(body_of(upstream, url) for _ in range(5)))
            assert (len(asked), old.connections, new.connections) == (1, 5, 0)
            await asyncio.sleep(0.35)
            assert await body_of(upstream, url) == b"ok"
            assert (len(asked), old.connections, new.connections) == (2, 5, 1)

        client.run(scene)


@pytest.mark.parametrize("client", OWN[:1], ids=["own"])
def test_who_leaves_while_a_name_is_looked_up_takes_nothing_from_others(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = named(monkeypatch, ["127.0.0.1"])
    with Host(saying(OK)) as host:

        async def scene(upstream: Any) -> None:
            url = f"http://shared.example:{host.port}/"
            first, second = (asyncio.ensure_future(body_of(upstream, url)) for _ in range(2))
            await asyncio.sleep(0.01)
            first.cancel()
            assert await second == b"ok"

        client.run(scene)
    assert len(asked) == 1


@CLIENT
def test_a_connection_for_who_may_go_inside_serves_nobody_else(client: Client) -> None:
    with Host(saying(OK)) as host:

        async def scene(upstream: Any) -> None:
            url = f"http://localhost:{host.port}/"
            assert await body_of(upstream, url) == b"ok"
            assert (await failure_of(post(upstream, url, allow_private=False))).kind is _K.CONFIG

        client.run(scene)
    assert len(host.requests) == 1


@CLIENT
@pytest.mark.filterwarnings("ignore:Sending a large body:ResourceWarning")
@pytest.mark.parametrize("cut", [False, True], ids=["whole", "cut"])
def test_the_same_inside_tls(client: Client, authority: tuple[Path, ssl.SSLContext], cut: bool) -> None:  # noqa: F811
    def talk(host: Host, peer: socket.socket, number: int) -> None:
        with authority[1].wrap_socket(peer, server_side=True) as secure:
            while host.asked(secure):
                secure.sendall(OK if not cut else OK[:-1])
                if cut:
                    return

    async def scene(upstream: Any) -> None:
        url = host.url.replace("http:", "https:")
        if cut:
            answer = await post(upstream, url)
            assert (await failure_of(answer.read())).kind is _K.TRUNCATED
            answer.close()
            return
        for _ in range(3):
            assert await body_of(upstream, url) == b"ok"
        assert await body_of(upstream, url, body=bytes(3 << 20)) == b"ok"

    with Host(talk) as host:
        client.run(scene, Network(ca_bundles=(str(authority[0]),)))
        failure = client.run(lambda upstream: failure_of(post(upstream, host.url.replace("http:", "https:"))))
        assert failure.kind is _K.TLS
        assert "certificate" in failure.message
        assert host.connections == 2


@CLIENT
def test_a_host_that_speaks_no_tls_or_none_of_it(client: Client) -> None:
    def silent(host: Host, peer: socket.socket, number: int) -> None:
        host.until_closed(peer)

    async def scene(upstream: Any) -> FailureClass:
        return (await failure_of(post(upstream, host.url.replace("http:", "https:"), connect_s=0.3))).kind

    with Host(lambda host, peer, number: peer.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")) as host:
        assert client.run(scene) in (_K.TLS, _K.CONNECT_REFUSED)
    with Host(silent) as host:
        assert client.run(scene) is _K.CONNECT_TIMEOUT
        assert host.hung_up.wait(2)
