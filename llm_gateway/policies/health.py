"""What a failure changes about a key or a deployment: the "Key / deployment state" column of the
fault matrix.

A caller's own fault (400, 409, 413, 422, content filter) never changes the state of anything.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Literal

import msgspec

from llm_gateway.core.errors import Failure, FailureClass

MIN_COOLDOWN_S = 0.25
MAX_COOLDOWN_S = 600.0
MAX_BACKOFF_S = 60.0
QUOTA_COOLDOWN_S = 600.0
SUSPEND_S = 300.0
GONE_S = 900.0
FORBIDDEN_S = 3600.0

EffectScope = Literal["none", "deployment", "key", "endpoint"]
EffectKind = Literal["none", "failure", "cooldown", "suspend", "disable", "trip", "recover"]

_F = FailureClass
_NEUTRAL = frozenset(
    {
        _F.STALE_CONNECTION,
        _F.BAD_REQUEST,
        _F.UNSUPPORTED_PARAMETER,
        _F.CONFLICT,
        _F.TOO_LARGE,
        _F.CONTEXT_LENGTH,
        _F.CONTENT_FILTER,
        _F.DEADLINE,
    }
)
_ALARMING_FAILURES = frozenset({_F.TOO_LARGE_RESPONSE, _F.EVENT_TOO_LARGE})


class Effect(msgspec.Struct, frozen=True, kw_only=True):
    """``failure`` is counted by the breaker; ``cooldown`` and ``suspend`` keep the scope out of
    routing until ``until``; ``disable`` does so until somebody edits or re-enables it, or until
    ``until`` when a probe may look again. ``trip``: a breaker opened, to be probed at ``until``;
    ``recover``: it closed before that.

    ``scope``: ``deployment`` is key × model, ``key`` all models of the key, ``endpoint`` every
    deployment of the host. ``alarm``: tell the operator.
    """

    scope: EffectScope = "none"
    kind: EffectKind = "none"
    until: datetime | None = None
    reason: str = ""
    alarm: bool = False


def effect(failure: Failure, now: datetime, consecutive: int, draw: float) -> Effect:
    """The state change of ``failure``. ``consecutive``: how many failures of this deployment in a
    row came before this one."""
    kind = failure.kind
    if kind in _NEUTRAL:
        return Effect(reason=kind.value)
    match kind:
        case _F.AUTH:
            return Effect(scope="key", kind="disable", reason="the provider refused the key; replace it", alarm=True)
        case _F.QUOTA:
            return _for("key", "cooldown", now, QUOTA_COOLDOWN_S, "the account is out of credit", alarm=True)
        case _F.FORBIDDEN:
            return _for("deployment", "disable", now, FORBIDDEN_S, "the key may not use this model", alarm=True)
        case _F.MODEL_GONE:
            return _for("deployment", "suspend", now, GONE_S, "the provider does not serve this model to this key")
        case _F.TLS:
            return _for("deployment", "suspend", now, SUSPEND_S, "no trusted TLS connection", alarm=True)
        case _F.REDIRECT:
            return _for("deployment", "suspend", now, SUSPEND_S, "the provider redirects; correct its base URL", alarm=True)
        case _F.DNS:
            return Effect(scope="endpoint", kind="failure", reason=kind.value)
        case _F.CONFIG:
            return Effect(reason="the configuration of this provider or key does not work", alarm=True)
        case _F.RATE_LIMITED | _F.OVERLOADED:
            return _for("deployment", "cooldown", now, cooldown_s(failure, consecutive, draw), kind.value)
    return Effect(scope="deployment", kind="failure", reason=kind.value, alarm=kind in _ALARMING_FAILURES)


def tripped(kind: FailureClass, now: datetime, rest_s: float) -> Effect:
    """The deployment's breaker opened for ``rest_s`` after failures, the last one of ``kind``."""
    return _for("deployment", "trip", now, rest_s, f"kept failing: {kind.value}")


def recovered() -> Effect:
    return Effect(scope="deployment", kind="recover", reason="answers again")


def cooldown_s(failure: Failure, consecutive: int, draw: float) -> float:
    """How long a limited or overloaded deployment rests, in seconds.

    The provider's requested wait, clamped to [0.25 s, 10 min]; else 2 s × 2ⁿ for an overload that
    is no plain 503 (529), else full jitter below 1 s × 2ⁿ; both at most 60 s.
    """
    if failure.retry_after_s is not None:
        return min(max(failure.retry_after_s, MIN_COOLDOWN_S), MAX_COOLDOWN_S)
    doubled = float(2 ** min(max(consecutive, 0), 10))
    if failure.kind is _F.OVERLOADED and failure.status != 503:
        return min(2 * doubled, MAX_BACKOFF_S)
    return max(MIN_COOLDOWN_S, min(doubled, MAX_BACKOFF_S) * draw)


def _for(scope: EffectScope, kind: EffectKind, now: datetime, seconds: float, reason: str, *, alarm: bool = False) -> Effect:
    return Effect(scope=scope, kind=kind, until=now + timedelta(seconds=seconds), reason=reason, alarm=alarm)
