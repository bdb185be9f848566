"""Single sign-on as the only way in, and no single sign-on at all."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.test import Client

from llm_gateway.actions.invite import invite
from llm_gateway.core.secret import Secret
from llm_gateway.models import AuditEntry
from llm_gateway.policies.sign_on import SignOn
from tests.support.identity import Provider

from .test_sign_on import PASSWORD, forgotten, provider, roles, set_up, sign_on, use

__all__ = ["forgotten", "provider", "set_up"]
pytestmark = pytest.mark.django_db


class TestWithoutPasswords:
    @pytest.fixture(autouse=True)
    def off(self, provider: Provider, settings: Any) -> None:
        use(settings, provider, passwords=False, name="Example ID")

    def test_no_password_opens_anything_and_the_page_says_what_does(self) -> None:
        User.objects.create_superuser("boss", password=PASSWORD)
        browser = Client()
        page = browser.get("/admin/login/?next=/admin/auth/user/").content.decode()
        assert "Sign in with Example ID" in page
        assert "/admin/sso/?next=%2Fadmin%2Fauth%2Fuser%2F" in page
        assert 'name="password"' not in page
        answer = browser.post("/admin/login/", {"username": "boss", "password": PASSWORD})
        assert "Passwords do not open this console" in answer.content.decode()
        from django.contrib.auth import authenticate
        from django.test import RequestFactory

        assert authenticate(RequestFactory().get("/"), username="boss", password=PASSWORD) is None
        assert browser.get("/admin/").status_code == 302

    def test_a_superuser_gets_in_by_a_command_once(self, capsys: pytest.CaptureFixture[str]) -> None:
        User.objects.create_superuser("boss", password=PASSWORD)
        User.objects.create_user("ann", password=PASSWORD, is_staff=True)
        with pytest.raises(CommandError, match="no superuser"):
            call_command("sign_in_link", "ann")
        call_command("sign_in_link", "boss")
        link = "/admin/" + capsys.readouterr().out.strip().partition("/admin/")[2]
        browser = Client()
        assert "boss" in browser.get(link).content.decode(), "looking at it uses nothing up"
        assert browser.get("/admin/").status_code == 302
        assert browser.post(link)["Location"] == "/admin/"
        assert browser.get("/admin/").status_code == 200
        assert Client().get(link).status_code == Client().post(link).status_code == 404
        details = set(AuditEntry.objects.values_list("detail", flat=True))
        assert {"Made a link to sign in with.", "by a link of the terminal"} <= details

    def test_an_invitation_leads_to_single_sign_on(self, provider: Provider) -> None:
        boss = User.objects.create_superuser("boss", password=PASSWORD)
        _, token = invite("Ann Lee", "ann@example.com", "auditor", boss)
        browser = Client()
        page = browser.get(f"/invitation/{token}/", follow=True).content.decode()
        assert "Sign in with Example ID" in page
        assert 'name="new_password1"' not in page
        browser.post("/invitation/", {"new_password1": PASSWORD, "new_password2": PASSWORD})
        assert not User.objects.filter(email="ann@example.com").exists()
        assert sign_on(provider, browser)[1].status_code == 302
        assert "auditor" in roles()


def test_without_the_settings_there_is_nothing_to_see() -> None:
    browser = Client()
    assert browser.get("/admin/sso/").status_code == browser.get("/admin/sso/back/?code=x").status_code == 404
    assert "sso" not in browser.get("/admin/login/").content.decode()
    assert msgspec.structs.replace(SignOn(issuer="i", client_id="c", client_secret=Secret("x")), name="n").passwords
