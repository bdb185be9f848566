"""What is no row's own fault never costs a settlement: a failover, an unknown error. One row that never passes stays alone."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import DatabaseError, InternalError, NotSupportedError, OperationalError, ProgrammingError, connection
from django.utils import timezone
from psycopg import errors

from llm_gateway.core.errors import StoreUnavailable
from llm_gateway.models import Heartbeat, RequestLog
from llm_gateway.stores import batch, journal
from llm_gateway.stores.leases import Leases
from llm_gateway.stores.plain import plain
from llm_gateway.stores.reaper import reap
from llm_gateway.stores.rows import Writer
from llm_gateway.stores.spool import Spool
from tests.support.waiting import until

from .bench import Bench


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "PROBE_S", 0.05)


def of_postgres(kind: type[Exception], cause: Exception) -> Exception:
    found = kind(str(cause))
    found.__cause__ = cause
    return found


NOBODYS_FAULT = {
    "a failover": of_postgres(InternalError, errors.ReadOnlySqlTransaction("cannot execute UPDATE in a read-only transaction")),
    "an administrator": of_postgres(OperationalError, errors.AdminShutdown("terminating connection due to administrator command")),
    "a crash": of_postgres(OperationalError, errors.CrashShutdown("terminating connection because of crash")),
    "a start": of_postgres(OperationalError, errors.CannotConnectNow("the database system is starting up")),
    "a table that is moved": of_postgres(ProgrammingError, errors.UndefinedTable("relation does not exist")),
    "rights taken away": of_postgres(ProgrammingError, errors.InsufficientPrivilege("permission denied")),
    "a feature": of_postgres(NotSupportedError, errors.FeatureNotSupported("not here")),
    "what nobody knows": DatabaseError("something new"),
    "no error of the database": RuntimeError("something else"),
}


@pytest.mark.parametrize("name", NOBODYS_FAULT)
def test_a_settlement_is_kept_and_written_once_the_database_takes_it(bench: Bench, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Only statements fail: the connection itself lives, as in a failover."""
    budget = bench.budget()
    opened, waiting = bench.opening(100, (budget,)), bench.opening(50, (budget,))
    bench.run(bench.journal.open(opened))
    bench.run(bench.journal.open(waiting))
    real_write, real_renew = batch._write, Leases.renew
    state: dict[str, Any] = {"away": True}

    def failing(real: Callable[..., None]) -> Callable[..., None]:
        def run(*args: Any) -> None:
            if state["away"]:
                raise NOBODYS_FAULT[name]
            real(*args)

        return run

    monkeypatch.setattr(batch, "_write", failing(real_write))
    monkeypatch.setattr(Leases, "renew", failing(real_renew))
    bench.run(bench.journal.settle(bench.settlement(opened, 60)))
    with pytest.raises(StoreUnavailable):
        bench.run(bench.journal.open(bench.opening(1)))
    assert list((bench.folder / "spool").glob("*.jsonl"))
    assert not list((bench.folder / "spool").glob("*.bad"))
    state["away"] = False
    until(lambda: bench.row(opened).state == "ok")
    assert (bench.row(opened).cost_nusd, bench.figures(budget)) == (60, (60, 50))
    until(lambda: bench.journal.healthy)
    bench.run(bench.journal.settle(bench.settlement(waiting, 5)))
    assert bench.figures(budget) == (65, 0)


@pytest.mark.skipif("connection.vendor != 'sqlite'", reason="SQLite's own read-only mode")
def test_a_file_that_turns_read_only_costs_nothing(bench: Bench) -> None:
    opened = bench.opening(100)
    bench.run(bench.journal.open(opened))
    real = journal.DatabaseJournal._connect
    state = {"only": "ON"}

    def connect() -> None:
        real(bench.journal)
        connection.cursor().execute(f"PRAGMA query_only = {state['only']}")

    bench.journal._connect = connect  # type: ignore[method-assign]
    bench.run(bench.journal.settle(bench.settlement(opened, 60)))
    assert not bench.journal.healthy
    state["only"] = "OFF"
    until(lambda: bench.row(opened).state == "ok")
    assert not list((bench.folder / "spool").glob("*.bad"))


@pytest.mark.parametrize("bare_too", [False, True], ids=["without its texts it passes", "nothing of it passes"])
def test_one_settlement_that_never_passes_keeps_nobody_else_waiting(bench: Bench, monkeypatch: pytest.MonkeyPatch, bare_too: bool) -> None:
    budget = bench.budget()
    poison, others = bench.opening(100, (budget,)), [bench.opening(10, (budget,)) for _ in range(3)]
    for one in (poison, *others):
        bench.run(bench.journal.open(one))
    real = Writer.settled

    def refusing(self: Any, settlements: Any) -> None:
        if any(one["id"] == poison.call.id.hex and (bare_too or one["attempts"]) for one in settlements):
            raise OperationalError("index row size exceeds a maximum nobody knew of")
        real(self, settlements)

    monkeypatch.setattr(Writer, "settled", refusing)
    bench.run(bench.journal.settle(bench.settlement(poison, 60)))
    for one in others:
        bench.run(bench.journal.settle(bench.settlement(one, 5)))
    until(lambda: all(bench.row(one).state == "ok" for one in others))
    until(lambda: list((bench.folder / "spool").glob("*.bad")))
    until(lambda: bench.journal.healthy and not bench.journal._spool.pending)
    assert bench.journal._spool.counts() == (0, 1)
    if not bare_too:
        assert (bench.row(poison).state, bench.row(poison).flags, bench.figures(budget)) == ("ok", "bare", (75, 0))
        return
    # Nobody renews its lease any more: the reaper ends it.
    assert poison.call.id not in bench.journal._leases._live
    bench.expire(poison)
    assert reap(timezone.now()) == 1
    assert bench.row(poison).state == "orphaned"
    assert bench.figures(budget) == (115, 0)


def test_a_bad_row_whose_rest_meets_an_outage_is_booked_later(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    budget = bench.budget()
    opened = bench.opening(100, (budget,))
    bench.run(bench.journal.open(opened))
    real, renew, state = batch._write, Leases.renew, {"away": False}

    def write(ops: Any, *rest: Any) -> None:
        if state["away"]:
            raise OperationalError("the server is gone")
        if any(op.kind == "settle" and op.work["attempts"] for op in ops):
            state["away"] = True
            raise of_postgres(DatabaseError, errors.UntranslatableCharacter("\\u0000 cannot be converted to text"))
        real(ops, *rest)

    def renewing(*args: Any) -> None:
        if state["away"]:
            raise OperationalError("the server is gone")
        renew(*args)

    monkeypatch.setattr(batch, "_write", write)
    monkeypatch.setattr(Leases, "renew", renewing)
    bench.run(bench.journal.settle(bench.settlement(opened, 60)))
    assert bench.journal._spool.counts() == (1, 1)
    state["away"] = False
    until(lambda: bench.row(opened).state == "ok")
    assert bench.figures(budget) == (60, 0)


def test_a_lease_ends_with_the_call_it_belongs_to(still: Bench) -> None:
    """A settlement that got lost on its way must not leave a row that is renewed for ever."""
    leases = Leases("w1", 30.0)
    living, gone = still.opening(1), still.opening(1)
    lost = gone.call.id
    kept = still.opening(1)
    batch.commit([batch.Op("open", one) for one in (living, gone, kept)], Writer(), "w1", 1.0, timezone.now())
    leases.opened((living, gone, kept))
    leases.waiting([plain(still.settlement(kept, 1))])
    kept_id = kept.call.id
    del gone, kept
    later = timezone.now() + timedelta(minutes=5)
    leases.renew(later, {})
    assert {row.pk for row in RequestLog.objects.filter(lease_until__gt=later)} == {living.call.id, kept_id}
    assert reap(later) == 1
    assert still.row(lost).state == "orphaned"
    assert reap(later) == 0
    leases.ended([{"id": living.call.id.hex}])
    leases.nothing_waits()
    leases.renew(later + timedelta(minutes=5), {})
    assert reap(later + timedelta(minutes=5)) == 2


def test_a_worker_tells_what_waits_in_its_spool_until_it_leaves(still: Bench) -> None:
    spool = Spool(still.folder / "spool", "another")
    opened = still.opening(1)
    spool.keep([plain(still.settlement(opened, 1))], bad=True)
    with still.running():
        until(lambda: Heartbeat.objects.filter(name="worker:w1").exists())
        detail = Heartbeat.objects.get(name="worker:w1").detail
        assert (detail["spooled"], detail["set_aside"], detail["running"]) == (0, 1, 0)
    assert not Heartbeat.objects.filter(name="worker:w1").exists()


def test_what_a_spool_holds_is_counted_anew_when_it_changes(tmp_path: Path, still: Bench) -> None:
    spool = Spool(tmp_path / "s", "w")
    assert spool.counts() == (0, 0)
    one = plain(still.settlement(still.opening(1), 1))
    spool.keep([one, one])
    assert spool.counts() == (2, 0)
    spool.keep([one])
    spool.keep([one], bad=True)
    assert spool.counts() == (3, 1)
    (tmp_path / "s" / "w.bad").unlink()
    assert spool.counts() == (3, 0)


@pytest.mark.slow
def test_after_an_outage_nobody_is_reaped_for_the_length_of_a_lease(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process may come back a moment later: its rows look as if it were dead."""
    theirs = bench.opening(100)
    bench.run(bench.journal.open(theirs))
    renew, state = Leases.renew, {"away": True}

    def renewing(*args: Any) -> None:
        if state["away"]:
            raise OperationalError("away")
        renew(*args)

    monkeypatch.setattr(Leases, "renew", renewing)
    bench.run(bench.journal.settle(bench.settlement(bench.opening(1), 1)))
    until(lambda: not bench.journal.healthy)
    bench.expire(theirs)
    state["away"] = False
    until(lambda: bench.journal.healthy)
    # The thread does one thing after the other: once this is written, the maintenance that found the database again is over.
    bench.run(bench.journal.settle(bench.settlement(theirs, 60)))
    assert bench.row(theirs).state == "ok"
