"""One page over all changes: by person, subject, origin and day, in the browser and as a file."""

from __future__ import annotations

import io
import re
import zipfile
from datetime import UTC, datetime

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from llm_gateway.models import AuditEntry, Team, trail

from .conftest import signed_in
from .forms import post
from .test_pages import name

pytestmark = pytest.mark.django_db
LIST = "/admin/llm_gateway/auditentry/"
ANN, BOB = trail.Actor(name="ann", id=5, via="console"), trail.Actor(name="client key bob", via="api")
SHELL = trail.Actor(name="root at the terminal", via="command")


@pytest.fixture
def auditor(db: None) -> Client:
    """With an entry of each origin, each called by it, and three days of March."""
    client = signed_in("auditor")
    AuditEntry.objects.forget_before(timezone.now())
    for who, action, called in (
        (ANN, "changed", "of-console"), (BOB, "changed", "of-api"), (SHELL, "ran", "of-command"), (trail.Actor(), "did", "of-system"),
        (ANN, "signed in", "of-sign-in"), (ANN, "sign-in failed", "of-sign-in"), (ANN, "read texts", "of-reading"),
    ):  # fmt: skip
        trail.record(action, who=who, name=called)
    for day in (9, 10, 11):
        AuditEntry.objects.create(via="console", action="did", object_name=f"march-{day}", at=datetime(2026, 3, day, 23, 59, tzinfo=UTC))
    return client


def shown(client: Client, query: str) -> set[str]:
    page = client.get(f"{LIST}?{query}")
    assert page.status_code == 200, query
    return set(re.findall(r"\b(?:of|march)-[\w-]+", page.content.decode().partition("<table")[2]))


@pytest.mark.parametrize("origin", ["console", "api", "command", "system", "sign-in", "reading"])
def test_each_origin_shows_its_own(auditor: Client, origin: str) -> None:
    found = {one for one in shown(auditor, f"origin={origin}") if one.startswith("of-")}
    assert found == {f"of-{origin}"}


def test_person_subject_and_days(auditor: Client) -> None:
    assert shown(auditor, "person=ann") == {"of-console", "of-sign-in", "of-reading"}
    assert shown(auditor, "person=client key bob") == {"of-api"}, "who has no account"
    assert shown(auditor, "person=nobody") == set()
    assert shown(auditor, "at_from=2026-03-10&at_to=2026-03-10") == {"march-10"}
    assert shown(auditor, "at_from=2026-03-10&at_to=2026-03-11&origin=console") == {"march-10", "march-11"}
    assert shown(auditor, "at_to=2026-03-09") == {"march-9"}
    assert shown(auditor, "at_from=2031-01-01") == set()
    everything = shown(auditor, "")
    for nonsense in ("at_from=yesterday", "at_to=9999-12-31", "at_from=0001-01-01", "origin=x", "person=%00"):
        assert shown(auditor, nonsense) in (everything, set()), nonsense


def test_values_before_and_after_are_on_the_page_and_secrets_are_not(boss: Client) -> None:
    team = Team.objects.create(name="Blue", slug="blue")
    post(boss, name(Team, "change", team.pk), name="Green")
    user = User.objects.get(username="boss")
    boss.post(
        f"/admin/auth/user/{user.pk}/password/", {"password1": "a" + "1b" * 8, "password2": "a" + "1b" * 8, "usable_password": "true"}
    )
    page = boss.get(f"{LIST}?person=boss").content.decode()
    assert "<del>Blue</del> → <ins>Green</ins>" in page
    assert "<del>(secret)</del> → <ins>(secret)</ins>" in page
    assert user.password not in page


def test_the_workbook_holds_what_the_filters_show_and_no_formula(auditor: Client) -> None:
    trail.record("changed", who=ANN, name="=cmd()", changes={"limit": [1, 2], "title": [None, "x"]})
    answer = auditor.get(f"{LIST}export.xlsx?person=ann")
    assert answer["Content-Disposition"].endswith('.xlsx"')
    book = zipfile.ZipFile(io.BytesIO(answer.content))
    sheet = book.read("xl/worksheets/sheet1.xml").decode()
    assert "limit: 1 → 2; title: nothing → x" in sheet
    assert "of-reading" in sheet
    assert "of-api" not in sheet
    assert "<f>" not in sheet
    assert AuditEntry.objects.filter(action="exported", actor="auditor", detail="person=ann").exists()
    for role in ("viewer", "operator", "finance"):
        assert signed_in(role).get(f"{LIST}export.xlsx").status_code == 403
    assert auditor.get(f"{LIST}export.xlsx?at_to=9999-12-31&at_from=x").status_code == 200


def test_the_page_costs_the_same_whatever_is_in_the_trail(auditor: Client) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as seen:
            auditor.get(f"{LIST}?person=ann")
        return len(seen)

    few = queries()
    for _ in range(30):
        trail.record("did", who=ANN, name="more")
    assert queries() == few
