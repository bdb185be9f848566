"""Report pages and their files."""

from __future__ import annotations

import csv
import io
import zipfile
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client
from django.utils import timezone

from analytics import exports, rollups
from analytics.reports import Column, Sheet, reports
from llm_gateway.models import Budget, Price
from tests.analytics import factories

pytestmark = pytest.mark.django_db
DAY = datetime(2026, 11, 18, 12, 0, tzinfo=UTC)
RANGE = "from=2026-11-17&to=2026-11-19"


@pytest.fixture
def boss() -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("boss"))
    return client


def rows() -> None:
    acme = factories.provider("acme")
    one, two = factories.model("one", acme, ("1", "2")), factories.model("two", acme, ("10", "20"))
    key = factories.client_key("bot")
    factories.request(DAY, key, one, cost_nusd=1_500_000_001, input_tokens=1000, output_tokens=10)
    factories.request(DAY, key, one, cost_nusd=500_000_000, usage_source="estimated", input_tokens=1000, output_tokens=10)
    factories.request(DAY, key, two, cost_nusd=None)
    factories.request(DAY - timedelta(days=1), None, two, cost_nusd=250_000_000)
    factories.request(DAY - timedelta(days=30), key, two, cost_nusd=9_000_000_000)


def table(client: Client, address: str) -> list[dict[str, str]]:
    answer = client.get(address)
    assert answer.status_code == 200
    text = b"".join(answer.streaming_content).decode("utf-8-sig") if answer.streaming else answer.content.decode()
    return list(csv.DictReader(io.StringIO(text)))


@pytest.mark.parametrize("rolled", [False, True])
def test_the_cost_report_equals_the_rows_summed_by_hand(boss: Client, rolled: bool) -> None:
    rows()
    if rolled:
        rollups.roll_up()
    found = table(boss, f"/admin/reports/cost/?{RANGE}&by=day&by=model&by=client_key_id&format=csv")
    assert [tuple(r[name] for name in ("Day", "Model", "Client", "Requests", "Cost (USD)", "Unknown cost")) for r in found] == [
        ("2026-11-18", "one", "bot", "2", "2.000000001", "0"),
        ("2026-11-18", "two", "bot", "1", "unknown", "1"),
        ("2026-11-17", "two", "staff", "1", "0.25", "0"),
        ("Total", "", "", "4", "2.250000001", "1"),
    ]
    assert found[0]["Estimated"] == "0.250000"
    page = boss.get(f"/admin/reports/cost/?{RANGE}").content.decode()
    for text in ("$2.25", "1 requests have an unknown cost", "$2.000000", "Unknown cost"):
        assert text in page, text


def test_filters_reach_page_and_file(boss: Client) -> None:
    rows()
    found = table(boss, f"/admin/reports/cost/?{RANGE}&by=model&model=one&format=csv")
    assert [r["Model"] for r in found] == ["one", "Total"]


@pytest.mark.parametrize(
    "query",
    ["", "range=month", "range=last", "from=2026-13-99", "from=2026-11-19&to=2026-11-01", "from=1900-01-01", "from=2001-01-01",
     "by=password",
     "team_id=x", "client_key_id=99999999999999999999", "option=nope", "simulated=only", "model=%00", "format=exe"],
)  # fmt: skip
@pytest.mark.parametrize("name", list(reports))
def test_every_report_renders_whatever_is_asked(boss: Client, name: str, query: str) -> None:
    assert boss.get(f"/admin/reports/{name}/?{query}").status_code == 200


@pytest.mark.parametrize("name", list(reports))
def test_every_report_renders_with_rows_and_as_files(boss: Client, name: str) -> None:
    rows()
    Budget.objects.create(name="all", limit_nusd=10**9, posted_nusd=1)
    factories.request(timezone.now(), None, None, simulated=True)
    for query in (RANGE, "range=30"):
        assert boss.get(f"/admin/reports/{name}/?{query}").status_code == 200
        assert table(boss, f"/admin/reports/{name}/?{query}&format=csv") is not None
        book = boss.get(f"/admin/reports/{name}/?{query}&format=xlsx")
        assert "attachment" in book["Content-Disposition"]
        assert zipfile.ZipFile(io.BytesIO(b"".join(book.streaming_content))).testzip() is None


def test_simulated_requests_are_announced_and_can_be_left_out(boss: Client) -> None:
    rows()
    factories.request(DAY, None, None, simulated=True, cost_nusd=7)
    assert "1 simulated requests are in these figures" in boss.get(f"/admin/reports/cost/?{RANGE}").content.decode()
    html = boss.get(f"/admin/reports/cost/?{RANGE}&simulated=without").content.decode()
    assert "simulated requests are in these figures" not in html


def test_reports_are_for_those_who_may_read_them(boss: Client) -> None:
    assert Client().get("/admin/reports/cost/").status_code == 302
    for role, status in (("viewer", 200), ("finance", 200), ("", 403)):
        user = User.objects.create_user(f"u{role}", is_staff=True)
        user.groups.set(Group.objects.filter(name=role))
        client = Client()
        client.force_login(user)
        assert client.get("/admin/reports/cost/").status_code == status
        assert client.get("/admin/reports/cost/?format=csv").status_code == status
    assert boss.get("/admin/reports/nonsense/").status_code == 404
    assert boss.post("/admin/reports/cost/").status_code == 405


@pytest.mark.parametrize("lead", ["=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20"])
def test_what_begins_like_a_formula_is_defused(lead: str) -> None:
    text = f"{lead}HYPERLINK(A1)"
    columns = (Column(text, text), Column("n", "n", "usd"))
    lines = "".join(exports.csv_lines(Sheet(columns=columns, rows=((text, -1_500_000_000),))))
    assert lines.startswith("\ufeff")
    found = list(csv.reader(io.StringIO(lines.removeprefix("\ufeff"), newline="")))
    assert found == [[f"'{text}", "n"], [f"'{text}", "-1.50"]]


def test_a_hostile_tag_stays_text_in_both_files(boss: Client) -> None:
    factories.request(DAY, None, None, tag="=1+1", cost_nusd=1)
    assert table(boss, f"/admin/reports/cost/?{RANGE}&by=tag&format=csv")[0]["Tag"] == "'=1+1"
    answer: Any = boss.get(f"/admin/reports/cost/?{RANGE}&by=tag&format=xlsx")
    page = zipfile.ZipFile(io.BytesIO(b"".join(answer.streaming_content))).read("xl/worksheets/sheet1.xml")
    assert b"<f>" not in page
    assert b"<t>=1+1</t>" in page


def test_savings_price_the_same_tokens_on_the_baseline(boss: Client) -> None:
    rows()
    found = table(boss, f"/admin/reports/savings/?{RANGE}&option=two&format=csv")
    first = found[0]
    # 1000 + 1000 + 100 input at 10 USD, 10 + 10 + 50 output at 20 USD, per 1M.
    assert (first["Day"], Decimal(first["Baseline (USD)"])) == ("2026-11-18", Decimal("0.0224"))
    assert Decimal(first["Saved (USD)"]) == Decimal("0.0224") - Decimal("2.000000001")


def test_a_baseline_without_a_price_is_unknown(boss: Client) -> None:
    rows()
    Price.objects.all().delete()
    assert table(boss, f"/admin/reports/savings/?{RANGE}&format=csv")[0]["Baseline (USD)"] == "unknown"


def test_a_forecast_needs_days_and_says_so(boss: Client) -> None:
    page = boss.get("/admin/reports/forecast/").content.decode()
    assert "too little data" in page
    assert "No budgets with a period" in page
    now = timezone.now()
    for days in range(1, 6):
        factories.request(now - timedelta(days=days), None, None, cost_nusd=10**9)
    assert "too little data" not in boss.get("/admin/reports/forecast/").content.decode()


def test_the_chart_holds_the_numbers(boss: Client) -> None:
    rows()
    answer: Any = boss.get(f"/admin/reports/cost/?{RANGE}&by=model")
    chart = answer.context_data["chart"]
    assert chart["legend"][0][0] == "one"
    assert "2.000000001" in chart["data"]
