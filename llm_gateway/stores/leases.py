"""The leases of one process's open rows. They are renewed for calls that live here and for ends that wait to be written; a row of which
nobody knows anything any more runs out and is reaped."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID
from weakref import WeakValueDictionary

from llm_gateway.engine.ports import Opening
from llm_gateway.models import Heartbeat, RequestLog

from .connecting import short_transaction

SIGN = "worker:"
_CHUNK = 500


class Leases:
    """Used by the journal's thread alone. A call lives as long as somebody holds its ``Opening``."""

    def __init__(self, worker: str, lease_s: float) -> None:
        self._worker = worker
        self._lease = timedelta(seconds=lease_s)
        self._live: WeakValueDictionary[UUID, Opening] = WeakValueDictionary()
        self._waiting: set[UUID] = set()

    def opened(self, openings: Iterable[Opening]) -> None:
        for one in openings:
            self._live[one.call.id] = one

    def waiting(self, settlements: Iterable[Mapping[str, Any]]) -> None:
        """These ended and are kept until the database takes them."""
        self._waiting |= {UUID(one["id"]) for one in settlements}

    def ended(self, settlements: Iterable[Mapping[str, Any]]) -> None:
        for one in settlements:
            key = UUID(one["id"])
            self._live.pop(key, None)
            self._waiting.discard(key)

    def nothing_waits(self) -> None:
        """All that was kept is written, by whichever process."""
        self._waiting.clear()

    def renew(self, now: datetime, kept: Mapping[str, int]) -> None:
        """Raises what the database raises: a renewal always writes, so that a database that takes no writes is known by it. ``kept``: what
        the worker's sign of life tells of its spool."""
        ids = list({*self._live.keys(), *self._waiting})
        detail = {"pid": os.getpid(), "running": len(self._live), **kept}
        with short_transaction():
            for start in range(0, len(ids), _CHUNK):
                mine = RequestLog.objects.filter(pk__in=ids[start : start + _CHUNK], worker=self._worker, state="open")
                mine.update(lease_until=now + self._lease)
            Heartbeat.objects.bulk_create(
                [Heartbeat(name=f"{SIGN}{self._worker}", at=now, detail=detail)],
                update_conflicts=True,
                unique_fields=["name"],
                update_fields=["at", "detail"],
            )

    def leave(self) -> None:
        """The process ends as it should."""
        Heartbeat.objects.filter(name=f"{SIGN}{self._worker}").delete()


class Clock:
    """Tells when the wall clock jumped against the monotonic one."""

    def __init__(self) -> None:
        self._offset: float | None = None
        self._steady_from = 0.0

    def shaken(self, mono: float, lease_s: float) -> None:
        """After an outage every lease looks old until each process has renewed its own."""
        self._steady_from = max(self._steady_from, mono + lease_s)

    def steady(self, wall: float, mono: float, lease_s: float) -> bool:
        """Whether leases can be judged: no jump for the length of one."""
        offset = wall - mono
        if self._offset is not None and abs(offset - self._offset) > min(1.0, lease_s / 3):
            self._steady_from = mono + lease_s
        self._offset = offset
        return mono >= self._steady_from
