"""How a request can stand and what kinds of request there are. Stored as these words, so a word is
never renamed."""

from __future__ import annotations

from enum import StrEnum


class RequestState(StrEnum):
    """``OPEN`` becomes one of the next five; ``REJECTED`` and ``REPLAYED`` rows are written
    finished. No other transition exists.

    ``PARTIAL``: the answer broke off after its first byte. ``ORPHANED``: the process died, and the
    reaper closed the row. ``REPLAYED``: an idempotent repeat that got the stored answer.
    """

    OPEN = "open"
    OK = "ok"
    PARTIAL = "partial"
    FAILED = "failed"
    CLIENT_CANCELLED = "client_cancelled"
    REJECTED = "rejected"
    ORPHANED = "orphaned"
    REPLAYED = "replayed"


# Requests that the pipeline never served: they cost nothing and are in no count of served ones.
UNSERVED = (RequestState.OPEN, RequestState.REJECTED, RequestState.REPLAYED)


class EntryState(StrEnum):
    """Of a ledger entry: ``HELD`` reserves money; the entry ends as ``POSTED``, or costs nothing as
    ``VOIDED`` or ``EXPIRED``."""

    HELD = "held"
    POSTED = "posted"
    VOIDED = "voided"
    EXPIRED = "expired"


class EntryKind(StrEnum):
    """``REQUEST``: what a request itself costs. ``ADJUSTMENT``: a later correction, which never
    changes the first entry."""

    REQUEST = "request"
    ADJUSTMENT = "adjustment"
