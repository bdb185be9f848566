"""The real task cluster on a real PostgreSQL: each of its processes has connections of its own, whatever happens to the server."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.waiting import until

from .conftest import ROOT
from .server import Server

pytestmark = [pytest.mark.slow, pytest.mark.postgres, pytest.mark.timeout(280)]
ENQUEUE = """
import django, sys
django.setup()
from django_q.tasks import async_task
for number in range(int(sys.argv[1])):
    async_task("llm_gateway.tasks.heartbeat", task_name=f"{sys.argv[2]} {number}")
"""


def environment(url: str) -> dict[str, str]:
    return {**os.environ, "DATABASE_URL": url, "DJANGO_SETTINGS_MODULE": "cogo.settings", "COGO_LOG_LEVEL": "ERROR"}


def enqueue(url: str, count: int, name: str) -> None:
    subprocess.run([sys.executable, "-c", ENQUEUE, str(count), name], cwd=ROOT, env=environment(url), check=True, timeout=60)


@contextmanager
def cluster(url: str, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "manage.py", "qcluster"], cwd=ROOT, env=environment(url), stdout=output, stderr=output, process_group=0
        )
    try:
        yield process
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def done(server: Server, database: str, name: str) -> int:
    sql = f"SELECT count(*) FROM django_q_task WHERE name LIKE '{name} %' AND success"
    return int(server.rows(database, sql)[0][0])


def test_forty_tasks_run_and_go_on_after_the_server_was_killed_and_restarted(template: Server, database: str, tmp_path: Path) -> None:
    """The schedules' own jobs run beside them: the sentinel, which forks every other process, asks the database as well. Once the server is
    gone it forks again, for what ended by that."""
    url, log = template.url(database), tmp_path / "log"
    template.run(database, "UPDATE django_q_schedule SET next_run = now() WHERE name = 'cogo:roll up'")
    enqueue(url, 40, "before")
    with cluster(url, log) as process:
        until(lambda: done(template, database, "before") == 40, 60)
        until(lambda: template.rows(database, "SELECT 1 FROM django_q_task WHERE func LIKE '%roll_up'"), 90)
        template.stop(signal.SIGQUIT)
        until(lambda: "Failed to pull task" in log.read_text(), 30)
        template.start()
        enqueue(url, 40, "after")
        until(lambda: done(template, database, "after") == 40, 90)
        assert process.poll() is None
    said = log.read_text()
    assert "reincarnated pusher" in said
    assert "didn't produce records" not in said
    assert "another command is already in progress" not in said


def test_two_clusters_on_one_database_run_each_task_once(template: Server, database: str, tmp_path: Path) -> None:
    url = template.url(database)
    enqueue(url, 40, "shared")
    with cluster(url, tmp_path / "one"), cluster(url, tmp_path / "two"):
        until(lambda: done(template, database, "shared") == 40, 90)
        until(lambda: not template.rows(database, "SELECT 1 FROM django_q_ormq"), 30)
    sql = "SELECT count(*), max(attempt_count) FROM django_q_task WHERE name LIKE 'shared %'"
    assert template.rows(database, sql) == [(40, 1)]
