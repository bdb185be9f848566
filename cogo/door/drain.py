"""The end of the process: at the first signal the server stops accepting and its streams get time, at the second they end at once."""

from __future__ import annotations

import asyncio
import signal
import time
from typing import Any

from cogo.caller import Watch
from llm_gateway.core.errors import Failure, FailureClass, GatewayError
from llm_gateway.wiring import gateway

from .arrivals import Arrivals

# How long a caller has for taking its last event when the gateway shuts down.
LAST_WORDS_S = 0.5


class Drain:
    """``watches`` are the callers who are being answered."""

    def __init__(self, arrivals: Arrivals, drain_s: float) -> None:
        self._arrivals = arrivals
        self._drain_s = drain_s
        self._signals = 0
        self._until: float | None = None
        self.watches: set[Watch] = set()

    def hear_signals(self) -> None:
        """At the first signal the server stops accepting and waits for its connections; the streams among them are ours to end in time. At
        the second they end at once; only the third is the server's own business again."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            before = signal.getsignal(number)

            def heard(got: int, frame: Any, before: Any = before) -> None:
                self._signals += 1
                loop.call_soon_threadsafe(self._begin)
                server = getattr(before, "__self__", None)
                if self._signals == 1 and server is not None and hasattr(server, "should_exit"):
                    # Its handler would end the process by the same signal once all is done: a drain that worked is no crash.
                    server.should_exit = True
                elif self._signals != 2 and callable(before):
                    before(got, frame)

            try:
                signal.signal(number, heard)
            except ValueError:
                return  # not the main thread: a test hosts us

    def _begin(self) -> None:
        if self._arrivals.draining:
            self._end_streams()
            return
        self._arrivals.draining = True
        self._until = time.monotonic() + self._drain_s
        asyncio.get_running_loop().call_later(self._drain_s, self._end_streams)

    def left_s(self) -> float:
        """How long executions whose callers have left may go on: the server waits for connections, and those have none."""
        left = self._drain_s if self._until is None else self._until - time.monotonic()
        return max(0.0, left)

    def _end_streams(self) -> None:
        """Every answer that still runs ends with its dialect's error event; every body that still comes is given up."""
        self._arrivals.stop_readers()
        asyncio.get_running_loop().call_later(LAST_WORDS_S, self._drop_stalled)
        try:
            pipeline = gateway().pipeline
        except GatewayError:
            return
        pipeline.end_streams(Failure(kind=FailureClass.RESET, code="server_shutting_down", message="the gateway is shutting down"))

    def _drop_stalled(self) -> None:
        for watch in set(self.watches):
            watch.give_up()
