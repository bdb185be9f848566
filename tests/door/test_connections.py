"""A caller's connection: clocks on what is left half done, bounds on a head, room for those who speak."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any

import pytest

from cogo.connections import MOST_FIELDS, MOST_HEAD_BYTES, MOST_TARGET_BYTES, MOST_WAITING, Limits
from llm_gateway.core.errors import Overloaded
from llm_gateway.engine.transport import UpstreamResponse
from tests.support.gateway import GatewayServer
from tests.support.raw import connected, generation, head, rest, status_of, until
from tests.support.speaking import auth, request
from tests.support.waiting import until as wait_for

GATEWAY = {"head_s": 0.4, "max_connections": 24, "body_timeout_s": 5}
DIALECTS = ("openai_chat", "anthropic_messages", "gemini_generate", "native")


def told(answer: bytes) -> Any:
    return json.loads(answer.partition(b"\r\n\r\n")[2])


@pytest.mark.parametrize(("sent", "status"), [(b"", 0), (b"POST /v1/chat/comp", 408), (b"GET /healthz HTTP/1.1\r\nhost: x\r\n", 408)])
def test_a_connection_that_says_nothing_whole_is_given_up(gateway: GatewayServer, sent: bytes, status: int) -> None:
    with connected(gateway.port, sent) as peer:
        answer = rest(peer, 8)
    assert (status_of(answer) if answer else 0) == status


def test_a_kept_connection_has_the_clock_again_for_its_next_head(gateway: GatewayServer) -> None:
    for trickle in (b"\r\n", b"GET /heal"):
        with connected(gateway.port, head("GET", "/healthz", {}, 0)) as peer:
            assert status_of(until(peer, b"ok\n")) == 200
            peer.sendall(trickle)
            rest(peer, 4)


def test_a_body_that_is_large_or_slow_is_no_head(gateway: GatewayServer) -> None:
    data = generation("openai_chat", gateway.rows.key, "chat/x", prompt="x" * 3 * MOST_HEAD_BYTES)
    with connected(gateway.port, data[:-9]) as peer:
        time.sleep(0.9)
        peer.sendall(data[-9:])
        assert status_of(until(peer, b"\r\n\r\n")) == 200
    gateway.quiet()


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_head_is_bounded_in_the_callers_dialect(gateway: GatewayServer, dialect: str) -> None:
    path, _ = request(dialect, "chat/x", "", False)
    base = auth(dialect, gateway.rows.key)
    many = {**base, **{f"x-a{n}": "1" for n in range(MOST_FIELDS + 1)}}
    for target, headers, status in (
        (path, many, 431),
        (path, {**base, "x-large": "a" * MOST_HEAD_BYTES}, 431),
        (f"{path}?q={'a' * MOST_TARGET_BYTES}", base, 414),
    ):
        with connected(gateway.port, head("POST", target, headers, 2) + b"{}") as peer:
            answer = rest(peer)
        assert status_of(answer) == status
        assert "error" in told(answer)
    with connected(gateway.port, b"POST " + path.encode() + b" HTTP/1.1\r\nx-endless: " + b"a" * 2 * MOST_HEAD_BYTES) as peer:
        assert status_of(rest(peer)) == 431, "before it ends"
    usual = {**base, **{f"x-proxy-{n}": "a" * 200 for n in range(80)}}
    with connected(gateway.port, head("POST", path, usual, 2) + b"{}") as peer:
        assert status_of(until(peer, b"\r\n\r\n")) == 400, "as many as proxies add are read"


CHUNKED = {"content-type": "application/json"}


def chunked(gateway: GatewayServer, path: str, body: bytes, behind: bytes, **headers: str) -> bytes:
    """A whole request in one chunk, with ``behind`` where fields may follow the body."""
    sent = head("POST", path, {**CHUNKED, **auth("native", gateway.rows.key), **headers}, None)
    return sent + f"{len(body):x}\r\n".encode() + body + b"\r\n0\r\n" + behind


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/api/ai-models/generate"])
def test_fields_behind_a_body_change_nothing(gateway: GatewayServer, path: str) -> None:
    """The caller was judged by its head: another key, host or address behind the body is nobody's."""
    behind = b"authorization: Bearer nonsense\r\nx-api-key: nonsense\r\nhost: evil.example\r\n\r\n"
    asks = {"prompt": "hi"} if path.startswith("/api/") else {"messages": [{"role": "user", "content": "hi"}]}
    body = json.dumps({"model": "chat/x", **asks}).encode()
    with connected(gateway.port, chunked(gateway, path, body, behind)) as peer:
        assert status_of(until(peer, b"\r\n\r\n")) == 200
    gateway.quiet()


@pytest.mark.parametrize(
    "behind", [b"".join(b"x-%d: %s\r\n" % (n, b"a" * 90) for n in range(40_000)), b"x-long: " + b"a" * 4_000_000], ids=["many", "long"]
)
@pytest.mark.parametrize("target", ["POST /v1/chat/completions", "GET /healthz", "GET /admin/login/"])
def test_fields_behind_a_body_have_an_end(gateway: GatewayServer, target: str, behind: bytes) -> None:
    """Without one they would fill the memory of the process, for whoever sends them."""
    method, path = target.split()
    data = head(method, path, auth("native", gateway.rows.key), None) + b"2\r\n{}\r\n0\r\n" + behind
    with connected(gateway.port) as peer, pytest.raises(ConnectionError):  # noqa: PT012  # the last one finds it closed for sure
        peer.sendall(data)
        rest(peer, 4)
        for _ in range(20):
            peer.sendall(b"x-more: y\r\n")
            time.sleep(0.05)
    gateway.quiet()


@pytest.mark.parametrize("length", [None, 100_000], ids=["chunked", "declared"])
def test_a_body_that_goes_on_after_its_answer_has_a_clock(gateway: GatewayServer, length: int | None) -> None:
    """It is no idle connection, and nobody reads it: only its own clock ends it."""
    with connected(gateway.port, head("GET", "/healthz", {}, length)) as peer:
        assert status_of(until(peer, b"ok\n")) == 200
        with pytest.raises(ConnectionError):  # noqa: PT012  # somewhere in the trickle
            for _ in range(60):
                peer.sendall(b"x" if length else b"1\r\nx\r\n")
                time.sleep(0.1)


def test_few_requests_wait_for_the_answer_to_an_earlier_one(gateway: GatewayServer) -> None:
    """uvicorn reads on with each answer: a stranger's requests would fill the memory, and each read keep the loop busy."""
    one = b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n"
    with connected(gateway.port, one * MOST_WAITING) as peer:
        until(peer, b"ok\n")
    answers = b""
    with connected(gateway.port) as peer, contextlib.suppress(ConnectionError):
        peer.sendall(one * 20_000)
        while part := peer.recv(65536):
            answers += part
    assert answers.count(b"200 OK") < 500
    assert len(gateway.protocol.limits.silent) <= GATEWAY["max_connections"]  # type: ignore[operator]
    with connected(gateway.port, one) as peer:
        assert status_of(until(peer, b"ok\n")) == 200


def test_silent_connections_make_room_for_those_who_speak(gateway: GatewayServer) -> None:
    with ExitStack() as stack:
        for _ in range(3 * GATEWAY["max_connections"]):  # type: ignore[operator]
            stack.enter_context(connected(gateway.port))
        with connected(gateway.port, generation("openai_chat", gateway.rows.key, "chat/x")) as peer:
            assert status_of(until(peer, b"\r\n\r\n")) == 200
        assert gateway.protocol.limits.open <= GATEWAY["max_connections"] + 2
    wait_for(lambda: not gateway.protocol.limits.silent)


class TestLimits:
    def test_an_address_has_its_share_unless_others_stand_behind_it(self) -> None:
        limits = Limits(100, 2, lambda address: address == "10.0.0.1")
        assert [limits.enter("192.0.2.7") for _ in range(3)] == [True, True, False]
        assert limits.enter("192.0.2.8"), "somebody else's share"
        assert all(limits.enter("10.0.0.1") for _ in range(20))
        limits.leave("192.0.2.7")
        limits.leave("192.0.2.7")
        assert limits.enter("192.0.2.7")

    def test_one_line_with_ipv6_has_one_share(self) -> None:
        limits = Limits(100, 2, lambda address: False)
        assert [limits.enter(f"2001:db8:0:1::{n}") for n in range(3)] == [True, True, False]
        assert limits.enter("2001:db8:0:2::1"), "another line"
        limits.leave("2001:db8:0:1::2")
        limits.leave("2001:db8:0:1::1")
        assert limits.enter("2001:db8:0:1::9")

    def test_with_nobody_silent_the_newcomer_is_refused(self) -> None:
        limits = Limits(2, 100, lambda address: False)
        assert [limits.enter("192.0.2.7") for _ in range(3)] == [True, True, False]
        for _ in range(3):
            limits.leave("192.0.2.7")
        assert limits.open == 0


LACKING = """
import asyncio, os, resource, socket
from llm_gateway.core.errors import AttemptFailed, Overloaded
from llm_gateway.engine.transport import HttpUpstream

async def main():
    upstream = HttpUpstream()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}/"
        named = url.replace("127.0.0.1", "localhost")
        spare = os.dup(0)
        os.close(spare)
        resource.setrlimit(resource.RLIMIT_NOFILE, (spare, hard))
        for one in (url, named):
            try:
                await upstream.send("POST", one, {}, b"{}", connect_s=1, allow_private=True)
            except Overloaded:
                print("ours")
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    try:
        await upstream.send("POST", url, {}, b"{}", connect_s=1, allow_private=True)
    except AttemptFailed as error:
        print(error.failure.kind.value)
    await upstream.close()

asyncio.run(main())
"""


def test_our_own_lack_of_descriptors_is_no_providers_fault() -> None:
    # A process of its own: the limit is the whole process's, and other threads of this one open and close files.
    ran = subprocess.run([sys.executable, "-c", LACKING], capture_output=True, text=True, timeout=60, check=False)
    assert ran.stdout.split() == ["ours", "ours", "connect_refused"], ran.stderr


class Lacking:
    """An upstream that cannot open a connection for want of descriptors."""

    async def send(self, method: str, url: str, headers: Mapping[str, str], body: bytes, **_: Any) -> UpstreamResponse:
        raise Overloaded("The gateway has no room for another connection; try again shortly.", retry_after_s=1)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_caller_hears_that_we_are_full_and_no_health_is_touched(gateway: GatewayServer, dialect: str, stream: bool) -> None:
    track = gateway.gateway.pipeline.track
    before, track.upstream = track.upstream, Lacking()
    try:
        answer = gateway.ask(dialect, "chat/x", stream=stream)
    finally:
        track.upstream = before
    assert (answer.status, answer.code) == (529 if dialect == "anthropic_messages" else 503, "overloaded"), answer.body
    row = gateway.row(answer)
    assert (row.state, row.cost_nusd) == ("failed", 0)
    assert gateway.health() == {}
