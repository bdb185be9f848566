"""Overload (T17): whoever finds no place is told at once, liveness stays fast, and places come back."""

from __future__ import annotations

import socket
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import httpx
import pytest

from cogo.door.refusals import SMALL_BYTES
from llm_gateway.policies import admission
from tests.support.clock import Stopwatch
from tests.support.gateway import GatewayServer
from tests.support.raw import connected, generation, status_of, until
from tests.support.speaking import Answer
from tests.support.waiting import until as wait_for

MOST = 8
GATEWAY = {"max_in_flight": MOST}
DIALECTS = ("openai_chat", "anthropic_messages", "gemini_generate", "native")


@pytest.mark.parametrize("dialect", DIALECTS)
def test_c22_a_full_gateway_says_so_at_once(gateway: GatewayServer, dialect: str) -> None:
    since = gateway.mark
    with ExitStack() as stack:
        for _ in range(MOST):
            stack.enter_context(connected(gateway.port, generation("openai_chat", gateway.rows.key, "chat/fault:silent", stream=True)))
        while gateway.mark < since + MOST:
            time.sleep(0.01)
        watch = Stopwatch()
        answer = gateway.ask(dialect, "chat/x")
        took = watch.took_s
        alive = gateway.http.get("/healthz")
        assert alive.status_code == 200
    assert answer.status == (529 if dialect == "anthropic_messages" else 503), answer.body
    assert answer.code == "overloaded"
    assert 1 <= int(answer.headers["retry-after"]) <= 4
    assert took < 0.5
    gateway.quiet()
    assert gateway.ask(dialect, "chat/x").status == 200


def answered(peer: socket.socket) -> bytes:
    """One whole answer of a connection that stays."""
    got = until(peer, b"\r\n\r\n")
    head, _, body = got.partition(b"\r\n\r\n")
    length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
    while len(body) < length:
        body += peer.recv(65536)
    return head


@pytest.mark.parametrize("dialect", DIALECTS)
def test_who_finds_it_full_keeps_the_connection_for_the_next_try(gateway: GatewayServer, dialect: str) -> None:
    since = gateway.mark
    data = generation(dialect, gateway.rows.key, "chat/x")
    with connected(gateway.port) as peer:
        with ExitStack() as stack:
            for _ in range(MOST):
                stack.enter_context(connected(gateway.port, generation("openai_chat", gateway.rows.key, "chat/fault:silent", stream=True)))
            while gateway.mark < since + MOST:
                time.sleep(0.01)
            for _ in range(3):
                # The body's end comes after the answer to its head.
                peer.sendall(data[:-5])
                assert status_of(answered(peer)) in (503, 529)
                peer.sendall(data[-5:])
        gateway.quiet()
        peer.sendall(data)
        assert status_of(answered(peer)) == 200
    gateway.quiet()
    large = generation(dialect, gateway.rows.key, "chat/x", prompt="x" * SMALL_BYTES)
    gateway.door.places.inside += 10 * MOST
    try:
        with connected(gateway.port, large[:-5]) as peer:
            assert b"connection: close" in until(peer, b"\r\n\r\n").lower()
    finally:
        gateway.door.places.inside -= 10 * MOST


def test_more_callers_than_places_get_200_or_503_and_nothing_else(gateway: GatewayServer) -> None:
    since = gateway.mark

    def one(_: int) -> Answer:
        with httpx.Client(base_url=gateway.url, timeout=20, trust_env=False) as http:
            return gateway.client().__class__(http, "openai_chat", gateway.rows.key).ask("chat/fault:slow:150")

    with ThreadPoolExecutor(24) as pool:
        answers = list(pool.map(one, range(60)))
    assert {answer.status for answer in answers} <= {200, 503}
    assert sum(answer.status == 200 for answer in answers) >= MOST
    assert all("retry-after" in answer.headers for answer in answers if answer.status == 503)
    assert gateway.mark - since == sum(answer.status == 200 for answer in answers)


def test_a_place_that_comes_free_goes_to_who_waits(gateway: GatewayServer) -> None:
    since = gateway.mark
    with ExitStack() as stack:
        peers = [
            stack.enter_context(connected(gateway.port, generation("openai_chat", gateway.rows.key, "chat/fault:silent", stream=True)))
            for _ in range(MOST)
        ]
        while gateway.mark < since + MOST:
            time.sleep(0.01)
        time.sleep(0.25)  # callers are watched after a while
        peers[0].close()
        watch = Stopwatch()
        while gateway.ask("openai_chat", "chat/x").status != 200:
            assert watch.took_s < 2


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_half_sent_body_takes_no_place(gateway: GatewayServer, dialect: str) -> None:
    data = generation(dialect, gateway.rows.key, "chat/x")
    with ExitStack() as stack:
        for _ in range(2 * MOST):
            stack.enter_context(connected(gateway.port, data[:-5]))
        wait_for(lambda: gateway.door.arrivals.uploads.under_way == 2 * MOST)
        wait_for(lambda: gateway.door.places.inside == 0)
        assert gateway.ask(dialect, "chat/x").status == 200
        with connected(gateway.port, data[:-5]) as late:
            wait_for(lambda: gateway.door.arrivals.uploads.under_way == 2 * MOST + 1)
            late.sendall(data[-5:])
            assert status_of(answered(late)) == 200, "a slow body is served when it is complete"
    wait_for(lambda: gateway.door.arrivals.uploads.under_way == gateway.door.places.inside == 0)


def test_a_refusal_keeps_no_connection_waiting(gateway: GatewayServer) -> None:
    gateway.door.arrivals.draining = True
    try:
        for dialect in DIALECTS:
            answer = gateway.ask(dialect, "chat/x")
            assert answer.status == 503, answer.body
            assert answer.code == "server_shutting_down"
            assert answer.headers["connection"] == "close"
        assert gateway.http.get("/readyz").status_code == 503
        assert gateway.http.get("/healthz").status_code == 200
    finally:
        gateway.door.arrivals.draining = False
    assert gateway.http.get("/readyz").status_code == 200


def test_a_slow_reader_slows_the_provider_and_nobody_else(gateway: GatewayServer) -> None:
    since = gateway.mark
    data = generation("openai_chat", gateway.rows.key, "chat/fault:hugebody:30", stream=True)
    with connected(gateway.port, data, receive_buffer=4096) as peer:
        assert status_of(until(peer, b"data:")) == 200
        watch = Stopwatch()
        for _ in range(5):
            assert gateway.ask("openai_chat", "chat/x").status == 200
        assert watch.took_s < 3
        time.sleep(0.3)
    gateway.quiet()
    watch = Stopwatch()
    while not gateway.received(since)[0]["outcome"]:
        assert watch.took_s < 3
        time.sleep(0.01)
    # What did go out is in the sockets' buffers, not in the gateway.
    assert gateway.received(since)[0]["bytes_sent"] < 16_000_000


LATE = (0.5,) * admission.LOOKS


class TestPolicy:
    def test_it_takes_as_many_as_the_limit_then_a_short_queue_then_none(self) -> None:
        assert admission.verdict(7, 0, 8) == "enter"
        assert admission.verdict(8, 0, 8) == "wait"
        assert admission.verdict(8, admission.MOST_WAITING, 8) == "refuse"

    def test_the_limit_falls_fast_and_comes_back_slowly(self) -> None:
        limit = 512.0
        steps = 0
        while limit > admission.FLOOR:
            limit = admission.adjusted(limit, LATE, int(limit), 512)
            steps += 1
        assert steps < 25
        while limit < 512:
            limit = admission.adjusted(limit, (0.5, 0.01, 0.0, 0.03), 0, 512)
            steps += 1
        assert limit == 512.0
        assert 60 < steps < 300

    def test_a_late_loop_counts_from_what_is_inside(self) -> None:
        assert admission.adjusted(512, LATE, 100, 512) == 80.0
        assert admission.adjusted(512, (0.12, 0.05, 0.0, 0.22), 300, 512) == 240.0, "bursts with a look in time between them"
        assert admission.adjusted(32, LATE, 0, 512) == admission.FLOOR
        assert admission.adjusted(4, LATE, 9, 4) == 4.0

    def test_a_hiccup_is_no_load(self) -> None:
        assert admission.adjusted(512, (9.0,), 500, 512) == 512
        assert admission.adjusted(512, (0.01, 0.01, 9.0, 0.01), 500, 512) == 512

    def test_a_wait_is_one_to_four_seconds(self) -> None:
        assert (admission.retry_after_s(0), admission.retry_after_s(0.999)) == (1.0, pytest.approx(4.0, abs=0.01))
