"""Connections after a fork, beside the pool, and in the task cluster."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.db import connection, connections
from django.db.utils import ConnectionHandler

from llm_gateway.stores import connecting

ROOT = Path(__file__).resolve().parents[2]
FORK = """
import os, django
django.setup()
from django.db import connection, connections
connection.ensure_connection()
type(connections["default"])._connection_pools = {"default": "the parent's"}
mine = id(connections["default"])
if os.fork() == 0:
    fresh = not connections.all(initialized_only=True) and not type(connections["default"])._connection_pools
    os._exit(0 if fresh and connections["default"].connection is None and id(connections["default"]) != mine else 3)
code = os.waitstatus_to_exitcode(os.wait()[1])
kept = connections["default"].connection is not None and type(connections["default"])._connection_pools
raise SystemExit(code if kept else 4)
"""
SETTINGS = """
import json, sys
sys.argv = ["manage.py", *sys.argv[1:]]
from cogo.settings import DATABASES
print(json.dumps(DATABASES["default"]))
"""


def test_a_forked_process_has_none_of_its_parents_connections() -> None:
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "cogo.settings"}
    done = subprocess.run([sys.executable, "-c", FORK], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


def settings_of(*argv: str, **environment: str) -> dict[str, Any]:
    given = {**os.environ, "DATABASE_URL": "postgres://u@127.0.0.1:5432/x", **environment}
    done = subprocess.run(
        [sys.executable, "-c", SETTINGS, *argv], cwd=ROOT, env=given, capture_output=True, text=True, timeout=60, check=True
    )
    return dict(json.loads(done.stdout))


def test_the_processes_of_the_task_cluster_have_no_pool_and_keep_their_connection() -> None:
    found = settings_of("qcluster")
    assert "pool" not in found["OPTIONS"]
    assert found["CONN_MAX_AGE"] > 0
    assert found["CONN_HEALTH_CHECKS"]


def test_a_web_process_does_not_double_its_pauses_nor_wait_for_a_host_that_is_gone() -> None:
    found = settings_of("serve")
    assert found["OPTIONS"]["pool"]["reconnect_timeout"] <= found["OPTIONS"]["pool"]["timeout"] <= 5
    assert found["OPTIONS"]["connect_timeout"] <= 5
    assert found["OPTIONS"]["tcp_user_timeout"] <= 15_000
    assert not found["DISABLE_SERVER_SIDE_CURSORS"]


def test_what_the_url_says_of_the_connection_comes_first() -> None:
    found = settings_of("serve", DATABASE_URL="postgres://u@127.0.0.1:5432/x?connect_timeout=9&target_session_attrs=read-write")
    assert (found["OPTIONS"]["connect_timeout"], found["OPTIONS"]["target_session_attrs"]) == (9, "read-write")


def test_behind_pgbouncer_there_are_no_cursors_on_the_server_and_a_pool_may_be_left_out() -> None:
    found = settings_of("serve", COGO_PGBOUNCER="true", COGO_DB_POOL="0")
    assert found["DISABLE_SERVER_SIDE_CURSORS"]
    assert "pool" not in found["OPTIONS"]


@pytest.mark.django_db
def test_a_thread_that_leaves_the_pool_has_a_connection_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    handler = ConnectionHandler(
        {"default": {**connection.settings_dict, "OPTIONS": {**connection.settings_dict["OPTIONS"], "pool": {"max_size": 1}}}}
    )
    monkeypatch.setattr(connecting, "connections", handler)
    before = handler["default"]
    connecting.take_own_connection()
    assert handler["default"] is not before
    assert "pool" not in handler["default"].settings_dict["OPTIONS"]
    # Of this thread alone: the next one finds the pool.
    assert "pool" in handler.settings["default"]["OPTIONS"]
    again = handler["default"]
    connecting.take_own_connection()
    assert handler["default"] is again


def test_after_an_outage_the_pool_is_renewed(monkeypatch: pytest.MonkeyPatch) -> None:
    class Pool:
        closed = False
        drained = 0

        def drain(self) -> None:
            self.drained += 1

    pool = Pool()
    monkeypatch.setattr(type(connections["default"]), "_connection_pools", {"default": pool}, raising=False)
    connecting.renew_pool()
    assert pool.drained == 1
    pool.closed = True
    connecting.renew_pool()
    assert pool.drained == 1
