"""Part B3 of the fault matrix: what callers do wrong, and callers that leave (T13)."""

from __future__ import annotations

import json
import socket
import time
from decimal import Decimal
from typing import Any

import pytest

from tests.support.clock import Stopwatch
from tests.support.gateway import GatewayServer
from tests.support.raw import connected, generation, head, rest, status_of, until
from tests.support.speaking import auth, request

from .table import OWN

ALL = ("openai_chat", "anthropic_messages", "gemini_generate", "native")
GATEWAY = {"body_timeout_s": 0.4, "max_body_bytes": 1 << 20}
CLOSES_WITHIN_S = 1.0


def ends(gateway: GatewayServer, since: int) -> dict[str, Any]:
    """The simulator's one entry since then, once it is over."""
    watch = Stopwatch()
    while watch.took_s < 3:
        entries = gateway.received(since)
        if entries and entries[0]["outcome"]:
            assert len(entries) == 1
            return entries[0]
        time.sleep(0.01)
    raise AssertionError("the provider was not hung up on")


def logged(gateway: GatewayServer, state: str, dialect: str) -> Any:
    """The newest row, once it is written."""
    watch = Stopwatch()
    while (row := gateway.last_row()) is None or (row.state, row.dialect) != (state, dialect):
        assert watch.took_s < 3, row and (row.state, row.dialect)
        time.sleep(0.01)
    return row


@pytest.mark.parametrize("dialect", ALL)
def test_c1_a_caller_that_leaves_before_anything_is_sent(gateway: GatewayServer, dialect: str) -> None:
    since = gateway.mark
    with connected(gateway.port, generation(dialect, gateway.rows.key, f"{OWN.get(dialect, 'gem')}/x")[:-3]):
        time.sleep(0.1)
    row = logged(gateway, "client_cancelled", dialect)
    assert (row.http_status, row.error_code, row.attempt_count, row.cost_nusd) == (499, "client_cancelled", 0, 0)
    assert not row.ledger.exists()
    assert gateway.mark == since


@pytest.mark.parametrize("dialect", ["openai_chat", "anthropic_messages", "native"])
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_c2_a_caller_that_leaves_before_the_first_byte(gateway: GatewayServer, dialect: str, stream: bool) -> None:
    since = gateway.mark
    data = generation(dialect, gateway.rows.key, f"{OWN[dialect]}/fault:silent", stream=stream)
    with connected(gateway.port, data):
        while gateway.mark == since:
            time.sleep(0.01)
        time.sleep(0.25)
        watch = Stopwatch()
    entry = ends(gateway, since)
    assert entry["peer_closed"]
    assert watch.took_s < CLOSES_WITHIN_S
    row = gateway.last_row()
    assert row.state == "client_cancelled"
    (attempt,) = row.attempts.all()
    assert (attempt.outcome, attempt.billed) == ("cancelled", "estimate")
    assert 0 < row.cost_nusd <= row.hold_nusd
    assert row.ledger.get().amount_nusd == row.cost_nusd
    assert gateway.health() == {}


@pytest.mark.parametrize("dialect", ["openai_chat", "anthropic_messages", "native"])
def test_c3_a_caller_that_leaves_in_the_middle_of_a_stream(gateway: GatewayServer, dialect: str) -> None:
    since = gateway.mark
    data = generation(dialect, gateway.rows.key, f"{OWN[dialect]}/fault:stall@3", stream=True)
    with connected(gateway.port, data) as peer:
        until(peer, b"data:")
        time.sleep(0.1)
        watch = Stopwatch()
    entry = ends(gateway, since)
    assert entry["peer_closed"]
    assert watch.took_s < CLOSES_WITHIN_S
    row = gateway.last_row()
    assert (row.state, row.usage_source) == ("client_cancelled", "estimated")
    assert row.output_tokens > 0
    assert 0 < row.cost_nusd <= row.hold_nusd
    assert gateway.health() == {}


@pytest.mark.parametrize("dialect", ["openai_chat", "anthropic_messages", "native"])
def test_c3_an_estimate_is_near_what_the_provider_bills(gateway: GatewayServer, dialect: str) -> None:
    """Complete answers tell how long the model's tokens are; nothing else does, so the first estimate errs upward."""
    model = f"{OWN[dialect]}/truth-of-{dialect}"
    for known in (False, True):
        gateway.program(model, "stall@60")
        since = gateway.mark
        data = generation(dialect, gateway.rows.key, model, stream=True, prompt="say 200 words")
        with connected(gateway.port, data) as peer:
            got = b""
            while got.count(b"data:") < 50:
                got += peer.recv(65536)
            time.sleep(0.2)
        truth = ends(gateway, since)
        row = gateway.last_row()
        assert (row.state, row.usage_source) == ("client_cancelled", "estimated")
        assert row.cost_nusd <= row.hold_nusd
        if known:
            assert row.output_tokens == pytest.approx(truth["output_tokens"], rel=0.1)
            assert row.input_tokens == pytest.approx(truth["input_tokens"], rel=0.1)
        else:
            assert truth["output_tokens"] <= row.output_tokens <= truth["output_tokens"] * 1.6
        for _ in range(8):
            gateway.ask(dialect, model, prompt="say 200 words")


@pytest.mark.parametrize("dialect", ["openai_chat", "anthropic_messages"])
def test_c4_a_reader_that_stalls_is_cut_off(gateway: GatewayServer, dialect: str) -> None:
    gateway.door.compat.stall_s = 0.4
    try:
        data = generation(dialect, gateway.rows.key, f"{OWN[dialect]}/fault:hugebody:24", stream=True)
        with connected(gateway.port, data, receive_buffer=4096) as peer:
            until(peer, b"data:")
            watch = Stopwatch()
            gateway.quiet()
            assert watch.took_s < 2.5
            row = gateway.last_row()
        assert (row.state, row.error_code) == ("partial", "client_stalled")
        assert 0 < row.cost_nusd <= row.hold_nusd
    finally:
        gateway.door.compat.stall_s = 60.0


@pytest.mark.parametrize("dialect", ALL)
def test_c9_an_oversized_body_is_refused_and_not_read(gateway: GatewayServer, dialect: str) -> None:
    path, _ = request(dialect, "chat/x", "", False)
    for length in (50 << 20, None):
        with connected(gateway.port, head("POST", path, auth(dialect, gateway.rows.key), length)) as peer:
            if length is None:
                piece = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
                try:
                    for _ in range(200):
                        peer.sendall(piece)
                except ConnectionError:
                    pass
            try:
                answer = rest(peer)
            except ConnectionResetError:
                continue  # cut while sending: refused, too
            assert status_of(answer) == 413
            assert b"connection: close" in answer
            assert b"request_too_large" in answer.lower()
            row = logged(gateway, "rejected", dialect)
            assert (row.http_status, row.error_code, row.attempt_count, row.cost_nusd) == (413, "request_too_large", 0, 0)


@pytest.mark.parametrize("dialect", ALL)
def test_c10_a_body_that_does_not_come_is_given_up(gateway: GatewayServer, dialect: str) -> None:
    path, _ = request(dialect, "chat/x", "", False)
    watch = Stopwatch()
    with connected(gateway.port, head("POST", path, auth(dialect, gateway.rows.key), 1000) + b'{"model":') as peer:
        answer = rest(peer)
    assert status_of(answer) == 408
    assert b"timeout" in answer.lower()
    assert watch.wall_s > 0.3
    assert watch.took_s < 2
    row = logged(gateway, "rejected", dialect)
    assert (row.http_status, row.error_code, row.attempt_count) == (408, "request_timeout", 0)


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b'"x"', b"\xff\xfe{}", b'{"model": "\\ud800"}', b'{"a": NaN}', b'{"model": 1, "model": 2}', b"[" * 100_000,
     b'{"n": ' + b"9" * 5000 + b"}", b'{"a":' * 70 + b"1" + b"}" * 70],
    ids=["empty", "cut", "array", "string", "utf16", "surrogate", "nan", "twice", "deep", "long-number", "nested"],
)  # fmt: skip
def test_c11_c12_what_is_no_request_is_a_fast_400(gateway: GatewayServer, body: bytes) -> None:
    for dialect in ALL:
        path, _ = request(dialect, "chat/x", "", False)
        before = gateway.mark
        watch = Stopwatch()
        answer = gateway.client(dialect).send(path, body, False)
        assert watch.took_s < 1
        assert answer.status == 400, (dialect, answer.body)
        assert answer.code in ("invalid_json", "invalid_request"), (dialect, answer.body)
        assert answer.headers["x-should-retry"] == "false"
        assert gateway.mark == before
        row = gateway.row(answer)
        assert (row.state, row.http_status) == ("rejected", 400)
        assert not row.ledger.exists()


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("dialect", ["openai_chat", "anthropic_messages", "native"])
def test_c13_an_answer_that_nobody_could_pay_is_refused(gateway: GatewayServer, dialect: str, stream: bool) -> None:
    key = gateway.issue(f"poor-{dialect}-{stream}", budget_usd=Decimal("0.01"), period="total")
    slug = OWN[dialect]
    gateway.rows.model(slug, "boundless", max_output_tokens=None)
    gateway.refresh()
    before = gateway.mark
    asked: list[dict[str, Any]] = [{"max_tokens": 10**9}]
    if dialect == "openai_chat":
        asked.append({"n": 128, "max_tokens": 1000})
    for more in asked:
        answer = gateway.ask(dialect, f"{slug}/boundless", key=key, stream=stream, **more)
        assert (answer.status, answer.code) in ((400, "invalid_request"), (402, "request_exceeds_budget")), answer.body
        row = gateway.row(answer)
        assert (row.state, row.attempt_count) == ("rejected", 0)
    assert gateway.mark == before


WRONG = {
    "openai_chat": [{"messages": "hi"}, {"messages": [7]}, {"model": 3}, {"max_tokens": "many"}, {"n": -1}, {"stream": "yes"}],
    "anthropic_messages": [{"messages": "hi"}, {"messages": [7]}, {"model": 3}, {"max_tokens": "many"}, {"stream": "yes"}],
    "native": [{"prompt": 7}, {"model": 3}, {"max_tokens": "many"}, {"stream": "perhaps"}],
}


@pytest.mark.parametrize("dialect", WRONG)
def test_c13_wrong_types_are_a_400_of_ours(gateway: GatewayServer, dialect: str) -> None:
    before = gateway.mark
    path, body = request(dialect, f"{OWN[dialect]}/x", "hi", False)
    for wrong in WRONG[dialect]:
        answer = gateway.client(dialect).send(path, json.dumps({**body, **wrong}).encode(), False)
        assert (answer.status, answer.headers["x-should-retry"]) == (400, "false"), (wrong, answer.body)
        assert gateway.row(answer).state == "rejected"
    assert gateway.mark == before


@pytest.mark.parametrize("dialect", ALL)
def test_c14_c15_a_forbidden_model_cannot_be_told_from_an_unknown_one(gateway: GatewayServer, dialect: str) -> None:
    key = gateway.issue(f"narrow-{dialect}", models=["sim-openai"])
    unknown = gateway.ask(dialect, "no-such-model", key=key)
    forbidden = gateway.ask(dialect, "sim-gemini", key=key)
    assert unknown.status == forbidden.status == 404
    assert unknown.code == forbidden.code == "model_not_found"
    said = (
        unknown.body.replace(b"no-such-model", b"M")
        .replace(unknown.request_id.hex.encode(), b"R")
        .replace(str(unknown.request_id).encode(), b"R")
    )
    other = (
        forbidden.body.replace(b"sim-gemini", b"M")
        .replace(forbidden.request_id.hex.encode(), b"R")
        .replace(str(forbidden.request_id).encode(), b"R")
    )
    assert said == other
    assert gateway.row(forbidden).state == "rejected"


@pytest.mark.parametrize("dialect", ALL)
def test_c16_without_a_key_nothing_is_read_or_logged(gateway: GatewayServer, dialect: str) -> None:
    from llm_gateway.models import RequestLog

    rows = RequestLog.objects.count()
    path, _ = request(dialect, "chat/x", "", False)
    for headers in ({}, auth(dialect, "nonsense"), auth(dialect, "cogo_" + "x" * 60)):
        with connected(gateway.port, head("POST", path, {"content-type": "application/json", **headers}, 1 << 30)) as peer:
            answer = rest(peer)
        assert status_of(answer) == 401
        assert b"connection: close" in answer
    assert RequestLog.objects.count() == rows


@pytest.mark.parametrize("dialect", ALL)
@pytest.mark.parametrize("how", ["revoked", "expired", "team"])
def test_c17_a_key_that_is_no_longer_good_is_told_so(gateway: GatewayServer, how: str, dialect: str) -> None:
    from django.utils import timezone

    from llm_gateway.models import ClientKey, RequestLog, Team

    team = Team.objects.create(slug=f"c17-{how}-{dialect}", name=f"Leaving {how} {dialect}")
    key = gateway.issue(f"c17-{how}-{dialect}", team=team)
    model = f"{OWN.get(dialect, 'gem')}/x"
    assert gateway.ask(dialect, model, key=key).status == 200
    match how:
        case "revoked":
            ClientKey.objects.filter(team=team).update(revoked_at=timezone.now())
        case "expired":
            ClientKey.objects.filter(team=team).update(expires_at=timezone.now())
        case _:
            Team.objects.filter(pk=team.pk).update(enabled=False)
    gateway.refresh()
    since, rows = gateway.mark, RequestLog.objects.count()
    answer = gateway.ask(dialect, model, key=key)
    assert (answer.status, str(answer.code).lower()) == (401, "key_revoked")
    assert answer.headers["x-should-retry"] == "false"
    assert (gateway.mark, RequestLog.objects.count()) == (since, rows)


@pytest.mark.parametrize("dialect", ALL)
def test_c18_c19_c20_budgets(gateway: GatewayServer, dialect: str) -> None:
    small = gateway.issue(f"small-{dialect}", budget_usd=Decimal("0.0001"), period="total")
    answer = gateway.ask(dialect, "chat/x", key=small)
    assert (answer.status, answer.code) == (402, "request_exceeds_budget"), answer.body
    assert answer.headers["x-should-retry"] == "false"
    assert gateway.row(answer).state == "rejected"

    from llm_gateway.models import Budget

    hold = gateway.row(gateway.ask(dialect, "chat/fault:ok")).hold_nusd
    one = gateway.issue(f"one-{dialect}", budget_usd=Decimal(hold * 3 // 2) / 10**9, period="total")
    since = gateway.mark
    with connected(gateway.port, generation(dialect, one, "chat/fault:silent", stream=True)):
        while gateway.mark == since:
            time.sleep(0.01)
        answer = gateway.ask(dialect, "chat/x", key=one)
        assert (answer.status, answer.code) == (429, "budget_in_flight"), answer.body
        assert 1 <= int(answer.headers["retry-after"]) <= 5
    gateway.quiet()

    used = Budget.objects.get(client_key__name=f"one-{dialect}")
    assert used.posted_nusd > 0
    Budget.objects.filter(pk=used.pk).update(limit_nusd=hold + used.posted_nusd // 2)
    answer = gateway.ask(dialect, "chat/x", key=one)
    assert (answer.status, answer.code) == (429, "insufficient_quota"), answer.body
    assert answer.headers["x-should-retry"] == "false"
    assert "retry-after" not in answer.headers


@pytest.mark.parametrize("dialect", ALL)
def test_c21_rate_and_concurrency(gateway: GatewayServer, dialect: str) -> None:
    slow = gateway.issue(f"slow-{dialect}", requests_per_minute=2)
    codes = [gateway.ask(dialect, "chat/x", key=slow) for _ in range(3)]
    assert [answer.status for answer in codes] == [200, 200, 429]
    assert codes[2].code == "rate_limited"
    assert 1 <= int(codes[2].headers["retry-after"]) <= 60
    assert codes[2].headers["x-ratelimit-limit-requests"] == "2"
    assert codes[2].headers["x-ratelimit-remaining-requests"] == "0"
    assert 30 < float(codes[2].headers["x-ratelimit-reset-requests"].removesuffix("s")) <= 60
    single = gateway.issue(f"single-{dialect}", max_concurrency=1)
    since = gateway.mark
    with connected(gateway.port, generation(dialect, single, "chat/fault:silent", stream=True)):
        while gateway.mark == since:
            time.sleep(0.01)
        answer = gateway.ask(dialect, "chat/x", key=single)
        assert (answer.status, answer.code) == (429, "rate_limited")
    gateway.quiet()
    assert gateway.ask(dialect, "chat/x", key=single).status == 200


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("dialect", ["openai_chat", "anthropic_messages", "native"])
def test_c23_the_callers_own_deadline(gateway: GatewayServer, dialect: str, stream: bool) -> None:
    since = gateway.mark
    watch = Stopwatch()
    answer = gateway.ask(dialect, f"{OWN[dialect]}/fault:silent", stream=stream, headers={"x-request-timeout-ms": "300"})
    passed_s, took_s = watch.wall_s, watch.took_s
    assert (answer.status, answer.code) == (504, "deadline_exceeded"), answer.body
    assert passed_s >= 0.29
    assert took_s < 1.0
    assert ends(gateway, since)["peer_closed"]
    row = gateway.row(answer)
    assert (row.state, row.attempts.get().error_class) == ("failed", "deadline")
    assert gateway.health() == {}


def test_c24_old_and_odd_http(gateway: GatewayServer) -> None:
    data = generation("openai_chat", gateway.rows.key, "chat/x")
    with connected(gateway.port, data + data) as peer:
        got = until(peer, b'"usage"')
        while got.count(b"HTTP/1.1 200") < 2:
            got += peer.recv(65536)
    with connected(gateway.port, data.replace(b"HTTP/1.1", b"HTTP/1.0", 1)) as peer:
        assert status_of(rest(peer)) == 200
    path, body = request("openai_chat", "chat/x", "hi", False)
    text = json.dumps(body).encode()
    with connected(
        gateway.port, head("POST", path, {**auth("openai_chat", gateway.rows.key), "expect": "100-continue"}, len(text))
    ) as peer:
        until(peer, b"100 Continue")
        peer.sendall(text)
        assert b"200 OK" in until(peer, b'"usage"')
    # A sending half that is closed is a caller that left, as uvicorn tells it: nothing runs on for nobody.
    since = gateway.mark
    with connected(gateway.port, generation("openai_chat", gateway.rows.key, "chat/fault:silent")) as peer:
        while gateway.mark == since:
            time.sleep(0.01)
        peer.shutdown(socket.SHUT_WR)
        assert rest(peer) == b""
    assert ends(gateway, since)["peer_closed"]
    assert gateway.last_row().state == "client_cancelled"
