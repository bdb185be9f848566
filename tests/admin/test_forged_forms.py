"""Forged forms and query strings: an error in the form or 400 at once, never a failure and never long work."""

from __future__ import annotations

import time
from typing import Any

import pytest
from django.contrib import admin
from django.test import Client
from django.urls import reverse

from tests.analytics import factories

from .forms import fields_of
from .test_pages import IDS, MODELS, fill, name

pytestmark = pytest.mark.django_db

NONSENSE = ("abc", "-1", "99999999999999999999", "1.5", "1;2", "\x00", "ﬀ", "", "[]", "%s", "0x10", "1e9", "१२")
# A page that cannot be opened has no form.
FORMS = [model for model in MODELS if model._meta.object_name not in ("Success", "Failure", "OrmQ", "Schedule")]


def _no_failure(answer: Any, *what: object) -> None:
    assert answer.status_code in (200, 302, 400, 403, 404, 405), (answer.status_code, *what)


# Python's own readers fail over these with other errors than for a wrong digit.
ENDLESS = ("1" * 5000, "[" * 100_000, '{"a":' * 5000, "1e400", '{"user_limit": 1e999}', '{"user_limit": ' + "9" * 5000 + "}")


@pytest.mark.parametrize("value", ENDLESS, ids=lambda text: text[:12].encode("ascii", "replace").decode())
@pytest.mark.parametrize(
    ("model", "field"),
    [
        ("budget", "thresholds"),
        ("provider", "facts"),
        ("languagemodel", "facts"),
        ("strategy", "settings"),
        ("clientkey", "models_allowed"),
    ],
)
def test_what_has_no_end_is_an_error_in_the_form(boss: Client, model: str, field: str, value: str) -> None:
    url = reverse(f"admin:llm_gateway_{model}_add")
    sent = fields_of(boss.get(url).content.decode())
    answer = boss.post(url, sent | {field: value})
    assert answer.status_code == 200
    assert "errorlist" in answer.content.decode() or "text-red" in answer.content.decode()


def test_a_year_without_end_is_a_wrong_filter(boss: Client) -> None:
    for query in ("created_at__year", "created_at__year__in"):
        _no_failure(boss.get(reverse("admin:llm_gateway_clientkey_changelist"), {query: "1" * 5000}), query)


@pytest.mark.slow
@pytest.mark.weekly
@pytest.mark.timeout(900)
@pytest.mark.parametrize("model", FORMS, ids=lambda m: m._meta.label)
def test_no_field_of_any_form_fails_over_nonsense(boss: Client, model: type) -> None:
    """Each field by itself, with every value that is none of its kind; inline rows, too."""
    fill()
    row = model._default_manager.first()
    urls = [name(model, "add"), *([name(model, "change", row.pk)] if row is not None else [])]
    for url in urls:
        page = boss.get(url)
        if page.status_code != 200:
            continue
        sent = fields_of(page.content.decode())
        for inline in admin.site._registry[model].get_inline_instances(_request(boss)):
            kind = inline.get_formset(_request(boss))
            prefix = kind.get_default_prefix()
            if sent.get(f"{prefix}-TOTAL_FORMS") == "0" and inline.max_num:
                sent |= {f"{prefix}-TOTAL_FORMS": "1", **{f"{prefix}-0-{field}": "1" for field in kind.form.base_fields}}
        for field in [key for key in sent if not key.startswith("csrf")]:
            for value in NONSENSE[:3] if not field.endswith("_FORMS") else NONSENSE:
                _no_failure(boss.post(url, sent | {field: value}), url, field, value)


@pytest.mark.slow
@pytest.mark.weekly
@pytest.mark.timeout(900)
@pytest.mark.parametrize("model", FORMS, ids=lambda m: m._meta.label)
def test_no_form_fails_over_an_empty_or_a_foreign_post(boss: Client, model: type) -> None:
    fill()
    row = model._default_manager.first()
    for url in (name(model, "add"), *([name(model, "change", row.pk)] if row is not None else [])):
        for sent in ({}, {"_save": "1"}, {"_popup": "1"}, {"_popup": "x", "_to_field": "password"}, {"_continue": "1", "x": ["1", "2"]}):
            _no_failure(boss.post(url, sent), url, sent)


@pytest.mark.slow
@pytest.mark.weekly
@pytest.mark.timeout(900)
@pytest.mark.parametrize("model", MODELS, ids=IDS)
def test_no_query_string_fails(boss: Client, model: type) -> None:
    """Filters, order, pages, pop-ups and what a form is filled in with."""
    fill()
    page = admin.site._registry[model]
    names = {"o", "p", "q", "e", "all", "before", "after", "when", "day", "_popup", "_to_field", "_changelist_filters", "live", "kind"}
    names |= {f.name for f in model._meta.fields} | {f"{f.name}__id__exact" for f in model._meta.fields if f.many_to_one}
    names |= {f"{f.name}__gte" for f in model._meta.fields} | {f"{f.name}__isnull" for f in model._meta.fields}
    queries = [f"{one}={value}" for one in sorted(names) for value in ("abc", "99999999999999999999", "%00", "-9.1", "2026-13-45")]
    for query in queries:
        _no_failure(boss.get(f"{name(model, 'changelist')}?{query}"), query)
    if page.has_add_permission(_request(boss)):
        for field in page.get_form(_request(boss)).base_fields:
            for value in ("abc", "99999999999999999999", "%00"):
                _no_failure(boss.get(f"{name(model, 'add')}?{field}={value}"), field, value)


@pytest.mark.slow
@pytest.mark.weekly
@pytest.mark.timeout(900)
@pytest.mark.parametrize("model", MODELS, ids=IDS)
def test_no_action_and_no_key_fails(boss: Client, model: type) -> None:
    fill()
    row = model._default_manager.first()
    assert row is not None
    for sent in (
        {"action": "no_such", "_selected_action": [row.pk]},
        {"action": "delete_selected", "_selected_action": ["abc"]},
        {"action": "delete_selected", "_selected_action": ["99999999999999999999"], "post": "yes"},
        {"action": ["x", "y"], "index": "abc", "_selected_action": [row.pk]},
        {"action": "delete_selected", "index": "-1", "select_across": "x"},
        {"_save": "1"},
        {"_save": "1", "form-TOTAL_FORMS": "1", "form-INITIAL_FORMS": "1", "form-0-id": "abc"},
        {"_save": "1", "form-TOTAL_FORMS": "1", "form-INITIAL_FORMS": "0", "form-0-enabled": "on"},
    ):
        _no_failure(boss.post(name(model, "changelist"), sent), sent)
    for pk in ("abc", "99999999999999999999", "_00", "%00", "1_2F2"):
        for page in ("change", "history", "delete"):
            _no_failure(boss.get(name(model, page, pk)), page, pk)


def test_the_search_of_select_boxes_takes_nonsense(boss: Client) -> None:
    fill()
    url = reverse("admin:autocomplete")
    boxes = [("aliastarget", "model"), ("price", "model"), ("languagemodel", "successor"), ("aliastarget", "alias")]
    for model, field in boxes:
        for term in ("", "%", "\x00", "a" * 5000, "'"):
            for page in ("1", "0", "abc", "999999999999999999999"):
                query = {"app_label": "llm_gateway", "model_name": model, "field_name": field, "term": term, "page": page}
                _no_failure(boss.get(url, query), query)
    for query in ({}, {"app_label": "x"}, {"app_label": "llm_gateway", "model_name": "price", "field_name": "source"}):
        _no_failure(boss.get(url, query), query)


def test_a_select_box_shows_its_error_in_the_form(boss: Client) -> None:
    factories.catalogue()
    url = reverse("admin:llm_gateway_alias_add")
    sent = fields_of(boss.get(url).content.decode()) | {"name": "short", "targets-0-model": "abc", "targets-0-position": "0"}
    answer = boss.post(url, sent)
    assert answer.status_code == 200
    assert "valid choice" in answer.content.decode()


@pytest.mark.parametrize("size", ["99999999999", "101", "-1", "abc", "1e3", "2000", ""])
@pytest.mark.parametrize(("page", "prefix"), [("provider_add", "keys"), ("alias_add", "targets"), ("languagemodel_changelist", "form")])
def test_a_table_without_end_is_refused_before_anything_is_built(boss: Client, page: str, prefix: str, size: str) -> None:
    factories.catalogue()
    url = reverse(f"admin:llm_gateway_{page}")
    boss.get(url)
    began = time.thread_time()
    answer = boss.post(url, {f"{prefix}-TOTAL_FORMS": size, f"{prefix}-INITIAL_FORMS": "0", "_save": "1"})
    assert answer.status_code == 400
    assert time.thread_time() - began < 1


def test_a_form_of_a_thousand_fields_is_the_largest(boss: Client) -> None:
    url = reverse("admin:llm_gateway_team_add")
    assert boss.post(url, {f"f{n}": "x" for n in range(1001)}).status_code == 400


def test_every_table_of_a_page_has_an_end(boss: Client) -> None:
    for model in MODELS:
        for inline in admin.site._registry[model].get_inline_instances(_request(boss)):
            assert inline.get_formset(_request(boss)).absolute_max <= 100, inline


def _request(client: Client) -> Any:
    from django.contrib.auth.models import User
    from django.test import RequestFactory

    request = RequestFactory().get("/admin/")
    request.user = User.objects.get(username="boss")
    return request
