"""The simulator where no event loop is at hand: in a thread of its own, or as a blocking command."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Callable
from typing import Any, Self

from llm_gateway.simulator.server import Simulator


class ThreadedSimulator:
    """A context manager: a simulator running in its own thread and loop. Takes the arguments of Simulator."""

    def __init__(self, **options: Any) -> None:
        self.simulator = Simulator(**options)
        self._ready = threading.Event()
        self._failed: BaseException | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._thread = threading.Thread(target=self._main, name="simulator", daemon=True)

    def _main(self) -> None:
        asyncio.run(self._run())

    async def _run(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        try:
            await self.simulator.start()
        except BaseException as error:
            self._failed = error
            self._ready.set()
            return
        self._ready.set()
        await self._stop.wait()
        await self.simulator.stop()

    def start(self) -> Self:
        """Returns when the port accepts. Raises what starting raised."""
        self._thread.start()
        self._ready.wait()
        if self._failed is not None:
            raise self._failed
        return self

    def stop(self) -> None:
        """Returns when the thread has ended."""
        if self._loop is not None and self._stop is not None and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join(5)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *exc: object) -> None:
        self.stop()

    def control(self, what: str, **fields: Any) -> Any:
        """As Simulator.control, from any other thread."""

        async def act() -> Any:
            return self.simulator.control(what, **fields)

        assert self._loop is not None
        return asyncio.run_coroutine_threadsafe(act(), self._loop).result(5)

    @property
    def port(self) -> int:
        """The port that was taken."""
        return self.simulator.port

    @property
    def journal(self) -> list[dict[str, Any]]:
        """The entries so far, oldest first; a copy of the list, not of the entries."""
        return list(self.simulator.journal.entries)

    def url(self, path: str = "") -> str:
        """An address at this server."""
        return self.simulator.url(path)

    def base_url(self, provider: str) -> str:
        """The base URL that the row of ``provider`` should hold."""
        return self.simulator.base_url(provider)


def run(host: str = "127.0.0.1", port: int = 8100, *, ready: Callable[[Simulator], None] | None = None, **options: Any) -> None:
    """Serves until SIGTERM or SIGINT, then stops within a second. ``ready`` is called once the port accepts.

    Raises OSError when the port is taken. Must be called in the main thread.
    """

    async def main() -> None:
        simulator = Simulator(port=port, host=host, **options)
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        async with simulator:
            if ready is not None:
                ready(simulator)
            await stop.wait()

    asyncio.run(main())
