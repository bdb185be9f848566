"""Hedged requests: while the first target is silent a second one is asked as well, and whoever gives content first answers."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from llm_gateway.core.errors import AttemptFailed, Failure, GatewayError, UnsupportedParameter
from llm_gateway.policies.retry import MAX_ATTEMPTS

from .attempt import Attempt
from .run import Run
from .tasks import TaskOwner

if TYPE_CHECKING:
    from .trying import Trying

# A hedge is meant for the slowest few requests; more than one of them would multiply what a slow provider costs.
HEDGE_MAX = 1

Tries = dict[tuple[int, str], int]


class _Lane:
    """An attempt on its way to its first content. Its target is admitted until somebody reports on it."""

    __slots__ = ("attempt", "task")

    def __init__(self, attempt: Attempt, task: asyncio.Task[Failure | None]) -> None:
        self.attempt = attempt
        self.task = task

    @property
    def outcome(self) -> tuple[bool, Failure | None]:
        return self.task.done(), self.task.result() if self.task.done() else None


class Hedging:
    """``run.current`` and ``run.admitted`` are always the older lane's, so that whoever ends the request ends that one; the younger one is
    ended here, whatever happens."""

    def __init__(self, trying: Trying, owner: TaskOwner) -> None:
        self._trying = trying
        self._owner = owner

    async def begun(self, run: Run, attempt: Attempt, tries: Tries, after_s: float) -> tuple[Attempt, Failure | None]:
        """The attempt that is left, and ``None`` with content in hand, else why there is none, recorded. ``tries``: attempts by
        deployment, ``attempt`` included."""
        lanes = [self._start(run, attempt)]
        run.current = attempt
        hedges = 0
        try:
            await asyncio.wait({lanes[0].task}, timeout=after_s)
            if not lanes[0].task.done() and (rival := await self._rival(run, lanes[0], tries)) is not None:
                lanes.append(rival)
                hedges = 1
                self._trying.retrying += hedges
            while True:
                await asyncio.wait([lane.task for lane in lanes], return_when=asyncio.FIRST_COMPLETED)
                # A failure of the same moment is a failure still, so it is counted before somebody wins.
                for lane in sorted(lanes, key=lambda lane: lane.outcome == (True, None)):
                    done, failure = lane.outcome
                    if not done:
                        continue
                    if len(lanes) == 1:
                        if failure is not None:
                            return lane.attempt, self._trying.not_begun(run, lane.attempt, failure, tries[lane.attempt.target.deployment])
                        if hedges:
                            run.plan.hedge_won(lane.attempt.target)
                        return lane.attempt, None
                    if failure is None and not _empty(run, lane.attempt):
                        self._won(run, lane, lanes)
                        return lane.attempt, None
                    await self._dropped(run, lane, failure, lanes, tries)
        except BaseException:
            for lane in lanes[1:]:
                self._lost(run, lane)
            if lanes:
                lanes[0].task.cancel()
            raise
        finally:
            self._trying.retrying -= hedges

    def _start(self, run: Run, attempt: Attempt) -> _Lane:
        self._trying.live[attempt] = run
        return _Lane(attempt, self._owner.start(self._begin(attempt), f"hedged {run.call.id}"))

    async def _begin(self, attempt: Attempt) -> Failure | None:
        if attempt.aborted is not None:
            return attempt.aborted  # ended between its start and its task's
        try:
            await attempt.begin(self._trying.upstream)
        except AttemptFailed as error:
            return error.failure
        return None

    async def _rival(self, run: Run, first: _Lane, tries: Tries) -> _Lane | None:
        """A second target, admitted and held for, and begun; ``None`` where there is none or none may be tried."""
        trying, plan = self._trying, run.plan
        if plan.hedges >= HEDGE_MAX or len(run.records) + 2 > MAX_ATTEMPTS or not trying.may_hedge(run):
            return None
        # Both answers may have to be paid, so both fit into what is held.
        room = run.unspent_nusd - plan.estimate(first.attempt.target)
        for target in list(plan.remaining):
            if target.deployment == first.attempt.target.deployment or plan.estimate(target) > room:
                continue
            if trying.health.admit(target) is not None:
                continue  # stays among those that remain, and is looked at again when its turn comes
            try:
                refused = await trying.reserve(run, target)
                if refused is None:
                    attempt = await trying.attempt(run, target, force_stream=False)
                if first.task.done():
                    trying.health.released(target)
                    return None
            except UnsupportedParameter as error:
                refused = f"cannot take {error.param or 'a parameter'}"
            except BaseException:
                trying.health.released(target)
                raise
            plan.remaining = [other for other in plan.remaining if other is not target]
            if refused is not None:
                trying.health.released(target)
                plan.skip(target, refused)
                continue
            tries[target.deployment] = tries.get(target.deployment, 0) + 1
            plan.hedge(first.attempt.target, target, first.attempt.elapsed_ms)
            return self._start(run, attempt)
        return None

    def _won(self, run: Run, winner: _Lane, lanes: list[_Lane]) -> None:
        for lane in lanes:
            if lane is not winner:
                self._lost(run, lane)
        lanes[:] = [winner]
        run.current, run.admitted = winner.attempt, winner.attempt.target
        run.plan.hedge_won(winner.attempt.target)

    def _lost(self, run: Run, lane: _Lane) -> None:
        """Hang up now. That another was faster says nothing of this host."""
        attempt = lane.attempt
        attempt.abort()
        lane.task.cancel()
        self._trying.live.pop(attempt, None)
        run.lose(attempt)
        self._trying.health.released(attempt.target)

    async def _dropped(self, run: Run, lane: _Lane, failure: Failure | None, lanes: list[_Lane], tries: Tries) -> None:
        """One of two is no use: the other one is the request's attempt from here on. Raises where it is us who end the request."""
        trying, attempt = self._trying, lane.attempt
        lanes.remove(lane)
        run.current, run.admitted = attempt, attempt.target
        try:
            if failure is None:
                trying.passed_over(run, attempt)
            elif trying.not_begun(run, attempt, failure, tries[attempt.target.deployment]).code == "stream_required":
                trying.release(run)
            else:
                trying.failed(run, failure, attempt.elapsed_ms / 1000)
                run.noted(failure)
                step = trying.step(run, attempt, failure, tries[attempt.target.deployment])
                if step.kind == "stop":
                    # Nobody else is asked, nor the other one again; what it is about to say still counts.
                    run.plan.remaining = []
                    tries[lanes[0].attempt.target.deployment] += 1
                elif step.kind == "next":
                    run.plan.narrow(step.scope, attempt.target)
        except GatewayError:
            for other in lanes:
                self._lost(run, other)
            lanes.clear()
            raise
        run.current, run.admitted = lanes[0].attempt, lanes[0].attempt.target
        if failure is None:
            await attempt.finish()


def _empty(run: Run, attempt: Attempt) -> bool:
    return not attempt.tally.content and run.plan.option("retry_empty")
