"""The same figures the slow way: one log row after another, in plain Python."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from analytics.histogram import bucket, of
from analytics.measures import BANDS, TOKENS, Measures

_STATE = {"client_cancelled": "cancelled"}
# Nothing was sent for these, so an empty cost means none, not unknown.
_FREE = ("rejected", "replayed")
_PROMPT = (
    *("input_tokens", "cache_read_tokens", "cache_write_tokens", "cache_write_1h_tokens"),
    *("audio_input_tokens", "image_input_tokens"),
)


def add_request(cell: Measures, row: Mapping[str, Any]) -> None:
    """One finished log row."""
    state = row["state"]
    counter = _STATE.get(state, state)
    setattr(cell, counter, getattr(cell, counter) + 1)
    cell.requests += 1
    cell.attempts += row["attempt_count"]
    for name in TOKENS:
        setattr(cell, name, getattr(cell, name) + (row[name] or 0))
    cost = row["cost_nusd"]
    estimated = row["usage_source"] == "estimated"
    cell.estimated_requests += estimated
    if cost is not None:
        cell.cost_nusd += cost
        cell.estimated_cost_nusd += cost if estimated else 0
    elif state not in _FREE and not (state == "failed" and row["attempt_count"] == 0):
        cell.unknown_cost_requests += 1
    prompt = sum(row[name] or 0 for name in _PROMPT)
    if bands := [low for low in BANDS if prompt >= low]:
        cell.merge(0, 0, {bands[-1]: [1, *(row[name] or 0 for name in TOKENS)]})
    if state != "ok":
        return
    if (latency := row["latency_ms"]) is not None:
        cell.latency_count += 1
        cell.latency_sum_ms += latency
        cell.latency_square_sum += float(latency) ** 2
        cell.merge(of(bucket(latency)), 0)
    if (ttft := row["ttft_ms"]) is not None:
        cell.ttft_count += 1
        cell.ttft_sum_ms += ttft
        cell.merge(0, of(bucket(ttft)))
