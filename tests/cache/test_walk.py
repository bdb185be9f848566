"""The walk through the cache over fake ports: who is sent, who waits, who is given what."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import msgspec
import pytest

from llm_gateway.core.caching import CacheRule, CacheRules
from llm_gateway.core.errors import DeadlineExceeded, GatewayError
from llm_gateway.core.ids import uuid7
from llm_gateway.engine.asked import Asking
from llm_gateway.engine.cached import CachedPipeline
from llm_gateway.engine.calls import Call
from llm_gateway.engine.flights import MOST_WAITS
from llm_gateway.engine.ports import Slip
from llm_gateway.policies.cache_consent import HEADER
from tests.engine.fakes import IDENTITY, STREAM, WHOLE, Rig, Script, refused

ON = {HEADER: "on"}


class FakeAnswers:
    def __init__(self) -> None:
        self.held: dict[bytes, bytes] = {}
        self.slips: list[Slip] = []
        self.verdicts: list[tuple[str, bool]] = []

    async def find(self, key: bytes) -> bytes | None:
        return self.held.get(key)

    def keep(self, key: bytes, data: bytes, slip: Slip) -> None:
        self.held[key] = data
        self.slips.append(slip)

    def drop(self, key: bytes) -> None:
        self.held.pop(key, None)

    def judged(self, alias: str, right: bool) -> None:
        self.verdicts.append((alias, right))


class CachedRig(Rig):
    def __init__(self, *scripts: Script, **settings: Any) -> None:
        super().__init__(*scripts, **settings)
        self.answers = FakeAnswers()
        self.pipeline: CachedPipeline = CachedPipeline(
            answers=self.answers, asking=Asking(b"secret"), catalog=self.catalog, journal=self.journal, health=self.health,
            upstream=self.upstream, gate=self.gate, owner=self.owner,
        )  # fmt: skip
        self.number = 0

    def call(self, model: str = "a", *, stream: bool = False, headers: Any = ON, **more: Any) -> Call:
        self.number += 1
        made = super().call(model, stream=stream, headers=headers, **more)
        body = made.inbound.body.replace(b'"stream"', b'"temperature": 0, "stream"')
        from llm_gateway.wires import dialects

        inbound = dialects.get("openai_chat").decode_request(body, {"kind": "chat"})
        return msgspec.structs.replace(made, id=uuid7(self.number, b"0123456789"), inbound=inbound)

    def rules(self, **rules: Any) -> None:
        snapshot = self.catalog.snapshot()
        self.catalog._snapshot = msgspec.structs.replace(snapshot, version=snapshot.version + 1, cache=CacheRules(**rules))

    @property
    def sent(self) -> int:
        return self.log.count("send")

    @property
    def hits(self) -> int:
        return sum(one.remembered is not None for one in self.journal.rejected)


async def test_two_hundred_twins_are_one_call() -> None:
    rig = CachedRig(Script(5, WHOLE, kind="application/json"))
    answers = await asyncio.gather(*(rig.whole("a") for _ in range(200)))
    assert rig.sent == 1
    assert {answer.summary.cache.status for answer in answers} == {"miss", "hit"}
    assert rig.hits == 199
    ids = {msgspec.json.decode(answer.body)["id"] for answer in answers}
    assert len(ids) == 200
    assert len(rig.pipeline.flights) == 0
    await rig.balanced()


async def test_a_failed_leader_passes_the_lead_on_and_nobody_is_told_another_s_error() -> None:
    rig = CachedRig(refused(400), Script(5, WHOLE, kind="application/json"))
    answers = await asyncio.gather(*(rig.whole("a") for _ in range(20)), return_exceptions=True)
    failed = [one for one in answers if isinstance(one, GatewayError)]
    assert len(failed) == 1
    assert rig.sent == 2
    assert [settled.id for settled in rig.journal.settled if settled.error_code] == [rig.journal.settled[0].id]
    await rig.balanced()


async def test_twins_of_a_host_that_is_down_do_not_queue_up_behind_each_other() -> None:
    rig = CachedRig(*(Script(status=400, body=b'{"error": {"message": "no"}}', head=20) for _ in range(20)))
    under_way = most = 0
    send = rig.upstream.send

    async def counted(*args: Any, **more: Any) -> Any:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        try:
            return await send(*args, **more)
        finally:
            under_way -= 1

    rig.upstream.send = counted  # type: ignore[method-assign]
    answers = await asyncio.gather(*(rig.whole("a") for _ in range(20)), return_exceptions=True)
    assert all(isinstance(one, GatewayError) for one in answers)
    assert len({id(one) for one in answers}) == 20, "each has an error of its own"
    assert rig.sent == 20
    assert most == 20 - MOST_WAITS, "after so many leaders the rest go at once"
    await rig.balanced()


async def test_a_cancelled_leader_passes_the_lead_on() -> None:
    rig = CachedRig(Script(10_000, WHOLE, kind="application/json"), Script(2, WHOLE, kind="application/json"))
    leader = asyncio.ensure_future(rig.whole("a"))
    await asyncio.sleep(0.01)
    twins = [asyncio.ensure_future(rig.whole("a")) for _ in range(5)]
    await asyncio.sleep(0.01)
    leader.cancel()
    answers = await asyncio.gather(*twins)
    assert [answer.summary.cache.status for answer in answers].count("hit") == 4
    assert rig.sent == 2


async def test_a_twin_waits_no_longer_than_its_own_deadline() -> None:
    rig = CachedRig(Script(100_000, WHOLE, kind="application/json"))
    leader = asyncio.ensure_future(rig.whole("a"))
    await asyncio.sleep(0.01)
    with pytest.raises(DeadlineExceeded):
        await rig.whole("a", deadline_s=0.05)
    assert rig.journal.rejected[-1].state == "failed"
    assert rig.sent == 1
    leader.cancel()
    await asyncio.gather(leader, return_exceptions=True)
    await rig.balanced()


async def test_an_answer_that_cannot_be_shared_sends_the_twins_on_their_way_at_once() -> None:
    cut = WHOLE.replace(b'"stop"', b'"length"')
    rig = CachedRig(*(Script(5, cut, kind="application/json") for _ in range(6)))
    answers = await asyncio.gather(*(rig.whole("a") for _ in range(6)))
    assert {answer.summary.cache.status for answer in answers} == {"miss"}
    assert rig.sent == 6
    assert rig.answers.held == {}
    await rig.balanced()


async def test_nobody_who_wants_no_cache_is_looked_at() -> None:
    rig = CachedRig(Script(body=WHOLE), Script(body=WHOLE))
    rig.pipeline._asking = None  # type: ignore[assignment]  # whoever asked for a key would fail
    for _ in range(2):
        answer = await rig.whole("a", headers={})
        assert answer.summary.cache is None
    assert rig.journal.opened[0].call.cache == ""
    await rig.balanced()


async def test_a_stream_is_kept_once_it_is_settled_and_only_then() -> None:
    rig = CachedRig(Script(*STREAM), Script(*STREAM[:3]), Script(*STREAM))
    answer = await rig.pipeline.stream(rig.call("a", stream=True))
    batches = [batch async for batch in answer.frames]
    assert batches
    assert len(rig.answers.held) == 1
    await answer.frames.aclose()
    again = await rig.pipeline.stream(rig.call("a", stream=True))
    assert again.cache is not None
    assert again.cache.status == "hit"
    await again.frames.aclose()
    rig.answers.held.clear()
    left = await rig.pipeline.stream(rig.call("a", stream=True))
    await left.frames.__anext__()
    await left.frames.aclose()
    assert rig.answers.held == {}
    await rig.owner.settle(1)


async def test_a_hit_holds_nothing_and_counts_for_the_limits_of_its_key() -> None:
    rig = CachedRig(Script(body=WHOLE))
    await rig.whole("a")
    entered: list[Any] = []
    enter = rig.gate.enter
    rig.gate.enter = lambda identity, tokens=0: (entered.append(identity), enter(identity, tokens))[1]  # type: ignore[method-assign]
    opened = len(rig.journal.opened)
    answer = await rig.whole("a")
    assert answer.summary.cost_nusd == 0
    assert entered == [IDENTITY]
    assert len(rig.journal.opened) == opened
    (row,) = rig.journal.rejected
    assert row.remembered is not None
    assert row.remembered.saved_nusd == 7 * 1000 + 3 * 2000
    await rig.balanced()


async def test_what_the_rules_purge_or_a_header_finds_too_old_is_made_anew() -> None:
    rig = CachedRig(*(Script(body=WHOLE) for _ in range(5)))
    await rig.whole("a")
    assert (await rig.whole("a")).summary.cache.status == "hit"
    await asyncio.sleep(0.01)
    assert (await rig.whole("a", headers=ON | {"cache-control": "max-age=0"})).summary.cache.status == "miss"
    for mark in (("all", ""), ("team", "1"), ("key", "1"), ("alias", "a"), ("model", "a")):
        rig.rules(marks={mark: time.time()})
        if mark[0] in ("all", "team"):
            assert (await rig.whole("a")).summary.cache.status == "miss"
    assert rig.sent == 4


async def test_what_a_team_wants_not_written_stays_in_memory() -> None:
    from llm_gateway.core.catalog import BodyLogging

    rig = CachedRig(Script(body=WHOLE), Script(body=WHOLE))
    await rig.whole("a")
    quiet = msgspec.structs.replace(rig.call("a"), identity=msgspec.structs.replace(IDENTITY, team_id=9, bodies=BodyLogging.OFF))
    await rig.pipeline.whole(quiet)
    assert [slip.at_rest for slip in rig.answers.slips] == [True, False]


@pytest.mark.slow
@pytest.mark.alone
async def test_a_miss_costs_a_tenth_of_a_millisecond_and_a_hit_half_of_one_at_most() -> None:
    """CPU time of this process; the fakes cost the same with the cache and without it."""

    async def cpu_ms(headers: Any, rounds: int, fresh: bool) -> float:
        best = float("inf")
        for _ in range(5):
            rig = CachedRig(*(Script(body=WHOLE) for _ in range(rounds + 1)))
            if not fresh:
                await rig.whole("a", headers=headers)
            calls = [rig.call("a", headers=headers) for _ in range(rounds)]
            began = time.process_time()
            for call in calls:
                if fresh:
                    rig.answers.held.clear()
                await rig.pipeline.whole(call)
            best = min(best, (time.process_time() - began) / rounds * 1000)
        return best

    without = await cpu_ms({}, 300, fresh=True)
    miss = await cpu_ms(ON, 300, fresh=True)
    hit = await cpu_ms(ON, 300, fresh=False)
    print(f"without {without:.3f} ms, miss {miss:.3f} ms, hit {hit:.3f} ms of CPU")  # noqa: T201  # the figures of docs/cache.md
    assert miss - without <= 0.1 * 2, "twice the figure: the machine that tests is not the machine that serves"
    assert hit <= 0.5


async def test_rules_switch_it_on_for_those_who_say_nothing() -> None:
    rig = CachedRig(Script(body=WHOLE))
    rig.rules(gateway=CacheRule(on=True))
    assert [(await rig.whole("a", headers={})).summary.cache.status for _ in range(2)] == ["miss", "hit"]
