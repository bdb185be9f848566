"""Figures of the hot path: plain numbers, copied into the library's metrics on each scrape.

Several web processes share figures through files, so that each reports the sum and a killed one's
counts stay; in that mode every figure goes to the library at once. Call everything here from the
event loop's thread.
"""

from __future__ import annotations

from bisect import bisect_left
from functools import lru_cache
from typing import Any

from prometheus_client import Counter, Histogram, values

Labels = tuple[str, ...]
# The library chooses its mode at import.
SHARED = bool(getattr(values.ValueClass, "_multiprocess", False))


class Total:
    """Additions to a counter, by its labels."""

    def __init__(self, counter: Counter, *, shared: bool = SHARED) -> None:
        self._child = lru_cache(maxsize=2048)(counter.labels)
        self._shared = shared
        self._new: dict[Labels, float] = {}
        _all.append(self)

    def add(self, labels: Labels, amount: float = 1) -> None:
        if self._shared:
            self._child(*labels).inc(amount)
            return
        new = self._new
        new[labels] = new.get(labels, 0) + amount

    def bring(self) -> None:
        new, self._new = self._new, {}
        for labels, amount in new.items():
            self._child(*labels).inc(amount)


class Times:
    """Observations of a histogram, by its labels."""

    def __init__(self, histogram: Histogram, *, shared: bool = SHARED) -> None:
        self._child = lru_cache(maxsize=2048)(histogram.labels)
        self._shared = shared
        # A value goes into the first bucket that is not below it.
        self._bounds: list[float] = histogram._upper_bounds
        self._new: dict[Labels, list[float]] = {}
        _all.append(self)

    def add(self, labels: Labels, amount: float) -> None:
        if self._shared:
            self._child(*labels).observe(amount)
            return
        new = self._new.get(labels)
        if new is None:
            # The count of each bucket; last, the sum of all values.
            new = self._new[labels] = [0.0] * (len(self._bounds) + 1)
        new[bisect_left(self._bounds, amount)] += 1
        new[-1] += amount

    def bring(self) -> None:
        new, self._new = self._new, {}
        for labels, (*buckets, total) in new.items():
            # The library has no public call to add many values at once; a test compares this with
            # its own.
            child: Any = self._child(*labels)
            child._sum.inc(total)
            for bucket, count in zip(child._buckets, buckets, strict=True):
                if count:
                    bucket.inc(count)


_all: list[Total | Times] = []


def bring() -> None:
    """Move the counts since the last call into the library."""
    for one in _all:
        one.bring()
