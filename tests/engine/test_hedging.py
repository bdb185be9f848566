"""Hedged requests: two targets at once, one answer, both accounted; and answers of keys that were revoked meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from llm_gateway.core.errors import BudgetExhausted, Failure, FailureClass, GatewayError
from llm_gateway.engine.ports import Settlement

from .fakes import STREAM, WHOLE, Rig, Script, cut, refused

_K = FailureClass
# Over at once: the fakes count turns of the loop, so that every moment can be tried.
AT_ONCE = 0
LONG = 400
_DOWN = Script(refuse=Failure(kind=_K.CONNECT_REFUSED))


def late(*parts: bytes | int | Exception, turns: int = LONG, **more: Any) -> Script:
    return Script(turns, *(parts or STREAM), **more)


# name: (streamed, scripts, [(provider, outcome)] of the attempts, who won)
SCENES: dict[str, tuple[bool, Callable[[], list[Script]], list[tuple[str, str]], str | None]] = {
    "second-wins": (True, lambda: [late(), Script()], [("a", "cancelled"), ("b", "ok")], "b"),
    "second-wins-before-the-firsts-head": (True, lambda: [Script(head=LONG), Script()], [("a", "cancelled"), ("b", "ok")], "b"),
    "first-wins": (True, lambda: [late(turns=20), late()], [("b", "cancelled"), ("a", "ok")], "a"),
    "first-fails": (True, lambda: [Script(20, cut()), late(turns=60)], [("a", "failed"), ("b", "ok")], "b"),
    "first-is-refused": (True, lambda: [Script(status=503, body=b"{}", head=20), late(turns=60)], [("a", "failed"), ("b", "ok")], "b"),
    "second-fails": (True, lambda: [late(turns=60), _DOWN], [("b", "failed"), ("a", "ok")], "a"),
    "both-fail": (True, lambda: [Script(20, cut()), Script(40, cut()), Script()], [("a", "failed"), ("b", "failed"), ("c", "ok")], None),
    "second-breaks-off": (True, lambda: [late(), Script(*STREAM[:2], cut())], [("a", "cancelled"), ("b", "partial")], "b"),
    "whole-second-wins": (False, lambda: [Script(body=WHOLE, head=LONG), Script(body=WHOLE)], [("a", "cancelled"), ("b", "ok")], "b"),
    "whole-first-wins": (
        False, lambda: [Script(body=WHOLE, head=20), Script(body=WHOLE, head=LONG)], [("b", "cancelled"), ("a", "ok")], "a",
    ),
    "whole-same-moment": (False, lambda: [Script(body=WHOLE, head=20), Script(body=WHOLE, head=15)], [], ""),
    "all-fail": (
        False, lambda: [Script(status=500, body=b"{}", head=20), refused(500), refused(500)],
        [("b", "failed"), ("a", "failed"), ("c", "failed")], None,
    ),
    "first-is-a-400": (False, lambda: [Script(status=400, body=b"{}", head=20), Script(status=500, body=b"{}", head=40), Script()],
                       [("a", "failed"), ("b", "failed")], None),
}  # fmt: skip


async def play(rig: Rig, stream: bool) -> None:
    with contextlib.suppress(GatewayError):
        await (rig.stream("auto") if stream else rig.whole("auto"))


def outcomes(settled: Settlement) -> list[tuple[str, str]]:
    return [(a.provider, a.outcome) for a in settled.attempts]


@pytest.mark.parametrize("scene", SCENES)
async def test_the_first_to_give_content_answers_and_both_are_accounted(scene: str) -> None:
    stream, scripts, expected, won = SCENES[scene]
    rig = Rig(*scripts(), hedge_after_ms=AT_ONCE)
    await play(rig, stream)
    await rig.balanced()
    (settled,) = rig.journal.settled
    hedged = settled.decision["hedged"]
    assert (hedged["first"], hedged["second"]) == ("a/a", "b/b")
    if expected:
        assert outcomes(settled) == expected
        assert hedged["won"] == (f"{won}/{won}" if won else None)
    for attempt in settled.attempts:
        if attempt.outcome == "cancelled":
            assert attempt.billed == "estimate"
            assert attempt.cost_nusd
    assert settled.charge_nusd == sum(a.cost_nusd or 0 for a in settled.attempts) <= settled.opened.hold_nusd
    assert rig.pipeline.attempts.retrying == 0


@pytest.mark.parametrize("scene", SCENES)
async def test_a_caller_that_leaves_at_any_moment_leaves_nothing_behind(scene: str) -> None:
    stream, scripts, _, _ = SCENES[scene]
    both = 0
    for moment in range(120):
        rig = Rig(*scripts(), hedge_after_ms=AT_ONCE)
        task = asyncio.ensure_future(play(rig, stream))
        for _ in range(moment):
            await asyncio.sleep(0)
        if task.done():
            break
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        await rig.balanced()
        assert rig.pipeline.attempts.retrying == 0
        for settled in rig.journal.settled:
            assert settled.charge_nusd <= settled.opened.hold_nusd
            both += outcomes(settled) == [("b", "cancelled"), ("a", "cancelled")]
    assert both > 2, "both were never running when the caller left"


@pytest.mark.parametrize("ending", ["shutdown", "revoked"])
@pytest.mark.parametrize("scene", SCENES)
async def test_what_we_end_at_any_moment_ends_on_both_sides(scene: str, ending: str) -> None:
    stream, scripts, _, _ = SCENES[scene]
    for moment in range(0, 120, 3):
        rig = Rig(*scripts(), hedge_after_ms=AT_ONCE)
        task = asyncio.ensure_future(play(rig, stream))
        for _ in range(moment):
            await asyncio.sleep(0)
        if task.done():
            break
        sends = rig.log.count("send")
        if ending == "shutdown":
            rig.pipeline.end_streams(Failure(kind=_K.RESET, code="server_shutting_down"))
        else:
            rig.catalog.client(revoked=True)
            rig.pipeline.end_revoked()
        async with asyncio.timeout(5):
            await task
        await rig.balanced()
        # A request whose task had been started but had not run yet is sent and hung up on.
        assert rig.log.count("send") <= sends + 1
        for settled in rig.journal.settled:
            assert settled.error_code in ("server_shutting_down", "key_revoked", "upstream_error", "invalid_request", "upstream_reset", "")


async def test_a_fast_first_target_is_alone() -> None:
    rig = Rig(Script(body=WHOLE), hedge_after_ms=5000)
    await rig.whole("auto")
    await rig.balanced()
    (settled,) = rig.journal.settled
    assert rig.log == ["open", "send", "settle"]
    assert "hedged" not in settled.decision
    alone = Rig(Script(body=WHOLE))
    await alone.whole("auto")
    assert settled.opened.hold_nusd > alone.journal.settled[0].opened.hold_nusd, "both answers are held for"


async def test_a_model_asked_for_by_name_is_not_hedged() -> None:
    rig = Rig(Script(20, *STREAM), hedge_after_ms=AT_ONCE)
    await rig.stream("abc")
    assert rig.log.count("send") == 1


@pytest.mark.parametrize("kind", ["embeddings", "count_tokens"])
async def test_what_generates_nothing_is_not_hedged(kind: str) -> None:
    rig = Rig(Script(body=b"{}", head=20), Script(body=b"{}"), hedge_after_ms=AT_ONCE)
    call = rig.call("auto")
    with contextlib.suppress(GatewayError):
        await rig.pipeline.whole(msgspec.structs.replace(call, inbound=msgspec.structs.replace(call.inbound, kind=kind)))
    await rig.balanced()
    assert rig.log.count("send") <= 1


async def test_hedges_count_as_retries() -> None:
    rig = Rig(Script(20, *STREAM), Script(), hedge_after_ms=AT_ONCE)
    rig.pipeline.attempts.retrying = 3
    await rig.stream("auto")
    await rig.balanced()
    assert rig.log.count("send") == 1
    # While one runs it takes a place.
    rig = Rig(late(), late(), hedge_after_ms=AT_ONCE)
    task = asyncio.ensure_future(rig.stream("auto"))
    while rig.log.count("send") < 2:
        await asyncio.sleep(0)
    assert rig.pipeline.attempts.retrying == 1
    await task
    assert rig.pipeline.attempts.retrying == 0


async def test_no_second_is_asked_that_the_hold_does_not_cover(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("llm_gateway.engine.plan.HELD_TARGETS", 1)
    rig = Rig(Script(20, *STREAM), Script(), hedge_after_ms=AT_ONCE)
    await rig.stream("auto")
    await rig.balanced()
    assert rig.log.count("send") == 1


@pytest.mark.parametrize("refuse", [False, True])
async def test_the_seconds_own_budget_is_held_before_it_is_asked(refuse: bool) -> None:
    rig = Rig(Script(30, *STREAM), Script(), hedge_after_ms=AT_ONCE)
    rig.health._disabled[(2, "b")] = "out"
    if refuse:
        rig.journal.refuse_reserve = BudgetExhausted("used up")
    await rig.stream("auto")
    await rig.balanced()
    (settled,) = rig.journal.settled
    if refuse:
        assert outcomes(settled) == [("a", "ok")]
        assert {"target": "c/c", "why": "used up"} in settled.decision["skipped"]
    else:
        assert rig.log[:4] == ["open", "send", "reserve", "send"]
        assert outcomes(settled) == [("a", "cancelled"), ("c", "ok")]


async def test_a_loser_says_nothing_of_its_host() -> None:
    rig = Rig(late(), Script(), hedge_after_ms=AT_ONCE)
    await rig.stream("auto")
    assert not rig.health._breakers
    assert list(rig.health._samples) == [(2, "b")]


async def test_an_empty_answer_does_not_win_where_the_next_is_to_be_asked() -> None:
    done = STREAM[-1]
    empty = [b'data: {"id":"c","model":"m","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n', done]
    rig = Rig(Script(20, *empty), late(turns=60), hedge_after_ms=AT_ONCE, retry_empty=True)
    await rig.stream("auto")
    await rig.balanced()
    (settled,) = rig.journal.settled
    assert outcomes(settled) == [("a", "ok"), ("b", "ok")]
    assert settled.flags == "passed_over"


# Keys that are no longer good.

GONE: dict[str, dict[str, Any]] = {
    "revoked": {"revoked": True},
    "expired": {"expires_at": datetime.now(UTC) - timedelta(seconds=1)},
}


@pytest.mark.parametrize("how", GONE)
async def test_a_stream_of_a_key_that_is_gone_is_ended_and_settled(how: str) -> None:
    rig = Rig(Script(*STREAM[:2], 50, *STREAM[2:]))
    answer = await rig.pipeline.stream(rig.call(stream=True))
    await anext(answer.frames)
    assert rig.pipeline.end_revoked() == 0
    rig.catalog.client(**GONE[how])
    assert rig.pipeline.end_revoked() == 1
    assert rig.pipeline.end_revoked() == 0, "once"
    with pytest.raises(GatewayError) as caught:
        async for _ in answer.frames:
            pass
    assert (caught.value.status, caught.value.code) == (401, "key_revoked")
    await rig.balanced()
    (settled,) = rig.journal.settled
    assert (settled.state, settled.error_code) == ("partial", "key_revoked")
    assert 0 < settled.charge_nusd <= settled.opened.hold_nusd
    assert not rig.health._breakers, "our own end says nothing of the provider"


async def test_a_key_that_is_gone_begins_no_other_attempt() -> None:
    rig = Rig(Script(refuse=Failure(kind=_K.CONNECT_REFUSED), head=10), Script())
    task = asyncio.ensure_future(rig.stream())
    while "send" not in rig.log:
        await asyncio.sleep(0)
    rig.catalog.client(revoked=True)
    with pytest.raises(GatewayError) as caught:
        await task
    assert caught.value.code == "key_revoked"
    assert rig.log.count("send") == 1
    await rig.balanced()
