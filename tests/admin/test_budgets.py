from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from llm_gateway.models import Budget
from tests.analytics import factories

from .forms import fields_of, post

pytestmark = pytest.mark.django_db
ADD = "/admin/llm_gateway/budget/add/"


@pytest.mark.parametrize(("typed", "nusd"), [("12.34", 12_340_000_000), ("0.000000001", 1), ("0", 0), ("999999999", 999_999_999 * 10**9)])
def test_a_limit_is_typed_in_dollars_and_kept_exactly(boss: Client, typed: str, nusd: int) -> None:
    post(boss, ADD, name="b", limit_usd=typed)
    row = Budget.objects.get()
    assert row.limit_nusd == nusd
    shown = fields_of(boss.get(reverse("admin:llm_gateway_budget_change", args=[row.pk])).content.decode())
    assert float(shown["limit_usd"]) == float(typed)
    post(boss, reverse("admin:llm_gateway_budget_change", args=[row.pk]), name="c")
    row.refresh_from_db()
    assert (row.name, row.limit_nusd) == ("c", nusd)


@pytest.mark.parametrize("typed", ["-1", "NaN", "Infinity", "1e30", "0.0000000001", "ten"])
def test_a_limit_that_is_none_is_refused(boss: Client, typed: str) -> None:
    assert post(boss, ADD, name="b", limit_usd=typed).status_code == 200
    assert not Budget.objects.exists()


def test_one_owner_one_zone_whole_percentages(boss: Client) -> None:
    team, key = factories.team(), factories.client_key()
    for changes, said in (
        ({"team": team.pk, "client_key": key.pk}, "A budget binds one thing"),
        ({"timezone": "Mars/Olympus"}, "time zone by its name"),
        ({"thresholds": "50, lots"}, "whole percentages"),
    ):
        assert said in post(boss, ADD, name="b", limit_usd="1", **changes).content.decode()
    post(boss, ADD, name="b", limit_usd="1", team=team.pk, timezone="Europe/Berlin", thresholds="100, 50%,50")
    row = Budget.objects.get()
    assert (row.team, row.thresholds, row.timezone) == (team, [50, 100], "Europe/Berlin")


def test_the_bar_shows_this_period_only(boss: Client) -> None:
    month = f"{timezone.now():%Y-%m}"
    Budget.objects.create(name="now", limit_nusd=10 * 10**9, posted_nusd=4 * 10**9, held_nusd=10**9, period_id=month)
    Budget.objects.create(name="before", limit_nusd=7 * 10**9, posted_nusd=6 * 10**9, held_nusd=10**9, period_id="2020-01")
    html = boss.get("/admin/llm_gateway/budget/").content.decode()
    assert "$4.00 spent" in html
    assert "$5.00 left" in html
    assert "$6.00 spent" not in html
    assert "$7.00 left" in html


def test_counters_cannot_be_typed(boss: Client) -> None:
    post(boss, ADD, name="b", limit_usd="1", posted_nusd="5", held_nusd="5", limit_nusd="99", period_id="x")
    row = Budget.objects.get()
    assert (row.posted_nusd, row.held_nusd, row.limit_nusd, row.period_id) == (0, 0, 10**9, "")


def test_a_reset_and_a_raise_are_typed_shown_and_ended(boss: Client) -> None:
    post(boss, ADD, name="b", limit_usd="10", reset_hour="6", reset_weekday="5", reset_monthday="31")
    row = Budget.objects.get()
    assert (row.reset_hour, row.reset_weekday, row.reset_monthday, row.extra_nusd, row.extra_until) == (6, 5, 31, 0, None)
    page = reverse("admin:llm_gateway_budget_change", args=[row.pk])
    for changes, said in (
        ({"extra_usd": "5"}, "needs a moment in the future"),
        ({"extra_usd": "5", "extra_until_0": "2020-01-01", "extra_until_1": "00:00:00"}, "needs a moment in the future"),
        ({"reset_hour": "24"}, "less than or equal to 23"),
        ({"reset_monthday": "0"}, "greater than or equal to 1"),
    ):
        assert said in post(boss, page, **changes).content.decode(), changes
    post(boss, page, extra_usd="5", extra_until_0="2099-12-31", extra_until_1="18:00:00")
    row.refresh_from_db()
    assert row.extra_nusd == 5 * 10**9
    assert row.limit_at(timezone.now()) == 15 * 10**9
    html = boss.get("/admin/llm_gateway/budget/").content.decode()
    assert "until 2099-12-31 18:00 UTC" in html
    assert "$15.00 left" in html
    post(boss, page, name="c")
    row.refresh_from_db()
    assert (row.name, row.extra_nusd) == ("c", 5 * 10**9), "left alone by a change of something else"
    post(boss, page, extra_usd="0")
    row.refresh_from_db()
    assert (row.extra_nusd, row.extra_until) == (0, None)
