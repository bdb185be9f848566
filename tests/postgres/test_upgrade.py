"""A migration while traffic runs: a statement that waits for a table keeps every later writer of that table waiting with it."""

from __future__ import annotations

import threading
import time
from typing import Any

import psycopg
import pytest
from django.apps import apps
from django.db import connection, models, transaction
from django.db.migrations.state import ProjectState

from cogo import migrating
from cogo.preflight import CannotStart
from llm_gateway.migrations._operations import AddIndexWhileWriting

pytestmark = [pytest.mark.slow, pytest.mark.postgres, pytest.mark.timeout(120)]


def direct() -> psycopg.Connection[Any]:
    return psycopg.connect(**connection.get_connection_params(), autocommit=True)


@pytest.fixture
def table(transactional_db: None) -> Any:
    name = "hot_table_of_a_test"
    with direct() as own:
        own.execute(f"DROP TABLE IF EXISTS {name}; CREATE TABLE {name} (x int)")
        yield name
        own.execute(f"DROP TABLE IF EXISTS {name}")


def test_writers_wait_no_longer_than_a_moment_while_a_migration_waits_for_a_reader(table: str) -> None:
    said: list[str] = []
    longest, done = [0.0], threading.Event()

    def write() -> None:
        with direct() as own:
            while not done.wait(0.01):
                began = time.monotonic()
                own.execute(f"INSERT INTO {table} VALUES (1)")
                longest[0] = max(longest[0], time.monotonic() - began)

    def migrate() -> None:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(f"ALTER TABLE {table} ADD COLUMN y int")

    writer = threading.Thread(target=write)
    with direct() as reader:
        reader.execute("BEGIN")
        reader.execute(f"SELECT count(*) FROM {table}")
        writer.start()
        leave = threading.Timer(8.0, lambda: reader.execute("COMMIT"))
        leave.start()
        try:
            migrating.patiently(migrate, said.append)
        finally:
            leave.join()
            done.set()
            writer.join(30)
        columns = reader.execute("SELECT count(*) FROM information_schema.columns WHERE table_name = %s", [table]).fetchone()
    assert columns == (2,)
    assert len(said) == 1
    # Without the limit they wait as long as the reader stays.
    assert 0 < longest[0] < 5.0, longest


def test_who_waits_for_another_migration_says_so_and_gives_up_in_the_end(transactional_db: None) -> None:
    said: list[str] = []
    with migrating.alone(said.append):
        assert said == []
        named = r"another process \(PostgreSQL's process \d+\) has been migrating"
        with pytest.raises(CannotStart, match=named), migrating.alone(said.append, patience_s=0.2):
            raise AssertionError("two migrate at once")
        assert said == ["Another process is migrating this database; waiting for it"]
    with migrating.alone(said.append):
        assert len(said) == 1


def test_an_index_is_built_while_rows_are_written(transactional_db: None) -> None:
    """Also where an earlier try was broken off, which leaves an invalid index behind."""
    operation = AddIndexWhileWriting("heartbeat", models.Index(fields=["at"], name="index_of_a_test"))
    state = ProjectState.from_apps(apps)
    done, failures = threading.Event(), []

    def build() -> None:
        try:
            with connection.schema_editor(atomic=False) as editor:
                operation.database_forwards("llm_gateway", editor, state, state)
        except Exception as error:
            failures.append(error)
        finally:
            connection.close()
            done.set()

    with direct() as earlier, direct() as writer:
        earlier.execute("CREATE INDEX index_of_a_test ON llm_gateway_heartbeat (name)")
        earlier.execute("BEGIN; INSERT INTO llm_gateway_heartbeat (name, at, detail) VALUES ('earlier', now(), '{}')")
        builder = threading.Thread(target=build)
        builder.start()
        writer.execute("SET lock_timeout = '20s'")
        assert not done.wait(0.5), "it waits for the transaction that wrote before it"
        writer.execute("INSERT INTO llm_gateway_heartbeat (name, at, detail) VALUES ('while', now(), '{}')")
        earlier.execute("COMMIT")
        builder.join(60)
        assert done.is_set()
        assert failures == []
        found = writer.execute("SELECT indisvalid FROM pg_index WHERE indexrelid = 'index_of_a_test'::regclass").fetchall()
        assert found == [(True,)]
        writer.execute("DROP INDEX index_of_a_test; DELETE FROM llm_gateway_heartbeat WHERE name IN ('earlier', 'while')")
