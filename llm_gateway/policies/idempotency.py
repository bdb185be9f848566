"""What happens to a request whose ``Idempotency-Key`` was seen before (reliability.md C5 to C8).
Pure.

The shape is Stripe's: status and body are stored once execution began, failures included; the same
key with other parameters is refused, and so is a twin of what still runs.
https://docs.stripe.com/api/idempotent_requests
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal
from uuid import UUID

import msgspec

from llm_gateway.core.errors import InvalidRequest

HEADER = "idempotency-key"
# The caller's consent to pay a second time for an execution of unknown outcome.
AGAIN_HEADER = "x-cogo-reexecute"
LONGEST_KEY = 255
# A larger answer is not stored: a duplicate gets an error that says so.
LARGEST_ANSWER = 4 * 1024 * 1024

# States of a log row whose execution may have ended before it called a provider.
ENDED = ("failed", "client_cancelled")

Verdict = Literal["take", "replay", "in_flight", "mismatch", "unknown"]


class Known(msgspec.Struct, frozen=True, kw_only=True):
    """A record as it stands. ``original``: state of the log row of the execution that holds it,
    ``None`` where there is none; ``sent``: whether that execution called a provider. Both are
    looked at only while it runs."""

    state: str
    body_hash: str
    request_id: UUID
    lease_until: datetime
    expires_at: datetime
    original: str | None = None
    sent: bool = False


def verdict(known: Known, body_hash: str, now: datetime, *, again: bool = False) -> Verdict:
    """``take``: this request may execute in its place."""
    alive = known.state == "running" and known.lease_until > now and known.original != "orphaned"
    if known.expires_at <= now and not alive:
        return "take"
    if known.body_hash != body_hash:
        return "mismatch"
    if known.state == "finished":
        return "replay"
    if alive:
        return "in_flight"
    # The execution died. Its row is committed before any byte goes to a provider, so without a row,
    # or with a refused one, nothing was sent.
    never_sent = known.state == "running" and not known.sent and known.original in (None, "rejected", *ENDED)
    return "take" if again or never_sent else "unknown"


def checked_key(text: str) -> str:
    """Raises :class:`InvalidRequest`."""
    key = text.strip()
    if not key or len(key) > LONGEST_KEY or not key.isprintable():
        raise InvalidRequest(f"`Idempotency-Key` has to be a text of 1 to {LONGEST_KEY} characters, such as a UUID.", param=HEADER)
    return key


def kept(status: int, retryable: bool, sent: bool) -> bool:
    """Whether an answer is stored. A refusal before anything was sent is not, and neither is one
    that invites the caller to try again: nothing was billed for it, and replaying it would make the
    invitation a lie."""
    return status < 400 or (sent and not retryable)
