"""A histogram of times with fixed log-scale buckets: mergeable, small, and within a twentieth of the true percentile. Pure.

Bucket ``b`` holds times from ``BASE**b`` to ``BASE**(b + 1)`` milliseconds; bucket 0 everything below ``BASE``.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

BASE = 1.1
TOP = math.ceil(math.log(86_400_000, BASE))
_LOG = math.log(BASE)


def bucket(milliseconds: float) -> int:
    return min(TOP, int(math.log(milliseconds) / _LOG)) if milliseconds >= 1 else 0


def middle(index: int) -> float:
    """The geometric middle of a bucket, in milliseconds."""
    return BASE ** (index + 0.5)


def merge(histograms: Iterable[Mapping[str, int]]) -> dict[int, int]:
    """From the stored form (JSON has string keys) to one histogram."""
    total: dict[int, int] = {}
    for histogram in histograms:
        for index, count in histogram.items():
            total[int(index)] = total.get(int(index), 0) + count
    return total


def percentile(histogram: Mapping[int, int], share: float) -> float | None:
    """The time that ``share`` (0 to 1) of the observations do not exceed, by nearest rank; ``None`` of nothing."""
    count = sum(histogram.values())
    if count == 0:
        return None
    rank = max(1, math.ceil(share * count))
    for index in sorted(histogram):
        rank -= histogram[index]
        if rank <= 0:
            return middle(index)
    return None
