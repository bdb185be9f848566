"""What the router does after a failed attempt: the "Next" column of the fault matrix, in one place.

There is no other retry loop. Three attempts per request at most; the same target again only once,
and only under the retry budget (a stale pooled connection is free, nothing was asked there yet).
"""

from __future__ import annotations

from typing import Literal

import msgspec

from llm_gateway.core.errors import Failure, FailureClass

MAX_ATTEMPTS = 3
SAME_TARGET_WAIT_S = 2.0
BASE_DELAY_S = 0.5
MIN_WAIT_S = 0.25

Kind = Literal["next", "same", "stop"]
Reach = Literal["any", "other_key", "other_host", "other_model", "larger_window"]

_F = FailureClass
# The request itself is at fault, or its caller is gone: another target would not help.
_FINAL = frozenset({_F.BAD_REQUEST, _F.UNSUPPORTED_PARAMETER, _F.DEADLINE})
_REACH: dict[FailureClass, Reach] = {
    _F.AUTH: "other_key",
    _F.QUOTA: "other_key",
    _F.DNS: "other_host",
    _F.CONTEXT_LENGTH: "larger_window",
    _F.TOO_LARGE: "larger_window",
    _F.CONTENT_FILTER: "other_model",
}
# Transient faults of a host: worth a second try of the same target if there is no other.
_SOFT = frozenset({_F.SERVER_ERROR, _F.RESET, _F.TRUNCATED, _F.NO_TERMINAL})
# The provider answered that it is busy, so its explicit x-should-retry is credible.
_TIMED = frozenset({_F.RATE_LIMITED, _F.OVERLOADED, _F.TIMEOUT, _F.ERROR_IN_200})


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """``next``: the next candidate within ``scope``; ``same``: this target again after ``delay_s``;
    ``stop``: tell the caller.

    ``scope`` says which candidates remain eligible for the rest of this request: ``any`` of them,
    those with ``other_key`` (a second key of the same provider first), on ``other_host``, of an
    ``other_model``, or with a ``larger_window``. None eligible: stop. ``why`` is for the decision
    record.
    """

    kind: Kind
    delay_s: float = 0.0
    scope: Reach = "any"
    why: str = ""


class RetryBudget(msgspec.Struct, frozen=True, kw_only=True):
    """Retries of the same target may be a fifth of what is in flight, and always three (Envoy's and
    Finagle's shape)."""

    in_flight: int
    retrying: int
    ratio: float = 0.2
    floor: int = 3

    @property
    def allows(self) -> bool:
        return self.retrying < max(self.floor, int(self.in_flight * self.ratio))


def reach(kind: FailureClass) -> Reach:
    """Which candidates could still answer after a failure of ``kind``; the ``scope`` of the
    step."""
    return _REACH.get(kind, "any")


def after(
    failure: Failure,
    *,
    attempts: int,
    same_target_tries: int,
    others_left: bool,
    remaining_s: float,
    content_sent: bool,
    draw: float,
    budget_allows: bool,
    first_event_s: float = 0.0,
    content_policy_fallback: bool = False,
) -> Step:
    """The step after ``failure``.

    ``attempts``: upstream calls of this request so far, the failed one included;
    ``same_target_tries``: those of them that went to this target (1 after its first).
    ``remaining_s``: until the caller's deadline. ``first_event_s``: the first-event clock of an
    attempt; a timeout that leaves less than one of those is final (U5). ``draw`` is uniform in [0,
    1).
    """
    kind = failure.kind
    if content_sent:
        return _stop("content has reached the caller")
    if attempts >= MAX_ATTEMPTS:
        return _stop(f"{MAX_ATTEMPTS} attempts were made")
    if remaining_s <= 0:
        return _stop("the deadline passed")
    if kind is _F.STALE_CONNECTION and same_target_tries < 2:
        return Step(kind="same", why="a pooled connection had been closed; a new one costs nothing")
    first_try = same_target_tries < 2 and budget_allows
    if kind is _F.CONTENT_FILTER and not content_policy_fallback:
        return _stop("the provider's content filter decided")
    if kind in _FINAL:
        if failure.should_retry and first_try and kind is not _F.DEADLINE:
            return _same(failure, remaining_s, draw, "the provider asks for a retry") or _stop("the wait is too long")
        return _stop("the request would fail everywhere")
    if kind is _F.CONFLICT and first_try and failure.should_retry is not False:
        step = _same(failure, remaining_s, draw, "a conflict passes")
        if step:
            return step
    if kind in (_F.TTFB_TIMEOUT, _F.TOTAL_TIMEOUT) and remaining_s < max(first_event_s, MIN_WAIT_S):
        return _stop("the deadline leaves no time for another first event")
    if others_left:
        return Step(kind="next", scope=reach(kind), why=kind.value)
    if first_try and _may_repeat(failure):
        step = _same(failure, remaining_s, draw, "there is no other target")
        if step:
            return step
    return _stop("no candidate is left")


def _may_repeat(failure: Failure) -> bool:
    if failure.should_retry is False:
        return False
    if failure.kind in _SOFT or failure.kind is _F.CONFLICT:
        return True
    if failure.kind is _F.RATE_LIMITED and failure.retry_after_s is not None:
        return True
    return failure.should_retry is True and failure.kind in _TIMED


def _same(failure: Failure, remaining_s: float, draw: float, why: str) -> Step | None:
    wait = failure.retry_after_s
    if wait is None:
        delay = BASE_DELAY_S * (1 - 0.25 * draw)
    elif wait > SAME_TARGET_WAIT_S:
        return None
    else:
        # Never earlier than the provider asked, and spread out so that not all callers retry at
        # once.
        delay = max(wait, MIN_WAIT_S) + 0.1 * draw
    return Step(kind="same", delay_s=delay, why=why) if delay < remaining_s else None


def _stop(why: str) -> Step:
    return Step(kind="stop", why=why)
