"""One data set, three faces: the API, the console's page and the files say the same, corrections included."""

from __future__ import annotations

import csv
import io
import re
import zipfile
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from html import unescape
from typing import Any
from xml.etree import ElementTree

import pytest
from django.contrib.auth.models import User
from django.test import Client

from analytics import rollups
from analytics.queries import Filters, totals
from llm_gateway.actions.close_month import draw_up
from llm_gateway.core.catalog import Scope
from llm_gateway.models import LedgerEntry, RequestLog
from tests.analytics import factories
from tests.analytics.doors import Door, program

pytestmark = pytest.mark.django_db
DAY = datetime(2026, 11, 18, 12, 0, tzinfo=UTC)
PAGE = "from=2026-11-10&to=2026-11-19&by=day&by=model&by=client_key_id&by=team_id&by=tag"
QUERY = {"from": "2026-11-10", "to": "2026-11-20", "by": "day,model,client,team,tag"}
COST = "/api/ai-models/reports/cost"


def rows() -> None:
    acme = factories.provider("acme")
    one, two = factories.model("one", acme), factories.model("two", acme, ("10", "20"))
    bot, other = factories.client_key("bot"), factories.client_key("other", factories.team("Other"))
    first = factories.request(DAY, bot, one, cost_nusd=1_500_000_001, tag="nightly")
    factories.request(DAY, bot, one, cost_nusd=500_000_000, usage_source="estimated", tag="nightly")
    unknown = factories.request(DAY, bot, two, cost_nusd=None)
    orphan = factories.request(DAY - timedelta(days=3), other, two, state="orphaned", cost_nusd=100_000_000)
    factories.correction(first, -250_000_000, DAY + timedelta(hours=2))
    factories.correction(unknown, 40_000_000, DAY + timedelta(hours=3))
    factories.correction(orphan, -65_000_000, DAY)
    LedgerEntry.objects.create(  # a claim on a budget is not another cost
        request=first, budget=factories.Budget.objects.create(name="b", limit_nusd=1), kind="adjustment", state="posted", amount_nusd=-9,
        created_at=DAY, resolved_at=DAY, period_id="2026-11",
    )  # fmt: skip


def boss() -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("boss"))
    return client


def from_api(client: Client) -> list[tuple[str, ...]]:
    answer = client.get(COST, QUERY, headers={"Accept": "application/json"})
    assert answer.status_code == 200, answer.content
    body = answer.json()

    def line(row: dict[str, Any], *first: str) -> tuple[str, ...]:
        money = [row[name]["amount"] if row[name] else "unknown" for name in ("cost", "adjustments", "total")]
        return (*first, str(row["requests"]), *money, str(row["unknown_cost_requests"]))

    found = [line(row, *(row[name] for name in ("day", "model", "client", "team", "tag"))) for row in body["rows"]]
    return [*found, line(body["total"], "Total", "", "", "", "")]


HEADS = ("Day", "Model", "Client", "Team", "Tag", "Requests", "Cost (USD)", "Corrections (USD)", "Total (USD)", "Unknown cost")


def from_csv(client: Client) -> list[tuple[str, ...]]:
    answer: Any = client.get(f"/admin/reports/cost/?{PAGE}&format=csv")
    return [
        tuple(row[head] for head in HEADS) for row in csv.DictReader(io.StringIO(b"".join(answer.streaming_content).decode("utf-8-sig")))
    ]


def from_xlsx(client: Client) -> list[tuple[str, ...]]:
    answer: Any = client.get(f"/admin/reports/cost/?{PAGE}&format=xlsx")
    page = zipfile.ZipFile(io.BytesIO(b"".join(answer.streaming_content))).read("xl/worksheets/sheet1.xml")
    space = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
    table = [
        ["".join(cell.itertext()) for cell in row.iter(f"{space}c")]
        for row in ElementTree.fromstring(page).iter(f"{space}row")  # our own file
    ]  # fmt: skip
    return [tuple(row[table[0].index(head)] for head in HEADS) for row in table[1:]]


def from_page(client: Client) -> list[tuple[str, ...]]:
    html = client.get(f"/admin/reports/cost/?{PAGE}").content.decode()
    table = [
        [unescape(re.sub(r"<[^>]+>", "", cell)).strip() for cell in re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, re.DOTALL)]
        for row in re.findall(r"<tr>(.*?)</tr>", html, re.DOTALL)
    ]
    return [tuple(row[table[0].index(head)] for head in HEADS) for row in table[1:]]


def amount(text: str) -> Decimal | None:
    return None if text == "unknown" else Decimal(text.replace("$", "").replace("−", "-").replace(",", "")).quantize(Decimal("0.000001"))


def comparable(found: list[tuple[str, ...]]) -> list[tuple[Any, ...]]:
    """Of one precision: the page shows six places."""
    words = [tuple("" if cell == "(none)" else cell for cell in row) for row in found]
    return [(*row[:5], int(float(row[5])), *map(amount, row[6:9]), int(float(row[9]))) for row in words]


@pytest.mark.parametrize("rolled", [False, True])
def test_api_page_and_files_say_the_same(door: Door, rolled: bool) -> None:
    rows()
    if rolled:
        rollups.roll_up(DAY + timedelta(days=2))
    client = boss()
    expected = [
        ("2026-11-18", "one", "bot", "Platform", "nightly", "2", "2.000000001", "-0.25", "1.750000001", "0"),
        ("2026-11-18", "two", "bot", "Platform", "", "1", "unknown", "0.04", "0.04", "1"),
        ("2026-11-18", "two", "other", "Other", "", "0", "0.00", "-0.065", "-0.065", "0"),
        ("2026-11-15", "two", "other", "Other", "", "1", "0.10", "0.00", "0.10", "0"),
        ("Total", "", "", "", "", "4", "2.100000001", "-0.275", "1.825000001", "1"),
    ]
    found = from_api(client)
    assert [tuple("" if cell == "(none)" else cell for cell in row) for row in found] == expected
    assert from_csv(client) == found
    assert comparable(from_xlsx(client)) == comparable(from_page(client)) == comparable(found)


def test_corrections_count_when_they_are_booked_and_outlive_their_request() -> None:
    rows()
    rollups.roll_up(DAY + timedelta(days=2))
    assert totals(DAY - timedelta(days=4), DAY - timedelta(days=2)).total_nusd == 100_000_000
    assert totals(DAY - timedelta(hours=12), DAY + timedelta(hours=12), Filters(model="two")).adjustments_nusd == -25_000_000
    RequestLog.objects.all().delete()
    assert totals(DAY - timedelta(days=8), DAY + timedelta(days=1)).total_nusd == 1_825_000_001
    factories.correction(None, 7, DAY + timedelta(days=3))
    rollups.roll_up(DAY + timedelta(days=3))
    assert totals(DAY + timedelta(days=2), DAY + timedelta(days=4)).adjustments_nusd == 7


def test_a_team_sees_its_own_corrections_only(door: Door) -> None:
    rows()
    headers = program(door, "key", factories.team("Other").pk, Scope.READ)
    body = Client().get(COST, QUERY | {"by": "team"}, headers=headers).json()
    assert [(row["team"], row["total"]["amount"]) for row in body["rows"]] == [("Other", "0.035")]
    for team, requests in (("other", 1), ("Other", 1), ("platform", 0), ("nobody", 0)):
        assert Client().get(COST, QUERY | {"team": team}, headers=headers).json()["total"]["requests"] == requests


def test_a_teams_statement_and_the_report_of_its_month_agree() -> None:
    rows()
    team = factories.team()
    statement = draw_up(team, "2026-11")
    found = totals(datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC), Filters(team_id=team.pk, simulated=False))
    assert (statement.cost_nusd, statement.adjustments_nusd, statement.total_nusd, statement.unknown_cost_requests) == (
        found.cost_nusd,
        found.adjustments_nusd,
        found.total_nusd,
        found.unknown_cost_requests,
    )
