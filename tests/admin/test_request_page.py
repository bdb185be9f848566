"""The live tail, and what one request's page adds up, tells again and hands on."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from llm_gateway.admin import _conversation
from llm_gateway.admin._keyset import first_id_at
from llm_gateway.models import RequestBody, RequestLog
from llm_gateway.stores import vault
from tests.analytics import factories

from .conftest import signed_in
from .test_requests import queries, shown

pytestmark = pytest.mark.django_db
LIVE = "/admin/llm_gateway/requestlog/live/"


def test_a_poll_without_news_is_one_look_at_an_index(boss: Client) -> None:
    row = factories.request(timezone.now(), factories.client_key(), None)
    asked = f"{LIVE}?newest={row.pk}&open=&state__exact=ok"
    assert boss.get(asked).status_code == 204
    sql = [one for one in _queries(boss, asked) if "requestlog" in one]
    assert len(sql) == 1
    assert "LIMIT 1" in sql[0]


def _queries(boss: Client, url: str) -> list[str]:
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    with CaptureQueriesContext(connection) as found:
        boss.get(url)
    return [query["sql"] for query in found]


def test_new_rows_and_rows_that_ended_come_alone_and_filtered(boss: Client) -> None:
    now = timezone.now()
    key = factories.client_key()
    first = factories.request(now - timedelta(seconds=20), key, None)
    going = factories.request(now - timedelta(seconds=30), key, None, state="open", finished_at=None, lease_until=now)
    new, failed = factories.request(now, key, None), factories.request(now, key, None, state="failed")
    html = boss.get(f"{LIVE}?newest={first.pk}&open={going.pk}").content.decode()
    assert set(shown(html)) == {str(new.pk), str(failed.pk)}
    assert "nav-sidebar" not in html
    RequestLog.objects.filter(pk=going.pk).update(state="ok", finished_at=now)
    assert str(going.pk) in boss.get(f"{LIVE}?newest={first.pk}&open={going.pk}").content.decode()
    assert set(shown(boss.get(f"{LIVE}?newest={first.pk}&state__exact=failed").content.decode())) == {str(failed.pk)}
    assert boss.get(f"{LIVE}?newest={first.pk}&kind=analyze").status_code == 204


def test_nonsense_in_a_poll_does_no_harm_and_strangers_get_nothing(boss: Client) -> None:
    factories.request(timezone.now(), None, None)
    for query in ("", "newest=x", "newest=%00", "open=1,2,,x", "newest=" + "f" * 36, "state__exact=nonsense&newest=", "after=x&before=y"):
        assert boss.get(f"{LIVE}?{query}").status_code in (200, 204, 302), query
    assert Client().get(LIVE).status_code == 302
    assert signed_in("nobody").get(LIVE).status_code == 403


def test_a_page_that_slept_long_reads_minutes_not_months(boss: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("llm_gateway.admin._live.MOST_ROWS", 2)
    now = timezone.now()
    old = factories.request(now - timedelta(hours=1), None, None)
    rows = [factories.request(now - timedelta(seconds=n), None, None) for n in range(4)]
    html = boss.get(f"{LIVE}?newest={first_id_at(now - timedelta(days=30))}").content.decode()
    assert shown(html)[0] == str(rows[0].pk)
    assert len(set(shown(html))) == 2
    assert str(old.pk) not in html


def test_only_the_first_page_is_live(boss: Client) -> None:
    row = factories.request(timezone.now(), None, None)
    assert (
        'data-live="/admin/llm_gateway/requestlog/live/?state__exact=ok"'
        in boss.get("/admin/llm_gateway/requestlog/?state__exact=ok").content.decode()
    )
    assert "data-live=" not in boss.get(f"/admin/llm_gateway/requestlog/?before={row.pk}").content.decode()


def page(client: Client, row: RequestLog) -> str:
    return client.get(reverse("admin:llm_gateway_requestlog_change", args=[row.pk])).content.decode()


def test_the_bill_is_worked_out_line_by_line(boss: Client) -> None:
    served = factories.model("acme-1", factories.provider(), ("2", "10"))
    rate = served.prices.get()
    rate.cache_read, rate.request = "0.2", "0.001"
    rate.save()
    cost = 1000 * 2_000 + 500 * 200 + 300 * 10_000 + 1_000_000
    tokens = {"input_tokens": 1000, "cache_read_tokens": 500, "output_tokens": 300, "reasoning_tokens": 100}
    row = factories.request(timezone.now(), factories.client_key(), served, price_id=rate.pk, cost_nusd=cost, **tokens)
    factories.attempt(row, 1, billed="reported", cost_nusd=cost)
    html = page(boss, row)
    for text in (
        "× $2.00 per 1M",
        "$0.002",
        "× $0.20 per 1M",
        "$0.0001",
        "× $10.00 per 1M",
        "$0.003",
        "× $0.001 each",
        "$0.0061",
        f"price no. {rate.pk}",
    ):
        assert text in html, text
    assert "Billed with 0" not in html, "the lines are the bill"
    held = factories.request(timezone.now(), factories.client_key("b"), served, price_id=rate.pk, cost_nusd=5_000_000, output_tokens=None)
    factories.attempt(held, 1, "partial", billed="hold", cost_nusd=5_000_000)
    assert "charged as all that was held" in page(boss, held)


def test_attempts_stand_on_a_time_line(boss: Client) -> None:
    at = timezone.now()
    row = factories.request(at, factories.client_key(), None, attempt_count=2, latency_ms=4000)
    factories.attempt(row, 1, "failed", error_class="ttfb_timeout", started_at=at, latency_ms=1000)
    factories.attempt(row, 2, "ok", started_at=at + timedelta(seconds=1), latency_ms=3000, ttft_ms=1000)
    html = page(boss, row)
    assert "margin-left:0.00%;width:25.00%" in html
    assert "margin-left:25.00%;width:25.00%" in html
    assert 'class="good" style="width:50.00%"' in html
    assert "began after 1.00 s, first token 1.00 s, took 3.00 s" in html


def test_explain_now_is_asked_with_what_the_log_knows(boss: Client) -> None:
    key = factories.client_key()
    row = factories.request(timezone.now(), key, None, asked_model="claude", input_tokens=700, cache_read_tokens=300, stream=True)
    html = page(boss, row)
    href = next(part for part in html.split('href="') if part.startswith("/admin/llm_gateway/strategy/explain/")).split('"')[0]
    for candidate in html.split('href="'):
        if candidate.startswith("/admin/llm_gateway/strategy/explain/?"):
            href = candidate.split('"')[0]
    asked = parse_qs(urlsplit(href.replace("&amp;", "&")).query)
    assert asked == {"model": ["claude"], "prompt_tokens": ["1000"], "max_tokens": ["50"], "client_key": [key.public_id], "stream": ["on"]}
    assert boss.get(href.replace("&amp;", "&")).status_code == 200
    assert "Explain now" not in page(signed_in("finance"), row)


BODIES = {
    "openai_chat": {
        "model": "auto", "messages": [
            {"role": "system", "content": "Be brief."}, {"role": "user", "content": "Weather?"},
            {"role": "assistant", "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "look", "arguments": "{}"}}]},
            {"role": "tool", "tool_call_id": "c1", "content": "sunny"},
        ],
    },
    "anthropic_messages": {"model": "c", "max_tokens": 9, "system": "Be brief.", "messages": [{"role": "user", "content": "Weather?"}]},
    "openai_responses": {"model": "auto", "instructions": "Be brief.", "input": "Weather?"},
    "gemini_generate": {
        "contents": [{"role": "user", "parts": [{"text": "Weather?"}]}], "systemInstruction": {"parts": [{"text": "Be brief."}]},
    },
}  # fmt: skip


@pytest.mark.parametrize("dialect", BODIES)
def test_a_kept_body_reads_as_a_conversation_and_can_be_sent_again(boss: Client, dialect: str) -> None:
    row = factories.request(timezone.now(), factories.client_key(), None, dialect=dialect, asked_model="auto")
    texts = {"prompt": json.dumps(BODIES[dialect]), "answer": "It is <b>sunny</b>."}
    sealed = {name: vault.seal(text, place=f"requestbody:{row.pk.hex}:{name}") for name, text in texts.items()}
    RequestBody.objects.create(request=row, created_at=timezone.now(), **sealed)
    html = boss.get(reverse("admin:llm_gateway_requestlog_texts", args=[row.pk])).content.decode()
    for text in (
        "Conversation",
        "Be brief.",
        "Weather?",
        "It is &lt;b&gt;sunny&lt;/b&gt;.",
        "cogo-turn-assistant",
        "$COGO_KEY",
        "Copy as Python",
    ):
        assert text in html, text
    if dialect == "openai_chat":
        assert "calls look" in html
        assert "result of c1" in html
    for _, text in _conversation.snippets(row, "https://gateway.example", json.dumps(BODIES[dialect])):
        assert "Weather?" in text
        assert "https://gateway.example" in text


def test_every_way_to_copy_is_a_program(boss: Client) -> None:
    said = json.dumps({"model": "auto", "messages": [{"role": "user", "content": 'it\'s "quoted"\nand $HOME `id`'}]})
    for dialect in (*BODIES, "native", "openai_completions"):
        row = factories.request(
            timezone.now(), None, None, dialect=dialect, kind="generate" if dialect == "native" else "chat", stream=True
        )
        for prompt in ("", said):
            found = dict(_conversation.snippets(row, "https://gateway.example", prompt))
            compile(found["Python"], dialect, "exec")
            assert _shell_words(found["curl"])[0] == "curl"
            assert "COGO_KEY" in found["curl"]
            assert "COGO_KEY" in found["Python"]
    assert _conversation.snippets(factories.request(timezone.now(), None, None, kind="test"), "x") == []


def _shell_words(text: str) -> list[str]:
    import shlex

    words = shlex.split(text.replace("\\\n", ""))
    json.loads(words[-1])
    return words


@pytest.mark.parametrize(
    "prompt", ["", "{", "[1]", "[{}]", "null", '{"messages": 7}', "[" * 5000, '[{"role": "user", "parts": [{"text": "hi"}]}]', "\ud800"]
)
def test_any_kept_text_is_shown_one_way_or_another(boss: Client, prompt: str) -> None:
    for dialect in (*BODIES, "native", "unheard_of"):
        row = factories.request(timezone.now(), None, None, dialect=dialect)
        found: Any = _conversation.turns(row, prompt, "answer")
        assert isinstance(found, list)
        assert isinstance(_conversation.snippets(row, "x", prompt), list)


def test_pages_of_requests_take_a_fixed_number_of_queries(boss: Client) -> None:
    served = factories.model("acme-1", factories.provider())
    row = factories.request(timezone.now(), factories.client_key(), served)
    factories.attempt(row)
    url = reverse("admin:llm_gateway_requestlog_change", args=[row.pk])
    few = len(queries(boss, url))
    for number in range(2, 9):
        factories.attempt(row, number)
    assert len(queries(boss, url)) == few


def test_thinking_with_a_price_of_its_own_is_no_output(boss: Client) -> None:
    served = factories.model("acme-1", factories.provider(), ("2", "10"))
    rate = served.prices.get()
    rate.reasoning = "4"
    rate.save()
    tokens = {"input_tokens": 1000, "output_tokens": 300, "reasoning_tokens": 100}
    row = factories.request(timezone.now(), factories.client_key(), served, price_id=rate.pk, cost_nusd=4_400_000, **tokens)
    html = page(boss, row)
    for text in ("Reasoning tokens", "× $4.00 per 1M", "$0.0044"):
        assert text in html, text
    assert "Billed with 0" not in html
