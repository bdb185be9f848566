"""The columns of the journal's tables, in the order in which their values travel from the engine to the database.

What is written carries its values as tuples in these orders. A settlement waits in the spool with names instead, because another version
may read it back.
"""

from __future__ import annotations

COUNTS = (
    "input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "cache_write_1h_tokens", "reasoning_tokens",
    "audio_input_tokens", "audio_output_tokens", "image_input_tokens", "image_output_tokens", "web_searches",
)  # fmt: skip
USAGE = (*COUNTS, "service_tier", "usage_source")
OPENED = (
    "id", "created_at", "state", "kind", "dialect", "team_id", "client_key_id", "user_id", "asked_model", "strategy", "provider_id",
    "model_id", "provider_slug", "stream", "simulated", "hold_nusd", "worker", "lease_until", "tag", "metadata", "address",
    "cache", "origin", "batch_id", "end_user", "choice", "policy",
)  # fmt: skip
# In a settlement the time of the end is in Unix seconds.
SETTLED = (
    "finished_at", "state", "served_model", "attempt_count", "http_status", "error_code", "finish_reason", "flags", *USAGE, "cost_nusd",
    "price_id", "latency_ms", "ttft_ms", "lease_until", "decision",
)  # fmt: skip
# Indexed columns apart: an UPDATE that names them rewrites their index entries, and most requests end where they began.
MOVED = ("provider_id", "model_id", "provider_slug", "simulated")
REJECTED = (
    "id", "created_at", "finished_at", "state", "kind", "dialect", "team_id", "client_key_id", "user_id", "asked_model", "strategy",
    "stream", "http_status", "error_code", "latency_ms", "tag", "metadata", "cost_nusd", "address", "error_message", "error_details",
    "refused_by_id", "cache", "end_user",
    # Of an answer out of the cache.
    "provider_id", "model_id", "provider_slug", "simulated", "served_model", "finish_reason", "saved_nusd", "decision",
    "origin", "batch_id",
)  # fmt: skip
VOIDED = ("finished_at", "state", "http_status", "error_code", "lease_until", "cost_nusd")
COMPLETED = ("attempt_count", *USAGE, "served_model", "decision", "flags")
# In a settlement without the request, and with the start in Unix seconds.
ATTEMPT = (
    "request_id", "started_at", "number", "provider_id", "provider_slug", "provider_key_id", "upstream_id", "outcome", "error_class",
    "http_status", "detail", "upstream_request_id", "latency_ms", "ttft_ms", "bytes_received", "streamed", "billed", "maybe_billed",
    "cost_nusd",
)  # fmt: skip
LEDGER = ("request_id", "budget_id", "period_id", "kind", "state", "held_nusd", "amount_nusd", "created_at", "note")
BODY = ("request_id", "created_at", "prompt", "answer")
COUNTERS = ("period_id", "posted_nusd", "held_nusd", "excess_nusd", "alerted")

FINISHED_AT = SETTLED.index("finished_at")
ATTEMPT_COUNT = SETTLED.index("attempt_count")
SERVED_MODEL = SETTLED.index("served_model")
FLAGS = SETTLED.index("flags")
FIRST_USAGE = SETTLED.index(USAGE[0])
COST = SETTLED.index("cost_nusd")
DECISION = SETTLED.index("decision")
