"""The provider lane: shards go through their provider's batch API step by step, each step safe to repeat after a kill at any statement.

Rows and holds of all lines are committed before the first byte goes out. Before a batch is created there, that is noted; whoever comes
after a kill looks for it before it is created again. What was executed is known line by line from the results; what a provider lost is
charged as held and executed once by the gateway.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import msgspec

from llm_gateway.core.catalog import Target
from llm_gateway.engine.batch_calls import Answer, ask
from llm_gateway.engine.batch_lane import api_of, lane_target
from llm_gateway.engine.tasks import TaskOwner
from llm_gateway.stores import batch_shards
from llm_gateway.stores.batch_shards import Held
from llm_gateway.wires._batch_apis import NotUnderstood, Shard
from llm_gateway.wiring import Gateway

from .lane_ends import give_back, lose
from .lane_lines import bodies_of, open_lines, undo_opening
from .lane_results import NotYet, end_lines, fetched
from .lane_target import target_of

log = logging.getLogger("cogo.batches")

# Answers by which a provider says that it made no batch, and will make none of the same.
_NO = frozenset({400, 401, 402, 403, 404, 405, 409, 410, 413, 415, 422})
_UNKNOWN_THERE = frozenset({404, 410})
_MOST_GONE = 3
_MOST_UNREAD = 5


class LanePace(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds. ``least`` and ``most``: between two looks at a batch; ``settle``: how long a provider may take to list what it made;
    ``trouble``: after the first failure of a step, doubled with each; ``grace``: how long after the window's end a batch is waited for."""

    loop: float = 1.0
    least: float = 3.0
    most: float = 300.0
    settle: float = 30.0
    trouble: float = 5.0
    grace: float = 6 * 3600.0


class ProviderLane:
    """``run`` until its task is cancelled: every step that was under way is repeated by whoever comes next."""

    def __init__(self, found: Gateway, owner: TaskOwner, *, lease_s: float, pace: LanePace | None = None, at_once: int = 4) -> None:
        self._found = found
        self._owner = owner
        self._lease = timedelta(seconds=lease_s)
        self._lease_s = lease_s
        self._pace = pace or LanePace()
        self._at_once = at_once
        self._steps: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        renewing = self._owner.start(self._renew(), "renew shards of batches")
        try:
            while True:
                try:
                    moved = await self._look()
                except Exception as error:
                    log.warning("the provider lane cannot look", extra={"reason": f"{type(error).__name__}: {error}"[:200]})
                    moved = False
                await asyncio.sleep(0 if moved else self._pace.loop)
        finally:
            renewing.cancel()
            for task in self._steps:
                task.cancel()

    async def _look(self) -> bool:
        """Whether a step was begun."""
        if len(self._steps) >= self._at_once:
            await asyncio.wait(self._steps, timeout=self._pace.loop, return_when=asyncio.FIRST_COMPLETED)
            return True
        shard = await self._threaded(batch_shards.claim_due, self._found.worker, _now(), self._lease)
        if shard is not None:
            self._begin(self._step(shard), f"step of {shard.name}")
            return True
        for batch, public_id in await self._threaded(batch_shards.waiting, _now()):
            if await self._new(batch, public_id):
                return True
        return False

    async def _new(self, batch: Any, public_id: str) -> bool:
        snapshot = self._found.catalog.snapshot()
        known = snapshot.clients.get(public_id)
        named = await self._threaded(batch_shards.next_model, batch, _now())
        if named is None:
            return False
        asked, model = named
        target = lane_target(snapshot, known[1], asked, _now()) if known else "the key is not known any more"
        if isinstance(target, str):
            # What fitted when the batch was read does so no more; its own execution tells the caller why.
            return bool(await self._threaded(batch_shards.let_fall, batch, model, target, _now()))
        api = api_of(target)
        assert api is not None
        limits = (api.most_lines, api.most_bytes)
        shard = await self._threaded(batch_shards.claim_new, batch, model, target, limits, self._found.worker, _now(), self._lease)
        if shard is None:
            return False
        self._begin(self._opened(shard, target), f"open {shard.name}")
        return True

    def _begin(self, work: Coroutine[Any, Any, None], name: str) -> None:
        task: asyncio.Task[None] = self._owner.start(work, name)
        self._steps.add(task)
        task.add_done_callback(self._steps.discard)

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(self._lease_s / 8)
            try:
                await self._threaded(batch_shards.renew, self._found.worker, _now(), self._lease)
            except Exception as error:
                log.warning("leases of shards were not renewed", extra={"reason": f"{type(error).__name__}: {error}"[:200]})

    # The steps.

    async def _step(self, shard: Held) -> None:
        try:
            if shard.state == "opening":
                await undo_opening(self._found, shard)
                return
            target = target_of(shard, self._found.catalog.snapshot())
            steps: dict[str, Callable[[Held, Target], Coroutine[Any, Any, None]]] = {
                "sending": self._send, "creating": self._look_for, "waiting": self._poll, "reading": self._poll,
            }  # fmt: skip
            await steps[shard.state](shard, target)
        except Exception as error:
            log.warning("a step of a shard failed", extra={"shard": shard.name, "reason": f"{type(error).__name__}: {error}"[:200]})
            await self._again(shard, f"{type(error).__name__}: {error}")

    async def _opened(self, shard: Held, target: Target) -> None:
        try:
            lines = await open_lines(self._found, shard, target)
            if not lines:
                await self._threaded(batch_shards.end, shard, _now(), "no request of it was sent")
                return
            sending = await self._noted(shard, state="sending", sent_at=_now(), total=len(lines))
            if sending is None:
                return
            await self._threaded(batch_shards.renew_rows, shard.id, shard.runner, _now())
            await self._send(sending, target)
        except Exception as error:
            log.warning("a shard could not be opened", extra={"shard": shard.name, "reason": f"{type(error).__name__}: {error}"[:200]})
            # Rows may stand open: whoever takes it next ends them.
            await self._again(shard, f"{type(error).__name__}: {error}")

    async def _send(self, shard: Held, target: Target) -> None:
        """All is committed. What goes out here costs nothing yet."""
        api = api_of(target)
        if shard.ending or api is None:
            await give_back(self._found, shard, target, "nothing was sent: its batch has ended")
            return
        lines = await bodies_of(self._found, shard, target)
        if not lines:
            await self._threaded(batch_shards.end, shard, _now(), "no request of it was sent")
            return
        whole = _described(shard, tuple(lines))
        upload = shard.upload
        if (step := api.upload(whole)) is not None and not upload:
            answer = await ask(self._found.upstream, target, step)
            if answer.status in _NO:
                await give_back(self._found, shard, target, f"the upload was refused: {answer.said(target)}")
                return
            if not answer.good:
                await self._again(shard, f"the upload failed: {answer.said(target)}", answer)
                return
            upload = api.uploaded(answer.body)
        creating = await self._noted(shard, state="creating", upload_id=upload, tries=0, note="", total=len(lines))
        if creating is not None:
            await self._create(creating, target, msgspec.structs.replace(whole, count=len(lines)))

    async def _create(self, shard: Held, target: Target, whole: Shard) -> None:
        api = api_of(target)
        assert api is not None
        answer = await ask(self._found.upstream, target, api.create(whole, shard.upload))
        if answer.status in _NO:
            await give_back(self._found, shard, target, f"the batch was refused: {answer.said(target)}")
            return
        if answer.good:
            try:
                remote = api.created(answer.body)
            except NotUnderstood as error:
                await self._again(shard, f"the answer to the create was not understood: {error}")
                return
            await self._leave(shard, self._pace.least, state="waiting", remote_id=remote, tries=0, note="")
            return
        # Whatever it says, it may have been made: the next step looks for it.
        await self._again(shard, f"the create failed: {answer.said(target)}", answer)

    async def _look_for(self, shard: Held, target: Target) -> None:
        api = api_of(target)
        if api is None:
            await self._wait_for_target(shard, target)
            return
        answer = await ask(self._found.upstream, target, api.listing())
        if not answer.good:
            if self._too_late(shard):
                await lose(self._found, shard, target, f"whether the batch was made is not known: {answer.said(target)}")
                return
            await self._again(shard, f"the batches there could not be listed: {answer.said(target)}", answer)
            return
        known = await self._threaded(batch_shards.known_remotes, shard)
        remotes = [one for one in api.find(answer.body, _described(shard)) if one not in known]
        if remotes:
            words = "found again after its create went unanswered"
            await self._leave(shard, 0, state="waiting", remote_id=remotes[0], adopted=not api.named, tries=0, note=words)
            return
        since = (_now() - (shard.sent_at or shard.created_at)).total_seconds()
        if since < self._pace.settle:
            await self._leave(shard, min(self._pace.settle - since, self._pace.settle) + 0.01)
            return
        if shard.ending:
            await give_back(self._found, shard, target, "nothing was made there: its batch has ended")
            return
        lines = await bodies_of(self._found, shard, target)
        if lines:
            await self._create(shard, target, _described(shard, tuple(lines)))
        else:
            await self._threaded(batch_shards.end, shard, _now(), "no request of it was sent")

    async def _poll(self, shard: Held, target: Target) -> None:
        api = api_of(target)
        if api is None:
            await self._wait_for_target(shard, target)
            return
        if shard.ending and not shard.cancel_sent and not shard.adopted:
            cancelled = await ask(self._found.upstream, target, api.cancel(shard.remote))
            if (cancelled.good or cancelled.status in _NO) and (noted := await self._noted(shard, cancel_sent=True)) is not None:
                shard = noted
        answer = await ask(self._found.upstream, target, api.poll(shard.remote))
        if answer.status in _UNKNOWN_THERE:
            if shard.gone + 1 >= _MOST_GONE:
                await lose(self._found, shard, target, "the provider does not know the batch any more")
                return
            await self._again(shard, "the provider does not know the batch", answer, gone=shard.gone + 1)
            return
        if not answer.good:
            if self._too_late(shard):
                await lose(self._found, shard, target, f"the batch could not be asked after: {answer.said(target)}")
                return
            await self._again(shard, f"the batch could not be asked after: {answer.said(target)}", answer)
            return
        told = api.told(answer.body, shard.remote, shard.upload)
        match told.state:
            case "running" if self._too_late(shard):
                await lose(self._found, shard, target, "the batch did not end")
            case "running":
                age = (_now() - (shard.sent_at or shard.created_at)).total_seconds()
                await self._leave(shard, min(max(age / 10, self._pace.least), self._pace.most), tries=0, gone=0, note=_calm(shard))
            case "refused":
                await give_back(self._found, shard, target, f"the provider refused the batch: {told.why[:200]}")
                if not shard.adopted:
                    await self._tidy(target, told.tidy)
            case _:
                await self._read(shard, target, told)

    async def _read(self, shard: Held, target: Target, told: Any) -> None:
        if shard.state == "waiting":
            reading = await self._noted(shard, state="reading", tries=0, gone=0, note=_calm(shard))
            if reading is None:
                return
            shard = reading
        try:
            lines, whole = await fetched(self._found, target, told)
        except NotYet as error:
            if not self._too_late(shard) or shard.tries < _MOST_UNREAD:
                await self._again(shard, str(error))
                return
            lines, whole = {}, True
        if not whole and shard.tries < _MOST_UNREAD:
            await self._again(shard, "the results ended in the middle of a line")
            return
        ours = await end_lines(self._found, shard, target, lines)
        if ours or not shard.adopted:
            await self._tidy(target, told.tidy)
        await self._threaded(batch_shards.end, shard, _now())

    async def _tidy(self, target: Target, steps: tuple[Any, ...]) -> None:
        """What the provider keeps of prompts and answers; should it fail, they go there after the provider's own time."""
        for step in steps:
            await ask(self._found.upstream, target, step)

    async def _wait_for_target(self, shard: Held, target: Target) -> None:
        """Its provider is not in the catalogue: it may come back."""
        if self._too_late(shard):
            await lose(self._found, shard, target, "its provider is not in the catalogue any more")
        else:
            await self._again(shard, "its provider is not in the catalogue")

    def _too_late(self, shard: Held) -> bool:
        return _now() > shard.ends_at + timedelta(seconds=self._pace.grace)

    async def _again(self, shard: Held, why: str, answer: Answer | None = None, **more: Any) -> None:
        wait = min(self._pace.trouble * 2 ** min(shard.tries, 10), self._pace.most)
        if answer is not None and answer.retry_after_s is not None:
            wait = max(wait, min(answer.retry_after_s, 3600.0))
        await self._leave(shard, wait, tries=shard.tries + 1, note=why[:300], **more)

    async def _leave(self, shard: Held, wait_s: float, **changes: Any) -> None:
        await self._threaded(batch_shards.leave, shard, _now() + timedelta(seconds=wait_s), **changes)

    async def _noted(self, shard: Held, **changes: Any) -> Held | None:
        noted: Held | None = await self._threaded(batch_shards.note, shard, _now(), **changes)
        return noted

    async def _threaded(self, work: Callable[..., Any], *given: Any, **named: Any) -> Any:
        return await self._found.threaded(partial(work, *given, **named))


def _now() -> datetime:
    return datetime.now(UTC)


def _calm(shard: Held) -> str:
    """Its note without the trouble that is over."""
    return "" if shard.tries or shard.gone else shard.note


def _described(shard: Held, lines: tuple[Any, ...] = ()) -> Shard:
    since = shard.sent_at or shard.created_at
    return Shard(name=shard.name, model=shard.upstream_id, since=since, count=len(lines) or shard.total, lines=lines)
