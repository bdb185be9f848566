"""The database is away, locked or full (T16): refuse before the call, spool after it, replay, lose nothing."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.db import OperationalError, connection

from llm_gateway.core.errors import StoreBusy, StoreFull, StoreUnavailable
from llm_gateway.stores import batch, connecting, journal
from llm_gateway.stores.plain import plain
from llm_gateway.stores.spool import Spool
from tests.support.clock import Stopwatch
from tests.support.waiting import until

from .bench import Bench

sqlite_only = pytest.mark.skipif("connection.vendor != 'sqlite'", reason="SQLite's own locks and limits")


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connecting, "LOCK_WAIT_MS", 150)
    monkeypatch.setattr(journal, "PROBE_S", 0.05)


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """``broken["error"]``: what every commit and every renewal raises, while it is set."""
    state: dict[str, Any] = {"error": None}
    write = batch._write
    connect = journal.DatabaseJournal._connect

    def failing_write(*args: Any) -> None:
        if state["error"] is not None:
            raise state["error"]
        write(*args)

    def failing_connect(self: Any) -> None:
        if state["error"] is not None:
            raise state["error"]
        connect(self)

    monkeypatch.setattr(batch, "_write", failing_write)
    monkeypatch.setattr(journal.DatabaseJournal, "_connect", failing_connect)
    return state


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("connection refused", StoreUnavailable),
        ("server closed the connection unexpectedly", StoreUnavailable),
        ("database is locked", StoreBusy),
        ("canceling statement due to lock timeout", StoreBusy),
        ("database or disk is full", StoreFull),
        ("could not extend file: No space left on device", StoreFull),
    ],
)
def test_nothing_is_opened_while_the_database_is_away(bench: Bench, broken: dict[str, Any], text: str, kind: type) -> None:
    broken["error"] = OperationalError(text)
    opened = bench.opening(10)
    with pytest.raises(kind) as caught:
        bench.run(bench.journal.open(opened))
    assert caught.value.status == 503
    assert caught.value.retry_after_s
    assert not bench.journal.healthy
    watch = Stopwatch()
    for _ in range(100):
        with pytest.raises(kind):
            bench.run(bench.journal.open(bench.opening(10)))
    assert watch.took_s < 0.5
    broken["error"] = None
    until(lambda: bench.journal.healthy)
    again = bench.opening(10)
    bench.run(bench.journal.open(again))
    bench.run(bench.journal.settle(bench.settlement(again, 1)))


def test_a_settlement_is_spooled_at_once_and_replayed_once(bench: Bench, broken: dict[str, Any], tmp_path: Path) -> None:
    budget = bench.budget()
    opened = bench.opening(100, (budget,))
    bench.run(bench.journal.open(opened))
    broken["error"] = OperationalError("the server is gone")
    watch = Stopwatch()
    bench.run(bench.journal.settle(bench.settlement(opened, 60, prompt="the prompt", answer="the answer")))
    assert watch.took_s < 1
    (file,) = (tmp_path / "spool").glob("*.jsonl")
    assert b"the prompt" not in file.read_bytes()
    copy = file.read_bytes()
    broken["error"] = None
    until(lambda: bench.row(opened).state == "ok")
    assert bench.figures(budget) == (60, 0)
    assert bench.row(opened).body.prompt
    until(lambda: not list((tmp_path / "spool").glob("*.jsonl")) and not list((tmp_path / "spool").glob("*.replay")))
    # The same file once more, as after a crash between the commit and the deletion.
    (tmp_path / "spool" / "dead.x.replay").write_bytes(copy + b'{"id": "half a li')
    with bench.running(bench.new_journal("w2")):
        until(lambda: not list((tmp_path / "spool").glob("*.replay")))
    assert bench.figures(budget) == (60, 0)
    assert bench.entries(opened) == [("request", "posted", 60)]


def test_a_commit_whose_answer_was_lost_leaves_nothing_open(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    budget = bench.budget()
    real, lost = journal.commit, []

    def losing(*args: Any) -> None:
        real(*args)
        if not lost:
            lost.append(1)
            raise OperationalError("server closed the connection unexpectedly")

    monkeypatch.setattr(journal, "commit", losing)
    opened = bench.opening(100, (budget,))
    with pytest.raises(StoreUnavailable):
        bench.run(bench.journal.open(opened))
    until(lambda: bench.row(opened).state != "open")
    assert bench.row(opened).state == "rejected"
    assert bench.figures(budget) == (0, 0)


def test_a_deadlock_is_tried_again(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    real, tries = journal.commit, []

    def victim(*args: Any) -> None:
        tries.append(1)
        if len(tries) < 3:
            raise OperationalError("deadlock detected")
        real(*args)

    monkeypatch.setattr(journal, "commit", victim)
    opened = bench.opening(1)
    bench.run(bench.journal.open(opened))
    assert len(tries) == 3
    bench.run(bench.journal.settle(bench.settlement(opened, 1)))


def test_an_unexpected_error_neither_ends_the_thread_nor_leaves_anyone_waiting(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal.DatabaseJournal, "_commit", lambda *_: 1 / 0)
    opened = bench.opening(1)
    with pytest.raises(StoreUnavailable):
        bench.run(bench.journal.open(opened))
    monkeypatch.undo()
    bench.run(bench.journal.open(opened))
    bench.run(bench.journal.settle(bench.settlement(opened, 1)))


@sqlite_only
def test_a_locked_database_refuses_before_the_call_and_settles_after_it(bench: Bench, tmp_path: Path) -> None:
    budget = bench.budget()
    running = bench.opening(100, (budget,))
    bench.run(bench.journal.open(running))
    other = sqlite3.connect(connection.settings_dict["NAME"], isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    try:
        watch = Stopwatch()
        with pytest.raises(StoreBusy) as caught:
            bench.run(bench.journal.open(bench.opening(1)))
        assert caught.value.retry_after_s == 1
        bench.run(bench.journal.settle(bench.settlement(running, 60)))
        assert watch.took_s < 3
        assert list((tmp_path / "spool").glob("*.jsonl"))
    finally:
        other.rollback()
        other.close()
    until(lambda: bench.row(running).state == "ok")
    assert bench.figures(budget) == (60, 0)


@sqlite_only
def test_a_full_disk_refuses_new_requests_and_keeps_what_ended(bench: Bench) -> None:
    budget = bench.budget()
    running = bench.opening(100, (budget,))
    bench.run(bench.journal.open(running))
    pages = connection.cursor().execute("PRAGMA page_count").fetchone()[0]
    limit = _every_connection(f"PRAGMA max_page_count = {pages}", bench)
    try:
        assert _fill(bench) == "store_full"
        bench.run(bench.journal.settle(bench.settlement(running, 60, prompt="p" * 100_000)))
    finally:
        limit("PRAGMA max_page_count = 1073741823")
    until(lambda: bench.row(running).state == "ok")
    assert bench.figures(budget) == (60, 0)
    until(lambda: bench.journal.healthy)
    _close_rows(bench)


def _fill(bench: Bench) -> str:
    """Open requests until one is refused; the code it is refused with."""
    for _ in range(400):
        try:
            bench.run(bench.journal.open(bench.opening(1, call=bench.call(metadata={"x": "y" * 20_000}))))
        except StoreFull as error:
            return error.code
    return "never"


def _every_connection(pragma: str, bench: Bench) -> Callable[[str], None]:
    """The limit belongs to a connection: the journal's own has to set it."""
    connect = journal.DatabaseJournal._connect
    current = [pragma]

    def limited(self: Any) -> None:
        connect(self)
        connection.cursor().execute(current[0])

    bench.journal._connect = limited.__get__(bench.journal)  # type: ignore[method-assign]
    return lambda text: current.__setitem__(0, text)


def _close_rows(bench: Bench) -> None:
    """End what the test opened on its way to the limit."""
    from llm_gateway.models import RequestLog
    from llm_gateway.stores.reaper import reap

    RequestLog.objects.filter(state="open").update(lease_until="2020-01-01T00:00:00Z")
    from django.utils import timezone

    reap(timezone.now())


def test_texts_go_first_when_the_disk_is_full(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    from llm_gateway.models import RequestBody

    opened = bench.opening(1)
    bench.run(bench.journal.open(opened))
    real = batch.Writer.bodies

    def full(self: Any, rows: Any) -> None:
        if any(list(rows)):
            raise OperationalError("database or disk is full")

    monkeypatch.setattr(batch.Writer, "bodies", full)
    bench.run(bench.journal.settle(bench.settlement(opened, 1, prompt="p", answer="a")))
    monkeypatch.setattr(batch.Writer, "bodies", real)
    assert (bench.row(opened).state, bench.row(opened).flags) == ("ok", "body_dropped")
    assert not RequestBody.objects.exists()


def test_what_neither_the_database_nor_the_spool_takes_stays_in_memory(
    bench: Bench, broken: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    budget = bench.budget()
    opened = bench.opening(100, (budget,))
    bench.run(bench.journal.open(opened))
    keep = Spool.keep

    def no_space(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Spool, "keep", no_space)
    broken["error"] = OperationalError("database or disk is full")
    bench.run(bench.journal.settle(bench.settlement(opened, 60)))
    assert len(bench.journal._unspooled) == 1
    monkeypatch.setattr(Spool, "keep", keep)
    broken["error"] = None
    until(lambda: bench.row(opened).state == "ok")
    assert bench.figures(budget) == (60, 0)


def test_what_another_process_left_is_taken_while_it_may_still_write(tmp_path: Path, still: Bench) -> None:
    """Two processes keep, a third takes again and again: every settlement is seen, each at least once."""
    openings = [still.opening(1) for _ in range(120)]
    settlements = [plain(still.settlement(o, 1)) for o in openings]
    seen: set[str] = set()
    done = threading.Event()

    def take() -> None:
        spool = Spool(tmp_path / "s", "taker")
        while True:
            last = done.is_set()
            for path, found in spool.take():
                seen.update(s["id"] for s in found)
                path.unlink(missing_ok=True)
            if last:
                return

    def keep(name: str, mine: list[dict[str, Any]]) -> None:
        spool = Spool(tmp_path / "s", name)
        for settlement in mine:
            spool.keep([settlement])

    taker = threading.Thread(target=take)
    keepers = [threading.Thread(target=keep, args=(f"k{i}", settlements[i::2])) for i in range(2)]
    for thread in (taker, *keepers):
        thread.start()
    for thread in keepers:
        thread.join(30)
    done.set()
    taker.join(30)
    assert seen == {s["id"] for s in settlements}


def test_a_journal_that_does_not_keep_up_says_so(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "MAX_QUEUE", -1)
    with pytest.raises(StoreBusy):
        bench.run(bench.journal.open(bench.opening(1)))


def test_a_database_that_never_answers_is_not_waited_for(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    budget = bench.budget()
    monkeypatch.setattr(journal, "WAIT_S", 0.1)
    real, held_up = journal.commit, threading.Event()

    def slow(*args: Any) -> None:
        held_up.wait(5)
        real(*args)

    monkeypatch.setattr(journal, "commit", slow)
    opened = bench.opening(100, (budget,))
    with pytest.raises(StoreUnavailable):
        bench.run(bench.journal.open(opened))
    held_up.set()
    until(lambda: (row := bench.row(opened)) is not None and row.state != "open")
    assert bench.figures(budget) == (0, 0)
    bench.run(asyncio.sleep(0))


@pytest.mark.skipif("connection.vendor != 'postgresql'", reason="PostgreSQL's own connections")
def test_a_server_that_drops_its_connections_loses_nothing(bench: Bench) -> None:
    budget = bench.budget()
    running = bench.opening(100, (budget,))
    bench.run(bench.journal.open(running))
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    bench.run(bench.journal.settle(bench.settlement(running, 60)))
    until(lambda: bench.row(running).state == "ok")
    assert bench.figures(budget) == (60, 0)
    until(lambda: bench.journal.healthy)
