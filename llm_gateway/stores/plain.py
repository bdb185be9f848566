"""A settlement as plain values within what the columns take: what is written, and what the spool keeps when the database is away.

Nothing here raises, whatever a provider or a caller sent: a settlement that cannot be written would be money that nobody sees.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, TypedDict

import msgspec

from llm_gateway.core.redact import without_keys
from llm_gateway.core.usage import MAX_TOKENS, UsageSource
from llm_gateway.engine.calls import AttemptRecord
from llm_gateway.engine.ports import Settlement
from llm_gateway.policies.hold import BillingRule

from .columns import ATTEMPT, COUNTS, MOVED, SETTLED

MAX_INT = 2**31 - 1
MAX_SMALL = 2**15 - 1
MAX_MONEY = 2**62
# Words of ours, which every column takes.
_SOURCES = frozenset(("", *(source.value for source in UsageSource)))
_RULES = frozenset(rule.value for rule in BillingRule)
_ESCAPED_NUL = re.compile(r"(?<!\\)((?:\\\\)*)\\u0000")


class Ended(TypedDict):
    """A settlement on its way. ``id``: 32 hex digits. ``row``: in the order of ``SETTLED``. ``moved``: in the order of ``MOVED``, where
    another target answered than the one it was opened for. ``attempts``: in the order of ``ATTEMPT``, without the request. ``charge``:
    nano-USD; ``shares``: what of it each provider and each model has a part in. ``sealed``: the texts are encrypted."""

    id: str
    row: list[Any]
    moved: tuple[Any, ...] | None
    attempts: list[tuple[Any, ...]]
    charge: int
    shares: dict[str, dict[str, int]] | None
    prompt: str | None
    answer: str | None
    sealed: bool


def plain(s: Settlement) -> Ended:
    began = s.opened.at
    cost: int | None = s.cost_nusd
    charge: int | None = s.charge_nusd
    if not (type(cost) is int and 0 <= cost <= MAX_MONEY):
        cost = _money(cost)
    if not (type(charge) is int and 0 <= charge <= MAX_MONEY):
        charge = _money(charge)
    usage, served, ttft_ms = s.usage, s.served_model, s.ttft_ms
    # What a type says of it is no reason to raise here.
    latency_ms: Any = s.latency_ms
    target = s.target
    moved = None
    if target is not None and target is not s.opened.target:
        moved = (target.provider.id, target.model.id, target.provider.slug, target.provider.simulated)
    row = [
        # A clock that jumped back while the request ran must not let it end before it began.
        _moment(s.at, began), s.state, served and _named(served), min(len(s.attempts), MAX_SMALL),
        _whole(s.status, MAX_SMALL), s.error_code and short(s.error_code, 40), s.finish_reason and short(s.finish_reason, 20),
        s.flags and short(s.flags, 100),
        *[n if n is None or (type(n) is int and 0 <= n <= MAX_TOKENS) else _whole(n, MAX_TOKENS) for n in map(usage.get, COUNTS)],
        (tier := usage.get("service_tier") or "") and short(tier, 20),
        source if (source := usage.get("usage_source") or "") in _SOURCES else short(source, 20),
        cost, s.price_id,
        latency_ms if type(latency_ms) is int and 0 <= latency_ms <= MAX_INT else _whole(latency_ms, MAX_INT),
        ttft_ms if type(ttft_ms) is int and 0 <= ttft_ms <= MAX_INT else _whole(ttft_ms, MAX_INT), None, as_json(s.decision),
    ]  # fmt: skip
    return {
        "id": s.id.hex,
        "row": row,
        "moved": moved,
        "attempts": [_attempt(a, began) for a in s.attempts],
        "charge": charge if charge is not None else _money(s.opened.hold_nusd) or 0,
        "shares": _shares(s),
        "prompt": s.prompt,
        "answer": s.answer,
        "sealed": False,
    }


def _shares(s: Settlement) -> dict[str, dict[str, int]]:
    """What each provider and each model has a part in: a budget of one is not charged for another's answer. As for the whole request,
    what is only feared never takes a part above the hold."""
    hold = s.opened.hold_nusd
    if len(s.attempts) == 1 and (only := s.attempts[0]).billed == "reported" and (cost := only.cost_nusd) is not None:
        if not (type(cost) is int and 0 <= cost <= MAX_MONEY):
            cost = _money(cost) or 0
        return {"provider": {str(only.provider_id): cost}, "model": {str(only.model_id): cost}}
    sums: dict[tuple[str, int], tuple[int, int]] = {}
    for a in s.attempts:
        sure = a.cost_nusd if a.billed == "reported" and a.cost_nusd is not None else 0
        feared = 0 if sure or (a.billed == "reported" and a.cost_nusd == 0) else hold if a.cost_nusd is None else a.cost_nusd
        for key in (("provider", a.provider_id), ("model", a.model_id)):
            before = sums.get(key, (0, 0))
            sums[key] = (before[0] + sure, before[1] + feared)
    found: dict[str, dict[str, int]] = {"provider": {}, "model": {}}
    for (kind, number), (sure, feared) in sums.items():
        found[kind][str(number)] = min(_money(sure + min(feared, max(0, hold - sure))) or 0, MAX_MONEY)
    return found


def _attempt(a: AttemptRecord, began: float) -> tuple[Any, ...]:
    status, latency_ms, ttft_ms, received, billed, cost = a.status, a.latency_ms, a.ttft_ms, a.bytes_received, a.billed, a.cost_nusd
    return (
        _moment(a.started_at, began), a.number, a.provider_id, a.provider, a.credential_id, _named(a.upstream_id),
        a.outcome, a.error_class and short(a.error_class, 24),
        status if type(status) is int and 0 <= status <= MAX_SMALL else _whole(status, MAX_SMALL), a.detail and short(a.detail, 500),
        a.upstream_request_id and short(a.upstream_request_id, 100),
        latency_ms if type(latency_ms) is int and 0 <= latency_ms <= MAX_INT else _whole(latency_ms, MAX_INT),
        ttft_ms if type(ttft_ms) is int and 0 <= ttft_ms <= MAX_INT else _whole(ttft_ms, MAX_INT),
        received if type(received) is int and 0 <= received <= MAX_MONEY else _whole(received, MAX_MONEY) or 0, a.streamed,
        billed if billed in _RULES else short(billed, 10), a.maybe_billed,
        cost if type(cost) is int and 0 <= cost <= MAX_MONEY else _money(cost),
    )  # fmt: skip


@lru_cache(maxsize=2048)
def _named(model: str) -> str:
    """A model's name as its column takes it: the same few for nearly all requests."""
    return short(without_keys(model), 200)


def durable(ended: Ended) -> dict[str, Any]:
    """With names instead of places, as the spool keeps it: a version with other columns can read it back."""
    row = dict(zip(SETTLED, ended["row"], strict=True))
    if ended["moved"] is not None:
        row |= zip(MOVED, ended["moved"], strict=True)
    attempts = [dict(zip(ATTEMPT[1:], attempt, strict=True)) for attempt in ended["attempts"]]
    return {**{name: value for name, value in ended.items() if name != "moved"}, "row": row, "attempts": attempts}


def revived(kept: Mapping[str, Any]) -> Ended:
    """What :func:`durable` made, in this version or another. A column that it does not name is empty; names unknown here are left out."""
    row = kept["row"]
    values = [row.get(name) for name in SETTLED]
    for name in ("served_model", "error_code", "finish_reason", "flags", "service_tier", "usage_source"):
        place = SETTLED.index(name)
        values[place] = values[place] or ""
    return {
        "id": kept["id"],
        "row": values,
        "moved": tuple(row[name] for name in MOVED) if MOVED[0] in row else None,
        "attempts": [tuple(attempt.get(name) for name in ATTEMPT[1:]) for attempt in kept["attempts"]],
        "charge": kept["charge"],
        "shares": kept.get("shares"),
        "prompt": kept["prompt"],
        "answer": kept["answer"],
        "sealed": bool(kept.get("sealed")),
    }


def bare(ended: Ended) -> Ended:
    """The same end and the same money without anything a database could refuse."""
    kept = dict(zip(SETTLED, ended["row"], strict=True))
    row = {name: kept[name] for name in ("finished_at", "state", "http_status", "cost_nusd")}
    row |= {"attempt_count": 0, "error_code": "", "finish_reason": "", "served_model": "", "usage_source": "estimated", "flags": "bare"}
    row["service_tier"] = ""
    values = [row.get(name) for name in SETTLED]
    return {**ended, "row": values, "moved": None, "attempts": [], "prompt": None, "answer": None}


def short(text: str, limit: int) -> str:
    """Text a database takes: no NUL, no lone surrogate."""
    if not text.isprintable():
        text = text.replace("\x00", "").encode("utf-8", "replace").decode("utf-8")
    return text[:limit]


def as_json(value: Mapping[str, Any] | None) -> str | None:
    """JSON that PostgreSQL's jsonb takes, too: no NUL, no lone surrogate, no NaN. Keys that a caller put into it are masked."""
    if value is None:
        return None
    try:
        text = msgspec.json.encode(value).decode()
    except (TypeError, ValueError, OverflowError, RecursionError, msgspec.MsgspecError):
        text = _patient(value)
    text = without_keys(text)
    return _ESCAPED_NUL.sub(r"\1", text) if "\\u0000" in text else text


def _patient(value: Mapping[str, Any]) -> str:
    try:
        text = json.dumps(value, ensure_ascii=False, default=str, skipkeys=True, allow_nan=False)
    except (TypeError, ValueError, OverflowError, RecursionError):
        return '{"unreadable":true}'
    return text.encode("utf-8", "replace").decode()


def _whole(value: Any, most: int) -> int | None:
    if value is None or (type(value) is int and 0 <= value <= most):
        return value
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return min(max(int(value), 0), most)


def _money(value: int | None) -> int | None:
    if value is None or (type(value) is int and 0 <= value <= MAX_MONEY):
        return value
    return _whole(value, MAX_MONEY)


def _moment(seconds: float, began: float) -> float:
    return max(seconds, began) if math.isfinite(seconds) else began
