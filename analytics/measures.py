"""What is counted of a set of requests, from log rows or from rollups alike, and what follows from the counts. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .histogram import bucket, percentile
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
)
_STATE = {"client_cancelled": "cancelled"}
# Nothing was sent for these, so an empty cost means none, not unknown.
_FREE = ("rejected", "replayed")


@dataclass(slots=True)
class Measures:
    """Mutable while it is summed, read-only by convention afterwards. The fields are those of a rollup row."""

    requests: int = 0
    ok: int = 0
    partial: int = 0
    failed: int = 0
    cancelled: int = 0
    rejected: int = 0
    orphaned: int = 0
    replayed: int = 0
    attempts: int = 0
    estimated_requests: int = 0
    unknown_cost_requests: int = 0
    cost_nusd: int = 0
    estimated_cost_nusd: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    cache_write_1h_tokens: int = 0
    reasoning_tokens: int = 0
    audio_input_tokens: int = 0
    audio_output_tokens: int = 0
    latency_count: int = 0
    latency_sum_ms: int = 0
    ttft_count: int = 0
    ttft_sum_ms: int = 0
    latency_square_sum: float = 0.0
    latency: dict[int, int] = field(default_factory=dict)
    ttft: dict[int, int] = field(default_factory=dict)

    def add_request(self, row: Mapping[str, Any]) -> None:
        """One finished log row."""
        state = row["state"]
        counter = _STATE.get(state, state)
        setattr(self, counter, getattr(self, counter) + 1)
        self.requests += 1
        self.attempts += row["attempt_count"]
        for name in TOKENS:
            setattr(self, name, getattr(self, name) + (row[name] or 0))
        cost = row["cost_nusd"]
        estimated = row["usage_source"] == "estimated"
        self.estimated_requests += estimated
        if cost is not None:
            self.cost_nusd += cost
            self.estimated_cost_nusd += cost if estimated else 0
        elif state not in _FREE and not (state == "failed" and row["attempt_count"] == 0):
            self.unknown_cost_requests += 1
        if state != "ok":
            return
        if (latency := row["latency_ms"]) is not None:
            self.latency_count += 1
            self.latency_sum_ms += latency
            self.latency_square_sum += float(latency) ** 2
            _tally(self.latency, bucket(latency))
        if (ttft := row["ttft_ms"]) is not None:
            self.ttft_count += 1
            self.ttft_sum_ms += ttft
            _tally(self.ttft, bucket(ttft))

    def add_sums(self, row: Mapping[str, Any]) -> None:
        """A rollup row, or sums of several: plain names, histograms optional."""
        for name in COUNTS:
            setattr(self, name, getattr(self, name) + int(row[name] or 0))
        self.latency_square_sum += float(row.get("latency_square_sum") or 0.0)
        for mine, stored in ((self.latency, row.get("latency_histogram")), (self.ttft, row.get("ttft_histogram"))):
            for index, count in (stored or {}).items():
                _tally(mine, int(index), count)

    def columns(self) -> dict[str, Any]:
        """As a rollup row stores it."""
        counts = {name: getattr(self, name) for name in COUNTS}
        return {
            **counts,
            "latency_square_sum": self.latency_square_sum,
            "latency_histogram": {str(k): v for k, v in sorted(self.latency.items())},
            "ttft_histogram": {str(k): v for k, v in sorted(self.ttft.items())},
        }

    @property
    def answered(self) -> int:
        """Requests that were to be answered: what a success rate is a share of. Refused, cancelled and replayed ones prove nothing."""
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


def _tally(histogram: dict[int, int], index: int, count: int = 1) -> None:
    histogram[index] = histogram.get(index, 0) + count
