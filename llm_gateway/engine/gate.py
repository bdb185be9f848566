"""Per-key limits inside one process: requests per minute and requests at once."""

from __future__ import annotations

import time
from datetime import UTC, datetime

from llm_gateway.core.catalog import Identity, Snapshot
from llm_gateway.core.errors import RateLimited
from llm_gateway.policies import limits
from llm_gateway.policies.limits import Bucket


def revoked(identity: Identity, snapshot: Snapshot) -> bool:
    """Whether the client key is no longer good by now: revoked, expired, deleted, or its team disabled."""
    if identity.client_key_id is None:
        return False
    known = snapshot.clients.get(identity.public_id)
    if known is None or known[1].revoked:
        return True
    expires_at = known[1].expires_at
    return expires_at is not None and expires_at <= datetime.now(UTC)


class KeyGate:
    """``enter`` raises :class:`RateLimited` with an exact wait; each successful ``enter`` is followed by one ``leave``."""

    def __init__(self, processes: int = 1) -> None:
        self._processes = processes
        self._buckets: dict[int, Bucket] = {}
        self._running: dict[int, int] = {}
        self.in_flight = 0

    def enter(self, identity: Identity) -> None:
        key = identity.client_key_id
        if key is not None and (identity.max_concurrency is not None or identity.requests_per_minute is not None):
            self._check(key, identity)
            self._running[key] = self._running.get(key, 0) + 1
        self.in_flight += 1

    def look(self, identity: Identity, *, arriving: int = 0) -> None:
        """Raises what :meth:`enter` would, and takes nothing. ``arriving``: requests of the key whose bodies are still on their way."""
        key = identity.client_key_id
        if key is not None:
            self._check_running(key, identity, arriving)
            if identity.requests_per_minute is not None:
                self._take(key, identity.requests_per_minute)

    def leave(self, identity: Identity) -> None:
        self.in_flight -= 1
        key = identity.client_key_id
        if key is not None and key in self._running:
            self._running[key] -= 1
            if self._running[key] <= 0:
                del self._running[key]

    def _check(self, key: int, identity: Identity) -> None:
        self._check_running(key, identity, 0)
        per_minute = identity.requests_per_minute
        if per_minute is not None:
            self._buckets[key] = self._take(key, per_minute)

    def _check_running(self, key: int, identity: Identity, arriving: int) -> None:
        most = identity.max_concurrency
        if most is not None and self._running.get(key, 0) + arriving >= max(1, most // self._processes):
            raise RateLimited(f"This key may have {most} requests at once; wait for one to end.", retry_after_s=1)

    def _take(self, key: int, per_minute: int) -> Bucket:
        """The key's bucket with one request less. Raises :class:`RateLimited`."""
        verdict, left = limits.take(self._buckets.get(key), per_minute, time.monotonic(), processes=self._processes)
        if not verdict.allowed:
            raise RateLimited(
                f"This key may send {per_minute} requests a minute.",
                retry_after_s=verdict.retry_after_s,
                details={"limit": verdict.limit, "remaining": verdict.remaining, "reset_s": round(verdict.reset_s, 3)},
            )
        return left
