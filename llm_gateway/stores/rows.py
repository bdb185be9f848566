"""The journal's SQL: parameters from the engine's values, statements for SQLite and PostgreSQL.

Raw statements on the driver's own cursor, because this is the one place where thousands of rows a second are written. Everything here
runs inside a transaction that the journal opened.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple
from uuid import UUID

from django.db import connection, models

from llm_gateway.core.errors import GatewayError
from llm_gateway.core.redact import without_keys
from llm_gateway.engine.ports import Opening, Rejection
from llm_gateway.models import Attempt, LedgerEntry, RequestBody, RequestLog

from .plain import as_json, short

# (request, budget, period, held, at, note)
Ledgered = tuple[UUID, int, str, int, float, str]


class Held(NamedTuple):
    """A ledger entry that still holds ``amount``."""

    id: int
    request: str
    budget: int | None
    period: str
    amount: int


_USAGE = (
    "input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "cache_write_1h_tokens", "reasoning_tokens",
    "audio_input_tokens", "audio_output_tokens", "image_input_tokens", "image_output_tokens", "web_searches", "service_tier",
    "usage_source",
)  # fmt: skip

_OPENED = (
    "id", "created_at", "state", "kind", "dialect", "team_id", "client_key_id", "user_id", "asked_model", "strategy", "provider_id",
    "model_id", "provider_slug", "stream", "simulated", "hold_nusd", "worker", "lease_until", "tag", "metadata", "address",
)  # fmt: skip
_SETTLED = (
    "finished_at", "state", "served_model", "attempt_count", "http_status", "error_code", "finish_reason", "flags", *_USAGE, "cost_nusd",
    "price_id", "latency_ms", "ttft_ms", "lease_until", "decision",
)  # fmt: skip
# Indexed columns apart: an UPDATE that names them rewrites their index entries, and most requests end where they began.
_MOVED = ("provider_id", "model_id", "provider_slug", "simulated")
_REJECTED = (
    "id", "created_at", "finished_at", "state", "kind", "dialect", "team_id", "client_key_id", "user_id", "asked_model", "strategy",
    "stream", "http_status", "error_code", "latency_ms", "tag", "metadata", "cost_nusd", "address",
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
        self._insert_rejected = self._insert(RequestLog, _REJECTED, "ON CONFLICT DO NOTHING")
        self._insert_attempt = self._insert(Attempt, _ATTEMPT, "ON CONFLICT DO NOTHING")
        self._insert_ledger = self._insert(LedgerEntry, _LEDGER, "ON CONFLICT DO NOTHING")
        self._insert_body = self._insert(RequestBody, _BODY, "ON CONFLICT DO NOTHING")
        self._update_settled = self._update(_SETTLED)
        self._update_moved = self._update(_MOVED)
        mark = self._mark
        ledger = LedgerEntry._meta.db_table
        self._resolve = (
            f'UPDATE "{ledger}" SET state = {mark}, amount_nusd = {mark}, resolved_at = {mark} '  # noqa: S608  # our own names
            f"WHERE id = {mark} AND state = 'held'"
        )
        self._void = self._update(("finished_at", "state", "http_status", "error_code", "lease_until", "cost_nusd"))
        self._complete = self._update(("attempt_count", *_USAGE, "served_model", "decision", "flags"), state="orphaned")

    def states(self, ids: Sequence[str]) -> dict[str, str]:
        """The state of each of these requests that has a row; on PostgreSQL they stay locked."""
        sql = f'SELECT id, state FROM "{RequestLog._meta.db_table}" WHERE id {{}} ORDER BY id {self._lock}'  # noqa: S608  # our own names
        return {self._hex(row[0]): row[1] for row in self._select(sql, ids)}

    def held(self, ids: Sequence[str]) -> dict[str, list[Held]]:
        """What these requests hold, by request; on PostgreSQL it stays locked."""
        sql = (
            f'SELECT id, request_id, budget_id, period_id, held_nusd FROM "{LedgerEntry._meta.db_table}" '  # noqa: S608  # our own names
            f"WHERE request_id {{}} AND state = 'held' ORDER BY id {self._lock}"
        )
        found: dict[str, list[Held]] = {}
        for entry, request, budget, period, amount in self._select(sql, ids):
            key = self._hex(request)
            found.setdefault(key, []).append(Held(entry, key, budget, period, amount))
        return found

    def budgets_of(self, ids: Sequence[str]) -> dict[str, set[int]]:
        """The budgets that these requests have entries in."""
        found: dict[str, set[int]] = {}
        sql = f'SELECT request_id, budget_id FROM "{LedgerEntry._meta.db_table}" WHERE request_id {{}}'  # noqa: S608  # our own names
        for request, budget in self._select(sql, ids):
            found.setdefault(self._hex(request), set()).add(budget)
        return found

    def resolved(self, entries: Iterable[tuple[int, int]], now: datetime) -> None:
        """(entry, charge): what was held is posted, or voided where nothing is charged."""
        at = self.at(now.timestamp())
        self._many(self._resolve, [("posted" if charge else "voided", charge, at, entry) for entry, charge in entries])

    def voided(self, opening: Opening, error: GatewayError, now: datetime) -> None:
        state = "client_cancelled" if error.status == 499 else "rejected"
        at = self.at(max(now.timestamp(), opening.at))
        self._many(self._void, [(at, state, error.status, error.code, None, 0, self.uuid(opening.call.id))])

    def completed(self, settlement: Mapping[str, Any], flags: str) -> None:
        """What an orphaned row could not know. Its state and its cost stay."""
        row = settlement["row"]
        usage = [row.get(name) for name in _USAGE[:-2]]
        source = row.get("usage_source") or "estimated"
        values = (row["attempt_count"], *usage, row.get("service_tier") or "", source, row["served_model"], row["decision"], flags[:100])
        self._many(self._complete, [(*values, self.uuid(settlement["id"]))])
        self._attempts([settlement])

    def opened(self, openings: Sequence[Opening], worker: str, lease_until: datetime) -> None:
        self._many(self._insert_open, [self._open_row(o, worker, lease_until) for o in openings])

    def rejected(self, rejections: Sequence[Rejection]) -> None:
        self._many(self._insert_rejected, [self._rejected_row(r) for r in rejections])

    def settled(self, settlements: Sequence[Mapping[str, Any]]) -> None:
        """Settlements in the plain form of :func:`plain`."""
        at = self.at
        rows = []
        moved = []
        for s in settlements:
            row = s["row"]
            values = [row.get(name) for name in _SETTLED]
            values[_TIER] = row.get("service_tier") or ""
            values[0] = at(row["finished_at"])
            values[-1] = row.get("decision")
            rows.append((*values, self.uuid(s["id"])))
            if "provider_id" in row:
                moved.append((*(row[name] for name in _MOVED), self.uuid(s["id"])))
        self._many(self._update_moved, moved)
        self._many(self._update_settled, rows)
        self._attempts(settlements)

    def _attempts(self, settlements: Sequence[Mapping[str, Any]]) -> None:
        attempts = []
        for s in settlements:
            request = self.uuid(s["id"])
            for a in s["attempts"]:
                found = [a.get(name) for name in _ATTEMPT]
                found[0] = request
                found[_STARTED] = self.at(a["started_at"])
                attempts.append(tuple(found))
        self._many(self._insert_attempt, attempts)

    def ledger(self, entries: Iterable[Ledgered]) -> None:
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
            self.uuid(call.id), self.at(o.at), "open", call.kind, call.inbound.dialect,
            identity.team_id, identity.client_key_id, call.user_id,
            _caller_s(call.inbound.model, 200), o.strategy, target.provider.id, target.model.id, target.provider.slug, call.stream,
            o.simulated, o.hold_nusd, worker, lease, _caller_s(call.tag, 60), as_json(call.metadata),
            call.address[:45] or None,
        )  # fmt: skip

    def _rejected_row(self, r: Rejection) -> tuple[Any, ...]:
        call = r.call
        identity = call.identity
        at = self.at(r.at)
        return (
            self.uuid(call.id), at, at, r.state, call.kind, call.inbound.dialect,
            identity.team_id, identity.client_key_id, call.user_id,
            _caller_s(call.inbound.model, 200), _caller_s(r.strategy, 60), call.stream,
            r.error.status if r.error else 200, r.error.code if r.error else "", 0, _caller_s(call.tag, 60), as_json(call.metadata), 0,
            call.address[:45] or None,
        )  # fmt: skip

    def _insert(self, model: type[models.Model], columns: Sequence[str], more: str = "") -> str:
        """Columns that are not named get their field's default: the database knows none."""
        unnamed = [f for f in model._meta.concrete_fields if f.column not in columns and not f.primary_key and not f.null]
        rest = [(field.column, field.get_default()) for field in unnamed]
        names = ", ".join(f'"{name}"' for name in (*columns, *(name for name, _ in rest)))
        values = ", ".join((*([self._mark] * len(columns)), *(_literal(value, self.sqlite) for _, value in rest)))
        return f'INSERT INTO "{model._meta.db_table}" ({names}) VALUES ({values}) {more}'  # noqa: S608  # our own names and defaults

    def _update(self, columns: Sequence[str], state: str = "open") -> str:
        sets = ", ".join(f'"{name}" = {self._mark}' for name in columns)
        return f"UPDATE \"{RequestLog._meta.db_table}\" SET {sets} WHERE id = {self._mark} AND state = '{state}'"  # noqa: S608  # our own names

    def _hex(self, value: Any) -> str:
        return value if self.sqlite else value.hex  # type: ignore[no-any-return]

    @property
    def _lock(self) -> str:
        return "" if self.sqlite else "FOR NO KEY UPDATE"

    def _select(self, sql: str, ids: Sequence[str]) -> list[tuple[Any, ...]]:
        if not ids:
            return []
        with connection.wrap_database_errors:
            if self.sqlite:
                marks = ", ".join("?" * len(ids))
                return connection.connection.execute(sql.format(f"IN ({marks})"), list(ids)).fetchall()  # type: ignore[no-any-return]
            with connection.connection.cursor() as cursor:
                cursor.execute(sql.format("= ANY(%s)"), ([UUID(one) for one in ids],))
                return cursor.fetchall()  # type: ignore[no-any-return]

    def _many(self, sql: str, rows: Sequence[tuple[Any, ...]]) -> None:
        if not rows:
            return
        # The driver's own cursor raises the driver's own errors.
        with connection.wrap_database_errors:
            if self.sqlite:
                connection.connection.executemany(sql, rows)
            else:
                with connection.connection.cursor() as cursor:
                    cursor.executemany(sql, rows)


_STARTED = _ATTEMPT.index("started_at")
_TIER = _SETTLED.index("service_tier")


def _caller_s(text: str, limit: int) -> str:
    """A caller's own words. A key among them is not written."""
    return short(without_keys(text), limit)


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
