"""A process is killed (SIGKILL) at each statement of the journal in turn: what it was told to be written is written once, the rest ends."""

from __future__ import annotations

import os
import signal
import time
import warnings
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import connection, connections
from django.utils import timezone

from llm_gateway.core.errors import CallerLeft
from llm_gateway.models import Attempt, LedgerEntry, RequestLog
from llm_gateway.stores import connecting, running
from llm_gateway.stores.batch import Void, commit
from llm_gateway.stores.known import Op
from llm_gateway.stores.plain import plain
from llm_gateway.stores.reaper import reap
from llm_gateway.stores.rows import Writer

from .bench import Bench

HOLD, COST = 100, 60


class Scene:
    """Three batches: requests begin; some end the short way while others begin; the rest ends the careful way."""

    def __init__(self, bench: Bench, budget: Any, theirs: Any) -> None:
        self.bench = bench
        first, *others = (bench.opening(HOLD, (budget,)) for _ in range(6))
        self.begun, self.gone, self.later = [first, *others[:3]], others[3], others[4]
        self.target = bench.target((theirs.pk,))
        self.refused = bench.rejection(bench.call())
        self.settlements = {one.call.id: plain(bench.settlement(one, COST, prompt="p", answer="a")) for one in (*self.begun, self.later)}

    @property
    def batches(self) -> list[list[Op]]:
        ends = [Op("settle", one) for one in self.settlements.values()]
        return [
            [*(Op("open", one) for one in (*self.begun, self.gone)), Op("reject", self.refused)],
            [*ends[:2], Op("open", self.later)],
            [Op("reserve", (self.begun[2], self.target, HOLD)), Op("void", Void(self.gone, CallerLeft("gone")))],
            ends[2:],
        ]

    def run(self, point: int, told: int) -> None:
        """In a process of its own, which does not return. ``point``: the step at which it dies; ``told``: where it says what is written."""
        try:
            connecting.forget_inherited()
            connecting.take_own_connection()
            if connection.vendor == "postgresql":
                connection.cursor().execute("SET application_name = 'to be killed'")
            _die_at(point)
            writer = Writer()
            for batch in self.batches:
                with connection.execute_wrapper(_around):
                    commit(batch, writer, "killed", 30, datetime.now(UTC))
                os.write(told, b"." if not any(op.error for op in batch) else b"!")
        except BaseException:
            os.write(told, b"!")
        finally:
            os._exit(0)

    # What must be true after it died, ``told`` batches having been answered.

    def check(self, told: int) -> None:
        states = dict(
            RequestLog.objects.filter(pk__in=[o.call.id for o in (*self.begun, self.gone, self.later)]).values_list("pk", "state")
        )
        first = [states.get(one.call.id) for one in (*self.begun, self.gone)]
        # A batch is there as a whole or not at all.
        assert all(first) or not any(first), states
        assert told < 1 or all(first)
        second = [states.get(one.call.id) for one in self.begun[:2]] + [self.later.call.id in states]
        assert second in (["ok", "ok", True], ["open", "open", False], [None, None, False]), states
        assert told < 2 or second[2]
        assert told < 3 or states[self.gone.call.id] == "client_cancelled"
        last = [states.get(one.call.id) for one in (*self.begun[2:], self.later)]
        assert set(last) <= {"ok"} if told == 4 else set(last) in ({"open"}, {"open", None}, {None}, {"ok"}), states
        for one in self.settlements:
            ended = states.get(one) == "ok"
            assert Attempt.objects.filter(request_id=one).count() == ended
            held = set(LedgerEntry.objects.filter(request_id=one).values_list("state", flat=True))
            assert held == ({"posted"} if ended else {"held"} if one in states else set())
            assert not ended or RequestLog.objects.get(pk=one).cost_nusd == COST

    def recover(self) -> None:
        """Its rows are reaped; what it had kept in a spool is replayed, twice."""
        RequestLog.objects.filter(state="open").update(lease_until="2020-01-01T00:00:00Z")
        reap(timezone.now())
        for _ in range(2):
            commit([Op("settle", one) for one in self.settlements.values()], Writer(), "heir", 30, datetime.now(UTC))
        assert not RequestLog.objects.filter(state="open").exists()
        assert not LedgerEntry.objects.filter(state="held").exists()


_steps: dict[str, int] = {}


def _die_at(point: int) -> None:
    """Each statement is two steps, before it and after it; one that is sent to a server a third: nobody waits for its answer."""
    _steps.update(left=point)
    execute, send = running.SQLiteRunner._execute, running.PostgresRunner._send

    def executing(*args: Any, **more: Any) -> Any:
        return _stepping(lambda: execute(*args, **more))

    def sending(runner: Any) -> Any:
        text = "; ".join(runner._texts)
        if text and not _steps["left"]:
            raw = connection.connection.pgconn
            raw.send_query(text.encode())
            raw.flush()
        _step()
        return _stepping(lambda: send(runner))

    running.SQLiteRunner._execute = executing  # type: ignore[method-assign]  # this process ends soon
    running.PostgresRunner._send = sending  # type: ignore[method-assign]


def _around(execute: Any, *args: Any) -> Any:
    return _stepping(lambda: execute(*args))


def _stepping(work: Callable[[], Any]) -> Any:
    _step()
    found = work()
    _step()
    return found


def _step() -> None:
    if not _steps["left"]:
        os.kill(os.getpid(), signal.SIGKILL)
    _steps["left"] -= 1


def _die(scene: Scene, point: int) -> tuple[bool, int]:
    """(whether it was killed, batches it was told of)."""
    connections.close_all()
    read, write = os.pipe()
    with warnings.catch_warnings():
        # The child calls nothing that another thread of ours may hold.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if not child:
        os.close(read)
        scene.run(point, write)
    os.close(write)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    told = os.read(read, 100)
    os.close(read)
    assert b"!" not in told, told
    return status == -signal.SIGKILL, len(told)


def _alone() -> None:
    """The server finishes what it was sent, although nobody waits for it."""
    if connection.vendor != "postgresql":
        return
    dead = "datname = current_database() AND application_name = 'to be killed'"
    until = time.monotonic() + 10
    with connection.cursor() as cursor:
        while True:
            cursor.execute(f"SELECT count(*) FROM pg_stat_activity WHERE {dead}")
            if not cursor.fetchone()[0]:
                return
            assert time.monotonic() < until, "a connection of the dead process stays"
            time.sleep(0.005)


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_a_process_that_is_killed_at_any_statement_loses_nothing_and_doubles_nothing(still: Bench) -> None:
    budget = still.budget("mine", 10**9, period_id="total")
    theirs = still.budget("theirs", 10**9, period_id="total")
    seen = set()
    for point in range(400):
        scene = Scene(still, budget, theirs)
        killed, told = _die(scene, point)
        seen.add(told)
        _alone()
        scene.check(told)
        if not killed:
            break
        scene.recover()
        if point % 10 == 0:
            still.sound()
    else:
        raise AssertionError("the scene does not end")
    assert point > 20
    assert seen == {0, 1, 2, 3, 4}
