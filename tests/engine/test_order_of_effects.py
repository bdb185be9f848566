"""What happens before what, and that everything that begins ends once, wherever it is cut off."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from llm_gateway.core.errors import BudgetExhausted, Failure, FailureClass, GatewayError, StoreBusy
from llm_gateway.engine.exchange import Exchange

from .fakes import STREAM, WHOLE, FakeCatalog, Rig, Script, chunk, cut, refused

_K = FailureClass
_STALE = Script(refuse=Failure(kind=_K.STALE_CONNECTION))
_DOWN = Script(refuse=Failure(kind=_K.CONNECT_REFUSED))

# name: (streamed, scripts)
SCENES: dict[str, tuple[bool, Callable[[], list[Script]]]] = {
    "whole": (False, lambda: [Script(body=WHOLE)]),
    "whole-second": (False, lambda: [_DOWN, Script(body=WHOLE)]),
    "whole-third-with-its-budget": (False, lambda: [_DOWN, refused(500), Script(body=WHOLE)]),
    "whole-stale-then-fine": (False, lambda: [_STALE, Script(body=WHOLE)]),
    "whole-all-fail": (False, lambda: [_DOWN, _DOWN, _DOWN]),
    "whole-400": (False, lambda: [refused(400)]),
    "whole-bad-json": (False, lambda: [Script(body=b"{"), Script(body=WHOLE)]),
    "stream": (True, lambda: [Script()]),
    "stream-second": (True, lambda: [refused(401), Script()]),
    "stream-third-with-its-budget": (True, lambda: [_DOWN, _DOWN, Script()]),
    "stream-cut-before-content": (True, lambda: [Script(cut()), Script()]),
    "stream-cut-after-content": (True, lambda: [Script(*STREAM[:2], cut())]),
    "stream-without-end": (True, lambda: [Script(*STREAM[:2])]),
    "stream-error-event": (True, lambda: [Script(*STREAM[:2], b'data: {"error": {"message": "no"}}\n\n')]),
    "stream-content-and-error-at-once": (True, lambda: [Script(chunk("a"), chunk("b") + b'data: {"error": {"message": "no"}}\n\n')]),
    "stream-in-one-piece": (True, lambda: [Script(b"".join(STREAM))]),
    "stream-answered-whole": (True, lambda: [Script(body=WHOLE)]),
}


async def play(rig: Rig, stream: bool) -> None:
    with contextlib.suppress(GatewayError):
        await (rig.stream() if stream else rig.whole())


@pytest.mark.parametrize("scene", SCENES)
async def test_everything_that_begins_ends_once(scene: str) -> None:
    stream, scripts = SCENES[scene]
    rig = Rig(*scripts())
    await play(rig, stream)
    await rig.balanced()
    assert len(rig.journal.settled) == 1


@pytest.mark.parametrize("scene", SCENES)
async def test_a_caller_that_leaves_at_any_moment_is_settled_once(scene: str) -> None:
    stream, scripts = SCENES[scene]
    for moment in range(200):
        rig = Rig(*scripts())
        task = asyncio.ensure_future(play(rig, stream))
        for _ in range(moment):
            await asyncio.sleep(0)
        if task.done():
            break
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await rig.balanced()
        for settlement in rig.journal.settled:
            assert settlement.state in ("client_cancelled", "ok", "failed", "partial")
            assert settlement.charge_nusd <= settlement.opened.hold_nusd
    else:
        raise AssertionError("the scene does not end")
    assert moment > 2, "no moment was tried"


@pytest.mark.parametrize("scene", [name for name in SCENES if SCENES[name][0]])
async def test_a_stream_closed_after_any_number_of_batches_is_settled_once(scene: str) -> None:
    for batches in range(10):
        rig = Rig(*SCENES[scene][1]())
        try:
            answer = await rig.pipeline.stream(rig.call(stream=True))
        except GatewayError:
            break
        try:
            for _ in range(batches):
                await anext(answer.frames, None)
        except GatewayError:
            pass
        await answer.frames.aclose()
        await answer.frames.aclose()
        await rig.balanced()
        assert len(rig.journal.settled) == 1


async def test_the_row_is_committed_before_a_byte_goes_out() -> None:
    rig = Rig(_DOWN, _DOWN, Script(body=WHOLE))
    await rig.whole()
    assert rig.log == ["open", "send", "send", "reserve", "send", "settle"]


async def test_the_settlement_is_committed_before_the_last_frames() -> None:
    rig = Rig(Script())
    await rig.stream()
    assert rig.log[:2] == ["open", "send"]
    assert rig.log[-2:] == ["settle", "frames"]
    rig = Rig(Script(b"".join(STREAM)))
    got = await rig.stream()
    assert rig.log == ["open", "send", "frames", "settle", "frames"]
    assert got == b"".join(STREAM)


async def test_a_whole_answer_is_given_after_its_settlement() -> None:
    rig = Rig(Script(body=WHOLE))
    answer = await rig.whole()
    assert rig.log[-1] == "settle"
    assert answer.body == WHOLE
    assert answer.summary.cost_nusd == 7 * 1000 + 3 * 2000


@pytest.mark.parametrize("error", [BudgetExhausted("x"), StoreBusy("x", retry_after_s=1)])
async def test_nothing_is_sent_when_the_row_cannot_be_written(error: GatewayError) -> None:
    rig = Rig(Script(body=WHOLE))
    rig.journal.refuse_open = error
    with pytest.raises(type(error)):
        await rig.whole()
    assert rig.log == ["reject"]
    assert rig.journal.rejected[0].state == "rejected"
    await rig.balanced()


async def test_a_target_whose_own_budget_is_used_up_is_passed_over() -> None:
    rig = Rig(_DOWN, Script(body=WHOLE))
    rig.journal.refuse_reserve = BudgetExhausted("used up")
    answer = await rig.whole("acb")
    assert answer.summary.target.provider.slug == "b"
    await rig.balanced()
    assert rig.log.count("send") == 2
    assert any(skip["why"] == "used up" for skip in rig.journal.settled[0].decision["skipped"])


async def test_after_content_nothing_else_is_tried() -> None:
    rig = Rig(Script(*STREAM[:2], cut()), Script())
    with pytest.raises(GatewayError) as caught:
        await rig.stream()
    assert caught.value.code == "upstream_reset"
    assert rig.log.count("send") == 1
    assert rig.journal.settled[0].state == "partial"


async def test_at_most_three_attempts_are_made() -> None:
    rig = Rig(_STALE, _DOWN, _DOWN, _DOWN, _DOWN)
    with pytest.raises(GatewayError):
        await rig.whole()
    assert rig.log.count("send") == 3


async def test_a_whole_hold_and_a_later_success_never_pass_the_hold() -> None:
    rig = Rig(Script(body=b"{"), Script(body=WHOLE))
    await rig.whole()
    (settled,) = rig.journal.settled
    assert [a.billed for a in settled.attempts] == ["hold", "reported"]
    assert settled.charge_nusd == settled.cost_nusd == settled.opened.hold_nusd


async def test_shutdown_ends_what_runs_and_begins_nothing() -> None:
    ending = Failure(kind=_K.RESET, code="server_shutting_down")
    rig = Rig(Script(*STREAM[:2], chunk("late"), *STREAM[2:]), Script())
    answer = await rig.pipeline.stream(rig.call(stream=True))
    rig.pipeline.end_streams(ending)
    with pytest.raises(GatewayError) as caught:
        async for _ in answer.frames:
            pass
    assert (caught.value.status, caught.value.code) == (503, "server_shutting_down")
    await rig.balanced()
    assert rig.journal.settled[0].state == "partial"
    assert rig.health.view() == {}
    assert not rig.health._breakers, "our own end says nothing of the provider"
    with pytest.raises(GatewayError) as caught:
        await rig.stream()
    assert caught.value.code == "server_shutting_down"
    assert rig.log.count("send") == 1


async def test_shutdown_reaches_a_request_that_waits_for_its_head() -> None:
    class Silent(Rig):
        pass

    rig = Silent(Script())
    never = asyncio.Event()

    async def send(*_: object, **__: object) -> None:
        await never.wait()

    rig.upstream.send = send  # type: ignore[method-assign,assignment]
    task = asyncio.ensure_future(rig.whole())
    for _ in range(5):
        await asyncio.sleep(0)
    rig.pipeline.end_streams(Failure(kind=_K.RESET, code="server_shutting_down"))
    with pytest.raises(GatewayError) as caught:
        async with asyncio.timeout(1):
            await task
    assert caught.value.code == "server_shutting_down"
    await rig.balanced()
    assert not rig.health._breakers


async def test_a_reader_that_stalled_is_partial_and_says_so() -> None:
    rig = Rig(Script())
    answer = await rig.pipeline.stream(rig.call(stream=True))
    await anext(answer.frames)
    await answer.frames.aclose(stalled=True)
    await rig.balanced()
    (settled,) = rig.journal.settled
    assert (settled.state, settled.error_code) == ("partial", "client_stalled")
    assert 0 < settled.charge_nusd <= settled.opened.hold_nusd


async def test_a_bug_in_the_walk_is_settled_and_told_as_our_own(monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Rig(Script(body=WHOLE))

    def broken(*_: object) -> None:
        raise RuntimeError("bug")

    monkeypatch.setattr("llm_gateway.engine.race.prepare", broken)
    with pytest.raises(GatewayError) as caught:
        await rig.whole()
    assert caught.value.code == "internal_error"
    await rig.balanced()
    assert rig.journal.settled[0].state == "failed"


def test_the_fake_catalogue_resolves() -> None:
    assert FakeCatalog().snapshot().aliases["abc"].models == ("a", "b", "c")


async def test_a_repetition_counts_as_one_until_its_answer_begins() -> None:
    rig = Rig(refused(500), Script(body=WHOLE, head=10**9))
    task = asyncio.ensure_future(rig.whole("a"))
    while rig.log.count("send") < 2:
        await asyncio.sleep(0.01)
    assert rig.pipeline.attempts.retrying == 1
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert rig.pipeline.attempts.retrying == 0
    rig = Rig(refused(500), Script(body=WHOLE))
    await rig.whole("a")
    assert rig.pipeline.attempts.retrying == 0


async def test_whoever_waited_for_a_place_after_the_plan_has_waited_since_the_plan(monkeypatch: pytest.MonkeyPatch) -> None:
    """As lines of a batch do: the first token never comes later than the whole."""
    begin = Exchange.__init__

    def late(exchange: Exchange, around: Any, call: Any, plan: Any, *more: Any, **named: Any) -> None:
        plan.at = datetime.now(UTC) - timedelta(seconds=0.2)
        begin(exchange, around, call, plan, *more, **named)

    monkeypatch.setattr(Exchange, "__init__", late)
    rig = Rig(Script(body=WHOLE))
    await rig.whole()
    (settled,) = rig.journal.settled
    assert settled.latency_ms >= settled.ttft_ms >= 200
