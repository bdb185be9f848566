"""One process migrates a database at a time."""

from __future__ import annotations

import io
import threading
from pathlib import Path

import pytest
from django.core.management import call_command

from cogo import migrating
from cogo.preflight import CannotStart


def locked(path: Path) -> bool:
    with migrating._sqlite(str(path)) as (take, _):
        return take()


def test_a_file_is_locked_for_one_process_and_free_again_after_it(tmp_path: Path) -> None:
    path = tmp_path / "db.sqlite3"
    with migrating._sqlite(str(path)) as (take, _):
        assert take()
        assert not locked(path)
        assert locked(tmp_path / "another.sqlite3")
    assert locked(path)


@pytest.mark.django_db
def test_who_comes_second_says_so_waits_and_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(migrating, "LOOK_S", 0.01)
    said: list[str] = []
    free, entered = threading.Event(), threading.Event()

    def first() -> None:
        with migrating.alone(said.append):
            entered.set()
            free.wait(10)

    thread = threading.Thread(target=first)
    thread.start()
    assert entered.wait(10)
    with pytest.raises(CannotStart, match="has been migrating this database"), migrating.alone(said.append, patience_s=0.05):
        raise AssertionError("two migrate at once")
    assert said == ["Another process is migrating this database; waiting for it"]
    free.set()
    with migrating.alone(said.append):
        thread.join(10)


@pytest.mark.django_db
def test_the_command_takes_the_lock() -> None:
    taken: list[str] = []

    def say(line: str) -> None:
        taken.append(line)

    with migrating.alone(say):
        told = io.StringIO()
        thread = threading.Thread(target=lambda: call_command("migrate", "--plan", stdout=told))
        thread.start()
        thread.join(1.0)
        assert thread.is_alive()
        assert "Another process" in told.getvalue()
    thread.join(30)
    assert not thread.is_alive()
