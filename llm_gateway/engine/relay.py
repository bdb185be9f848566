"""A stream on its way to the caller: what comes, what ends it, and its settlement before its last frames."""

from __future__ import annotations

import asyncio
import logging

from llm_gateway.core.errors import AttemptFailed, Failure, InternalError
from llm_gateway.core.events import Done, Failed, Finish, Frame

from .attempt import Attempt
from .calls import StreamAnswer
from .exchange import Exchange

log = logging.getLogger("cogo.engine")


class Relay:
    """Iterates over batches of frames. Settles exactly once however it ends: by its end, by a failure, by cancellation, or by
    :meth:`aclose` before, between or after its frames. No generator: one that was never stepped could not clean up after itself."""

    __slots__ = ("_answer", "_attempt", "_exchange", "_failure", "_finished", "_held", "_over")

    def __init__(self, exchange: Exchange, attempt: Attempt, answer: StreamAnswer) -> None:
        self._exchange = exchange
        self._attempt = attempt
        self._answer = answer
        self._held: list[Frame] | None = attempt.held
        attempt.held = []
        self._failure: Failure | None = None
        self._finished = False
        self._over = False

    def __aiter__(self) -> Relay:
        return self

    async def __anext__(self) -> list[Frame]:
        if self._over:
            raise StopAsyncIteration
        try:
            if not self._finished:
                return await self._step()
            self._over = True
            await self._attempt.finish()
        except AttemptFailed as error:
            self._over = True
            raise await self._exchange.break_off(error.failure, delivered=True) from None
        except asyncio.CancelledError:
            self._over = True
            self._exchange.cancel()
            raise
        except Exception as error:
            self._over = True
            log.exception("a relay failed", extra={"request_id": str(self._exchange.call.id)})
            failed = InternalError("The gateway failed in the middle of the answer.")
            await self._exchange.fail(failed)
            raise failed from error
        finally:
            if self._over:
                self._exchange.leave()
        raise StopAsyncIteration

    async def aclose(self, stalled: bool = False) -> None:
        """The caller wants no more. ``stalled``: it did not take what it was sent."""
        if self._over:
            return
        self._over = True
        try:
            if self._finished:
                self._attempt.abort()
            else:
                self._exchange.cancel(stalled=stalled)
        finally:
            self._exchange.leave()

    async def _step(self) -> list[Frame]:
        attempt = self._attempt
        tally = attempt.tally
        while True:
            if self._failure is not None:
                raise AttemptFailed(self._failure)
            if self._held is not None:
                frames, self._held = self._held, None
            else:
                frames = await attempt.more()
            if tally.done:
                last = next((i for i, frame in enumerate(frames) if _is_last(frame)), 0)
                if last:
                    self._held = frames[last:]
                    return frames[:last]
                self._answer.summary = await self._exchange.complete(attempt)
                self._finished = True
                return frames
            if tally.failure is not None:
                # A provider's error inside the stream ends it; what came before it is the caller's.
                self._failure = self._attempt.clean(tally.failure)
                attempt.abort()
                frames = [frame for frame in frames if frame.events and not _failed(frame)]
            if frames:
                return frames


def _is_last(frame: Frame) -> bool:
    return any(isinstance(event, Done | Finish) for event in frame.events)


def _failed(frame: Frame) -> bool:
    return any(isinstance(event, Failed) for event in frame.events)
