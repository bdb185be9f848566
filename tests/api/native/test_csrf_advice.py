"""A form that comes from an unknown address says what to set, because most often it comes through a proxy nobody told the gateway of."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def urls(settings: Any) -> None:
    settings.ROOT_URLCONF = "cogo.urls"


def browser() -> Client:
    client = Client(enforce_csrf_checks=True)
    client.force_login(User.objects.create_superuser("root"))
    return client


@pytest.mark.parametrize("path", ["/admin/llm_gateway/team/add/", "/admin/login/"])
def test_behind_a_tls_proxy_it_names_the_settings(path: str) -> None:
    answer = browser().post(path, {}, headers={"origin": "https://console.example.test"})
    page = answer.content.decode()
    assert answer.status_code == 403
    assert "CSRF_TRUSTED_ORIGINS=https://console.example.test" in page
    assert "COGO_HTTPS=true" in page
    assert "COGO_TRUST_PROXY=true" in page
    assert "X-Forwarded-Proto" in page


@pytest.mark.parametrize("origin", ["https://<script>alert(1)</script>", "null", "javascript:alert(1)", "https://[", "x" * 5000])
def test_an_origin_is_text(origin: str) -> None:
    page = browser().post("/admin/llm_gateway/team/add/", {}, headers={"origin": origin}).content.decode()
    assert "<script" not in page
    assert "javascript:" not in page
    assert "CSRF_TRUSTED_ORIGINS" in page
    assert len(page) < 2000


def test_cookies_that_travel_over_https_only_are_named(settings: Any) -> None:
    settings.CSRF_COOKIE_SECURE = True
    page = browser().post("/admin/llm_gateway/team/add/", {}).content.decode()
    assert "COGO_HTTPS" in page
    assert "https address" in page


def test_an_expired_form_is_told_as_such() -> None:
    page = browser().post("/admin/llm_gateway/team/add/", {}).content.decode()
    assert "reload the page" in page
    assert "CSRF_TRUSTED_ORIGINS" not in page
