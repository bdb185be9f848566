"""Shutdown (T3): a real process is told to stop, ends its streams itself, settles them, and exits 0 in time."""

from __future__ import annotations

import signal
import time
from contextlib import ExitStack

import pytest

from tests.support.process import Process
from tests.support.raw import connected, generation, rest, until
from tests.support.rows import Rows
from tests.support.speaking import events_of

DRAIN_S = 1
# The bar is DRAIN_S + 2 on a machine of its own; a shared one gets time for its own sake, but not until the server's own deadline, which
# would hide what we did not end ourselves.
WITHIN_S = DRAIN_S + 4


@pytest.mark.alone
@pytest.mark.slow
def test_streams_end_with_an_error_event_and_are_settled(process: Process, standing_rows: Rows) -> None:
    from llm_gateway.models import RequestLog

    with ExitStack() as stack:
        streams = [
            stack.enter_context(connected(process.port, generation(dialect, standing_rows.key, f"{slug}/fault:stall@2", stream=True)))
            for dialect, slug in (("openai_chat", "chat"), ("anthropic_messages", "claude"), ("gemini_generate", "gem"), ("native", "chat"))
        ]
        whole = stack.enter_context(connected(process.port, generation("openai_chat", standing_rows.key, "chat/fault:silent")))
        half = stack.enter_context(connected(process.port, generation("openai_chat", standing_rows.key, "chat/x")[:-3]))
        idle = stack.enter_context(connected(process.port))
        stuck = stack.enter_context(
            connected(process.port, generation("openai_chat", standing_rows.key, "chat/fault:hugebody:8", stream=True), receive_buffer=4096)
        )
        begun = [until(peer, b"data:") for peer in streams]
        until(stuck, b"data:")
        time.sleep(0.3)
        began = time.monotonic()
        process.told(signal.SIGTERM)
        answers = [first + rest(peer, 8) for first, peer in zip(begun, streams, strict=True)]
        assert time.monotonic() - began < DRAIN_S + 2
        for answer in answers:
            body = b"".join(part.partition(b"\r\n")[2] for part in [answer.partition(b"\r\n\r\n")[2]])
            assert b"server_shutting_down" in body.lower() or b"shutting down" in body, body[-400:]
            assert b"[DONE]" not in body
            assert b"message_stop" not in body
            assert answer.endswith(b"0\r\n\r\n"), "the response itself ends cleanly"
        assert b"503" in rest(whole, 5)[:20]
        assert b"503" in rest(half, 5)[:20]
        assert rest(idle, 5) == b""
        code = process.ended(WITHIN_S)
        assert code == 0
    states = dict(RequestLog.objects.order_by("id").values_list("asked_model", "state"))
    assert states["chat/fault:stall@2"] == states["claude/fault:stall@2"] == states["gem/fault:stall@2"] == "partial"
    assert states["chat/fault:silent"] == "failed"
    assert not RequestLog.objects.filter(state="open").exists()
    assert events_of(answers[0])


@pytest.mark.alone
@pytest.mark.slow
def test_a_stream_that_ends_in_time_is_whole(process: Process, standing_rows: Rows) -> None:
    with connected(process.port, generation("openai_chat", standing_rows.key, "chat/fault:slow:600", stream=True)) as peer:
        time.sleep(0.2)
        process.told(signal.SIGTERM)
        answer = rest(peer, 5)
    assert b"[DONE]" in answer
    assert b"shutting" not in answer
    assert process.ended(WITHIN_S) == 0


@pytest.mark.alone
@pytest.mark.slow
def test_a_second_signal_ends_streams_at_once(process: Process, standing_rows: Rows) -> None:
    with connected(process.port, generation("openai_chat", standing_rows.key, "chat/fault:stall@2", stream=True)) as peer:
        until(peer, b"data:")
        process.told(signal.SIGINT)
        time.sleep(0.2)
        began = time.monotonic()
        process.told(signal.SIGINT)
        answer = rest(peer, 5)
        assert time.monotonic() - began < 0.6
    assert b"server_shutting_down" in answer
    assert process.ended(WITHIN_S) == 0


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_idle_process_ends_at_once(process: Process, number: int) -> None:
    with connected(process.port) as idle:
        process.told(number)
        assert rest(idle, 5) == b""
    assert process.ended(WITHIN_S) == 0


@pytest.mark.alone
@pytest.mark.slow
def test_what_goes_on_without_its_caller_gets_the_time_of_the_drain(standing_rows: Rows) -> None:
    """Nobody is connected, so the server has nothing to wait for; the answer is finished and kept all the same."""
    from llm_gateway.models import IdempotencyRecord, RequestLog

    process = Process(drain_s=8)
    data = generation("openai_chat", standing_rows.key, "chat/fault:pause:1500@2", stream=True, headers={"idempotency-key": "kept"})
    with connected(process.port, data) as peer:
        until(peer, b"data:")
    process.told(signal.SIGTERM)
    assert process.ended(20) == 0
    record = IdempotencyRecord.objects.latest("created_at")
    assert (record.state, record.status) == ("finished", 200)
    assert RequestLog.objects.get(pk=record.request_id).state == "ok"
