"""From a figure to the requests behind it; and colours that belong to a name."""

from __future__ import annotations

import json
import re
from datetime import date

import pytest
from django.test import Client
from django.utils import timezone

from analytics.charts import COLOURS, OTHERS, colours
from analytics.links import Requests
from llm_gateway.models import Alert, Budget, LanguageModel, Provider
from tests.admin.conftest import signed_in
from tests.analytics import factories


def test_a_name_has_its_colour_on_every_page_whatever_its_rank() -> None:
    names = ["openai", "anthropic", "gemini", "fireworks"]
    one, other = colours(names), colours(reversed(names))
    assert one == other
    assert len(set(one.values())) == 4
    assert {name: colours([name])[name] for name in names} == one
    assert colours(["others"])["others"] == OTHERS
    many = colours([f"model-{n}" for n in range(40)])
    assert set(COLOURS) < set(many.values())


@pytest.mark.django_db
def test_figures_lead_to_the_requests_they_count(client: Client) -> None:
    found = factories.catalogue()
    now = timezone.now()
    key = factories.client_key("bot")
    rows = [factories.request(now, key, found["models"]["kimi-k3"], tag="nightly") for _ in range(3)]
    factories.request(now, factories.client_key("other"), found["models"]["gpt-6.1-sol"])
    reader = signed_in("viewer")
    for by in ("provider", "model", "client_key_id", "team_id", "strategy", "tag", "kind", "day"):
        html = reader.get(f"/admin/reports/cost/?range=7&by={by}").content.decode()
        hrefs = [one.replace("&amp;", "&") for one in re.findall(r'href="(/admin/llm_gateway/requestlog/\?[^"]+)">3<', html)]
        counts = [one.replace("&amp;", "&") for one in re.findall(r'href="(/admin/llm_gateway/requestlog/\?[^"]+)">4<', html)]
        (href,) = hrefs or counts
        listed = reader.get(href).content.decode()
        assert {str(row.pk) for row in rows} <= set(re.findall(r"/requestlog/([0-9a-f-]{36})/change/", listed)), by
    speed = reader.get("/admin/reports/performance/?range=7").content.decode()
    assert re.search(
        r'requestlog/\?day=[^"]*&amp;provider__id__exact=\d+[^"]*">3<|requestlog/\?day=[^"]*model__id__exact=\d+[^"]*">3<', speed
    )
    jumps = json.loads(reader.get("/admin/reports/cost/?range=7").context_data["chart"]["jumps"])
    assert len(jumps[0]) == 7
    fireworks = Provider.objects.get(slug="fireworks")
    assert f"day={now:%Y-%m-%d}&provider__id__exact={fireworks.pk}" in json.dumps(jumps)
    assert "requestlog" not in signed_in("nobody").get("/admin/").content.decode()


@pytest.mark.django_db
def test_what_has_no_filter_leads_nowhere() -> None:
    links = Requests(date(2026, 11, 1), date(2026, 11, 30))
    assert links.of({"provider": "gone"}) == links.of({"client_key_id": 0}) == links.of({"model": ""}) == links.of({"tag": ""}) == ""
    model = LanguageModel.objects.create(name="m x", upstream_id="m", provider=factories.provider())
    assert (
        Requests(date(2026, 11, 1), date(2026, 11, 2))
        .of({"model": "m x"})
        .endswith(f"?day=2026-11-01..2026-11-02&model__id__exact={model.pk}")
    )


@pytest.mark.django_db
def test_an_alert_of_refusals_leads_to_them() -> None:
    budget = Budget.objects.create(name="b", limit_nusd=5)
    at = timezone.now()
    for kind in ("exhausted", "threshold"):
        Alert.objects.create(budget=budget, budget_name="b", kind=kind, threshold=100, limit_nusd=5, spent_nusd=5, created_at=at)
    html = signed_in("finance").get("/admin/llm_gateway/alert/").content.decode()
    assert html.count("what it refused") == 1
    assert f"?budget={budget.pk}&amp;day={at:%Y-%m-%d}" in html
