"""Filters that nobody's page has: each is answered as any wrong filter is, and none tells what a page hides."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
from django.contrib import admin
from django.db.models import Field, Model
from django.test import Client
from django.urls import reverse

pytestmark = pytest.mark.django_db
LOOKUPS = ("", "__gte", "__contains", "__regex", "__in", "__range", "__isnull", "__has_key", "__year", "__foo")
VALUES = ("0", "(", "abc", "%00", "9" * 30)


def one_of_each_kind() -> list[tuple[type[Model], Field[Any, Any]]]:
    """Each kind of column once; the ones that are compared in ways of their own, everywhere."""
    seen: set[str] = set()
    found = []
    for model in admin.site._registry:
        for column in model._meta.concrete_fields:
            kind = type(column).__name__
            if kind not in seen or kind in ("JSONField", "BinaryField"):
                seen.add(kind)
                found.append((model, column))
    return found


@pytest.mark.slow
@pytest.mark.weekly
@pytest.mark.timeout(900)
@pytest.mark.parametrize(("model", "column"), one_of_each_kind(), ids=lambda one: getattr(one, "name", getattr(one, "__name__", "")))
def test_no_filter_is_a_fault_of_the_gateway(boss: Client, model: type[Model], column: Field[Any, Any]) -> None:
    url = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
    for lookup, value in product(LOOKUPS, VALUES):
        answer = boss.get(f"{url}?{column.name}{lookup}={value}")
        assert answer.status_code in (200, 302, 400), (lookup, value)


SECRETS = ("providerkey/?ciphertext__startswith=v", "clientkey/?digest__gte=0", "requestlog/?client_key__digest__startswith=a")


@pytest.mark.parametrize("asked", [*SECRETS, "requestlog/?user__password__startswith=p", "team/?keys__digest__contains=a"])
def test_no_secret_is_found_out_by_asking_what_it_begins_with(boss: Client, asked: str) -> None:
    assert boss.get(f"{reverse('admin:index')}llm_gateway/{asked}").status_code in (302, 400)
    assert boss.get(f"{reverse('admin:index')}auth/user/?password__startswith=p").status_code == 400


@pytest.mark.parametrize("asked", ["id__range=1", "tag__regex=(", "decision__contains=x", "metadata__has_key=x", "created_at__year=0"])
def test_a_filter_that_no_page_has_is_refused(boss: Client, asked: str) -> None:
    assert boss.get(f"{reverse('admin:index')}llm_gateway/requestlog/?{asked}").status_code == 400
