"""What is answered at the doorstep is answered as uvicorn's own way would, and what does not belong there goes that way."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import time
from collections.abc import Iterator

import pytest

from cogo import doorstep
from cogo.door.compat import Compat
from cogo.doorstep import MOST_BYTES, Doorstep, Step
from llm_gateway.api.http import HttpReply
from tests.support.gateway import GatewayServer
from tests.support.raw import connected, generation, head, rest, status_of, until
from tests.support.speaking import auth, request
from tests.support.waiting import until as wait_for

GATEWAY = {"body_timeout_s": 2, "max_body_bytes": 1 << 20}
DIALECTS = ("openai_chat", "openai_responses", "anthropic_messages", "gemini_generate")


@pytest.fixture
def stepped(gateway: GatewayServer, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The paths of what is answered at the doorstep."""
    seen: list[str] = []
    at_once = Compat.at_once

    async def counted(self: Compat, step: Step) -> None:
        seen.append(step.path)
        await at_once(self, step)  # type: ignore[arg-type]  # a step is one

    monkeypatch.setattr(Compat, "at_once", counted)
    return seen


def ask(gateway: GatewayServer, *pieces: bytes) -> bytes:
    """Everything that comes back, and whether the connection was closed."""
    with connected(gateway.port) as peer:
        for piece in pieces:
            peer.sendall(piece)
            time.sleep(0.005 if len(pieces) > 1 else 0)
        return _until_quiet(peer)


def _until_quiet(peer: socket.socket) -> bytes:
    got = b""
    peer.settimeout(0.8)
    with contextlib.suppress(TimeoutError, ConnectionResetError):
        while part := peer.recv(65536):
            got += part
            peer.settimeout(0.12)
        return got + b"<closed>"
    return got


# What differs from one request to the next.
_OWN = re.compile(
    rb"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f-]{17}|(?:chatcmpl|resp|msg|rs|item)[-_][\w-]+|date: [^\r]+|"
    rb"\"created\": ?\d+|retry-after(?:-ms)?: \d+"
)


def plain(answer: bytes) -> bytes:
    return _OWN.sub(b"~", answer)


def body_of(dialect: str, model: str = "chat/x", **more: object) -> tuple[str, bytes]:
    path, body = request(dialect, model, "say 3 words", False)
    return path, json.dumps(body | more).encode()


def odd_requests(key: str) -> Iterator[tuple[str, tuple[bytes, ...], bool]]:
    """(what, its pieces, whether the first of them belongs at the doorstep)"""
    path, body = body_of("openai_chat")
    base = {**auth("openai_chat", key), "content-type": "application/json"}
    size = str(len(body))

    def post(headers: dict[str, str], sent: bytes = body, *, target: str = path, version: str = "1.1", method: str = "POST") -> bytes:
        lines = [f"{method} {target} HTTP/{version}", "host: x", *(f"{name}: {value}" for name, value in headers.items())]
        return "\r\n".join(lines).encode() + b"\r\n\r\n" + sent

    good = post({**base, "content-length": size})
    chunked = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
    yield "plain", (good,), True
    yield "keeps alive", (post({**base, "content-length": size, "connection": "keep-alive"}),), True
    yield "closes", (post({**base, "content-length": size, "connection": "close"}),), False
    yield "an older version", (post({**base, "content-length": size}, version="1.0"),), False
    yield "in two pieces", (good[:-7], good[-7:]), True
    yield "chunked", (post({**base, "transfer-encoding": "chunked"}, chunked),), False
    yield "both lengths", (post({**base, "transfer-encoding": "chunked", "content-length": size}, chunked),), False
    yield "two lengths", (good.replace(b"content-length", b"content-length: 3\r\ncontent-length"),), False
    yield "a signed length", (post({**base, "content-length": f"+{size}"}),), False
    yield "a length of letters", (post({**base, "content-length": "ten"}),), False
    yield "no length", (post(base, b""),), False
    yield "nothing in it", (post({**base, "content-length": "0"}, b""),), True
    yield "another header twice", (good.replace(b"host: x", b"host: x\r\nhost: y"),), False
    yield "two keys", (post({**base, "content-length": size, "x-api-key": "another"}),), True
    yield "no key", (post({"content-length": size}),), True
    yield "a wrong key", (post({**base, "authorization": "Bearer cogo_none", "content-length": size}),), True
    yield "an upgrade", (post({**base, "content-length": size, "connection": "upgrade", "upgrade": "websocket"}),), False
    yield "waits to be asked", (post({**base, "content-length": size, "expect": "100-continue"}, b""), body), False
    yield "packed", (post({**base, "content-length": size, "content-encoding": "gzip"}),), False
    yield "an escaped path", (post({**base, "content-length": size}, target="/v1/chat%2Fcompletions"),), False
    yield "another host's form", (post({**base, "content-length": size}, target=f"http://x{path}"),), False
    yield "no such path", (post({**base, "content-length": size}, target="/v1/none"),), True
    yield "another method's path", (post({**base, "content-length": size}, target="/v1/models"),), True
    yield "without v1", (post({**base, "content-length": size}, target="/chat/completions"),), True
    yield "with a query", (post({**base, "content-length": size}, target=f"{path}?a=b"),), True
    yield "no json", (post({**base, "content-length": "4"}, b"{no}"),), True
    yield "a folded header", (good.replace(b"host: x", b"host: x\r\n y"),), False
    yield "a bare line feed", (good.replace(b"host: x\r\n", b"host: x\n"),), False
    yield "a zero byte", (good.replace(b"host: x", b"host: x\0"),), False
    yield "two at once", (good + good,), True
    yield "a post and a get", (good + post(base, b"", target="/v1/models", method="GET"),), True
    yield "a post and nonsense", (good + b"\x16\x03\x01 nonsense\r\n\r\n",), True
    yield "a get and a post", (post(base, b"", target="/v1/models", method="GET") + good,), False
    yield "one after the other", (good, good, good), True
    yield "longer than it says", (post({**base, "content-length": str(len(body) - 2)}),), True
    yield "a body of its own length and an end in it", (post({**base, "transfer-encoding": "chunked"}, b"0\r\n\r\n" + good),), False


def test_both_ways_answer_alike(gateway: GatewayServer, monkeypatch: pytest.MonkeyPatch, stepped: list[str]) -> None:
    here: dict[str, bytes] = {}
    for what, pieces, first in odd_requests(gateway.rows.key):
        del stepped[:]
        here[what] = plain(ask(gateway, *pieces))
        assert len(pieces) > 1 or bool(stepped) == first, what
    assert here["plain"].startswith(b"HTTP/1.1 200 ")
    assert here["two at once"].count(b"HTTP/1.1 200 ") == 2
    monkeypatch.setattr(Doorstep, "_fits", lambda self, compat: False)
    del stepped[:]
    for what, pieces, _ in odd_requests(gateway.rows.key):
        assert plain(ask(gateway, *pieces)) == here[what], what
    assert not stepped


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("dialect", DIALECTS)
def test_every_dialect_is_answered_alike(
    gateway: GatewayServer, monkeypatch: pytest.MonkeyPatch, stepped: list[str], dialect: str, stream: bool
) -> None:
    monkeypatch.setattr(doorstep, "GRACE_S", 5.0)
    models = ("chat/fault:ok", "claude/fault:ok", "chat/fault:status:400", "none/none")
    here = [gateway.ask(dialect, model, stream=stream) for model in models]
    assert len(stepped) == len(models)
    monkeypatch.setattr(Doorstep, "_fits", lambda self, compat: False)
    there = [gateway.ask(dialect, model, stream=stream) for model in models]
    for model, one, other in zip(models, here, there, strict=True):
        assert (one.status, one.terminals) == (other.status, other.terminals), model
        assert one.status != 200 or one.text == other.text, model
        names = [sorted(set(answer.headers) - {"date", "retry-after", "retry-after-ms"}) for answer in (one, other)]
        assert names[0] == names[1], model


@pytest.mark.slow
def test_a_request_cut_anywhere_is_answered_once(gateway: GatewayServer, stepped: list[str]) -> None:
    path, body = body_of("openai_chat")
    data = head("POST", path, auth("openai_chat", gateway.rows.key), len(body)) + body
    edge = data.index(b"\r\n\r\n") + 4
    for at in sorted({1, 20, edge - 2, edge - 1, edge, edge + 1, len(data) - 1}):
        with connected(gateway.port) as peer:
            peer.sendall(data[:at])
            time.sleep(0.06)
            peer.sendall(data[at:] + data)
            answer = until(peer, b"}HTTP/1.1 200", 5) + _until_quiet(peer)
        assert answer.count(b"HTTP/1.1 200 ") == 2, at
    assert len(stepped) == 4, "those whose head came in pieces, but not their body"


def test_a_body_too_large_for_the_doorstep_or_for_the_door_goes_the_long_way(gateway: GatewayServer, stepped: list[str]) -> None:
    for size, status in ((MOST_BYTES + 1, 200), (2 << 20, 413)):
        path, body = body_of("openai_chat", user="u" * size)
        with connected(gateway.port) as peer:
            with contextlib.suppress(ConnectionError):
                peer.sendall(head("POST", path, auth("openai_chat", gateway.rows.key), len(body)) + body)
            assert status_of(until(peer, b"\r\n\r\n")) == status
    assert not stepped


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_a_caller_that_leaves_is_let_go_at_once_and_settled(gateway: GatewayServer, stepped: list[str], stream: bool) -> None:
    since = gateway.mark
    with connected(gateway.port, generation("openai_chat", gateway.rows.key, "chat/fault:silent", stream=stream)):
        wait_for(lambda: gateway.mark > since)
    wait_for(lambda: gateway.door.places.inside == 0, 1)
    assert gateway.last_row().state == "client_cancelled"
    assert stepped
    wait_for(lambda: bool(gateway.received(since)[0]["outcome"]))


def test_a_stream_whose_caller_leaves_ends(gateway: GatewayServer, stepped: list[str]) -> None:
    with connected(gateway.port, generation("openai_chat", gateway.rows.key, "chat/fault:stall@2", stream=True)) as peer:
        until(peer, b"data:")
    wait_for(lambda: gateway.door.places.inside == 0, 1.5)
    assert gateway.last_row().state == "client_cancelled"
    assert stepped


def test_an_answer_in_flight_is_given_when_the_server_stops_accepting(gateway: GatewayServer, stepped: list[str]) -> None:
    since = gateway.mark
    with connected(gateway.port, generation("openai_chat", gateway.rows.key, "chat/fault:slow:400")) as peer:
        wait_for(lambda: gateway.mark > since)
        gateway.on_loop(lambda: [connection.shutdown() for connection in list(gateway._server.server_state.connections)])
        answer = rest(peer)
    assert status_of(answer) == 200
    assert b"\r\nconnection: close\r\n" in answer
    assert stepped


def test_no_header_of_an_answer_becomes_two(gateway: GatewayServer, monkeypatch: pytest.MonkeyPatch, stepped: list[str]) -> None:
    from cogo.door import compat

    async def forged(*_: object) -> HttpReply:
        return HttpReply(headers=((b"x-cogo-model", b"a\r\nset-cookie: b"),), body=b"{}")

    monkeypatch.setattr(compat, "_answered", forged)
    path, body = body_of("openai_chat")
    answer = ask(gateway, head("POST", path, auth("openai_chat", gateway.rows.key), len(body)) + body)
    assert status_of(answer) == 500
    assert b"set-cookie" not in answer
    assert stepped
