"""Requests are found by what people have of them, in bounded time."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import pytest
from django.db import connection
from django.db.models import Q
from django.test import Client

from llm_gateway.admin import _searching
from llm_gateway.models import Attempt, RequestLog
from tests.analytics import factories
from tests.analytics.factories import NOON

pytestmark = pytest.mark.django_db
LIST = "/admin/llm_gateway/requestlog/"


def shown(html: str) -> list[str]:
    return list(dict.fromkeys(re.findall(r"/admin/llm_gateway/requestlog/([0-9a-f-]{36})/change/", html)))


def find(boss: Client, term: str, **more: str) -> list[str]:
    query = "".join(f"&{name}={value}" for name, value in more.items())
    answer = boss.get(f"{LIST}?q={quote(term)}{query}")
    assert answer.status_code == 200, (term, answer.status_code)
    return shown(answer.content.decode())


def attempt(row: RequestLog, **more: Any) -> Attempt:
    more = {"number": 1, "provider_slug": "openai", "upstream_id": "x", "outcome": "failed", "started_at": NOON, **more}
    row.attempts.all().delete()
    return Attempt.objects.create(request=row, **more)


@pytest.fixture
def rows(boss: Client) -> list[RequestLog]:
    found = factories.catalogue()
    key = factories.client_key()
    return [factories.request(NOON + timedelta(seconds=n), key, found["models"]["kimi-k3"]) for n in range(8)]


def test_by_id_by_provider_s_id_by_tag_by_user_and_by_error(boss: Client, rows: list[RequestLog]) -> None:
    attempt(rows[1], upstream_request_id="req_011CTx")
    attempt(rows[2], detail="You exceeded 100%_quota of Zürich", error_class="rate_limited")
    RequestLog.objects.filter(pk=rows[3].pk).update(tag="nightly")
    RequestLog.objects.filter(pk=rows[4].pk).update(metadata={"user_id": "mail@example.test"})
    RequestLog.objects.filter(pk=rows[5].pk).update(metadata={"user": "user-77"})
    RequestLog.objects.filter(pk=rows[6].pk).update(error_code="key_revoked")
    ids = [str(row.pk) for row in rows]
    for term, at in (
        (ids[0], 0), (f"req_{ids[0]}", 0), (rows[0].pk.hex, 0), (ids[0].upper(), 0), (ids[7][:23], 7), ("req_011CTx", 1), ("100%_quota", 2),
        ("zürich" if connection.vendor == "postgresql" else "Zürich", 2), ("nightly", 3), ("mail@example.test", 4), ("user-77", 5),
        ("key revoked", 6), ("key_revoked", 6),
    ):  # fmt: skip
        assert find(boss, term) == [ids[at]], term


def test_wildcards_are_plain_characters(boss: Client, rows: list[RequestLog]) -> None:
    attempt(rows[0], detail="abcdef")
    for term in ("a%f", "a_cdef", "%%%", "___", "%" * 200, "abc%"):
        assert find(boss, term) == [], term
    assert boss.get(f"{LIST}?q=abc%00def").status_code == 200


def test_a_word_of_two_letters_is_asked_to_be_longer(boss: Client, rows: list[RequestLog]) -> None:
    page = boss.get(f"{LIST}?q=ab").content.decode()
    assert shown(page) == []
    assert "at least 3 characters" in page


def test_words_are_looked_for_in_a_stretch_and_ids_in_the_whole_table(boss: Client, rows: list[RequestLog], monkeypatch: Any) -> None:
    monkeypatch.setattr("llm_gateway.admin._keyset.STRETCH", 3)
    attempt(rows[0], detail="needle in hay", upstream_request_id="up-1")
    RequestLog.objects.filter(pk=rows[0].pk).update(tag="rare-tag")
    page = boss.get(f"{LIST}?q=needle").content.decode()
    assert shown(page) == []
    assert "Look further back" in page
    seen, pages = [], 0
    while older := re.search(r'href="(\?[^"]*before=[^"]+)"', page):
        page = boss.get(f"{LIST}{older[1].replace('&amp;', '&')}").content.decode()
        seen += shown(page)
        pages += 1
        assert pages < 5
    assert seen == [str(rows[0].pk)]
    for term in (str(rows[0].pk), "up-1", "rare-tag"):
        page = boss.get(f"{LIST}?q={term}").content.decode()
        assert (shown(page), "Looked at" in page) == ([str(rows[0].pk)], False), term


def test_a_search_goes_with_filters_and_paging(boss: Client, rows: list[RequestLog]) -> None:
    RequestLog.objects.update(tag="all")
    assert len(find(boss, "all")) == 8
    assert find(boss, "all", state__exact="rejected") == []
    assert len(find(boss, "all", before=str(rows[4].pk))) == 4
    assert find(boss, str(rows[1].pk), when="15m") == []


@pytest.mark.parametrize(
    ("model", "where", "index"),
    [
        (Attempt, ~Q(upstream_request_id="") & Q(upstream_request_id="x"), "attempt_upstream_id"),
        (RequestLog, ~Q(tag="") & Q(tag="x"), "request_of_tag"),
    ],
)
def test_exact_words_are_answered_by_an_index(model: Any, where: Q, index: str) -> None:
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SET LOCAL enable_seqscan = off")
    assert index in model.objects.filter(where).order_by().explain()


def test_only_requests_of_the_search_are_read() -> None:
    assert _searching.by_index("no such thing") is None
