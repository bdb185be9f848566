"""Home leads whoever is new, warns whoever is on call, and moves."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.core.cache import cache
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from django_q.models import Task

from analytics.home.checklist import STEPS
from analytics.models import DailyRollup
from llm_gateway.models import Alert, Alias, AliasTarget, Budget, Heartbeat, LanguageModel, ProviderKey
from tests.analytics import factories

from .conftest import signed_in
from .test_refusals_shown import failures, refused

pytestmark = pytest.mark.django_db
LIVE = "/admin/reports/home/"
# All that home asks of the database for a superuser, with rows in every table. One more has to be worth it.
MOST_QUERIES = 62


def done(html: str) -> list[bool]:
    """Of each step; by what is left, once the gateway answers."""
    if 'id="home-todo"' in html:
        left = html.split('id="home-todo"')[1].split("</p>")[0]
        return [step.title not in left for step in STEPS]
    part = html.split('id="home-steps"')[1].split("</ol>")[0] if 'id="home-steps"' in html else ""
    return [' class="done"' in one for one in part.split("<li")[1:]]


def test_the_checklist_ticks_itself_and_goes_when_all_is_done(boss: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(settings.COGO, "alert_email", "")
    monkeypatch.setitem(settings.COGO, "alert_webhook_url", "")
    assert done(boss.get("/admin/").content.decode()) == [False] * 6
    local = factories.provider("local", "This machine")
    ProviderKey.objects.create(provider=local)
    key = factories.client_key("first")
    assert done(boss.get(LIVE).content.decode()) == [False] * 6, "what set-up made proves nothing"
    ProviderKey.objects.create(provider=factories.provider())
    assert done(boss.get(LIVE).content.decode()) == [True, *[False] * 5]
    factories.request(timezone.now(), key, None, state="failed")
    assert done(boss.get(LIVE).content.decode())[1] is False
    factories.request(timezone.now(), key, None)
    factories.client_key("mine", created_by=User.objects.get(username="boss"))
    Budget.objects.create(name="b", limit_nusd=1)
    assert done(boss.get(LIVE).content.decode()) == [True, True, True, True, False, False]
    factories.team("Paying", alert_email="ops@example.test")
    User.objects.create_user("colleague", is_staff=True)
    assert done(boss.get(LIVE).content.decode()) == []


def test_every_step_leads_to_a_page_and_only_who_may_do_it_sees_it(boss: Client) -> None:
    html = boss.get("/admin/").content.decode()
    for step in STEPS:
        assert f'href="{step.url()}"' in html, step.title
        assert boss.get(step.url()).status_code == 200, step.title
    operator = signed_in("operator").get("/admin/").content.decode()
    assert 'id="home-steps"' in html
    assert "Add a provider key" in operator
    assert "Set a budget" not in operator
    assert 'id="home-steps"' not in signed_in("viewer").get("/admin/").content.decode()


def trouble() -> None:
    now = timezone.now()
    found = factories.catalogue()
    gemini = found["providers"]["gemini"]
    failures(gemini, 4, 30)
    refused(Budget.objects.create(name="nightly", limit_nusd=1_000_000, period="day"), error_code="insufficient_quota")
    Heartbeat.objects.create(name="tasks", at=now - timedelta(hours=1))
    times = {"started": now, "stopped": now}
    Task.objects.create(id="t1", name="roll up", func="llm_gateway.tasks.roll_up", success=False, result="no", **times)
    Alert.objects.create(
        budget_name="nightly", kind="exhausted", threshold=100, limit_nusd=5, spent_nusd=5, created_at=now, error="webhook: 500"
    )
    DailyRollup.objects.create(day=now.date(), team_id=1, model="claude-3.5-sonnet", kind="chat", requests=3)
    old = Alias.objects.create(name="ancient")
    gone = LanguageModel.objects.create(name="gone-1", upstream_id="gone", provider=gemini, lifecycle="retired")
    AliasTarget.objects.create(alias=old, model=gone)


EXPECTED = {
    "Google Gemini is failing now": "provider__id__exact",
    "The key gemini · default is invalid": "/providerkey/",
    "The budget “nightly” refuses requests": "budget=",
    "claude-3.5-sonnet is in use and was retired on 2025-10-28": "/languagemodel/",
    "The alias ancient leads to a retired model": "/alias/",
    "house-llm has no price": "/price/add/?model=",
    "The task cluster is silent.": "/heartbeat/",
    "1 background job failed in 24 hours": "/failure/",
    "1 alert in 24 hours": "/alert/",
}


def test_the_inbox_names_what_needs_somebody_with_the_way_to_it(boss: Client) -> None:
    MigrationRecorder.Migration.objects.update(applied=timezone.now())
    assert "Nothing needs you now." in boss.get("/admin/").content.decode()
    trouble()
    cache.clear()
    html = boss.get(LIVE).content.decode()
    items = {re.sub(r"<[^>]+>", "", one.split("</strong>")[0]).strip(): one for one in re.split(r"<strong>", html.split("</ul>")[0])[1:]}
    for title, url in EXPECTED.items():
        assert title in items, (title, list(items))
        assert url in items[title], (title, items[title])
    assert "once in the last 15 minutes, until" in html
    assert "1 could not be delivered yet" in html
    tones = re.findall(r'<li class="cogo-(bad|warn)">', html)
    assert tones == sorted(tones), "what is worst comes first"
    for url in re.findall(r'class="cogo-button" href="([^"]+)"', html):
        assert boss.get(url.replace("&amp;", "&")).status_code == 200, url


def test_nobody_is_told_of_what_their_role_does_not_see() -> None:
    trouble()
    viewer = signed_in("viewer").get(LIVE).content.decode()
    assert "Google Gemini is failing now" in viewer
    for title in ("nightly", "background job", "1 alert"):
        assert title not in viewer
    finance = signed_in("finance").get(LIVE).content.decode()
    assert "The budget “nightly” refuses requests" in finance
    assert "The key gemini" not in finance
    assert Client().get(LIVE).status_code == 302
    nobody = signed_in("nobody").get(LIVE)
    assert (nobody.status_code, "cogo-kpi-value" in nobody.content.decode()) == (200, False)


def test_more_of_one_kind_is_a_number(boss: Client) -> None:
    acme = factories.provider()
    ProviderKey.objects.create(provider=acme)
    for n in range(9):
        factories.model(f"m-{n}", acme, None)
    html = boss.get(LIVE).content.decode()
    assert html.count("has no price") == 5
    assert "and 4 more of this kind" in html


def test_the_moving_part_is_small_and_its_figures_are_worked_out_once(boss: Client) -> None:
    found = factories.catalogue()
    for n in range(6):
        factories.request(timezone.now() - timedelta(minutes=n), factories.client_key(f"k{n}"), found["models"]["kimi-k3"], ttft_ms=80)
    first = boss.get(LIVE)
    html = first.content.decode()
    assert "nav-sidebar" not in html
    assert "no-store" in first["Cache-Control"]
    for text in (
        "Requests per hour by provider",
        "Latency per hour",
        "Cost per day by provider",
        "Tokens per hour by model",
        "first token",
    ):
        assert text in html, text
    assert html.count("<canvas") == 4
    sql = queries(boss, LIVE)
    assert [one for one in sql if "rollup" in one.lower()] == [one for one in sql if "dailyrollup" in one.lower() and "DISTINCT" in one]
    assert 'data-refresh="/admin/reports/home/"' in boss.get("/admin/").content.decode()


def queries(client: Client, url: str) -> list[str]:
    with CaptureQueriesContext(connection) as found:
        assert client.get(url).status_code == 200
    return [query["sql"] for query in found]


def test_home_takes_as_many_queries_for_a_hundred_rows_as_for_ten(boss: Client) -> None:
    trouble()
    Budget.objects.create(name="calm", limit_nusd=10**9)

    def more(first: int, last: int) -> None:
        for n in range(first, last):
            at = factories.provider(f"p{n}", f"P{n}")
            ProviderKey.objects.create(provider=at, state="invalid")
            factories.request(timezone.now(), factories.client_key(f"c{n}"), factories.model(f"m{n}", at))
            refused(Budget.objects.create(name=f"b{n}", limit_nusd=1))

    counts = []
    for first, last in ((0, 2), (2, 8)):
        more(first, last)
        cache.clear()
        counts.append(len(queries(boss, "/admin/")))
    assert counts[0] == counts[1]
    assert counts[0] <= MOST_QUERIES, counts
    cache.clear()
    first: Any = len(queries(boss, LIVE))
    again = len(queries(boss, LIVE))
    assert again < first


def test_budgets_stand_beside_their_limits(boss: Client) -> None:
    Budget.objects.create(name="half", limit_nusd=10**9, posted_nusd=4 * 10**8, held_nusd=10**8, period="total", period_id="total")
    Budget.objects.create(name="off", limit_nusd=10**9, enabled=False)
    html = boss.get(LIVE).content.decode()
    assert "$0.40 spent, $0.10 held of $1.00" in html
    assert "width:40.0%" in html
    assert ">off<" not in html
    assert "home-budgets" not in signed_in("viewer").get(LIVE).content.decode()
