"""How the databases find what the journal's statements name, in tables that have grown: never by reading them whole."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import connection, transaction
from django.utils import timezone

from llm_gateway.core.errors import CallerLeft
from llm_gateway.models import RequestLog
from llm_gateway.stores import running
from llm_gateway.stores.batch import Void, commit
from llm_gateway.stores.known import Op
from llm_gateway.stores.leases import Leases
from llm_gateway.stores.plain import plain
from llm_gateway.stores.reaper import reap
from llm_gateway.stores.rows import Writer

from .bench import Bench

ROWS = 10_000
_GROWN = "llm_gateway_(?:requestlog|attempt|ledgerentry|requestbody)"
_CHANGES = re.compile(r"\s*(?:SELECT|INSERT|UPDATE|DELETE|WITH)\b")


class Caught:
    """Every statement that is sent while it watches, with its parameters."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.found: dict[str, Any] = {}
        execute, send = running.SQLiteRunner._execute, running.PostgresRunner._send

        def executing(runner: Any, sql: str, parameters: Any = (), *, many: bool = False) -> Any:
            self.found.setdefault(sql, list(parameters[0] if many else parameters))
            return execute(runner, sql, parameters, many=many)

        def sending(runner: Any) -> Any:
            self.found |= dict.fromkeys(runner._texts, ())
            return send(runner)

        monkeypatch.setattr(running.SQLiteRunner, "_execute", executing)
        monkeypatch.setattr(running.PostgresRunner, "_send", sending)

    def orm(self, execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        self.found.setdefault(sql, params[0] if many else params)
        return execute(sql, params, many, context)


def everything(bench: Bench, writer: Writer, budget: Any, theirs: Any) -> None:
    """The journal's whole work, in batches of one and of many, on both ways."""
    now = datetime.now(UTC)

    def write(*ops: Op) -> None:
        commit(list(ops), writer, "w1", 30, now)
        assert not [op.error for op in ops if op.error]

    def end(one: Any) -> Op:
        return Op("settle", plain(bench.settlement(one, 60, prompt="p", answer="a", target=bench.target())))

    for count in (1, 2, 63):
        openings = [bench.opening(100, (budget, theirs)) for _ in range(count)]
        write(*(Op("open", one) for one in openings), *(Op("reject", bench.rejection(bench.call())) for _ in openings))
        write(*map(end, openings))
        # The same, by what is in the database.
        openings = [bench.opening(100, (budget,)) for _ in range(count)]
        write(*(Op("open", one) for one in openings))
        write(*(Op("reserve", (one, bench.target((theirs.pk,)), 100)) for one in openings))
        write(Op("void", Void(openings[0], CallerLeft("gone"))), *map(end, openings[1:]))
    late = bench.opening(100, (budget,))
    write(Op("open", late))
    bench.expire(late)
    assert reap(timezone.now()) == 1
    write(end(late))
    living = bench.opening(1)
    write(Op("open", living))
    leases = Leases("w1", 30.0)
    leases.opened([living])
    leases.renew(now, {})
    write(end(living))


@pytest.fixture(params=["never analyzed", "analyzed when it was small", "analyzed"])
def grown(request: pytest.FixtureRequest, still: Bench) -> Iterator[Bench]:
    """A year of one budget, of which a few requests run; its statistics are none, of the first day, or right."""
    if request.param == "never analyzed" and connection.vendor == "postgresql":
        pytest.skip("PostgreSQL analyzes what grows by itself")
    writer, now = Writer(), datetime.now(UTC)
    budget = still.budget("year", 10**12, period_id="total")
    if request.param == "analyzed when it was small":
        one = still.opening(1, (budget,))
        commit([Op("open", one)], writer, "old", 30, now)
        commit([Op("settle", plain(still.settlement(one, 1)))], writer, "old", 30, now)
        run("ANALYZE")
    for start in range(0, ROWS, 500):
        openings = [still.opening(1, (budget,)) for _ in range(500)]
        commit([Op("open", one) for one in openings], writer, "old", 30, now)
        ending = openings if start else openings[50:]
        commit([Op("settle", plain(still.settlement(one, 1))) for one in ending], writer, "old", 30, now)
    if request.param == "analyzed":
        run("ANALYZE")
    yield still
    if connection.vendor == "sqlite" and "analyzed" in request.param.split()[0]:
        run("DELETE FROM sqlite_stat1")
    RequestLog.objects.filter(state="open").update(lease_until="2020-01-01T00:00:00Z")
    reap(timezone.now())


def run(sql: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql)


def plan(sql: str, parameters: Any) -> list[str]:
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            # The driver's own marks, or Django's.
            if "%s" in sql:
                cursor.execute(f"EXPLAIN QUERY PLAN {sql}", parameters)
            else:
                return [row[3] for row in connection.connection.execute(f"EXPLAIN QUERY PLAN {sql}", parameters)]
            return [row[3] for row in cursor.fetchall()]
        if parameters:
            cursor.execute(f"EXPLAIN {sql}", parameters)
        else:
            cursor.execute(f"EXPLAIN {sql}")
        return [row[0] for row in cursor.fetchall()]


def whole(lines: list[str]) -> list[str]:
    """What of a plan reads a grown table whole, or all entries of a budget and period."""
    found = []
    for place, line in enumerate(lines):
        name = rf"(?:{_GROWN}|t)\b"
        if (connection.vendor == "sqlite" and re.match(rf"SCAN (?:TABLE )?{name}", line)) or re.search(rf"Seq Scan on {_GROWN}", line):
            found.append(line)
        if "ledger_budget_state" in line:
            found.append(line)
        searched = "Cond" in "".join(lines[place + 1 : place + 2])
        # The index of what is open holds no more than runs.
        if "request_open" not in line and not searched and re.search(r"Index (?:Only )?Scan using \w+ on " + _GROWN, line):
            found.append(line)
    return found


@pytest.mark.timeout(180)
def test_no_statement_of_the_journal_reads_a_table_whole(grown: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    budgets = grown.budget("b", 10**12, period_id="total"), grown.budget("theirs", 10**12, period_id="total")
    caught = Caught(monkeypatch)
    with connection.execute_wrapper(caught.orm):
        everything(grown, Writer(), *budgets)
    # The reaper's own look for what it has to close, which it has seen to be there.
    seen = "ORDER BY 1 ASC LIMIT 200"
    statements = {sql: parameters for sql, parameters in caught.found.items() if _CHANGES.match(sql) and seen not in sql}
    assert {sql.split(" ", 1)[0] for sql in statements} >= {"SELECT", "INSERT", "UPDATE"}
    assert len(statements) > 20
    with transaction.atomic():
        Writer().run.by_keys()
        bad = {sql: lines for sql, parameters in statements.items() if whole(lines := plan(sql, parameters))}
    assert not bad, "\n\n".join(f"{sql[:600]}\n" + "\n".join(lines) for sql, lines in bad.items())
