"""The request log: fast whatever its size, readable, and closed about texts."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from llm_gateway.models import RequestBody, RequestLog
from llm_gateway.stores import vault
from tests.analytics import factories
from tests.analytics.factories import NOON

from .conftest import signed_in

pytestmark = pytest.mark.django_db
LIST = "/admin/llm_gateway/requestlog/"


def rows(count: int) -> None:
    key, acme = factories.client_key(), factories.provider()
    served = factories.model("acme-1", acme)
    for number in range(count):
        factories.attempt(factories.request(NOON + timedelta(seconds=number), key, served, latency_ms=number))


def queries(client: Client, url: str) -> list[str]:
    with CaptureQueriesContext(connection) as found:
        assert client.get(url).status_code == 200
    return [query["sql"] for query in found]


def test_the_list_counts_nothing_and_reads_only_its_columns(boss: Client) -> None:
    rows(3)
    sql = [query for query in queries(boss, LIST) if "llm_gateway_requestlog" in query]
    assert len(sql) == 1
    assert "COUNT(" not in sql[0]
    assert "LIMIT 51" in sql[0]
    assert '"decision"' not in sql[0]


def test_lists_take_as_many_queries_for_fifty_rows_as_for_five(boss: Client) -> None:
    pages = ("requestlog", "provider", "providerkey", "languagemodel", "alias", "price", "clientkey", "budget", "strategy")

    def more(first: int, last: int) -> None:
        for n in range(first, last):
            at = factories.provider(f"p{n}", f"P{n}")
            served = factories.model(f"m{n}", at)
            key = factories.client_key(f"k{n}")
            factories.ProviderKey.objects.create(provider=at)
            alias = factories.Alias.objects.create(name=f"a{n}")
            factories.AliasTarget.objects.create(alias=alias, model=served)
            factories.Budget.objects.create(name=f"b{n}", limit_nusd=1, client_key=key)
            strategy = factories.Strategy.objects.create(name=f"s{n}", kind="enterprise", title=f"S{n}")
            factories.StrategyActivation.objects.create(strategy=strategy, by=User.objects.get(username="boss"))
            factories.request(NOON + timedelta(seconds=n), key, served)

    more(0, 5)
    few = {page: len(queries(boss, f"/admin/llm_gateway/{page}/")) for page in pages}
    more(5, 50)
    assert {page: len(queries(boss, f"/admin/llm_gateway/{page}/")) for page in pages} == few


def shown(html: str) -> list[str]:
    return re.findall(r"/requestlog/([0-9a-f-]{36})/change/", html)


def test_pages_cut_by_key_cover_every_row_once(boss: Client) -> None:
    rows(120)
    everything = [str(pk) for pk in RequestLog.objects.order_by("-pk").values_list("pk", flat=True)]
    seen: list[str] = []
    url: str | None = LIST
    while url:
        html = boss.get(url).content.decode()
        seen += shown(html)
        older = re.search(r'href="(\?before=[^"]+)"', html)
        url = f"{LIST}{older[1]}" if older else None
    assert seen == everything
    newer = re.search(r'href="(\?after=[^"]+)"', html)
    assert newer is not None
    assert shown(boss.get(f"{LIST}{newer[1]}").content.decode()) == everything[50:100]


@pytest.mark.parametrize("query", ["before=nonsense", "after=1", "when=never", "day=yesterday", "kind=%00", "p=99", "o=1", "all="])
def test_nonsense_in_the_address_does_no_harm(boss: Client, query: str) -> None:
    rows(2)
    assert boss.get(f"{LIST}?{query}", follow=True).status_code == 200


def test_filters_narrow(boss: Client) -> None:
    rows(3)
    factories.request(NOON, factories.client_key("other"), None, state="rejected", error_code="rate_limited", kind="analyze")
    for query, count in (
        ("state__exact=rejected", 1),
        ("state__exact=ok", 3),
        ("kind=analyze", 1),
        ("day=2026-11-18", 4),
        ("day=2026-11-19", 0),
    ):
        assert len(set(shown(boss.get(f"{LIST}?{query}").content.decode()))) == count, query


def test_the_detail_explains_where_it_went_and_what_it_cost(boss: Client) -> None:
    acme = factories.provider()
    served = factories.model("acme-1", acme, ("0.5", "3"))
    price = served.prices.get()
    decision = {
        "asked": "auto",
        "strategy": "enterprise",
        "order": ["acme/acme-1", "beta/b"],
        "scores": {"acme/acme-1": {"priority": 1, "healthy": True}},
        "skipped": [{"target": "old/one", "why": "retired by its provider"}],
        "note": "Ordered by priority.",
    }
    row = factories.request(NOON, factories.client_key(), served, decision=decision, price_id=price.pk, attempt_count=2)
    factories.attempt(row, 1, "failed", error_class="overloaded", detail="Try later", http_status=529)
    factories.attempt(row, 2)
    html = boss.get(reverse("admin:llm_gateway_requestlog_change", args=[row.pk])).content.decode()
    for text in (
        "Ordered by priority.",
        "priority 1",
        "retired by its provider",
        "beta/b",
        "Try later",
        "$0.50 per 1M",
        "Sum",
        "$0.0002",
    ):
        assert text in html, text
    assert "{&quot;" not in html.split("Why it went there")[1]


@pytest.mark.parametrize("decision", [None, {}, [], "text", {"order": 7, "skipped": "x", "scores": [1], "later": {"a": [1, {"b": None}]}}])
def test_any_decision_record_renders(boss: Client, decision: Any) -> None:
    row = factories.request(NOON, None, None, decision=decision)
    assert boss.get(reverse("admin:llm_gateway_requestlog_change", args=[row.pk])).status_code == 200


def body(text: str) -> RequestLog:
    row = factories.request(NOON, factories.client_key(), None)
    sealed = {f: vault.seal(f"{text} {f}", place=f"requestbody:{row.pk.hex}:{f}") for f in ("prompt", "answer")}
    RequestBody.objects.create(request=row, created_at=NOON, **sealed)
    return row


def test_texts_need_a_right_of_their_own_and_every_look_is_written_down(boss: Client) -> None:
    row = body("secret plan")
    url = reverse("admin:llm_gateway_requestlog_texts", args=[row.pk])
    for role in ("viewer", "operator", "finance"):
        client = signed_in(role)
        assert client.get(url).status_code == 403
        assert "Read prompt" not in client.get(reverse("admin:llm_gateway_requestlog_change", args=[row.pk])).content.decode()
    answer = boss.get(url)
    assert "secret plan prompt" in answer.content.decode()
    assert "secret plan answer" in answer.content.decode()
    assert "no-store" in answer["Cache-Control"]
    entry = LogEntry.objects.get()
    assert (entry.change_message, str(entry.user)) == ("Read prompt and answer.", "boss")
    assert "secret plan" not in boss.get(reverse("admin:llm_gateway_requestlog_change", args=[row.pk])).content.decode()


def test_the_right_can_be_given_to_a_viewer() -> None:
    row = body("hello")
    viewer = signed_in("viewer")
    User.objects.get(username="viewer").user_permissions.add(Permission.objects.get(codename="view_requestbody"))
    assert "hello prompt" in viewer.get(reverse("admin:llm_gateway_requestlog_texts", args=[row.pk])).content.decode()


def test_texts_are_plain_text(boss: Client) -> None:
    row = body("<script>alert(1)</script><b onload=x>")
    html = boss.get(reverse("admin:llm_gateway_requestlog_texts", args=[row.pk])).content.decode()
    assert "&lt;script&gt;alert(1)&lt;/script&gt;&lt;b onload=x&gt;" in html


def test_an_unindexed_filter_looks_at_a_stretch_and_says_so(boss: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("llm_gateway.admin._keyset.STRETCH", 40)
    rows(100)
    rare = [factories.request(NOON + timedelta(seconds=n, milliseconds=1), None, None, kind="analyze") for n in (2, 3, 97)]
    seen: list[str] = []
    url, pages = f"{LIST}?kind=analyze", 0
    while url:
        html = boss.get(url).content.decode()
        pages += 1
        seen += dict.fromkeys(shown(html))
        older = re.search(r'href="(\?[^"]*before=[^"]+)"', html)
        assert ("Look further back" in html) == bool(older) == (pages < 3)
        url = f"{LIST}{older[1].replace('&amp;', '&')}" if older else ""
    assert seen == [str(row.pk) for row in reversed(rare)]
    assert "Looked at" not in boss.get(f"{LIST}?kind=analyze&before={rare[0].pk}").content.decode()
    back = boss.get(f"{LIST}?kind=analyze&after={rare[1].pk}").content.decode()
    assert shown(back) == []
    assert "after=" in back


@pytest.mark.parametrize("query", ["", "client_key__id__exact={key}", "model__id__exact={model}", "state__exact=failed", "when=30d"])
def test_what_an_index_answers_is_not_cut(boss: Client, monkeypatch: pytest.MonkeyPatch, query: str) -> None:
    monkeypatch.setattr("llm_gateway.admin._keyset.STRETCH", 5)
    rows(60)
    first = RequestLog.objects.first()
    assert first is not None
    RequestLog.objects.update(state="failed")
    html = boss.get(f"{LIST}?{query.format(key=first.client_key_id, model=first.model_id)}").content.decode()
    assert len(set(shown(html))) in ({50} if query != "when=30d" else {0, 50})
    assert "Looked at" not in html


@pytest.mark.parametrize(
    ("where", "index"),
    [({"client_key_id": 1}, "request_of_client"), ({"model_id": 1}, "request_of_model"), ({"state": "orphaned"}, "request_troubled")],
)
def test_a_page_of_a_client_a_model_or_a_bad_end_is_a_piece_of_an_index(where: dict[str, Any], index: str) -> None:
    if connection.vendor != "sqlite":
        pytest.skip("PostgreSQL scans a table of a few rows, whatever its indexes")
    plan = RequestLog.objects.filter(**where).order_by("-pk")[:51].explain()
    assert index in plan
    assert "TEMP B-TREE" not in plan
