"""A histogram of times with fixed log-scale buckets: mergeable, small, and within a twentieth of the true percentile. Pure.

Bucket ``b`` holds times from ``BASE**b`` to ``BASE**(b + 1)`` milliseconds; bucket 0 everything below ``BASE``. A histogram is one whole
number in which every bucket has :data:`LANE` bits for its count: to add the numbers is to merge the histograms, and reports merge tens of
thousands.
"""

from __future__ import annotations

import math

BASE = 1.1
TOP = math.ceil(math.log(86_400_000, BASE))
_LOG = math.log(BASE)
LANE = 40


def bucket(milliseconds: float) -> int:
    return min(TOP, int(math.log(milliseconds) / _LOG)) if milliseconds >= 1 else 0


def middle(index: int) -> float:
    """The geometric middle of a bucket, in milliseconds."""
    return float(BASE ** (index + 0.5))


def of(index: int, count: int = 1) -> int:
    """``count`` observations in one bucket."""
    return count << (LANE * index)


def packed(histogram: int) -> bytes:
    """As a rollup row stores it."""
    return histogram.to_bytes((histogram.bit_length() + 7) // 8, "little")


def unpacked(stored: bytes | None) -> int:
    return int.from_bytes(stored, "little") if stored else 0


def counts(histogram: int) -> dict[int, int]:
    """Bucket to count, ascending, without empty ones."""
    width = LANE // 8
    raw = packed(histogram)
    lanes = (int.from_bytes(raw[at : at + width], "little") for at in range(0, len(raw), width))
    return {index: count for index, count in enumerate(lanes) if count}


def percentile(histogram: int, share: float) -> float | None:
    """The time that ``share`` (0 to 1) of the observations do not exceed, by nearest rank; ``None`` of nothing."""
    lanes = counts(histogram)
    rank = max(1, math.ceil(share * sum(lanes.values())))
    for index, count in lanes.items():
        rank -= count
        if rank <= 0:
            return middle(index)
    return None
