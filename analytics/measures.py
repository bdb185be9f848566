"""What is counted of a set of requests, from log rows or from rollups alike, and what follows from the counts. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .histogram import packed, percentile, unpacked
from .models import COUNTS

TOKENS = (
    "input_tokens",
    "output_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "cache_write_1h_tokens",
    "reasoning_tokens",
    "audio_input_tokens",
    "audio_output_tokens",
    "image_input_tokens",
    "image_output_tokens",
)
# Where the price of the whole prompt may change: just above the sizes at which providers begin another band.
BANDS = (32_001, 128_001, 200_001, 256_001, 272_001)


@dataclass(slots=True)
class Measures:
    """Mutable while it is summed, read-only by convention afterwards. The fields are those of a rollup row.

    ``latency`` and ``ttft``: histograms (:mod:`analytics.histogram`). ``bands``: band of :data:`BANDS` to requests and tokens, in the
    order of :data:`TOKENS`.
    """

    requests: int = 0
    ok: int = 0
    partial: int = 0
    failed: int = 0
    cancelled: int = 0
    rejected: int = 0
    orphaned: int = 0
    replayed: int = 0
    cached: int = 0
    attempts: int = 0
    estimated_requests: int = 0
    unknown_cost_requests: int = 0
    cost_nusd: int = 0
    estimated_cost_nusd: int = 0
    saved_nusd: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    cache_write_1h_tokens: int = 0
    reasoning_tokens: int = 0
    audio_input_tokens: int = 0
    audio_output_tokens: int = 0
    image_input_tokens: int = 0
    image_output_tokens: int = 0
    latency_count: int = 0
    latency_sum_ms: int = 0
    ttft_count: int = 0
    ttft_sum_ms: int = 0
    latency_square_sum: float = 0.0
    adjustments: int = 0
    adjustments_nusd: int = 0
    latency: int = 0
    ttft: int = 0
    bands: dict[int, list[int]] | None = None

    def add_sums(self, row: Mapping[str, Any]) -> None:
        """A rollup row, or sums of several: plain names; histograms and bands optional."""
        for name in COUNTS:
            if value := row[name]:
                setattr(self, name, getattr(self, name) + int(value))
        self.latency_square_sum += float(row.get("latency_square_sum") or 0.0)
        self.merge(unpacked(row.get("latency_histogram")), unpacked(row.get("ttft_histogram")), row.get("bands"))

    def merge(self, latency: int, ttft: int, bands: Mapping[Any, list[int]] | None = None) -> None:
        """Keys of ``bands`` may be numbers or, out of JSON, their digits."""
        self.latency += latency
        self.ttft += ttft
        for low, counts in (bands or {}).items():
            self.bands = self.bands or {}
            known = self.bands.get(int(low))
            self.bands[int(low)] = [a + b for a, b in zip(known, counts, strict=True)] if known else list(counts)

    def add(self, other: Measures) -> None:
        for name in COUNTS:
            if value := getattr(other, name):
                setattr(self, name, getattr(self, name) + value)
        self.latency_square_sum += other.latency_square_sum
        self.merge(other.latency, other.ttft, other.bands)

    def columns(self) -> dict[str, Any]:
        """As a rollup row stores it."""
        counts = {name: getattr(self, name) for name in COUNTS}
        return {
            **counts,
            "latency_square_sum": self.latency_square_sum,
            "latency_histogram": packed(self.latency),
            "ttft_histogram": packed(self.ttft),
            "bands": {str(k): v for k, v in sorted(self.bands.items())} if self.bands else None,
        }

    @property
    def answered(self) -> int:
        """Requests that were to be answered: what a success rate is a share of. Refused, cancelled, replayed and cached ones
        prove nothing."""
        return self.ok + self.partial + self.failed + self.orphaned

    @property
    def success_rate(self) -> float | None:
        return self.ok / self.answered if self.answered else None

    @property
    def known_cost_nusd(self) -> int | None:
        """The sum of the known costs; ``None`` when some request may have cost something and not one cost is known."""
        if self.cost_nusd == 0 and self.unknown_cost_requests:
            return None
        return self.cost_nusd

    @property
    def total_nusd(self) -> int | None:
        """The known costs with the corrections booked in the same time; ``None`` when neither is known."""
        known = self.known_cost_nusd
        return (known or 0) + self.adjustments_nusd if known is not None or self.adjustments else None

    @property
    def tokens(self) -> int:
        """Everything in and out; reasoning is a part of output."""
        return sum(getattr(self, name) for name in TOKENS if name != "reasoning_tokens")

    @property
    def latency_mean_ms(self) -> float | None:
        return self.latency_sum_ms / self.latency_count if self.latency_count else None

    @property
    def ttft_mean_ms(self) -> float | None:
        return self.ttft_sum_ms / self.ttft_count if self.ttft_count else None

    @property
    def latency_deviation_ms(self) -> float | None:
        """Sample standard deviation; ``None`` below two observations."""
        n = self.latency_count
        if n < 2:
            return None
        variance = (self.latency_square_sum - self.latency_sum_ms**2 / n) / (n - 1)
        return math.sqrt(max(0.0, variance))

    def latency_at(self, share: float) -> float | None:
        return percentile(self.latency, share)

    def ttft_at(self, share: float) -> float | None:
        return percentile(self.ttft, share)


def folded(cells: Mapping[tuple[Any, ...], Measures], places: Sequence[int]) -> dict[tuple[Any, ...], Measures]:
    """The same by fewer groups: those at ``places`` of the key."""
    found: dict[tuple[Any, ...], Measures] = {}
    for key, cell in cells.items():
        found.setdefault(tuple(key[place] for place in places), Measures()).add(cell)
    return found
