from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.core.cache import cache
from django.test import Client

from llm_gateway.admin import _verbs


def signed_in(name: str, **more: Any) -> Client:
    user = User.objects.create_user(name, password=None, is_staff=True, **more)
    if Group.objects.filter(name=name).exists():
        user.groups.add(Group.objects.get(name=name))
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def boss(db: None) -> Client:
    return signed_in("boss", is_superuser=True)


@pytest.fixture(autouse=True)
def checks(monkeypatch: pytest.MonkeyPatch) -> list[tuple[list[int], str]]:
    """No provider is asked: what would be checked is written down."""
    asked: list[tuple[list[int], str]] = []

    def check_keys(ids: list[int], trigger: str) -> bool:
        asked.append((ids, trigger))
        return False

    monkeypatch.setattr(_verbs, "check_keys", check_keys)
    return asked


@pytest.fixture(autouse=True)
def addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Names of hosts resolve to the public Internet without being asked about."""
    from llm_gateway.actions import add_provider

    original = add_provider.checked_base_url
    monkeypatch.setattr(
        add_provider, "checked_base_url", lambda text, **more: original(text, resolver=lambda h, p: ["93.184.216.34"], **more)
    )


@pytest.fixture(autouse=True)
def forgotten() -> None:
    """The figures of the last minutes are kept for a few seconds; not from test to test."""
    cache.clear()
