"""What is refused is seen: on the request, on the budget, in the search. What fails in a trickle is not called healthy."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from llm_gateway.models import Attempt, Budget, KeyCheck, Price, Provider, ProviderKey, RequestLog
from llm_gateway.telemetry import lately
from tests.analytics import factories

from .conftest import signed_in
from .test_requests import queries, shown

pytestmark = pytest.mark.django_db
LIST = "/admin/llm_gateway/requestlog/"
TOLD = "This request could cost up to 0.008214 USD, more than the whole budget “nightly” (0.001 USD)."


def refused(budget: Budget | None = None, ago_s: float = 60, **more: Any) -> RequestLog:
    values = {
        "state": "rejected", "http_status": 402, "error_code": "request_exceeds_budget", "error_message": TOLD, "attempt_count": 0,
        "error_details": {"budget": "nightly", "limit_usd": "0.001", "spent_usd": "0.00", "reset_at": "2026-12-01T00:00:00+00:00"},
        "refused_by": budget, "strategy": "", "cost_nusd": 0, "usage_source": "",
    }  # fmt: skip
    return factories.request(
        timezone.now() - timedelta(seconds=ago_s), factories.client_key(f"k{RequestLog.objects.count()}"), None, **values | more
    )


def page(client: Client, row: RequestLog) -> str:
    return client.get(reverse("admin:llm_gateway_requestlog_change", args=[row.pk])).content.decode()


def test_the_request_says_what_its_caller_was_told_and_by_which_budget(boss: Client) -> None:
    budget = Budget.objects.create(name="nightly", limit_nusd=1_000_000)
    html = page(boss, refused(budget))
    for text in (TOLD, "$0.001", "2026-12-01 00:00:00 UTC", f"/admin/llm_gateway/budget/{budget.pk}/change/", f"?budget={budget.pk}"):
        assert text in html, text
    assert "none: refused before one was asked" in html
    assert "any model" not in html
    assert "none: a model was named" not in html
    bad = page(boss, refused(error_code="invalid_request", error_message="unknown field promt", http_status=400, error_details=None))
    assert "unknown field promt" in bad
    assert "What the caller was told" not in page(boss, refused(error_message=None, error_details=None))


def test_a_role_without_budgets_gets_no_way_into_them() -> None:
    budget = Budget.objects.create(name="nightly", limit_nusd=1_000_000)
    row = refused(budget)
    assert f"/budget/{budget.pk}/change/" in page(signed_in("operator"), row)
    assert f"/budget/{budget.pk}/change/" not in page(signed_in("viewer"), row)


def test_the_budget_list_says_who_refuses_now_how_often_and_until_when(boss: Client) -> None:
    now_refusing = Budget.objects.create(name="nightly", limit_nusd=1_000_000, period="day")
    total = Budget.objects.create(name="whole", limit_nusd=1, period="total")
    Budget.objects.create(name="calm", limit_nusd=1_000_000)
    for n in range(3):
        refused(now_refusing, ago_s=30 * n, error_code="insufficient_quota")
    refused(total)
    refused(total, ago_s=3600)
    html = boss.get("/admin/llm_gateway/budget/").content.decode()
    assert html.count("refusing now") == 2
    assert "3 times in 15 minutes" in html
    assert f"budget={now_refusing.pk}&amp;when=15m" in html
    assert " UTC or a raise" in html
    assert "once in 15 minutes" in html
    assert "each could cost more than the whole limit" in html
    assert len(set(shown(boss.get(f"{LIST}?budget={now_refusing.pk}").content.decode()))) == 3
    assert "3 times in 15 minutes" in boss.get(f"/admin/llm_gateway/budget/{now_refusing.pk}/change/").content.decode()


def test_what_a_budget_refused_is_a_piece_of_an_index(boss: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("llm_gateway.admin._keyset.STRETCH", 2)
    budget = Budget.objects.create(name="b", limit_nusd=1)
    for n in range(6):
        refused(budget, ago_s=n)
    html = boss.get(f"{LIST}?budget={budget.pk}").content.decode()
    assert len(set(shown(html))) == 6
    assert "Looked at" not in html
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SET LOCAL enable_seqscan = off")
    assert "request_refused_by" in RequestLog.objects.filter(refused_by__isnull=False, refused_by=budget).order_by("-pk")[:51].explain()
    for nonsense in ("x", "-1", "9" * 40, "%00", "1 or 1"):
        assert boss.get(f"{LIST}?budget={nonsense}", follow=True).status_code == 200


def test_requests_are_found_by_their_client_and_by_what_they_were_told(boss: Client) -> None:
    key = factories.client_key("billing robot")
    mine, other = factories.request(timezone.now(), key, None), refused()
    for term, row in (("billing robot", mine), (key.public_id, mine), ("ling rob", mine), ("more than the whole budget", other)):
        assert shown(boss.get(f"{LIST}?q={term}").content.decode()) == [str(row.pk)] * 2 or set(
            shown(boss.get(f"{LIST}?q={term}").content.decode())
        ) == {str(row.pk)}, term


def failures(provider: Provider, count: int, every_s: float, **more: Any) -> None:
    for n in range(count):
        row = factories.request(timezone.now() - timedelta(seconds=1 + n * every_s), None, None, state="failed", provider=provider)
        values = {"error_class": "server_error", "detail": "down", "provider": provider, "upstream_id": "gemini-3.8-flash", **more}
        factories.attempt(row, 1, values.pop("outcome", "failed"), **values)


def test_a_dead_provider_in_a_trickle_is_not_called_healthy(boss: Client) -> None:
    gemini = factories.provider("gemini", "Gemini")
    ProviderKey.objects.create(provider=gemini, state="valid")
    health = "/admin/llm_gateway/deploymenthealth/"
    assert "nothing is known of them now" in boss.get(health).content.decode()
    failures(gemini, 12, 60)
    lately.cache.clear()
    html = boss.get(health).content.decode()
    assert "Everything is healthy" not in html
    assert "calls failed in the last 5 minutes" in html
    assert "failing" in html
    home = boss.get("/admin/").content.decode()
    assert "failing now" in home
    assert ">healthy<" not in home


def test_one_look_at_the_last_minutes_serves_every_page_for_some_seconds(boss: Client) -> None:
    acme = factories.provider()
    failures(acme, 4, 1)
    failures(acme, 4, 1, error_class="bad_request")
    failures(acme, 5, 100, outcome="cancelled", error_class="")
    (found,) = lately.by_model().values()
    assert (found.calls, found.failures) == (4, 4)
    sql = [query for query in queries(boss, "/admin/llm_gateway/deploymenthealth/") if "llm_gateway_attempt" in query]
    assert sql == []


def test_the_newest_attempts_stand_for_all_where_there_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lately, "MOST", 3)
    acme = factories.provider()
    failures(acme, 5, 10)
    (found,) = lately.by_model(timezone.now()).values()
    assert found.calls == 3
    assert Attempt.objects.count() == 5


def test_a_wrong_provider_goes_with_what_the_gateway_noted_of_it(boss: Client) -> None:
    wrong = factories.provider("wrong", "Wrong")
    key = ProviderKey.objects.create(provider=wrong)
    KeyCheck.objects.create(provider_key=key, at=timezone.now(), state="invalid", trigger="save")
    factories.model("wrong-1", wrong)
    url = reverse("admin:llm_gateway_provider_delete", args=[wrong.pk])
    assert "permission" not in boss.get(url).content.decode().split("Are you sure")[0]
    assert boss.post(url, {"post": "yes"}).status_code == 302
    assert not Provider.objects.filter(pk=wrong.pk).exists()
    assert not Price.objects.exists()


def test_a_provider_that_answered_requests_stays_and_says_what_to_do_instead(boss: Client) -> None:
    acme = factories.provider()
    factories.request(timezone.now(), factories.client_key(), factories.model("acme-1", acme))
    url = reverse("admin:llm_gateway_provider_delete", args=[acme.pk])
    html = boss.get(url).content.decode()
    assert "Switch it off instead" in html
    assert "permission to delete" not in html
    boss.post(url, {"post": "yes"})
    assert Provider.objects.filter(pk=acme.pk).exists()
    key = ProviderKey.objects.create(provider=acme)
    KeyCheck.objects.create(provider_key=key, at=timezone.now(), state="invalid", trigger="save")
    assert boss.post(reverse("admin:llm_gateway_providerkey_delete", args=[key.pk]), {"post": "yes"}).status_code == 302
    assert not ProviderKey.objects.filter(pk=key.pk).exists()


def test_the_list_of_keys_asks_for_the_result_of_a_check_until_it_is_there(boss: Client) -> None:
    now = timezone.now()
    acme = factories.provider()
    key = ProviderKey.objects.create(provider=acme, state="unchecked", next_check_at=now)
    ProviderKey.objects.filter(pk=key.pk).update(created_at=now - timedelta(days=9))
    cell = reverse("admin:llm_gateway_providerkey_cell", args=[key.pk])
    assert f'hx-get="{cell}"' in boss.get("/admin/llm_gateway/providerkey/").content.decode()
    waiting = boss.get(cell)
    assert (f'hx-get="{cell}"' in waiting.content.decode(), "HX-Refresh" in waiting) == (True, False)
    ProviderKey.objects.filter(pk=key.pk).update(state="invalid", checked_at=now)
    done = boss.get(cell)
    assert ("hx-get" in done.content.decode(), done["HX-Refresh"]) == (False, "true")
    assert cell not in boss.get("/admin/llm_gateway/providerkey/").content.decode()
    ProviderKey.objects.filter(pk=key.pk).update(state="unchecked", checked_at=None, next_check_at=now - timedelta(minutes=5))
    assert "hx-get" not in boss.get(cell).content.decode(), "a check that nobody begins is not waited for"
    assert signed_in("finance").get(cell).status_code in (403, 404)


def test_who_may_not_open_a_page_finds_the_way_back() -> None:
    viewer = signed_in("viewer")
    answer = viewer.get("/admin/llm_gateway/budget/", HTTP_REFERER="http://testserver/admin/reports/cost/?range=7")
    html = answer.content.decode()
    assert answer.status_code == 403
    for text in ('href="/admin/reports/cost/?range=7"', 'href="/admin/"', "Your role does not include this page", "<main>", 'lang="en"'):
        assert text in html, text
    for elsewhere in ("https://evil.example/x", "http://testserver//evil.example", "javascript:alert(1)", "http://[broken"):
        assert "evil" not in viewer.get("/admin/llm_gateway/budget/", HTTP_REFERER=elsewhere).content.decode()
        assert "javascript" not in viewer.get("/admin/llm_gateway/budget/", HTTP_REFERER=elsewhere).content.decode()


def test_a_model_without_a_price_leads_to_the_form_for_one(boss: Client) -> None:
    row = factories.model("dear-1", factories.provider(), None)
    add = f"/admin/llm_gateway/price/add/?model={row.pk}"
    assert add in boss.get("/admin/llm_gateway/languagemodel/").content.decode()
    assert add in boss.get(reverse("admin:llm_gateway_languagemodel_change", args=[row.pk])).content.decode()
    assert f'value="{row.pk}" selected' in boss.get(add).content.decode()
