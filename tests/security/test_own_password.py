"""A password that somebody else knows opens one page: the one that changes it."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from llm_gateway.actions.bootstrap import _operator
from llm_gateway.actions.own_password import FLAG, must_change
from llm_gateway.actions.sign_in import ACCOUNT_HERE
from llm_gateway.models import AuditEntry, OneTimePassword, SignInTries
from tests.admin.conftest import signed_in
from tests.admin.forms import post

pytestmark = pytest.mark.django_db
OWN = "a password of my own 7"
PAGE = "/admin/password_change/"


def enter(username: str, password: str) -> Client:
    browser = Client()
    assert browser.post("/admin/login/", {"username": username, "password": password}).status_code == 302
    return browser


def change(browser: Client, old: str, new: str = OWN) -> Any:
    return browser.post(PAGE, {"old_password": old, "new_password1": new, "new_password2": new})


@pytest.fixture
def made(db: None) -> tuple[str, str]:
    """An account as the first start leaves it."""
    must_change(User.objects.create_superuser("operator", password="made at the start 1"))
    return "operator", "made at the start 1"


@pytest.fixture
def boss(db: None) -> Client:
    return signed_in("boss", is_superuser=True)


def test_the_password_of_the_first_start_opens_nothing_but_the_page_that_changes_it(made: tuple[str, str]) -> None:
    browser = enter(*made)
    for path in ("/admin/", "/admin/llm_gateway/provider/", "/admin/auth/user/", "/admin/search/?s=x", "/admin/reports/cost/?format=csv"):
        answer = browser.get(path)
        assert (answer.status_code, answer["Location"]) == (302, PAGE), path
    assert browser.post("/admin/auth/user/add/", {"username": "mine"}).status_code == 302
    assert not User.objects.filter(username="mine").exists()
    for path in ("/api/ai-models/status", "/api/ai-models/strategy", "/api/ai-models/generate"):
        answer = browser.get(path, headers={"accept": "application/json"})
        assert answer.status_code == 403, path
        assert PAGE in answer.json()["error"]["message"]
    assert browser.get("/api/ai-models/status", headers={"accept": "text/html"})["Location"] == PAGE
    page = browser.get(PAGE).content.decode()
    assert "you are not the only one who knows it" in page
    assert "/admin/llm_gateway/provider/" not in page, "a menu whose entries do not open"
    assert browser.post("/admin/logout/").status_code in (200, 302)


def test_with_an_own_password_everything_opens_at_once_and_stays_open(made: tuple[str, str]) -> None:
    browser = enter(*made)
    assert "choose another" in change(browser, made[1], made[1]).content.decode(), "the same again is no change"
    assert "too short" in change(browser, made[1], "short").content.decode()
    assert browser.get("/admin/").status_code == 302
    assert change(browser, made[1])["Location"] == "/admin/"
    assert "yours now" in browser.get("/admin/").content.decode()
    assert browser.get("/api/ai-models/status", headers={"accept": "application/json"}).status_code != 403
    assert enter(made[0], OWN).get("/admin/").status_code == 200
    assert not OneTimePassword.objects.exists()


@pytest.mark.parametrize("given", ["", OWN])
def test_what_the_first_start_made_up_is_one_time_and_what_the_operator_set_is_not(settings: Any, given: str) -> None:
    settings.COGO = settings.COGO | {"superuser_password": given}
    name, password = _operator(settings.COGO, [])
    assert (password is None) == bool(given)
    assert OneTimePassword.objects.filter(user__username=name).exists() == (not given)
    change(enter(name, password or OWN), password or OWN, "another of my own 8")
    assert _operator(settings.COGO, []) == (name, None), "the next start"
    assert not OneTimePassword.objects.exists()


def test_a_password_set_by_somebody_else_is_one_time_and_ends_sessions(boss: Client) -> None:
    ann = User.objects.create_user("ann", password=OWN, is_staff=True)
    at_home = enter("ann", OWN)
    given = "set by the boss 1"
    form = {"password1": given, "password2": given, "usable_password": "true"}
    boss.post(f"/admin/auth/user/{ann.pk}/password/", form)
    assert at_home.get("/admin/")["Location"].startswith("/admin/login/")
    assert enter("ann", given).get("/admin/")["Location"] == PAGE
    assert "one-time password" in boss.get("/admin/auth/user/").content.decode()
    post(boss, "/admin/auth/user/add/", username="bob", **form)
    bob = User.objects.get(username="bob")
    assert OneTimePassword.objects.filter(user=bob).exists()
    me = User.objects.get(username="boss")
    boss.post(f"/admin/auth/user/{me.pk}/password/", form)
    assert not OneTimePassword.objects.filter(user=me).exists(), "their own"
    assert boss.get("/admin/").status_code == 200


def test_the_terminal_makes_no_one_time_passwords_and_ends_them(made: tuple[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("getpass.getpass", lambda **_: OWN)
    call_command("changepassword", made[0])
    assert not OneTimePassword.objects.exists()
    assert enter(made[0], OWN).get("/admin/").status_code == 200


def test_hashing_the_same_password_anew_changes_nothing(made: tuple[str, str], settings: Any) -> None:
    """Django does so when its hashes get stronger, at the very sign-in that has to lead to the page."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.PBKDF2SHA1PasswordHasher", *settings.PASSWORD_HASHERS]
    before = User.objects.get(username=made[0]).password
    browser = enter(*made)
    assert User.objects.get(username=made[0]).password != before
    assert browser.session[FLAG]
    assert browser.get("/admin/")["Location"] == PAGE


def test_requests_are_not_charged_a_query_for_it(made: tuple[str, str]) -> None:
    client = signed_in("viewer")
    with CaptureQueriesContext(
        connection,
    ) as seen:
        client.get("/admin/llm_gateway/provider/")
    assert not any("onetimepassword" in query["sql"] for query in seen)
    forced = enter(*made)
    with CaptureQueriesContext(connection) as seen:
        forced.get("/admin/llm_gateway/provider/")
    assert len([query for query in seen if query["sql"].startswith("SELECT")]) == 1, "the session"


def test_a_client_key_beside_such_a_session_is_not_its(made: tuple[str, str]) -> None:
    browser = enter(*made)
    answer = browser.get("/api/ai-models/status", headers={"authorization": "Bearer nonsense", "accept": "application/json"})
    assert PAGE not in answer.content.decode()


def test_wrong_old_passwords_wait_as_wrong_sign_ins_do() -> None:
    User.objects.create_superuser("ann", password=OWN)
    browser = enter("ann", OWN)
    answers = [change(browser, "wrong") for _ in range(ACCOUNT_HERE.free)]
    assert {answer.status_code for answer in answers} == {200}
    assert AuditEntry.objects.filter(action="sign-in failed", actor="ann", detail__contains="old password").count() == ACCOUNT_HERE.free
    refused = change(browser, OWN, "another of my own 8")
    assert refused.status_code == 429
    assert int(refused["Retry-After"]) >= 1
    assert User.objects.get(username="ann").check_password(OWN), "even the right one waits"
    SignInTries.objects.update(until=timezone.now())
    assert change(browser, OWN, "another of my own 8").status_code == 302
    assert not SignInTries.objects.filter(tries__gte=ACCOUNT_HERE.free).exists()
