"""PgBouncer in transaction mode: the next transaction of a client meets another server connection, so nothing may live in a session."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.money.rig import Crowd, broken, rig, settled
from tests.support.waiting import until

from .conftest import ROOT
from .server import USER, Server, pgbouncer
from .test_task_cluster import cluster, done, enqueue, environment

pytestmark = [pytest.mark.slow, pytest.mark.postgres, pytest.mark.timeout(200)]


def test_a_gateway_behind_it_serves_and_leaves_no_setting_behind(test_database: None, django_db_blocker: Any) -> None:
    with django_db_blocker.unblock():
        from django.db import connection

        at = connection.settings_dict
        with pgbouncer(int(at["PORT"] or 5432)) as port:
            url = f"postgres://{at['USER']}@127.0.0.1:{port}/{at['NAME']}"
            with rig(1, database=url, COGO_PGBOUNCER="true") as found:
                found.processes.wait_ready()
                key = found.rows.issue("k")
                time.sleep(2.0)  # the process knows it
                crowd = Crowd(found, [key], 15)
                asyncio.run(crowd.send(80))
                settled(20)
                assert not found.missing()
                assert not (wrong := broken()), wrong
                assert crowd.seen["200"] >= 40, crowd.seen
                assert not crowd.seen["store_unavailable"], crowd.seen
                dsn = f"host=127.0.0.1 port={port} user={at['USER']} dbname={at['NAME']}"
                with psycopg.connect(dsn, autocommit=True, prepare_threshold=None) as asked:
                    settings = {
                        asked.execute("SELECT current_setting('lock_timeout'), current_setting('statement_timeout')").fetchone()
                        for _ in range(20)
                    }
                assert settings == {("0", "0")}


def test_the_task_cluster_and_the_migrations_run_through_it(template: Server, tmp_path: Path) -> None:
    template.create("bounced")
    with pgbouncer(template.port) as port:
        url = f"postgres://{USER}@127.0.0.1:{port}/bounced"
        given = {**environment(url), "COGO_PGBOUNCER": "true"}
        running = [
            subprocess.Popen([sys.executable, "manage.py", "migrate", "-v", "0"], cwd=ROOT, env=given, stdout=subprocess.PIPE, text=True)
            for _ in range(2)
        ]
        told = [process.communicate(timeout=150)[0] for process in running]
        assert [process.returncode for process in running] == [0, 0], told
        assert "".join(told).count("Another process is migrating this database") == 1
        enqueue(url, 10, "bounced")
        with cluster(url, tmp_path / "log"):
            until(lambda: done(template, "bounced", "bounced") == 10, 60)
