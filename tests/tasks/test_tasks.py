from __future__ import annotations

import inspect
import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone
from django_q.signals import post_execute

from llm_gateway import tasks
from llm_gateway.actions.claim_job import claim_job
from llm_gateway.actions.load_catalogue import load_catalogue
from llm_gateway.actions.store_provider_key import store_provider_key
from llm_gateway.actions.trim_history import trim_history, trim_task_failures
from llm_gateway.models import Heartbeat, KeyCheck, LanguageModel, Provider, ProviderKey, RequestLog, Team

pytestmark = pytest.mark.django_db
NOW = timezone.now()


@pytest.fixture
def key() -> ProviderKey:
    host = Provider.objects.create(
        slug="host", title="Host", service="custom", wire="openai_chat", base_url="http://127.0.0.1:9/v1", allow_private=True
    )
    return store_provider_key(host, "canary-0123456789")


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "_SPREAD_S", 0.0)


def test_tasks_are_synchronous_functions() -> None:
    """django-q2 calls and never awaits: an ``async def`` task is lost and repeated for ever."""
    for name, value in inspect.getmembers(tasks, inspect.isfunction):
        assert not inspect.iscoroutinefunction(value), name


def test_a_job_is_claimed_by_one_and_free_again_for_its_next_run() -> None:
    every = timedelta(minutes=5)
    assert claim_job("x", every, NOW)
    assert not claim_job("x", every, NOW)
    assert not claim_job("x", every, NOW + timedelta(minutes=2))
    assert claim_job("x", every, NOW + timedelta(minutes=4, seconds=30))


def test_two_clusters_check_the_keys_once(key: ProviderKey) -> None:
    first, second = tasks.check_keys(), tasks.check_keys()
    assert first == {"checked": 1, "unreachable": 1}
    assert second == tasks.SKIPPED
    assert KeyCheck.objects.count() == 1


def test_keys_asked_for_by_id_are_checked_at_once_by_whoever_is_asked(key: ProviderKey) -> None:
    tasks.check_keys()
    assert tasks.check_keys([key.pk], "demand")["checked"] == 1
    assert tasks.check_key(key.pk)["checked"] == 1
    assert list(KeyCheck.objects.order_by("pk").values_list("trigger", flat=True)) == ["schedule", "demand", "save"]


def test_a_key_that_was_deleted_meanwhile_is_no_failure() -> None:
    assert tasks.check_key(12345) == {"checked": 0}


@pytest.mark.parametrize("ids", [["secret text"], [{"key": 1}], [True]])
def test_arguments_other_than_ids_are_refused(ids: list[Any]) -> None:
    with pytest.raises(TypeError):
        tasks.check_keys(ids)


def test_a_task_whose_result_was_stored_is_the_clusters_sign_of_life(settings: Any, tmp_path: Path) -> None:
    settings.VAR_DIR = tmp_path
    (tmp_path / "run").mkdir()
    post_execute.send(sender="django_q", task={})
    assert [file.name for file in (tmp_path / "run").iterdir()] == [f"{os.getpgrp()}.beat"]


def test_the_heartbeat_is_the_row_the_admin_looks_for() -> None:
    tasks.heartbeat()
    tasks.heartbeat()
    row = Heartbeat.objects.get(name="tasks")
    assert timezone.now() - row.at < timedelta(seconds=5)


def test_an_expired_open_request_is_orphaned_once() -> None:
    import uuid

    team = Team.objects.create(name="T", slug="t")
    RequestLog.objects.create(
        id=uuid.uuid4(), created_at=NOW, state="open", kind="chat", dialect="native", team=team, lease_until=NOW - timedelta(minutes=1)
    )
    assert tasks.reap_open_requests() == {"orphaned": 1}
    assert tasks.reap_open_requests() == {"orphaned": 0}
    assert RequestLog.objects.get().state == "orphaned"


def test_models_past_their_last_day_are_retired_but_not_the_operators(monkeypatch: pytest.MonkeyPatch) -> None:
    from datetime import date

    from llm_gateway.actions import advance_lifecycles as verb

    load_catalogue()
    LanguageModel.objects.filter(name="gpt-5").update(edited=True)
    assert verb.advance_lifecycles(date(2026, 11, 30)) == ["claude-sonnet-4-5"]
    assert "gpt-5" not in verb.advance_lifecycles(date(2026, 12, 12))
    assert verb.advance_lifecycles(date(2026, 12, 12)) == []


def test_old_history_is_trimmed_in_steps(key: ProviderKey, monkeypatch: pytest.MonkeyPatch) -> None:
    from llm_gateway.actions import trim_history as verb

    monkeypatch.setattr(verb, "CHUNK", 2)
    for days in (1, 29, 31, 40, 50):
        KeyCheck.objects.create(provider_key=key, at=NOW - timedelta(days=days), state="valid", trigger="schedule")
    Heartbeat.objects.create(name="worker:gone", at=NOW - timedelta(days=3))
    Heartbeat.objects.create(name="catalogue", at=NOW - timedelta(days=300))
    result = trim_history(NOW)
    assert (result.key_checks, result.heartbeats) == (3, 1)
    assert KeyCheck.objects.count() == 2
    assert Heartbeat.objects.filter(name="catalogue").exists()
    assert tasks.trim_history()["key_checks"] == 0
    assert tasks.trim_history() == tasks.SKIPPED


def test_old_failures_of_tasks_are_deleted() -> None:
    from django_q.models import Task

    for number, days in enumerate((1, 8)):
        moment = NOW - timedelta(days=days)
        Task.objects.create(id=f"{number:032}", name="x", func="f", started=moment, stopped=moment, success=False)
    assert trim_task_failures(NOW) == 1
    assert tasks.trim_task_failures() == {"deleted": 0}


def test_published_prices_are_compared_and_never_written_by_the_schedule() -> None:
    from llm_gateway.models import Price

    load_catalogue()
    result = tasks.compare_prices()
    assert result["new"] > 50
    assert not Price.objects.exists()
    assert tasks.compare_prices() == tasks.SKIPPED


def test_what_a_task_returns_is_small_and_plain(key: ProviderKey) -> None:
    import json

    for task in (tasks.check_keys, tasks.heartbeat, tasks.reap_open_requests, tasks.compare_prices):
        assert len(json.dumps(task())) < 20_000
