"""Per-key limits inside one process: requests and tokens per minute, and requests at once."""

from __future__ import annotations

import time
from datetime import UTC, datetime

from llm_gateway.core.catalog import Identity, Snapshot
from llm_gateway.core.errors import RateLimited
from llm_gateway.policies import limits
from llm_gateway.policies.limits import Bucket, Standing, Verdict


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
    """``enter`` raises :class:`RateLimited` with an exact wait, and returns how many tokens it reserved; each successful ``enter`` is
    followed by one ``leave``, which puts what was used in the place of what was reserved."""

    def __init__(self, processes: int = 1) -> None:
        self._processes = processes
        self._buckets: dict[int, Bucket] = {}
        self._tokens: dict[int, Bucket] = {}
        self._running: dict[int, int] = {}
        self.in_flight = 0

    def enter(self, identity: Identity, tokens: int = 0) -> int:
        """``tokens``: what the request may come to."""
        reserved = 0
        key = identity.client_key_id
        if key is not None and (identity.max_concurrency is not None or _limited(identity)):
            reserved = self._check(key, identity, tokens)
            self._running[key] = self._running.get(key, 0) + 1
        self.in_flight += 1
        return reserved

    def look(self, identity: Identity, *, arriving: int = 0) -> None:
        """Raises what :meth:`enter` would, and takes nothing. ``arriving``: requests of the key whose bodies are still on their way."""
        key = identity.client_key_id
        if key is not None:
            self._check_running(key, identity, arriving)
            if _limited(identity):
                self._take(key, identity, 0)

    def leave(self, identity: Identity, reserved: int = 0, used: int = 0) -> None:
        self.in_flight -= 1
        key = identity.client_key_id
        if key is None:
            return
        if key in self._running:
            self._running[key] -= 1
            if self._running[key] <= 0:
                del self._running[key]
        per_minute = identity.tokens_per_minute
        if per_minute is not None and (bucket := self._tokens.get(key)) is not None:
            self._tokens[key] = limits.corrected(bucket, per_minute, reserved, used, processes=self._processes)

    def _check_running(self, key: int, identity: Identity, arriving: int) -> None:
        most = identity.max_concurrency
        if most is not None and self._running.get(key, 0) + arriving >= max(1, most // self._processes):
            raise RateLimited(f"This key may have {most} requests at once; wait for one to end.", retry_after_s=1)

    def standing(self, identity: Identity) -> Standing:
        key = identity.client_key_id
        if key is None:
            return Standing()
        now = time.monotonic()
        return Standing(
            requests=self._verdict(self._buckets.get(key), identity.requests_per_minute, now),
            tokens=self._verdict(self._tokens.get(key), identity.tokens_per_minute, now),
        )

    def _verdict(self, bucket: Bucket | None, per_minute: int | None, now: float) -> Verdict | None:
        return None if per_minute is None else limits.take(bucket, per_minute, now, processes=self._processes, cost=0)[0]

    def _check(self, key: int, identity: Identity, tokens: int) -> int:
        self._check_running(key, identity, 0)
        taken, reserved = self._take(key, identity, tokens)
        for buckets, bucket in taken:
            buckets[key] = bucket
        return reserved

    def _take(self, key: int, identity: Identity, tokens: int) -> tuple[list[tuple[dict[int, Bucket], Bucket]], int]:
        """The key's buckets after this request, and the tokens reserved for it. Raises :class:`RateLimited`."""
        now = time.monotonic()
        taken: list[tuple[dict[int, Bucket], Bucket]] = []
        refused: list[tuple[str, Verdict]] = []
        reserved = 0
        if (per_minute := identity.requests_per_minute) is not None:
            verdict, bucket = limits.take(self._buckets.get(key), per_minute, now, processes=self._processes)
            taken.append((self._buckets, bucket))
            if not verdict.allowed:
                refused.append((f"send {per_minute} requests a minute", verdict))
        if (per_minute := identity.tokens_per_minute) is not None:
            # A request larger than a whole minute's worth passes when nothing else was used; what it used is made up for afterwards.
            reserved = min(tokens, limits.share(per_minute, self._processes))
            verdict, bucket = limits.take(self._tokens.get(key), per_minute, now, processes=self._processes, cost=reserved)
            taken.append((self._tokens, bucket))
            if not verdict.allowed:
                refused.append((f"use {per_minute} tokens a minute", verdict))
        if refused:
            what, verdict = max(refused, key=lambda one: one[1].retry_after_s)
            raise RateLimited(
                f"This key may {what}.",
                retry_after_s=verdict.retry_after_s,
                details={"limit": verdict.limit, "remaining": verdict.remaining, "reset_s": round(verdict.reset_s, 3)},
            )
        return taken, reserved


def _limited(identity: Identity) -> bool:
    return identity.requests_per_minute is not None or identity.tokens_per_minute is not None
