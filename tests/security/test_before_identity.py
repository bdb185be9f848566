"""What a stranger can reach (T8): the same 401 for every value, no query, next to nothing read, no 5xx."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Iterator
from typing import Any

import pytest
from django.db.backends.utils import CursorWrapper

from cogo.connections import MOST_HEAD_BYTES
from tests.support.clock import Stopwatch
from tests.support.gateway import GatewayServer
from tests.support.raw import connected, head, rest, status_of
from tests.support.speaking import auth, request
from tests.support.waiting import until as wait_for

from .hostile import not_http, values

GATEWAY = {"body_timeout_s": 0.5}
PATHS = {
    dialect: request(dialect, "chat/x", "", False)[0] for dialect in ("openai_chat", "anthropic_messages", "gemini_generate", "native")
}
CARRIERS = ("authorization: Bearer ", "x-api-key: ", "x-goog-api-key: ")
ID = re.compile(rb"req_[0-9a-f-]{32,36}|[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
MOST_READ = 64 << 10
PIECE = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"


class Queries:
    """Every statement of every thread of this process while it is open."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str]] = []

    @contextlib.contextmanager
    def watched(self, patch: pytest.MonkeyPatch) -> Iterator[Queries]:
        for name in ("execute", "executemany"):
            original = getattr(CursorWrapper, name)

            def noted(cursor: Any, sql: str, params: Any = None, original: Any = original) -> Any:
                self.seen.append((sql, repr(params)))
                return original(cursor, sql, params)

            patch.setattr(CursorWrapper, name, noted)
        try:
            yield self
        finally:
            patch.undo()


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """Bytes that the server took from its sockets, and those of bodies that it handed on."""
    from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

    count = {"socket": 0, "body": 0}
    original, on_body = HttpToolsProtocol.data_received, HttpToolsProtocol.on_body

    def received(self: Any, data: bytes) -> None:
        count["socket"] += len(data)
        original(self, data)

    def body(self: Any, data: bytes) -> None:
        count["body"] += len(data)
        on_body(self, data)

    monkeypatch.setattr(HttpToolsProtocol, "data_received", received)
    monkeypatch.setattr(HttpToolsProtocol, "on_body", body)
    return count


def said(answer: bytes) -> tuple[int, bytes]:
    """Status and body without what differs from one request to the next."""
    top, _, body = answer.partition(b"\r\n\r\n")
    return status_of(top), ID.sub(b"ID", body)


def send(port: int, dialect: str, header: bytes) -> bytes:
    start = head("POST", PATHS[dialect], {"content-type": "application/json"}, 2)[:-2]
    with connected(port) as peer:
        with contextlib.suppress(ConnectionError):
            peer.sendall(start + header + b"\r\n\r\n{}")
        return rest(peer)


def stored_digest(key: str) -> str:
    from llm_gateway.models import ClientKey

    row = ClientKey.objects.get(public_id=key.split("_")[1])
    return bytes(row.digest).hex() if not isinstance(row.digest, str) else row.digest


def test_five_hundred_hostile_keys_get_one_answer_and_cost_no_query(gateway: GatewayServer, monkeypatch: pytest.MonkeyPatch) -> None:
    dialects = list(PATHS)
    tried = list(values(gateway.rows.key, stored_digest(gateway.rows.key)))
    usual = {dialect: said(send(gateway.port, dialect, b"authorization: Bearer nonsense")) for dialect in dialects}
    assert {status for status, _ in usual.values()} == {401}
    gateway.refresh()
    sent = 0
    with Queries().watched(monkeypatch) as queries:
        time.sleep(2.2)
        idle = {sql for sql, _ in queries.seen}
        queries.seen.clear()
        for number, text in enumerate(tried):
            dialect, carrier = dialects[number % 4], CARRIERS[(number // 4) % 3]
            value = text.encode("utf-8")
            if not text.strip() or (dialect == "native" and carrier.startswith("x-goog")):
                carrier = CARRIERS[0]
            answer = send(gateway.port, dialect, carrier.encode() + value)
            status, body = said(answer)
            if status == 400 and not_http(value):
                continue
            if len(value) > MOST_HEAD_BYTES:
                assert status == 431, "refused for its size before anybody looks whose key it is"
                sent += 1
                continue
            assert (status, body) == usual[dialect], (carrier, text[:80])
            sent += 1
        during = queries.seen
    assert sent >= 500
    assert {sql for sql, _ in during} <= idle, "statements that an idle gateway does not make"
    assert len(during) < 60, "a gateway looks for changes once or twice a second, whatever arrives"


def test_bytes_that_are_no_header_end_at_the_server(gateway: GatewayServer) -> None:
    for value in (b"a\x00b", b"\x00", b"a\x01b", b"a\x7f", b"\xff\xfe\xfd", b"\xc3\x28", b"a\rb", b"\xed\xa0\x80"):
        for carrier in CARRIERS[:2]:
            answer = send(gateway.port, "openai_chat", carrier.encode() + value)
            assert status_of(answer) in (400, 401), (value, answer[:200])
            assert b"Traceback" not in answer


@pytest.mark.parametrize("query", ["_connector=OR", "client_key__digest__startswith=a", "password__contains=x", "_negated=1", "pk__in=1"])
def test_lookups_of_the_orm_are_no_parameters(gateway: GatewayServer, query: str) -> None:
    """A2: parameters are never turned into lookups, for strangers and for holders of a key."""
    for path in ("/v1/models", "/api/ai-models/models", "/api/ai-models/reports/", "/api/ai-models/performance/"):
        assert gateway.http.get(f"{path}?{query}").status_code in (401, 403, 404), path
        known = gateway.http.get(f"{path}?{query}", headers=auth("openai_chat", gateway.rows.key))
        assert known.status_code < 500, (path, known.text[:200])
        plain = gateway.http.get(path, headers=auth("openai_chat", gateway.rows.key))
        assert known.status_code in (plain.status_code, 400), (path, known.text[:200])


def flood(port: int, start: bytes, most: int = 1 << 30) -> tuple[int, bytes]:
    """Send a chunked body until the other side has had enough; (bytes that left, answer)."""
    sent = 0
    with connected(port, start) as peer:
        peer.settimeout(3)
        try:
            while sent < most:
                peer.sendall(PIECE)
                sent += len(PIECE)
        except (ConnectionError, TimeoutError):
            pass
        try:
            return sent, rest(peer, 3)
        except (ConnectionError, TimeoutError):
            return sent, b""


@pytest.mark.parametrize("dialect", PATHS)
def test_a_gigabyte_from_a_stranger_is_not_read(gateway: GatewayServer, dialect: str, read: dict[str, int]) -> None:
    sent, answer = flood(gateway.port, head("POST", PATHS[dialect], {"content-type": "application/json"}, None))
    assert sent < 64 << 20
    assert not answer or status_of(answer) == 401
    # What a socket's buffer held when the answer was made is lost with it; nothing of it becomes a body.
    assert read["body"] <= MOST_READ * 5, read
    gateway.quiet()
    wait_for(lambda: gateway.door.places.inside == 0)


@pytest.mark.parametrize("path", ["/admin/login/", "/api/ai-models/generate"])
def test_a_stranger_with_a_cookie_sends_little(gateway: GatewayServer, path: str, read: dict[str, int]) -> None:
    """A cookie proves nothing before Django has looked: until then a body is as small as a form."""
    sent, answer = flood(gateway.port, head("POST", path, {"cookie": "sessionid=x", "content-type": "application/json"}, None))
    assert not answer or status_of(answer) == 413
    assert read["body"] < 8 << 20, (sent, read)
    declared = head("POST", path, {"cookie": "sessionid=x", "content-type": "application/json"}, 20 << 20)
    with connected(gateway.port, declared) as peer:
        assert status_of(rest(peer)) == 413


@pytest.mark.parametrize(
    "path", ["/admin/login/", "/api/ai-models/status", *(pytest.param(path, marks=pytest.mark.slow) for path in ("/api/schema/", "/"))]
)
def test_the_body_of_a_question_is_neither_kept_nor_awaited(gateway: GatewayServer, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Django takes in any body before it looks at a GET, without cap and clock, and what is large on the disk."""
    spilled = []
    monkeypatch.setattr("tempfile.SpooledTemporaryFile.rollover", spilled.append)
    sent, _ = flood(gateway.port, head("GET", path, {}, None), 8 << 20)
    assert not spilled, sent
    watch = Stopwatch()
    with connected(gateway.port, head("GET", path, {}, 1000)) as peer:
        assert status_of(peer.recv(65536)) in (200, 302, 401)
    assert watch.took_s < 5


def test_the_schema_writes_no_word_of_a_stranger_into_its_headers(gateway: GatewayServer) -> None:
    for query in ("version=%00", "version=%0d%0aset-cookie:x", "version=9", "lang=%00", "format=%00"):
        answer = gateway.http.get(f"/api/schema/?{query}")
        assert answer.status_code in (200, 404), query
        assert "9" not in answer.headers.get("content-disposition", "")


def test_a_stranger_who_sends_slowly_is_answered_or_given_up(gateway: GatewayServer) -> None:
    for dialect, path in PATHS.items():
        watch = Stopwatch()
        with connected(gateway.port, head("POST", path, {"content-type": "application/json"}, 1000)) as peer:
            assert status_of(rest(peer)) == 401, dialect
        assert watch.took_s < 0.4, "before a byte of the body"
    watch = Stopwatch()
    with connected(gateway.port, head("POST", "/admin/login/", {"content-type": "application/x-www-form-urlencoded"}, 100)) as peer:
        assert status_of(rest(peer)) == 408
    assert watch.wall_s > 0.4
    assert watch.took_s < 2


BOMBS = {
    "depth 65": b'{"model":"chat/x","messages":' + b"[" * 65 + b"]" * 65 + b"}",
    "depth 100000": b'{"a":' * 100_000,
    "million elements": b'{"model":"chat/x","messages":[' + b"0," * 999_999 + b"0]}",
    "long number": b'{"model":"chat/x","n":' + b"9" * 5000 + b"}",
    "long fraction": b'{"model":"chat/x","temperature":0.' + b"3" * 5000 + b"}",
    "exponent": b'{"model":"chat/x","temperature":1e999999}',
    "twice": b'{"model":"chat/x","model":"chat/y"}',
    "not a number": b'{"model":"chat/x","temperature":NaN}',
    "byte order mark": b'\xef\xbb\xbf{"model":"chat/x"}',
    "utf-16": '{"model":"chat/x"}'.encode("utf-16"),
    "surrogate": b'{"model":"chat/\\ud800"}',
    "overlong": b'{"model":"\xc0\xaf"}',
    "nul": b"\x00" * 4096,
    "two hundred thousand keys": b'{"model":"chat/x",' + b",".join(b'"k%d":0' % n for n in range(200_000)) + b"}",
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_bomb_is_a_fast_400_and_never_reaches_a_provider(gateway: GatewayServer, bomb: str) -> None:
    before = gateway.mark
    for dialect, path in PATHS.items():
        stranger = gateway.http.post(path, content=BOMBS[bomb], headers={"content-type": "application/json"})
        assert stranger.status_code == 401, (dialect, stranger.text)
        watch = Stopwatch()
        answer = gateway.client(dialect).send(path, BOMBS[bomb], False)
        took = watch.took_s
        assert answer.status == 400, (dialect, answer.body[:300])
        assert answer.code in ("invalid_json", "invalid_request"), (dialect, answer.body[:300])
        assert took < 1.0, (dialect, took)
    assert gateway.mark == before
