"""Prometheus figures of this process. Labels hold the operator's names only, never a caller's text."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

REQUESTS = Counter("cogo_requests", "Requests by how they ended.", ["kind", "dialect", "state", "provider", "code"])
ATTEMPTS = Counter("cogo_attempts", "Upstream calls by outcome.", ["provider", "outcome", "error_class"])
TOKENS = Counter("cogo_tokens", "Tokens by class.", ["provider", "type"])
COST = Counter("cogo_cost_usd", "Cost in USD of answered requests whose price is known.", ["provider"])
DURATION = Histogram(
    "cogo_request_duration_seconds",
    "From the request to its settlement.",
    ["kind"],
    buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300),
)
FIRST = Histogram(
    "cogo_time_to_first_token_seconds",
    "From the request to the first content.",
    ["kind"],
    buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)
IN_FLIGHT = Gauge("cogo_requests_in_flight", "Requests being served.")
READY = Gauge("cogo_ready", "1 when requests can be served.")
