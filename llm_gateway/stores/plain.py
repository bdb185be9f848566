"""A settlement as JSON-able values within what the columns take: what is written, and what the spool keeps when the database is away.

Nothing here raises, whatever a provider or a caller sent: a settlement that cannot be written would be money that nobody sees.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any

import msgspec

from llm_gateway.core.redact import without_keys
from llm_gateway.core.usage import MAX_TOKENS
from llm_gateway.engine.calls import AttemptRecord
from llm_gateway.engine.ports import Settlement

MAX_INT = 2**31 - 1
MAX_SMALL = 2**15 - 1
MAX_MONEY = 2**62
_WORDS = ("usage_source", "service_tier")
_ESCAPED_NUL = re.compile(r"(?<!\\)((?:\\\\)*)\\u0000")


def plain(s: Settlement) -> dict[str, Any]:
    target = s.target or s.opened.target
    began = s.opened.at
    cost = _money(s.cost_nusd)
    charge = _money(s.charge_nusd)
    row: dict[str, Any] = {
        # A clock that jumped back while the request ran must not let it end before it began.
        "finished_at": _moment(s.at, began),
        "state": s.state,
        "served_model": short(without_keys(s.served_model), 200),
        "attempt_count": min(len(s.attempts), MAX_SMALL),
        "http_status": _whole(s.status, MAX_SMALL),
        "error_code": short(s.error_code, 40),
        "finish_reason": short(s.finish_reason, 20),
        "flags": short(s.flags, 100),
        "usage_source": "",
        "cost_nusd": cost,
        "price_id": s.price_id,
        "latency_ms": _whole(s.latency_ms, MAX_INT),
        "ttft_ms": _whole(s.ttft_ms, MAX_INT),
        "lease_until": None,
        "decision": as_json(s.decision),
    }
    for name, value in s.usage.items():
        row[name] = short(value or "", 20) if name in _WORDS else _whole(value, MAX_TOKENS)
    if target is not s.opened.target:
        row["provider_id"] = target.provider.id
        row["model_id"] = target.model.id
        row["provider_slug"] = target.provider.slug
        row["simulated"] = target.provider.simulated
    return {
        "id": s.id.hex,
        "row": row,
        "attempts": [_attempt(a, began) for a in s.attempts],
        "charge": charge if charge is not None else _money(s.opened.hold_nusd) or 0,
        "shares": _shares(s),
        "prompt": s.prompt,
        "answer": s.answer,
    }


def _shares(s: Settlement) -> dict[str, dict[str, int]]:
    """What each provider and each model has a part in: a budget of one is not charged for another's answer. As for the whole request,
    what is only feared never takes a part above the hold."""
    hold = s.opened.hold_nusd
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


def _attempt(a: AttemptRecord, began: float) -> dict[str, Any]:
    return {
        "number": a.number,
        "provider_id": a.provider_id,
        "provider_slug": a.provider,
        "provider_key_id": a.credential_id,
        "upstream_id": short(without_keys(a.upstream_id), 200),
        "outcome": a.outcome,
        "error_class": short(a.error_class, 24),
        "http_status": _whole(a.status, MAX_SMALL),
        "detail": short(a.detail, 500),
        "upstream_request_id": short(a.upstream_request_id, 100),
        "started_at": _moment(a.started_at, began),
        "latency_ms": _whole(a.latency_ms, MAX_INT),
        "ttft_ms": _whole(a.ttft_ms, MAX_INT),
        "bytes_received": _whole(a.bytes_received, MAX_MONEY) or 0,
        "streamed": a.streamed,
        "billed": short(a.billed, 10),
        "maybe_billed": a.maybe_billed,
        "cost_nusd": _money(a.cost_nusd),
    }


def bare(settlement: Mapping[str, Any]) -> dict[str, Any]:
    """The same end and the same money without anything a database could refuse."""
    kept = ("finished_at", "state", "http_status", "cost_nusd")
    row = {name: settlement["row"].get(name) for name in kept}
    row |= {"lease_until": None, "attempt_count": 0, "error_code": "", "finish_reason": "", "served_model": "", "usage_source": "estimated"}
    return {**settlement, "row": {**row, "flags": "bare"}, "attempts": [], "prompt": None, "answer": None}


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
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return None
    return min(max(int(value), 0), most)


def _money(value: int | None) -> int | None:
    return _whole(value, MAX_MONEY)


def _moment(seconds: float, began: float) -> float:
    return max(seconds, began) if math.isfinite(seconds) else began
