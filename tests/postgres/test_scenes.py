"""The database goes away, comes back, turns read-only or has no connection left while callers are served: what they were told, what
providers were sent and what the books say agree, and service is back within seconds."""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
import time
from collections.abc import Iterator
from typing import Any

import httpx
import psycopg
import pytest

from tests.money.rig import Crowd, Rig, broken, rig, settled
from tests.support.waiting import until

from .proxy import Proxy

pytestmark = [pytest.mark.slow, pytest.mark.postgres, pytest.mark.timeout(200)]
# A busy machine included; one that doubles its pauses needs longer.
BACK_WITHIN_S = 7.0


class Scene:
    """A gateway that reaches the test's database through a proxy, under a name of its own."""

    def __init__(self, found: Rig, proxy: Proxy, admin: psycopg.Connection[Any], role: str) -> None:
        self.rig = found
        self.proxy = proxy
        self.admin = admin
        self.role = role
        self.crowd = Crowd(found, [found.rows.issue("k")], 12)
        self._done = threading.Event()
        self._sent: list[int] = []
        self._thread = threading.Thread(target=lambda: self._sent.append(asyncio.run(self.crowd.until(self._done))))
        time.sleep(2.0)  # the process knows the key

    def begin(self) -> None:
        self._thread.start()
        until(lambda: self.crowd.seen["200"] > 10, 30)

    def end(self, name: str) -> None:
        """Let the callers go home, and put what everybody saw side by side."""
        from llm_gateway.models import LedgerEntry, RequestLog

        self._done.set()
        self._thread.join(60)
        settled(60)
        assert not self.rig.missing(), sorted(self.rig.missing())[:5]
        assert not (found := broken()), found
        good = RequestLog.objects.filter(state__in=("ok", "partial"), usage_source="reported")
        assert sum(good.values_list("cost_nusd", flat=True)) == self.rig.billed(good)
        answered = self.crowd.seen["200"]
        rows = RequestLog.objects.count()
        upstream = len([e for e in self.rig.simulator.journal if e["path"].endswith("/chat/completions")])
        held = LedgerEntry.objects.filter(state="held").count()
        print(f"\n{name}: told {dict(self.crowd.seen)}, upstream {upstream}, rows {rows}, held {held}, answered 200 {answered}")  # noqa: T201

    def refused(self) -> None:
        """Wait until callers are told 503 instead of being sent on."""
        until(lambda: self.crowd.seen["store_unavailable"] > 3, 30)

    def serves_again(self) -> float:
        """Seconds until a new request is answered and the process calls itself ready."""
        began = time.monotonic()
        before = self.crowd.seen["200"]
        with httpx.Client(trust_env=False, timeout=5) as http:
            until(lambda: self.crowd.seen["200"] > before and http.get(f"{self.rig.processes.url}/readyz").status_code == 200, 60)
        return time.monotonic() - began

    def read_only(self, on: bool) -> None:
        self.admin.execute(f'ALTER ROLE "{self.role}" {"SET" if on else "RESET"} default_transaction_read_only' + (" = on" if on else ""))


@pytest.fixture
def scene(test_database: None, django_db_blocker: Any, request: pytest.FixtureRequest) -> Iterator[Scene]:
    given = getattr(request, "param", {})
    with contextlib.ExitStack() as stack:
        stack.enter_context(django_db_blocker.unblock())
        from django.db import connection

        at = connection.settings_dict
        role = f"cogo_scene_{os.getpid()}"
        admin = stack.enter_context(
            psycopg.connect(
                host=at["HOST"], port=at["PORT"], user=at["USER"], password=at["PASSWORD"] or None, dbname=at["NAME"], autocommit=True
            )
        )  # fmt: skip
        admin.execute(f'DROP ROLE IF EXISTS "{role}"')
        admin.execute(f'CREATE ROLE "{role}" SUPERUSER LOGIN')
        stack.callback(lambda: admin.execute(f'DROP ROLE "{role}"'))
        proxy = stack.enter_context(Proxy(at["HOST"], int(at["PORT"] or 5432)))
        url = f"postgres://{role}@127.0.0.1:{proxy.port}/{at['NAME']}"
        found = stack.enter_context(rig(1, database=url, **given))
        found.processes.wait_ready()
        yield Scene(found, proxy, admin, role)


@pytest.mark.parametrize("away_s", [17, pytest.param(76, marks=[pytest.mark.weekly, pytest.mark.timeout(180)])])
def test_a_database_that_was_away_serves_again_within_seconds(scene: Scene, away_s: int) -> None:
    """Long enough that a pause which doubles would be 16 s by then, or 64."""
    scene.begin()
    scene.proxy.away()
    scene.refused()
    time.sleep(away_s)
    scene.proxy.back()
    took = scene.serves_again()
    scene.end(f"away for {away_s} s, back after {took:.1f} s")
    assert took < BACK_WITHIN_S


def test_connections_that_break_again_and_again_lose_nothing(scene: Scene) -> None:
    scene.begin()
    for _ in range(4):
        before = scene.crowd.seen["200"]
        scene.admin.execute("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename = %s", [scene.role])
        until(lambda before=before: scene.crowd.seen["200"] > before + 5, 30)
    scene.end("connections ended by the server, four times")


def test_a_failover_during_streams_costs_no_settlement(scene: Scene) -> None:
    """The server that streams began on takes no more writes; a moment later another one does."""
    scene.begin()
    scene.read_only(True)
    scene.proxy.cut()
    scene.refused()
    time.sleep(2)
    scene.read_only(False)
    took = scene.serves_again()
    scene.end(f"read-only for a while, back after {took:.1f} s")
    assert took < BACK_WITHIN_S


@pytest.mark.parametrize("scene", [{"COGO_DB_POOL": "2"}], indirect=True)
def test_readers_who_take_every_connection_do_not_stop_the_relay(scene: Scene) -> None:
    scene.begin()
    key = next(iter(scene.crowd._keys))
    url = f"{scene.rig.processes.url}/v1/responses/resp_unknown"
    readers: list[int] = []

    def read() -> None:
        answer = httpx.get(url, headers={"Authorization": f"Bearer {key}"}, timeout=60, trust_env=False)
        readers.append(answer.status_code)

    threads = [threading.Thread(target=read) for _ in range(6)]
    with scene.admin.transaction():
        scene.admin.execute('LOCK TABLE "llm_gateway_storedresponse" IN ACCESS EXCLUSIVE MODE')
        for thread in threads:
            thread.start()
        # Those beyond the pool are told so after its patience.
        until(lambda: 503 in readers, 30)
        before = scene.crowd.seen["200"]
        until(lambda: scene.crowd.seen["200"] > before + 10, 30)
        assert httpx.get(f"{scene.rig.processes.url}/readyz", trust_env=False, timeout=10).status_code == 200
    for thread in threads:
        thread.join(60)
    scene.end(f"two connections, six readers that wait; they heard {sorted(readers)}")
    assert not scene.crowd.seen["store_unavailable"]
    assert set(readers) == {404, 503}
