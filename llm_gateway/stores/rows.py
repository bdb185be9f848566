"""The journal's SQL: parameters from the engine's values, statements for SQLite and PostgreSQL.

Raw statements on the driver's own cursor, because this is the one place where thousands of rows a second are written. Everything here
runs inside a transaction that the journal opened.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec
from django.db import connection, models

from llm_gateway.engine.ports import Opening, Rejection, Settlement
from llm_gateway.models import Attempt, LedgerEntry, RequestBody, RequestLog

_USAGE = (
    "input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "cache_write_1h_tokens", "reasoning_tokens",
    "audio_input_tokens", "audio_output_tokens", "usage_source",
)  # fmt: skip

_OPENED = (
    "id", "created_at", "state", "kind", "dialect", "team_id", "client_key_id", "user_id", "asked_model", "strategy", "provider_id",
    "model_id", "provider_slug", "stream", "simulated", "hold_nusd", "worker", "lease_until", "tag", "metadata",
)  # fmt: skip
_SETTLED = (
    "finished_at", "state", "served_model", "attempt_count", "http_status", "error_code", "finish_reason", "flags", *_USAGE, "cost_nusd",
    "price_id", "latency_ms", "ttft_ms", "lease_until", "decision",
)  # fmt: skip
# Indexed columns apart: an UPDATE that names them rewrites their index entries, and most requests end where they began.
_MOVED = ("provider_id", "model_id", "provider_slug", "simulated")
_REJECTED = (
    "id", "created_at", "finished_at", "state", "kind", "dialect", "team_id", "client_key_id", "user_id", "asked_model", "strategy",
    "stream", "http_status", "error_code", "latency_ms", "tag", "metadata", "cost_nusd",
)  # fmt: skip
_ATTEMPT = (
    "request_id", "number", "provider_id", "provider_slug", "provider_key_id", "upstream_id", "outcome", "error_class", "http_status",
    "detail", "upstream_request_id", "started_at", "latency_ms", "ttft_ms", "bytes_received", "streamed", "billed", "maybe_billed",
    "cost_nusd",
)  # fmt: skip
_LEDGER = ("request_id", "budget_id", "period_id", "kind", "state", "held_nusd", "amount_nusd", "created_at", "note")
_BODY = ("request_id", "created_at", "prompt", "answer")


class Writer:
    """Statements and converters of the connected database. One per journal thread."""

    def __init__(self) -> None:
        self.sqlite = connection.vendor == "sqlite"
        self._mark = "?" if self.sqlite else "%s"
        self._insert_open = self._insert(RequestLog, _OPENED)
        self._insert_rejected = self._insert(RequestLog, _REJECTED)
        self._insert_attempt = self._insert(Attempt, _ATTEMPT, "ON CONFLICT DO NOTHING")
        self._insert_ledger = self._insert(LedgerEntry, _LEDGER, "ON CONFLICT DO NOTHING")
        self._insert_body = self._insert(RequestBody, _BODY, "ON CONFLICT DO NOTHING")
        self._update_settled = self._update(_SETTLED)
        self._update_moved = self._update(_MOVED)

    def opened(self, openings: Sequence[Opening], worker: str, lease_until: datetime) -> None:
        self._many(self._insert_open, [self._open_row(o, worker, lease_until) for o in openings])

    def rejected(self, rejections: Sequence[Rejection]) -> None:
        self._many(self._insert_rejected, [self._rejected_row(r) for r in rejections])

    def settled(self, settlements: Sequence[Mapping[str, Any]]) -> None:
        """Settlements in the plain form of :func:`plain`."""
        at = self.at
        rows = []
        moved = []
        attempts = []
        for s in settlements:
            row = s["row"]
            values = [row.get(name) for name in _SETTLED]
            values[0] = at(row["finished_at"])
            values[-1] = row["decision"]
            rows.append((*values, self.uuid(s["id"])))
            if "provider_id" in row:
                moved.append((*(row[name] for name in _MOVED), self.uuid(s["id"])))
            for a in s["attempts"]:
                found = [a.get(name) for name in _ATTEMPT]
                found[0] = self.uuid(s["id"])
                found[_STARTED] = at(a["started_at"])
                attempts.append(tuple(found))
        self._many(self._update_moved, moved)
        self._many(self._update_settled, rows)
        self._many(self._insert_attempt, attempts)

    def ledger(self, entries: Iterable[tuple[UUID, int, str, int, float, str]]) -> None:
        """(request, budget, period, held, at, note)"""
        rows = [
            (self.uuid(request), budget, period, "request", "held", held, held, self.at(at), note)
            for request, budget, period, held, at, note in entries
        ]
        self._many(self._insert_ledger, rows)

    def bodies(self, rows: Iterable[tuple[str, float, str, str]]) -> None:
        self._many(self._insert_body, [(self.uuid(request), self.at(at), prompt, answer) for request, at, prompt, answer in rows])

    def uuid(self, value: UUID | str) -> Any:
        known = value if isinstance(value, UUID) else UUID(value)
        return known.hex if self.sqlite else known

    def at(self, seconds: float | None) -> Any:
        if seconds is None:
            return None
        moment = datetime.fromtimestamp(seconds, UTC)
        return moment.strftime("%Y-%m-%d %H:%M:%S.%f") if self.sqlite else moment

    def _open_row(self, o: Opening, worker: str, lease_until: datetime) -> tuple[Any, ...]:
        call, target = o.call, o.target
        identity = call.identity
        lease = self.at(lease_until.timestamp())
        return (
            self.uuid(call.id), self.at(o.at), "open", call.kind, call.inbound.dialect, identity.team_id, identity.client_key_id, call.user_id,
            _short(call.inbound.model, 200), o.strategy, target.provider.id, target.model.id, target.provider.slug, call.stream,
            o.simulated, o.hold_nusd, worker, lease, _short(call.tag, 60), _json(call.metadata),
        )  # fmt: skip

    def _rejected_row(self, r: Rejection) -> tuple[Any, ...]:
        call = r.call
        identity = call.identity
        at = self.at(r.at)
        return (
            self.uuid(call.id), at, at, r.state, call.kind, call.inbound.dialect, identity.team_id, identity.client_key_id, call.user_id,
            _short(call.inbound.model, 200), r.strategy, call.stream, r.error.status if r.error else 200, r.error.code if r.error else "", 0, _short(call.tag, 60),
            _json(call.metadata), 0,
        )  # fmt: skip

    def _insert(self, model: type[models.Model], columns: Sequence[str], more: str = "") -> str:
        """Columns that are not named get their field's default: the database knows none."""
        rest: list[tuple[str, Any]] = []
        for field in model._meta.concrete_fields:
            if field.column not in columns and not field.primary_key and not field.null:
                rest.append((field.column, field.get_default()))
        names = ", ".join(f'"{name}"' for name in (*columns, *(name for name, _ in rest)))
        values = ", ".join((*([self._mark] * len(columns)), *(_literal(value, self.sqlite) for _, value in rest)))
        return f'INSERT INTO "{model._meta.db_table}" ({names}) VALUES ({values}) {more}'  # noqa: S608  # our own names and defaults

    def _update(self, columns: Sequence[str]) -> str:
        sets = ", ".join(f'"{name}" = {self._mark}' for name in columns)
        return f"UPDATE \"{RequestLog._meta.db_table}\" SET {sets} WHERE id = {self._mark} AND state = 'open'"  # noqa: S608  # our own names

    def _many(self, sql: str, rows: Sequence[tuple[Any, ...]]) -> None:
        if not rows:
            return
        if self.sqlite:
            connection.connection.executemany(sql, rows)
        else:
            with connection.connection.cursor() as cursor:
                cursor.executemany(sql, rows)


_STARTED = _ATTEMPT.index("started_at")


def plain(s: Settlement) -> dict[str, Any]:
    """A settlement as JSON-able values: what is written, and what the spool keeps when the database is away."""
    target = s.target or s.opened.target
    row = {
        "finished_at": s.at,
        "state": s.state,
        "served_model": _short(s.served_model, 200),
        "attempt_count": len(s.attempts),
        "http_status": s.status,
        "error_code": s.error_code,
        "finish_reason": s.finish_reason,
        "flags": s.flags[:100],
        "usage_source": "",
        "cost_nusd": s.cost_nusd,
        "price_id": s.price_id,
        "latency_ms": s.latency_ms,
        "ttft_ms": s.ttft_ms,
        "lease_until": None,
        "decision": _json(s.decision),
        **s.usage,
    }
    if target is not s.opened.target:
        row["provider_id"] = target.provider.id
        row["model_id"] = target.model.id
        row["provider_slug"] = target.provider.slug
        row["simulated"] = target.provider.simulated
    attempts = [
        {
            "number": a.number,
            "provider_id": a.provider_id,
            "provider_slug": a.provider,
            "provider_key_id": a.credential_id,
            "upstream_id": _short(a.upstream_id, 200),
            "outcome": a.outcome,
            "error_class": a.error_class,
            "http_status": a.status,
            "detail": _short(a.detail, 500),
            "upstream_request_id": _short(a.upstream_request_id, 100),
            "started_at": a.started_at,
            "latency_ms": a.latency_ms,
            "ttft_ms": a.ttft_ms,
            "bytes_received": a.bytes_received,
            "streamed": a.streamed,
            "billed": a.billed,
            "maybe_billed": a.maybe_billed,
            "cost_nusd": a.cost_nusd,
        }
        for a in s.attempts
    ]
    return {
        "id": s.id.hex,
        "row": row,
        "attempts": attempts,
        "charge": s.charge_nusd,
        "held": bool(s.opened.budgets) or len(s.attempts) > 1,
        "prompt": s.prompt,
        "answer": s.answer,
    }


def _short(text: str, limit: int) -> str:
    """Text a database takes: no NUL, no lone surrogate."""
    if not text.isprintable():
        text = text.replace("\x00", "").encode("utf-8", "replace").decode("utf-8")
    return text[:limit]


def _json(value: Mapping[str, Any] | None) -> str | None:
    # PostgreSQL's jsonb refuses an escaped NUL.
    return None if value is None else msgspec.json.encode(value).decode().replace("\\u0000", "")


def _literal(value: Any, sqlite: bool) -> str:
    match value:
        case bool():
            return str(int(value)) if sqlite else str(value).upper()
        case int():
            return str(value)
        case str() if "'" not in value:
            return f"'{value}'"
        case None:
            return "NULL"
        case dict() | list():
            return f"'{json.dumps(value)}'"
        case _:
            raise TypeError(f"no SQL literal for {value!r}")
