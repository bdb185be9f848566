"""What many decisions have in common, kept once: catalogue copies, frozen statistics, lists of candidates.

A decision names each by its key. What was named first goes to ``pending``, which a thread of the composition root writes down; a process
that is killed before that leaves decisions that cannot be replayed, and they say so.
"""

from __future__ import annotations

import time
from base64 import urlsafe_b64encode
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from hashlib import blake2b
from typing import Any

import msgspec

from llm_gateway.core.catalog import Snapshot, Target
from llm_gateway.strategies import Stats

FRESH_S = 1.0
# A key is named again after this long, so that what is in use is never past its time.
AGAIN_S = 6 * 3600.0
MOST = 50_000

Deployment = tuple[int, str]


class Pending(msgspec.Struct, frozen=True):
    """``kind``: catalogue, statistics or candidates. ``content``: a snapshot for the first, JSON for the others."""

    key: str
    kind: str
    content: Any


class Frozen(msgspec.Struct, frozen=True):
    """Statistics as every decision of one second sees them. ``key`` is empty while nothing was measured."""

    key: str
    stats: Mapping[Deployment, Stats]
    qualities: Mapping[int, tuple[float, int]] = {}

    def of(self, target: Target) -> Stats:
        found = self.stats.get(target.deployment, NOTHING)
        scored = self.qualities.get(target.model.id) if self.qualities else None
        return found if scored is None else msgspec.structs.replace(found, quality=scored[0], scored=scored[1])


NOTHING = Stats()


class Contexts:
    """One event loop; only ``pending`` is shared with a thread, which takes from its left."""

    def __init__(self) -> None:
        self.pending: deque[Pending] = deque()
        self._named: dict[str, float] = {}
        self._frozen = Frozen("", {})
        self._until = 0.0
        self._lists: dict[Any, str] = {}

    def statistics(
        self, measure: Callable[[], Mapping[Deployment, Stats]], scores: Callable[[], Mapping[int, tuple[float, int]]] = dict
    ) -> Frozen:
        """At most a second old. ``measure`` and ``scores`` (mean and count by model) are asked for newer ones."""
        now = time.monotonic()
        if now >= self._until:
            self._until = now + FRESH_S
            stats = {key: rounded(one) for key, one in measure().items() if one.requests}
            qualities = {model: (round(mean, 4), count) for model, (mean, count) in scores().items()}
            self._frozen = Frozen("", stats, qualities)
            if stats or qualities:
                self._frozen = Frozen(key_of("s", written(self._frozen)), stats, qualities)
        return self._frozen

    def used(self, frozen: Frozen) -> str:
        if frozen.key and self._first(frozen.key):
            self.pending.append(Pending(frozen.key, "statistics", written(frozen)))
        return frozen.key

    def candidates(self, targets: Sequence[Target], left_out: Sequence[tuple[str, str]]) -> str:
        """The key of this list. ``left_out``: (what, why) of what could not even become a candidate."""
        plain = (tuple((t.credential.id, t.model.id) for t in targets), tuple(left_out))
        key = self._lists.get(plain)
        if key is None:
            if len(self._lists) >= MOST:
                self._lists.clear()
            key = self._lists[plain] = key_of("c", msgspec.json.encode(plain))
        if self._first(key):
            self.pending.append(Pending(key, "candidates", msgspec.json.encode(plain)))
        return key

    def catalogue(self, snapshot: Snapshot) -> int:
        if self._first(f"v{snapshot.version}"):
            self.pending.append(Pending(f"v{snapshot.version}", "catalogue", snapshot))
        return snapshot.version

    def forget(self) -> None:
        """The next decision measures anew."""
        self._until = 0.0

    def again(self, pending: Pending) -> None:
        """It could not be written down: the next decision that needs it names it again."""
        self._named.pop(pending.key, None)

    def _first(self, key: str) -> bool:
        now = time.monotonic()
        if self._named.get(key, 0.0) > now:
            return False
        if len(self._named) >= MOST:
            self._named.clear()
        self._named[key] = now + AGAIN_S
        return True


def key_of(letter: str, body: bytes) -> str:
    return letter + urlsafe_b64encode(blake2b(body, digest_size=8).digest())[:11].decode()


def rounded(stats: Stats) -> Stats:
    """As it is written down: what a strategy sees must be what a replay reads."""
    return Stats(
        requests=stats.requests,
        successes=stats.successes,
        latency_ms=_round(stats.latency_ms, 1),
        ttft_ms=_round(stats.ttft_ms, 1),
        cost_nusd=_round(stats.cost_nusd, 0),
    )


def written(frozen: Frozen) -> bytes:
    rows = [
        (key, upstream, one.requests, one.successes, one.latency_ms, one.ttft_ms, one.cost_nusd)
        for (key, upstream), one in sorted(frozen.stats.items())
    ]
    return msgspec.json.encode((rows, sorted(frozen.qualities.items())))


def read_statistics(body: bytes) -> Frozen:
    """What :func:`written` wrote."""
    rows, qualities = msgspec.json.decode(body)
    stats = {
        (row[0], row[1]): Stats(requests=row[2], successes=row[3], latency_ms=row[4], ttft_ms=row[5], cost_nusd=row[6]) for row in rows
    }
    return Frozen("", stats, {model: (mean, count) for model, (mean, count) in qualities})


def _round(value: float | None, digits: int) -> float | None:
    return None if value is None else float(round(value, digits))
