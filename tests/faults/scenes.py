"""Rows of the fault matrix that have a test of their own, as the page shows them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Scene:
    """``proof``: ``FILE::beginning of the test's name``, under tests/."""

    name: str
    fault: str
    outcome: str
    proof: str


_APART = "faults/test_matrix_apart.py"
_CALLERS = "faults/test_callers.py"
_TWICE = "api/test_idempotency.py"
_DRAIN = "door/test_drain.py"
_LEASES = "stores/test_leases.py"
_OUTAGES = "stores/test_outages.py"
_CACHE = "cache/test_through_the_gateway.py"
_WALK = "cache/test_walk.py"
_KEPT = "cache/test_stores.py"

SCENES = (
    Scene("U6", "a pooled connection had been closed", "invisible: the same target on a new connection", f"{_APART}::test_u6"),
    Scene("U10", "404 of a model that a strategy or alias chose", "502 `model_unavailable` when all are gone", f"{_APART}::test_u10"),
    Scene("U13", "prompt too long, other targets left", "only targets with a larger window are asked", f"{_APART}::test_u13"),
    Scene("U22", "the content filter ends an answer", "200 with its text and `content_filter`; `ok`", f"{_APART}::test_u22"),
    Scene("U23", "an empty answer", "200, `x-cogo-warning: empty`, flagged; paid for", f"{_APART}::test_u23"),
    Scene("U33", "no end mark, but a finish reason", "completed; flagged `no_terminal`", f"{_APART}::test_u33"),
    Scene("U37", "bytes without events until the total clock", "`deadline_exceeded`; class `total_timeout`", f"{_APART}::test_u37"),
    Scene("U38", "U+2028, BOM, CR, comments, any split", "the same text; `ok`", f"{_APART}::test_u38"),
    Scene("U39", "more after the end", "the first end counts, the rest is dropped", f"{_APART}::test_u39"),
    Scene("U40", "no usage", "`ok`, charged by estimate and marked so", f"{_APART}::test_u40"),
    Scene("U41", "usage of explicit zeros", "`ok`, charged 0", f"{_APART}::test_u40"),
    Scene("U42", "usage above the hold", "`ok`, charged in full, flagged `overrun`", f"{_APART}::test_u40"),
)

CALLERS = (
    Scene("C1", "leaves before anything was sent", "`client_cancelled`, no attempt, no charge", f"{_CALLERS}::test_c1_"),
    Scene("C2", "leaves before the first byte", "provider hung up on; prompt by estimate; health untouched", f"{_CALLERS}::test_c2_"),
    Scene("C3", "leaves in mid-stream", "provider hung up on; prompt and received text by estimate", f"{_CALLERS}::test_c3_"),
    Scene("C4", "does not read", "cut off after 60 s: `partial`, `client_stalled`", f"{_CALLERS}::test_c4_"),
    Scene("C5", "Idempotency-Key of a finished request", "the same answer again; row `replayed`, no charge", f"{_TWICE}::test_a_duplicate"),
    Scene("C6", "… of a running one", "409 `idempotency_in_flight`, Retry-After 1", f"{_TWICE}::test_of_twenty"),
    Scene("C7", "… with another body or model", "422 `idempotency_mismatch`", f"{_TWICE}::test_another_body"),
    Scene("C8", "… of one that died", "409 `idempotency_unknown_outcome`, unless told to", f"{_TWICE}::test_after_a_crash"),
    Scene("C9", "body too large, declared or not", "413, closed, not read; `rejected`", f"{_CALLERS}::test_c9_"),
    Scene("C10", "body that does not come", "408 after 30 s; `rejected`", f"{_CALLERS}::test_c10_"),
    Scene("C11", "no JSON, surrogates, NaN, keys twice", "400 `invalid_json`; `rejected`", f"{_CALLERS}::test_c11_"),
    Scene("C12", "nesting and numbers without end", "400 `invalid_json`, at once", f"{_CALLERS}::test_c11_"),
    Scene("C13", "wrong types; `n` or `max_tokens` beyond all budgets", "400, or 402 `request_exceeds_budget`", f"{_CALLERS}::test_c13_"),
    Scene("C14", "unknown model", "404 `model_not_found`, naming what the key may use", f"{_CALLERS}::test_c14_"),
    Scene("C15", "a model the key may not use", "the same 404", f"{_CALLERS}::test_c14_"),
    Scene("C16", "no key, no valid key", "401, closed, nothing read, no row", f"{_CALLERS}::test_c16_"),
    Scene("C17", "revoked or expired key, disabled team", "401 `key_revoked`; running streams end in 10 s", f"{_CALLERS}::test_c17_"),
    Scene("C18", "budget spent", "429 `insufficient_quota`, not to be retried", f"{_CALLERS}::test_c18_"),
    Scene("C19", "budget full of holds", "429 `budget_in_flight`, Retry-After 1 to 5", f"{_CALLERS}::test_c18_"),
    Scene("C20", "one request above the whole budget", "402 `request_exceeds_budget`", f"{_CALLERS}::test_c18_"),
    Scene("C21", "over its rate or concurrency", "429 `rate_limited`, exact Retry-After", f"{_CALLERS}::test_c21_"),
    Scene("C22", "the gateway is full", "503 `overloaded` (529 as Anthropic), Retry-After 1 to 4", "door/test_admission.py::test_c22_"),
    Scene(
        "C23", "`x-request-timeout-ms` runs out", "504 `deadline_exceeded`; provider hung up on; health untouched", f"{_CALLERS}::test_c23_"
    ),
    Scene("C24", "pipelined, HTTP/1.0, Expect, half-closed", "answered; half-closed is a caller that left", f"{_CALLERS}::test_c24_"),
    Scene(
        "C25", "`x-cogo-cache: only` without a kept answer", "504 `cache_miss`, not to be retried; nothing is sent", f"{_CACHE}::test_only_"
    ),
    Scene("C26", "`x-cogo-cache` or its ttl says nothing", "400 that names the choices; `rejected`", f"{_CACHE}::test_a_word_that"),
    Scene("C27", "twins at once, cache wanted", "one is sent; a failed leader passes the lead on", f"{_WALK}::test_a_failed_leader"),
    Scene("C28", "the shelf of kept answers is slow or broken", "a miss; after three faults it is left alone", f"{_KEPT}::test_a_silent"),
)

PROCESS = (
    Scene("P1", "SIGTERM, idle", "exit 0 at once; rests are kept", f"{_DRAIN}::test_an_idle"),
    Scene("P2", "SIGTERM with streams", "they finish or end with `server_shutting_down`; settled; exit 0", f"{_DRAIN}::test_streams_end"),
    Scene("P3", "a second signal", "streams end at once, with the event", f"{_DRAIN}::test_a_second_signal"),
    Scene("P4", "SIGKILL", "rows become `orphaned`, holds are resolved", f"{_LEASES}::test_a_start_reaps"),
    Scene(
        "P6",
        "database away at the start",
        "the process lives, 503 `store_unavailable`, `/readyz` red",
        "door/test_without_database.py::test_a_process",
    ),
    Scene("P7", "database away", "503 `store_unavailable`; nothing is sent", f"{_OUTAGES}::test_nothing_is_opened"),
    Scene(
        "P8",
        "database away during a stream",
        "the stream goes on; its settlement is spooled, booked once",
        f"{_OUTAGES}::test_a_settlement_is",
    ),
    Scene(
        "P8-failover",
        "the database turns read-only, as a primary does in a failover",
        "503 `store_unavailable` before the call; streams go on and their settlements are spooled, booked once it takes writes",
        "postgres/test_scenes.py::test_a_failover",
    ),
    Scene("P9", "database locked", "503 `store_busy` before the call, never after content", f"{_OUTAGES}::test_a_locked"),
    Scene("P10", "disk full", "503 `store_full`; texts go first", f"{_OUTAGES}::test_a_full_disk"),
    Scene("P14", "a task delivered twice", "one effect", "money/test_tasks.py::test_a_job_that_is_delivered_twice"),
    Scene("P15", "the clock jumps", "nobody is reaped, nothing resets twice", f"{_LEASES}::test_a_clock_that_jumps"),
    Scene("P18", "a provider key is replaced", "what runs ends with the old one, what begins has the new one", f"{_APART}::test_p18"),
    Scene("P20", "something blocks the event loop", "the log says what", "telemetry/test_loop_watch.py::test_who_blocks"),
    Scene(
        "P21",
        "all candidates rest",
        "503 `no_healthy_deployment` at once with the shortest wait; of passing faults one request goes through",
        "engine/test_health_of_deployments.py::test_p21",
    ),
    Scene(
        "P22", "the webhook of alerts is down", "tried again, never mailed twice, given up in the end", "money/test_alerts.py::test_a_sink"
    ),
)
