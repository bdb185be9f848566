"""The journal's SQL: parameters from the engine's values, statements for SQLite and PostgreSQL.

Raw statements on the driver's own cursor, because this is the one place where thousands of rows a second are written. Everything here
runs inside a transaction that the journal opened.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple
from uuid import UUID

from django.db import connection

from llm_gateway.core.catalog import BodyLogging
from llm_gateway.core.errors import GatewayError
from llm_gateway.core.redact import without_keys
from llm_gateway.engine.calls import Call
from llm_gateway.engine.ports import Opening, Rejection, Remembered
from llm_gateway.models import Attempt, Budget, LedgerEntry, RequestBody, RequestLog
from llm_gateway.policies.end_users import end_user_of, pseudonym

from . import columns, vault
from .plain import Ended, as_json, short
from .running import runner
from .statements import Insert, Update, unindexed

# (request, budget, period, held, at, note)
Ledgered = tuple[UUID, int, str, int, float, str]


class Held(NamedTuple):
    """A ledger entry that still holds ``amount``."""

    id: int
    request: str
    budget: int | None
    period: str
    amount: int


class Claim(NamedTuple):
    """What this process knows to be held for a request that it opened: an entry of the ledger, and whose the budget was then."""

    budget: int
    period: str
    amount: int
    provider: int | None
    model: int | None


class Writer:
    """Statements and converters of the connected database. One per journal thread.

    ``claims``: by request, what is held for it, where nothing but this writer's own commits can have changed it. Whoever finds out
    otherwise, and whoever sees an error, calls :meth:`forget`; what is not known is read."""

    def __init__(self) -> None:
        self.sqlite = connection.vendor == "sqlite"
        self.run = runner()
        # A request's rows and its entries name one moment several times in a row.
        self._last: tuple[float, Any] = (math.nan, None)
        self.claims: dict[str, tuple[Claim, ...]] = {}
        once = "ON CONFLICT DO NOTHING"
        self._insert_open = Insert(RequestLog, columns.OPENED)
        self._insert_rejected = Insert(RequestLog, columns.REJECTED, once)
        self._insert_attempt = Insert(Attempt, columns.ATTEMPT, once)
        self._insert_ledger = Insert(LedgerEntry, columns.LEDGER, once)
        self._insert_body = Insert(RequestBody, columns.BODY, once)
        self._update_settled = Update(RequestLog, ["id"], columns.SETTLED, state="open")
        self._update_moved = Update(RequestLog, ["id"], columns.MOVED, state="open")
        self._void = Update(RequestLog, ["id"], columns.VOIDED, state="open")
        self._complete = Update(RequestLog, ["id"], columns.COMPLETED, state="orphaned")
        resolution = ("state", "amount_nusd", "resolved_at")
        self._resolve = Update(LedgerEntry, ["id"], resolution, state="held")
        claim = ("request_id", "budget_id", "period_id", "held_nusd")
        self._resolve_claim = Update(LedgerEntry, claim, resolution, state="held", kind="request")
        self._count = Update(Budget, ["id"], columns.COUNTERS)

    def forget(self) -> None:
        self.claims.clear()

    def states(self, ids: Sequence[str]) -> dict[str, str]:
        """The state of each of these requests that has a row; on PostgreSQL they stay locked."""
        sql = f'SELECT id, state FROM "{RequestLog._meta.db_table}" WHERE id {{}} ORDER BY id {self._lock}'  # noqa: S608  # our own names
        return {self._hex(row[0]): row[1] for row in self._select(sql, ids)}

    def held(self, ids: Sequence[str]) -> dict[str, list[Held]]:
        """What these requests hold, by request; on PostgreSQL it stays locked."""
        sql = (
            f'SELECT id, request_id, budget_id, period_id, held_nusd FROM "{LedgerEntry._meta.db_table}" '  # noqa: S608  # our own names
            f"WHERE request_id {{}} AND {unindexed('state')} = 'held' ORDER BY id {self._lock}"
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
        self.run.many(self._resolve, [(entry, "posted" if charge else "voided", charge, at) for entry, charge in entries])

    def claimed(self, resolutions: Sequence[tuple[str, Claim, int]], now: datetime) -> None:
        """The same by (request, claim, charge), which the database holds to be so: a promise."""
        at = self.at(now.timestamp())
        rows = [
            (self.uuid(request), claim.budget, claim.period, claim.amount, "posted" if charge else "voided", charge, at)
            for request, claim, charge in resolutions
        ]
        self.run.many(self._resolve_claim, rows, promised=True)

    def voided(self, opening: Opening, error: GatewayError, now: datetime) -> None:
        state = "client_cancelled" if error.status == 499 else "rejected"
        at = self.at(max(now.timestamp(), opening.at))
        self.run.many(self._void, [(self.uuid(opening.call.id), at, state, error.status, error.code, None, 0)])

    def completed(self, ended: Ended, flags: str) -> None:
        """What an orphaned row could not know. Its state and its cost stay."""
        row = ended["row"]
        usage = row[columns.FIRST_USAGE : columns.FIRST_USAGE + len(columns.USAGE)]
        usage[-1] = usage[-1] or "estimated"
        values = (row[columns.ATTEMPT_COUNT], *usage, row[columns.SERVED_MODEL], row[columns.DECISION], flags[:100])
        self.run.many(self._complete, [(self.uuid(ended["id"]), *values)])
        self._attempts([ended])

    def opened(self, openings: Sequence[Opening], worker: str, lease_until: datetime) -> None:
        lease = self.at(lease_until.timestamp())
        self.run.many(self._insert_open, [self._open_row(o, worker, lease) for o in openings])

    def rejected(self, rejections: Sequence[Rejection]) -> None:
        self.run.many(self._insert_rejected, [self._rejected_row(r) for r in rejections])

    def settled(self, settlements: Sequence[Ended]) -> None:
        """Each ends one open row: a promise."""
        at, uuid = self.at, self.uuid
        rows = [(uuid(s["id"]), at(s["row"][0]), *s["row"][1:]) for s in settlements]
        self.run.many(self._update_moved, [(uuid(s["id"]), *s["moved"]) for s in settlements if s["moved"] is not None])
        self.run.many(self._update_settled, rows, promised=True)
        self._attempts(settlements)

    def _attempts(self, settlements: Sequence[Ended]) -> None:
        at = self.at
        rows = []
        for s in settlements:
            request = self.uuid(s["id"])
            rows += [(request, at(attempt[0]), *attempt[1:]) for attempt in s["attempts"]]
        self.run.many(self._insert_attempt, rows)

    def counted(self, rows: Sequence[tuple[Any, ...]]) -> None:
        """Budgets' figures: (id, then ``COUNTERS``)."""
        self.run.many(self._count, rows)

    def ledger(self, entries: Iterable[Ledgered]) -> None:
        rows = [
            (self.uuid(request), budget, period, "request", "held", held, held, self.at(at), note)
            for request, budget, period, held, at, note in entries
        ]
        self.run.many(self._insert_ledger, rows)

    def bodies(self, rows: Iterable[tuple[str, float, str, str]]) -> None:
        self.run.many(self._insert_body, [(self.uuid(request), self.at(at), prompt, answer) for request, at, prompt, answer in rows])

    def uuid(self, value: UUID | str) -> Any:
        if self.sqlite:
            return value.hex if isinstance(value, UUID) else value
        return value if isinstance(value, UUID) else UUID(value)

    def at(self, seconds: float | None) -> Any:
        if seconds is None:
            return None
        if seconds != self._last[0]:
            moment = datetime.fromtimestamp(seconds, UTC)
            self._last = seconds, moment.isoformat(" ", "microseconds")[:-6] if self.sqlite else moment
        return self._last[1]

    def _open_row(self, o: Opening, worker: str, lease: Any) -> tuple[Any, ...]:
        call, target = o.call, o.target
        identity = call.identity
        return (
            self.uuid(call.id), self.at(o.at), "open", call.kind, call.inbound.dialect,
            identity.team_id, identity.client_key_id, call.user_id,
            _caller_s(call.inbound.model, 200), o.strategy, target.provider.id, target.model.id, target.provider.slug, call.stream,
            o.simulated, o.hold_nusd, worker, lease, _caller_s(call.tag, 60), as_json(call.metadata),
            call.address[:45] or None, call.cache or None, call.origin, None if call.batch_id is None else self.uuid(call.batch_id),
            _end_user(call), None if o.choice is None else short(o.choice, 4000), o.policy or None,
        )  # fmt: skip

    def _rejected_row(self, r: Rejection) -> tuple[Any, ...]:
        call = r.call
        identity = call.identity
        at = self.at(r.at)
        return (
            self.uuid(call.id), at, at, r.state, call.kind, call.inbound.dialect,
            identity.team_id, identity.client_key_id, call.user_id,
            _caller_s(call.inbound.model, 200), _caller_s(r.strategy, 60), call.stream,
            r.error.status if r.error else 200, r.error.code if r.error else "",
            r.remembered.latency_ms if r.remembered else 0, _caller_s(call.tag, 60), as_json(call.metadata), 0,
            call.address[:45] or None, *_refusal(r.error),
            r.remembered.cache if r.remembered else call.cache or None, _end_user(call), *_remembered(r.remembered),
            call.origin, None if call.batch_id is None else self.uuid(call.batch_id),
        )  # fmt: skip

    def _hex(self, value: Any) -> str:
        return value if self.sqlite else value.hex  # type: ignore[no-any-return]

    @property
    def _lock(self) -> str:
        return "" if self.sqlite else "FOR NO KEY UPDATE"

    def _select(self, sql: str, ids: Sequence[str]) -> list[tuple[Any, ...]]:
        return self.run.among(sql, [self.uuid(one) for one in ids]) if ids else []


def _end_user(call: Call) -> str | None:
    """Nothing where the team wants nothing kept."""
    if call.identity.bodies is BodyLogging.OFF or not (name := end_user_of(call.inbound.user, call.metadata)):
        return None
    return pseudonym(vault.end_user_key(), call.identity.team_id, name)


_NOT_REMEMBERED: tuple[Any, ...] = (None, None, "", False, "", "", None, None)


def _remembered(found: Remembered | None) -> tuple[Any, ...]:
    if found is None:
        return _NOT_REMEMBERED
    target = found.target
    return (
        target.provider.id, target.model.id, target.provider.slug, target.provider.simulated, _caller_s(found.served_model, 200),
        short(found.finish_reason, 20), found.saved_nusd, as_json(found.decision),
    )  # fmt: skip


def _refusal(error: GatewayError | None) -> tuple[str | None, str | None, int | None]:
    """The words, the figures and the budget of a refusal, as its caller was told."""
    if error is None:
        return None, None, None
    details = {**(error.details or {}), **({"param": error.param} if error.param else {})}
    return _caller_s(error.message, 600), as_json(details) if details else None, error.budget_id


def _caller_s(text: str, limit: int) -> str:
    """A caller's own words. A key among them is not written."""
    return short(without_keys(text), limit)
