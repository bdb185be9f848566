"""The state of what runs beside this worker: siblings, the background worker, the shared cache.

No request needs any of it; readiness, metrics and the console report it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import DatabaseError, connections
from django.utils import timezone

from llm_gateway.telemetry import processes
from llm_gateway.telemetry.processes import Process

log = logging.getLogger("cogo.surroundings")

LOOK_S = 1.0
# These checks wait for another process, for up to the short timeout.
ASK_S = 10.0
FIRST_ASK_S = 3.0
SILENT_AFTER = timedelta(minutes=3)
CLUSTER = "tasks"


class Surroundings:
    """``parts``: what was asked last, by name; true where it works. ``processes`` and ``troubles``
    likewise."""

    def __init__(self) -> None:
        self._run = processes.folder(Path(settings.VAR_DIR))
        # Its own thread: a wait for the database must not take a thread from those that resolve
        # providers' host names.
        self._threads = ThreadPoolExecutor(1, "surroundings")
        self._asking: asyncio.Future[dict[str, bool]] | None = None
        self._began = time.monotonic()
        self._ask_at = self._began + FIRST_ASK_S
        self._said: tuple[str, ...] = ()
        self.processes: tuple[Process, ...] = ()
        self.parts: dict[str, bool] = {}
        self.troubles: tuple[str, ...] = ()

    async def look_for_ever(self) -> None:
        try:
            while True:
                self.look()
                await asyncio.sleep(LOOK_S)
        finally:
            self._threads.shutdown(wait=False)

    def look(self) -> None:
        if self._run.is_dir():
            processes.beat(self._run)
        self._ask()
        board = processes.read(self._run)
        self.processes = board.processes if board else ()
        silent = [f"{name} does not answer" for name, works in self.parts.items() if not works]
        self.troubles = (*(board.troubles if board else ()), *silent)
        if self.troubles != self._said:
            self._said = self.troubles
            log.warning("what runs beside the relay", extra={"troubles": list(self.troubles) or "none any more"})

    def _ask(self) -> None:
        if self._asking is not None and self._asking.done():
            if self._asking.exception() is None:
                self.parts = self._asking.result()
            self._asking = None
        now = time.monotonic()
        if self._asking is None and now >= self._ask_at:
            self._ask_at = now + ASK_S
            heard_for_s = now - self._began
            self._asking = asyncio.get_running_loop().run_in_executor(self._threads, _parts, heard_for_s)


def _parts(heard_for_s: float) -> dict[str, bool]:
    """Blocks for as long as the database takes. ``heard_for_s``: how long this process has been
    there to hear of others."""
    found = {}
    if settings.REDIS_URL:
        from django.core.cache import cache

        found["the shared cache"] = bool(cache.works())  # type: ignore[attr-defined]  # it is cogo.cache's
    with contextlib.suppress(DatabaseError):
        works = _cluster_works()
        if works or (works is not None and heard_for_s > SILENT_AFTER.total_seconds()):
            found["the task cluster"] = works
    return found


def _cluster_works() -> bool | None:
    """``None`` before its first heartbeat."""
    from llm_gateway.models import Heartbeat

    try:
        row: Any = Heartbeat.objects.filter(name=CLUSTER).first()
        return None if row is None else row.at > timezone.now() - SILENT_AFTER
    finally:
        for connection in connections.all(initialized_only=True):
            connection.close()
