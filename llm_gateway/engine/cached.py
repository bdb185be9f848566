"""The pipeline with an answer cache before it. Whoever does not want the cache goes straight on."""

from __future__ import annotations

import time
from collections.abc import Coroutine, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
from typing_extensions import override

from llm_gateway.core.caching import HIT, MISS, SEMANTIC, CacheNote
from llm_gateway.core.catalog import BodyLogging, Credential, Snapshot, Target
from llm_gateway.core.errors import CacheMiss, DeadlineExceeded, GatewayError
from llm_gateway.core.money import cost_nusd, rate_at
from llm_gateway.core.secret import Secret
from llm_gateway.policies.cache_consent import Wish, says_something, wish_of
from llm_gateway.policies.cache_reach import within_reach

from .asked import Asked, Asking
from .calls import Call, StreamAnswer, Summary, WholeAnswer
from .flights import MOST_WAITS, Flights
from .keeping import Recorder, entry_of, events_entry
from .near import judge, serves
from .pipeline import Pipeline
from .ports import Answers, Rejection, Remembered, Slip
from .remembered import Entry, body_of, events_of, packed, readable, response_of, unpacked
from .replaying import Replay

_NO_KEY = Secret("")


class CachedPipeline(Pipeline):
    """``answers``: where they are kept; ``asking``: makes their keys."""

    def __init__(self, *, answers: Answers, asking: Asking, **parts: Any) -> None:
        super().__init__(**parts)
        self.answers = answers
        self.flights = Flights()
        self._asking = asking

    @override
    def whole(self, call: Call) -> Coroutine[Any, Any, WholeAnswer]:
        if self.catalog.snapshot().cache.in_use or says_something(call.headers):
            return self._kept(call)
        return super().whole(call)

    async def _kept(self, call: Call) -> WholeAnswer:
        wish = await self._wish(call)
        if wish is None:
            return await super().whole(call)
        snapshot = self.catalog.snapshot()
        asked = await self._ask(call, wish, snapshot)
        if asked is None or asked.key is None:
            return await self._passed_by(call, wish, asked)
        until = None if call.deadline_s is None else time.monotonic() + call.deadline_s
        near, served = None, serves(wish)
        for waits in range(MOST_WAITS + 1):
            if wish.look and (entry := await self._find(call, wish, asked.key, asked, snapshot)) is not None:
                return await self._hit(call, entry, asked, snapshot)
            near = await self._near(call, wish, asked, snapshot) if waits == 0 else near
            if near is not None and served:
                return await self._hit(call, near, asked, snapshot, SEMANTIC)
            if wish.only:
                raise await self._nothing(call)
            flight = self.flights.of(asked.key) if wish.look and waits < MOST_WAITS else None
            if flight is None:
                break
            try:
                await flight.end(None if until is None else until - time.monotonic())
            except TimeoutError:
                late = DeadlineExceeded("The request's own deadline passed before an answer came.")
                await self.reject(call, late, state="failed")
                raise late from None
            if flight.entry is not None:
                return await self._hit(call, flight.entry, asked, self.catalog.snapshot())
            if flight.alone:
                break
        return await self._lead(_left(call, until), wish, asked, near)

    @override
    def stream(self, call: Call) -> Coroutine[Any, Any, StreamAnswer]:
        if self.catalog.snapshot().cache.in_use or says_something(call.headers):
            return self._kept_stream(call)
        return super().stream(call)

    async def _kept_stream(self, call: Call) -> StreamAnswer:
        wish = await self._wish(call)
        if wish is None:
            return await super().stream(call)
        snapshot = self.catalog.snapshot()
        asked = await self._ask(call, wish, snapshot)
        if asked is None or asked.key is None:
            if wish.only:
                raise await self._nothing(call)
            marked = call if asked is None else msgspec.structs.replace(call, cache="bypass")
            answer = await super().stream(marked)
            answer.cache = None if asked is None else asked.bypass
            return answer
        if wish.look and (entry := await self._find(call, wish, asked.key, asked, snapshot)) is not None and readable(entry):
            return await self._replayed(call, entry, asked, snapshot)
        near = await self._near(call, wish, asked, snapshot)
        if near is not None and serves(wish) and readable(near):
            return await self._replayed(call, near, asked, snapshot, SEMANTIC)
        if wish.only:
            raise await self._nothing(call)
        made_at = time.time()
        answer = await super().stream(msgspec.structs.replace(call, cache=MISS))
        answer.cache = CacheNote(status=MISS)
        if wish.keep:

            def ended(events: Sequence[Any]) -> None:
                if answer.summary is not None:
                    self._keep(call, wish, asked, events_entry(call, wish, answer.summary, events, made_at), near)

            answer.frames = Recorder(answer, ended)
        return answer

    async def _wish(self, call: Call) -> Wish | None:
        try:
            return wish_of(call.headers, self.catalog.snapshot().cache, call.identity.client_key_id, call.inbound.model)
        except GatewayError as error:
            await self.reject(call, error)
            raise

    async def _ask(self, call: Call, wish: Wish, snapshot: Snapshot) -> Asked | None:
        """``None`` where the model's name leads nowhere: the pipeline says so, and logs it."""
        try:
            return await self._asking.ask(call, wish, snapshot)
        except GatewayError:
            return None

    async def _passed_by(self, call: Call, wish: Wish, asked: Asked | None) -> WholeAnswer:
        if wish.only:
            raise await self._nothing(call)
        if asked is None:
            return await super().whole(call)
        answer = await super().whole(msgspec.structs.replace(call, cache="bypass"))
        return _noted(answer, asked.bypass)

    async def _nothing(self, call: Call) -> CacheMiss:
        error = CacheMiss("No kept answer fits this request; send it without `x-cogo-cache: only` to have one made.")
        await self.reject(msgspec.structs.replace(call, cache=MISS), error)
        return error

    async def _lead(self, call: Call, wish: Wish, asked: Asked, near: Entry | None) -> WholeAnswer:
        assert asked.key is not None
        made_at = time.time()
        with self.flights.lead(asked.key) as flight:
            answer = await super().whole(msgspec.structs.replace(call, cache=MISS))
            entry = entry_of(call, wish, answer, made_at) if wish.keep else None
            self._keep(call, wish, asked, entry, near)
            flight.entry, flight.alone = entry, entry is None
        return _noted(answer, CacheNote(status=MISS))

    def _keep(self, call: Call, wish: Wish, asked: Asked, entry: Entry | None, near: Entry | None) -> None:
        """``near``: what was kept for nearly the same question, of which it is now known whether it would have done."""
        if entry is None or asked.key is None:
            return
        if near is not None:
            self.surroundings.owner.start(judge(self.answers, call.inbound.model, near, entry), "judge a hit")
        identity = call.identity
        slip = Slip(
            request_id=call.id,
            team_id=identity.team_id,
            client_key_id=identity.client_key_id,
            asked=entry.asked,
            model=entry.model,
            made_at=entry.made_at,
            expires_at=entry.expires_at,
            at_rest=identity.bodies is not BodyLogging.OFF,
        )
        data = packed(entry)
        self.answers.keep(asked.key, data, slip)
        if asked.near is not None:
            self.answers.keep(asked.near, data, slip)

    async def _near(self, call: Call, wish: Wish, asked: Asked, snapshot: Snapshot) -> Entry | None:
        if asked.near is None or not wish.look:
            return None
        return await self._find(call, wish, asked.near, asked, snapshot)

    async def _find(self, call: Call, wish: Wish, key: bytes, asked: Asked, snapshot: Snapshot) -> Entry | None:
        data = await self.answers.find(key)
        entry = unpacked(data) if data is not None else None
        if entry is None:
            return None
        if entry.team_id != call.identity.team_id or entry.model_id not in asked.models:
            return None
        if not within_reach(entry.made_at, entry.expires_at, _whose(entry), snapshot.cache.marks, time.time()):
            self.answers.drop(key)
            return None
        return entry if wish.max_age_s is None or time.time() - entry.made_at <= wish.max_age_s else None

    async def _hit(self, call: Call, entry: Entry, asked: Asked, snapshot: Snapshot, status: str = HIT) -> WholeAnswer:
        summary = await self._remember(call, entry, asked, snapshot, status)
        body = body_of(entry, call.id, time.time()) if call.raw or call.inbound.kind == "embeddings" else None
        return WholeAnswer(summary=summary, response=None if body is not None else response_of(entry), body=body)

    async def _replayed(self, call: Call, entry: Entry, asked: Asked, snapshot: Snapshot, status: str = HIT) -> StreamAnswer:
        summary = await self._remember(call, entry, asked, snapshot, status)
        assert summary.target is not None
        answer = StreamAnswer(call.id, summary.target, entry.served_model, False, 0, summary.strategy)
        answer.cache = summary.cache
        answer.stands_in_for = entry.stands_in_for or None
        answer.frames = Replay(events_of(response_of(entry)), answer, summary)
        return answer

    async def _remember(self, call: Call, entry: Entry, asked: Asked, snapshot: Snapshot, status: str) -> Summary:
        """Counted and logged; raises what the caller is told where its limits or the log say no."""
        began = time.perf_counter()
        try:
            # Of the requests a minute it is one; of those at once it is none, for nobody is asked: a twin that has waited is not refused.
            self.gate.enter(call.identity)
            self.gate.leave(call.identity)
        except GatewayError as error:
            await self.reject(call, error)
            raise
        target = _target(snapshot, asked, entry)
        age_s = max(0, int(time.time() - entry.made_at))
        decision: dict[str, Any] = {
            "asked": call.inbound.model or "auto",
            "strategy": entry.strategy,
            "cached_from": entry.request_id,
            "age_s": age_s,
        }
        if entry.stands_in_for:
            decision["stands_in_for"] = entry.stands_in_for
        latency_ms = round((time.perf_counter() - began) * 1000)
        remembered = Remembered(
            cache=status,
            target=target,
            served_model=entry.served_model,
            strategy=entry.strategy,
            finish_reason=entry.finish,
            latency_ms=latency_ms,
            saved_nusd=_worth(entry, target),
            decision=decision,
        )
        logged = msgspec.structs.replace(call, cache=status)
        await self._finished(Rejection(call=logged, at=time.time(), error=None, strategy=entry.strategy, state="ok", remembered=remembered))
        return Summary(
            id=call.id,
            state="ok",
            target=target,
            served_model=entry.served_model,
            strategy=entry.strategy,
            decision=decision,
            attempts=(),
            usage=entry.usage,
            cost_nusd=0,
            latency_ms=latency_ms,
            ttft_ms=None,
            finish_reason=entry.finish,
            cache=CacheNote(status=status, age_s=age_s, origin=entry.request_id),
        )


def _noted(answer: WholeAnswer, note: CacheNote) -> WholeAnswer:
    return msgspec.structs.replace(answer, summary=msgspec.structs.replace(answer.summary, cache=note))


def _left(call: Call, until: float | None) -> Call:
    """The same with what is left of its time."""
    return call if until is None else msgspec.structs.replace(call, deadline_s=max(0.001, until - time.monotonic()))


def _whose(entry: Entry) -> dict[str, str]:
    return {"team": str(entry.team_id), "key": str(entry.client_key_id), "alias": entry.asked, "model": entry.model}


def _target(snapshot: Snapshot, asked: Asked, entry: Entry) -> Target:
    """Who answered then, as the catalogue knows it today. Its key may be gone: nobody is asked."""
    model = asked.models[entry.model_id]
    credentials = snapshot.credentials.get(model.provider_id, ())
    nobody = Credential(id=0, provider_id=model.provider_id, name="", secret=_NO_KEY)
    return Target(
        provider=snapshot.providers[model.provider_id],
        credential=credentials[0] if credentials else nobody,
        model=model,
        upstream_id=entry.upstream_id,
    )


def _worth(entry: Entry, target: Target) -> int | None:
    """What the answer would cost at today's price."""
    if entry.usage is None:
        return None
    rate = rate_at(target.model.rates, datetime.now(UTC), entry.usage.prompt_tokens, entry.usage.service_tier or "standard")
    return cost_nusd(entry.usage, rate) if rate is not None else None
