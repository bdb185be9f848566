"""Who is let in and in which order: identity, the key's own limits, a complete body, a place."""

from __future__ import annotations

import gzip
import json
import zlib
from contextlib import ExitStack
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from typing_extensions import override

from cogo.door.uploads import ANONYMOUS
from llm_gateway.engine import heavy
from tests.support.gateway import GatewayServer
from tests.support.raw import connected, generation, head, rest, status_of, until
from tests.support.speaking import auth, request
from tests.support.waiting import until as wait_for

MOST = 8
GATEWAY = {"max_in_flight": MOST, "uploads_per_key": 12, "trusted_proxies": ["127.0.0.1"]}
DIALECTS = ("openai_chat", "anthropic_messages", "gemini_generate", "native")
ANONYMOUS_PATHS = ("/api/ai-models/generate", "/api/ai-models/analyze", "/admin/login/")


def half(gateway: GatewayServer, stack: ExitStack, data: bytes, number: int) -> list[Any]:
    return [stack.enter_context(connected(gateway.port, data)) for _ in range(number)]


@pytest.mark.parametrize("path", ANONYMOUS_PATHS)
def test_anonymous_callers_wait_among_themselves(gateway: GatewayServer, path: str) -> None:
    """A cookie proves nothing: whoever has only that takes nothing from callers with a key."""
    with ExitStack() as stack:
        half(gateway, stack, head("POST", path, {"cookie": "sessionid=x", "content-type": "application/json"}, 100) + b"{", ANONYMOUS)
        wait_for(lambda: gateway.door.arrivals.uploads.under_way == ANONYMOUS)
        with connected(gateway.port, head("POST", path, {"cookie": "a=b"}, 100)) as one_more:
            assert status_of(until(one_more, b"\r\n\r\n")) == 503
        wait_for(lambda: gateway.door.places.inside == 0)
        for dialect in DIALECTS:
            assert gateway.ask(dialect, "chat/x").status == 200
    wait_for(lambda: gateway.door.arrivals.uploads.under_way == 0)


def test_anonymous_callers_have_places_of_their_own(gateway: GatewayServer) -> None:
    arrivals = gateway.door.arrivals
    identity = gateway.gateway.identify(gateway.rows.key)
    assert arrivals.places_of(None) is not arrivals.places_of(identity) is gateway.door.places
    taken = arrivals.anonymous.inside
    arrivals.anonymous.inside += 10_000
    try:
        answer = gateway.http.post("/api/ai-models/generate", json={"prompt": "hi"}, headers={"cookie": "sessionid=x"})
        assert answer.status_code == 503
        assert gateway.ask("native", "chat/x").status == 200
    finally:
        arrivals.anonymous.inside = taken


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_key_has_its_share_of_uploads_and_no_more(gateway: GatewayServer, dialect: str) -> None:
    narrow = gateway.issue(f"narrow-{dialect}", max_concurrency=1)
    for key, most in ((narrow, 1), (gateway.rows.key, GATEWAY["uploads_per_key"])):
        data = generation(dialect, key, "chat/x")[:-5]
        with ExitStack() as stack:
            half(gateway, stack, data, int(str(most)))
            wait_for(lambda most=most: gateway.door.arrivals.uploads.under_way == most)
            with connected(gateway.port, data) as one_more:
                answer = until(one_more, b"\r\n\r\n")
            assert status_of(answer) == 429
            assert b"retry-after: 1" in answer
            assert b"connection: close" in answer, "its body is not read"
            other = gateway.rows.key if key is narrow else narrow
            assert gateway.ask(dialect, "chat/x", key=other).status == 200
            wait_for(lambda: gateway.door.places.inside == 0)
        wait_for(lambda: gateway.door.arrivals.uploads.under_way == 0)
    row = gateway.last_row()
    assert (row.state, row.error_code) in (("client_cancelled", "client_cancelled"), ("rejected", "rate_limited"), ("ok", ""))


TWICE = ["authorization", "x-api-key", "content-type", "idempotency-key", "x-cogo-strategy"]


@pytest.mark.parametrize("dialect", DIALECTS)
def test_one_header_one_value_and_one_key(gateway: GatewayServer, dialect: str) -> None:
    path, body = request(dialect, "chat/x", "hi", False)
    data = json.dumps(body).encode()
    key = gateway.rows.key
    mine = {"authorization": f"Bearer {key}", "content-type": "application/json"}
    lines = [f"{name}: {mine.get(name, 'a')}\r\n{name}: {mine.get(name, 'b')}" for name in TWICE]
    lines += [f"x-api-key: {key}x", f"x-goog-api-key: {key}x"]
    for line in lines:
        first = {name: value for name, value in mine.items() if not line.startswith(name)}
        sent = head("POST", path, first, len(data)).replace(b"host:", line.encode() + b"\r\nhost:")
        with connected(gateway.port, sent + data) as peer:
            answer = rest(peer)
        assert status_of(answer) == 400, (line.partition(":")[0], answer[-300:])
        assert b"twice" in answer or b"Two different client keys" in answer
        assert key.encode() not in answer
    same = {"authorization": f"Bearer {key}", "x-api-key": key, "x-goog-api-key": key, "content-type": "application/json"}
    with connected(gateway.port, head("POST", path, same, len(data)) + data) as peer:
        assert status_of(until(peer, b"\r\n\r\n")) == 200, "the same key twice is one key"


@pytest.mark.parametrize("path", ["/v1/responses", "/v1/chat/completions", "/v1/messages"])
def test_a_websocket_is_answered_with_426(gateway: GatewayServer, path: str) -> None:
    headers = {**auth("openai_chat", gateway.rows.key), "connection": "Upgrade", "upgrade": "websocket", "sec-websocket-version": "13"}
    with connected(gateway.port, head("GET", path, headers, 0)) as peer:
        answer = until(peer, b"}")
    assert status_of(answer) == 426
    assert b"upgrade_required" in answer or path == "/v1/messages"


def test_a_wrong_method_hears_the_right_ones(gateway: GatewayServer) -> None:
    for path, allowed in (("/v1/chat/completions", "POST"), ("/v1/models", "GET"), ("/v1/messages", "POST")):
        answer = gateway.http.request("DELETE", path, headers=auth("openai_chat", gateway.rows.key))
        assert (answer.status_code, answer.headers["allow"]) == (405, allowed)


def deflated(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(data) + packer.flush()


@pytest.mark.parametrize("dialect", DIALECTS)
def test_packed_bodies_are_unpacked_or_refused_by_name(gateway: GatewayServer, dialect: str) -> None:
    path, body = request(dialect, "chat/x", "hi", False)
    data = json.dumps(body).encode()
    headers = {**auth(dialect, gateway.rows.key), "content-type": "application/json"}
    packers = {"gzip": gzip.compress, "X-Gzip": gzip.compress, "deflate": zlib.compress, "Deflate": deflated, "identity": bytes}
    for name, packed in packers.items():
        answer = gateway.http.post(path, content=packed(data), headers={**headers, "content-encoding": name})
        assert answer.status_code == 200, (name, answer.text)
    for name in ("br", "zstd", "gzip, gzip", "compress"):
        answer = gateway.http.post(path, content=data, headers={**headers, "content-encoding": name})
        assert answer.status_code == 415, answer.text
        assert f"`{name}`" in answer.text
        assert "gzip" in answer.text
    for wrong, status in ((data, 400), (gzip.compress(data)[:-9], 400), (gzip.compress(b" " * (40 << 20)), 413)):
        answer = gateway.http.post(path, content=wrong, headers={**headers, "content-encoding": "gzip"})
        assert answer.status_code == status, answer.text
    stranger = gateway.http.post(path, content=gzip.compress(b" " * (40 << 20)), headers={"content-encoding": "gzip"})
    assert stranger.status_code == 401, "nothing is unpacked for a stranger"


def test_a_base_url_without_v1_or_with_one_more_is_understood(gateway: GatewayServer) -> None:
    for dialect, slug in (("openai_chat", "chat"), ("anthropic_messages", "claude")):
        path, body = request(dialect, f"{slug}/x", "hi", False)
        for way in (path.removeprefix("/v1"), f"/v1{path}"):
            assert gateway.http.post(way, json=body, headers=auth(dialect, gateway.rows.key)).status_code == 200, way
    assert gateway.http.get("/models", headers=auth("openai_chat", gateway.rows.key)).json()["object"] == "list"
    for path in ("/v1", "/v1beta", "/v1/v1/nothing", "/models", "/chat/completions"):
        answer = gateway.http.get(path)
        assert answer.headers["content-type"] == "application/json", path
        assert answer.status_code in (401, 404, 405)
    assert gateway.http.get("/health").text == "ok\n"
    assert "html" in gateway.http.get("/chat/").headers["content-type"], "what only looks alike stays Django's"


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_key_is_good_at_its_addresses_only(gateway: GatewayServer, dialect: str) -> None:
    from llm_gateway.models import ClientKey

    key = gateway.issue(f"office-{dialect}", addresses=["198.51.100.0/24", "2001:db8::/32"])
    for forwarded, status in (
        ({"x-forwarded-for": "198.51.100.7"}, 200),
        ({"x-forwarded-for": "::ffff:198.51.100.7"}, 200),
        ({"x-forwarded-for": "1.1.1.1, 198.51.100.7:4711, 127.0.0.1"}, 200),
        ({"forwarded": 'for="[2001:db8::7]:80";proto=https'}, 200),
        ({"x-forwarded-for": "198.51.100.7, 1.1.1.1"}, 403),
        ({"x-forwarded-for": "198.51.100.7, garbage"}, 403),
        ({"x-forwarded-for": "198.51.100.7", "forwarded": "for=1.1.1.1"}, 403),
        ({"x-real-ip": "198.51.100.7"}, 403),
        ({}, 403),
    ):
        answer = gateway.ask(dialect, "chat/x", key=key, headers=forwarded)
        assert answer.status == status, (forwarded, answer.body)
        if status == 200:
            assert gateway.row(answer).address in ("198.51.100.7", "2001:db8::7")
        else:
            assert b"may not be used from" in answer.body
    if dialect == "native":
        assert gateway.http.get("/api/ai-models/status", headers=auth(dialect, key)).status_code == 403
    ClientKey.objects.filter(name=f"office-{dialect}").update(addresses=[])
    gateway.refresh()
    answer = gateway.ask(dialect, "chat/x", key=key)
    assert answer.status == 200
    assert gateway.row(answer).address == "127.0.0.1"


def test_a_refused_request_keeps_its_address(gateway: GatewayServer) -> None:
    for dialect in DIALECTS:
        path, _ = request(dialect, "chat/x", "", False)
        answer = gateway.client(dialect).send(path, b"[", False, headers={"x-forwarded-for": "203.0.113.9"})
        assert answer.status == 400
        assert gateway.row(answer).address == "203.0.113.9"


def test_a_sign_in_behind_a_trusted_proxy_is_counted_and_recorded_by_the_callers_address(gateway: GatewayServer) -> None:
    from llm_gateway.actions import sign_in
    from llm_gateway.models import AuditEntry, SignInTries

    def tried(address: str) -> int:
        form = gateway.http.get("/admin/login/")
        data = {"username": "nobody", "password": "wrong", "csrfmiddlewaretoken": form.cookies["csrftoken"]}
        return gateway.http.post("/admin/login/", data=data, headers={"x-forwarded-for": address}).status_code

    assert tried("203.0.113.9") == 200
    counted = SignInTries.objects.filter(key=sign_in._digest("here", "nobody", "203.0.113.9"))
    assert counted.update(until=timezone.now() + timedelta(minutes=5)) == 1
    assert tried("203.0.113.9") == 429
    assert tried("203.0.113.10") == 200, "another caller behind the same proxy"
    assert AuditEntry.objects.latest("id").address == "203.0.113.10"


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_large_body_takes_its_turn_among_those_of_its_key(gateway: GatewayServer, dialect: str, monkeypatch: pytest.MonkeyPatch) -> None:
    turns: list[int] = []

    class Noting(heavy.Turns):
        @override
        def submit(self, whose: int, work: Any) -> Any:
            turns.append(whose)
            return super().submit(whose, work)

    monkeypatch.setattr(heavy, "_turns", Noting())
    path, body = request(dialect, "chat/x", "hello " * (heavy.LARGE_BYTES // 6 + 1), False)
    assert gateway.client(dialect).send(path, body, False).status == 200
    assert set(turns) == {gateway.gateway.identify(gateway.rows.key).client_key_id}
