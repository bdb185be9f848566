"""``manage.py doctor``: each thing that is wrong in one sentence with its cure, and nothing where nothing is."""

from __future__ import annotations

import json
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.utils import timezone

from cogo import doctor
from llm_gateway.actions.create_client_key import create_client_key
from llm_gateway.actions.store_provider_key import store_provider_key
from llm_gateway.models import Alert, AuditRun, Budget, Heartbeat, LanguageModel, Price, Provider, ProviderKey, Strategy, Team
from llm_gateway.stores.leases import SIGN


@pytest.fixture
def healthy(team: Team, host: Provider, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """An installation with nothing wrong: a valid key, a priced model, a strategy, a client key, fresh audits, a worker, a destination."""
    settings.COGO = {**settings.COGO, "alert_email": "ops@example.com"}
    settings.ALLOWED_HOSTS = ["localhost"]
    # It would begin a transaction inside this test's own; it is examined for itself below.
    monkeypatch.setattr("cogo.doctor.ground.check_database", lambda: None)
    monkeypatch.setattr("cogo.doctor.ground.shutil.disk_usage", lambda folder: type("Usage", (), {"free": 50 << 30, "total": 100 << 30}))
    key = store_provider_key(host, "a-key-of-the-test", "default")
    ProviderKey.objects.filter(pk=key.pk).update(state="valid")
    model = LanguageModel.objects.create(provider=host, upstream_id="m", name="host-m")
    Price.objects.create(model=model, effective_from=timezone.now() - timedelta(days=1), input=1, output=2)
    Strategy.objects.update_or_create(name="enterprise", defaults={"kind": "enterprise", "title": "Enterprise", "active": True})
    create_client_key("caller", team, ("generate",))
    Heartbeat.objects.update_or_create(name=f"{SIGN}1", defaults={"at": timezone.now()})
    Heartbeat.objects.update_or_create(name="tasks", defaults={"at": timezone.now()})
    AuditRun.objects.create(kind="books", at=timezone.now(), ok=True)


def findings() -> tuple[list[dict[str, str]], int]:
    """(all but what is fine, exit code)"""
    out, code = StringIO(), 0
    try:
        call_command("doctor", "--json", stdout=out)
    except SystemExit as ended:
        code = int(str(ended.code))
    rows = [json.loads(line) for line in out.getvalue().splitlines()]
    return [row for row in rows if row["grade"] != "ok"], code


def disable(model: type[Any], **values: Any) -> None:
    model.objects.update(**values)


SICK: dict[str, tuple[Any, str, str, int]] = {
    "a refused key": (lambda: disable(ProviderKey, state="invalid", reason="401"), "Provider keys", "is invalid: 401", 1),
    "no key": (lambda: disable(ProviderKey, enabled=False), "Provider keys", "No provider has a valid key", 1),
    "an unpriced model": (lambda: Price.objects.all().delete(), "Models and prices", "host-m", 1),
    "a model about to retire": (
        lambda: disable(LanguageModel, retires_on=timezone.now().date() + timedelta(days=3)), "Models and prices", "host-m on", 0,
    ),
    "no strategy": (lambda: disable(Strategy, active=False), "Strategy", "No strategy is active", 1),
    "a team that is off": (lambda: disable(Team, enabled=False), "Client keys and budgets", "No client key is valid", 1),
    "a budget that is used up": (
        lambda: Budget.objects.create(name="all", limit_nusd=5, posted_nusd=5, period_id="2026-11"), "Client keys and budgets", "all", 0,
    ),
    "no worker": (lambda: Heartbeat.objects.filter(name__startswith=SIGN).delete(), "Processes", "No web worker", 0),
    "a silent cluster": (
        lambda: Heartbeat.objects.filter(name="tasks").update(at=timezone.now() - timedelta(hours=1)), "Processes", "task cluster", 1,
    ),
    "a broken audit": (
        lambda: AuditRun.objects.create(kind="books", at=timezone.now(), ok=False, findings=[{"code": "M1", "broken": 2}])
        , "Books", "M1", 1,
    ),
    "no audit for two days": (lambda: disable(AuditRun, at=timezone.now() - timedelta(days=2)), "Books", "not been audited", 0),
    "an alert nobody took": (
        lambda: Alert.objects.create(
            budget_name="x", kind="exhausted", threshold=100, limit_nusd=1, spent_nusd=1, created_at=timezone.now() - timedelta(hours=1),
        ), "Alerts", "1 alert could not be delivered", 1,
    ),
}  # fmt: skip


@pytest.mark.usefixtures("healthy")
def test_a_healthy_installation_has_nothing_to_complain_of() -> None:
    assert findings() == ([], 0)


@pytest.mark.usefixtures("healthy")
@pytest.mark.parametrize("case", SICK)
def test_each_trouble_is_named_with_its_cure(case: str) -> None:
    spoil, subject, words, code = SICK[case]
    spoil()
    rows, ended = findings()
    hits = [row for row in rows if row["subject"] == subject and words in row["finding"]]
    assert len(hits) == 1, rows
    assert hits[0]["cure"]
    assert ended == code


@pytest.mark.usefixtures("healthy")
def test_one_examination_that_fails_hides_nothing_of_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> Any:
        raise RuntimeError("no such thing")
        yield

    monkeypatch.setattr(doctor.examinations, "_all", [("Broken", False, broken), *doctor.examinations])
    rows, ended = findings()
    assert [(row["subject"], row["grade"]) for row in rows] == [("Broken", "PROBLEM")]
    assert ended == 1


@pytest.mark.usefixtures("healthy")
def test_without_a_database_it_says_so_once(monkeypatch: pytest.MonkeyPatch) -> None:
    from cogo.preflight import CannotStart

    def refuses() -> None:
        raise CannotStart("the database is locked by another program; stop it, then try again")

    monkeypatch.setattr("cogo.doctor.ground.check_database", refuses)
    rows, ended = findings()
    assert [row["subject"] for row in rows] == ["Database", "Everything else"], rows
    assert rows[0]["finding"] == "the database is locked by another program; stop it, then try again."
    assert ended == 1


@pytest.mark.django_db(transaction=True)
def test_the_real_database_passes_its_examination() -> None:
    from cogo.doctor.ground import database

    assert [one.grade for one in database()] == [doctor.Grade.FINE]
