"""Passwords are not guessed: tries are counted before anything is hashed, waits grow and end, and nobody is locked out for good."""

from __future__ import annotations

import contextlib
import threading
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth import authenticate
from django.contrib.auth.hashers import MD5PasswordHasher
from django.contrib.auth.models import User
from django.db import connections
from django.test import Client, RequestFactory
from django.utils import timezone
from rest_framework.authentication import BasicAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request
from typing_extensions import override

from llm_gateway.actions import sign_in
from llm_gateway.actions.sign_in import ACCOUNT_ANYWHERE, ACCOUNT_HERE, ADDRESS, count_try, forget_old_tries, forget_tries
from llm_gateway.core.errors import RateLimited
from llm_gateway.models import SignInTries

pytestmark = pytest.mark.django_db
RIGHT = "a long enough one"
NOW = timezone.now()
URL = "/admin/login/"


class Counting(MD5PasswordHasher):
    """How often a password is looked at."""

    algorithm = "md5"
    times = 0

    @override
    def encode(self, password: str, salt: str) -> str:
        Counting.times += 1
        return str(super().encode(password, salt))


@pytest.fixture
def hashed(settings: Any) -> type[Counting]:
    settings.PASSWORD_HASHERS = [f"{__name__}.Counting"]
    User.objects.create_superuser("ann", password=RIGHT)
    Counting.times = 0
    return Counting


def knock(browser: Client, password: str, username: str = "ann", address: str = "203.0.113.5") -> Any:
    return browser.post(URL, {"username": username, "password": password}, REMOTE_ADDR=address)


def test_after_five_wrong_tries_even_the_right_one_waits_and_nothing_is_hashed(hashed: type[Counting]) -> None:
    browser = Client()
    answers = [knock(browser, "wrong") for _ in range(ACCOUNT_HERE.free)]
    assert {answer.status_code for answer in answers} == {200}
    before = hashed.times
    for password in ("wrong", RIGHT):
        answer = knock(browser, password)
        assert answer.status_code == 429
        assert 1 <= int(answer["Retry-After"]) <= 2
        assert "Too many tries to sign in. Wait" in answer.content.decode()
    assert hashed.times == before
    assert "sessionid" not in browser.cookies


def test_the_wait_ends_and_the_right_password_opens(hashed: type[Counting]) -> None:
    browser = Client()
    for _ in range(ACCOUNT_HERE.free + 1):
        knock(browser, "wrong")
    SignInTries.objects.update(until=timezone.now() - timedelta(seconds=1))
    assert knock(browser, RIGHT).status_code == 302
    assert knock(Client(), "wrong").status_code == 200, "the account begins anew at this address"


@pytest.mark.parametrize("username", ["ann", "ANN", "ａｎｎ", "nobody at all"])
def test_spellings_of_a_name_are_one_account_and_unknown_ones_are_no_different(hashed: type[Counting], username: str) -> None:
    for _ in range(ACCOUNT_HERE.free):
        knock(Client(), "wrong", "ann" if username != "nobody at all" else username)
    assert knock(Client(), "wrong", username).status_code == 429


def test_waits_double_up_to_a_limit() -> None:
    now, waits = NOW, []
    for _ in range(20):
        while wait := count_try("ann", "203.0.113.5", now=now):
            waits.append(wait)
            now += timedelta(seconds=wait)
    assert waits[:5] == [1, 2, 4, 8, 16]
    assert max(waits) == ACCOUNT_HERE.most_s
    assert count_try("ann", "203.0.113.5", now=now + timedelta(hours=2)) == 0


def test_a_stranger_does_not_lock_out_the_operator(hashed: type[Counting]) -> None:
    home = Client()
    assert knock(home, RIGHT, address="198.51.100.7").status_code == 302
    stranger = Client()
    for _ in range(12):
        knock(stranger, "wrong")
    assert knock(Client(), RIGHT, address="198.51.100.7").status_code == 302, "another address"
    home.post("/admin/logout/")
    for number in range(3 * ACCOUNT_ANYWHERE.free):
        count_try("ann", f"203.0.113.{number % 250}")
    assert knock(Client(), RIGHT, address="192.0.2.9").status_code == 429, "everybody guesses at this account"
    assert knock(home, RIGHT, address="203.0.113.5").status_code == 302, "a browser that signed in before is counted by itself"


def test_a_known_browser_is_counted_too_and_its_cookie_is_of_one_account(hashed: type[Counting]) -> None:
    home = Client()
    knock(home, RIGHT)
    for _ in range(ACCOUNT_HERE.free):
        knock(home, "wrong")
    assert knock(home, "wrong").status_code == 429
    cookie = home.cookies[sign_in.COOKIE]
    assert cookie["httponly"]
    forged = Client()
    forged.cookies[sign_in.COOKIE] = cookie.value + "x"
    request = RequestFactory().get("/")
    request.COOKIES = {sign_in.COOKIE: cookie.value}
    assert sign_in.known_browser(request, "ann")
    assert not sign_in.known_browser(request, "bob")
    request.COOKIES = {sign_in.COOKIE: cookie.value + "x"}
    assert not sign_in.known_browser(request, "ann")


def test_an_address_that_tries_many_names_is_slowed_down_as_well() -> None:
    waits = [count_try(f"name {n}", "203.0.113.5", now=NOW) for n in range(ADDRESS.free + 3)]
    assert waits[: ADDRESS.free] == [0] * ADDRESS.free
    assert all(waits[ADDRESS.free :])
    assert count_try("name 1", "203.0.113.6", now=NOW) == 0


def test_a_line_with_ipv6_is_one_address_however_it_renumbers() -> None:
    for number in range(ACCOUNT_HERE.free):
        assert count_try("ann", f"2001:db8:0:1::{number}", now=NOW) == 0
    count_try("ann", "2001:db8:0:1:ffff::1", now=NOW)
    assert count_try("ann", "2001:db8:0:1::abcd", now=NOW) > 0
    assert count_try("ann", "2001:db8:0:2::1", now=NOW) == 0, "another line"


def test_an_office_that_signs_in_rightly_is_not_slowed_down() -> None:
    for number in range(5 * ADDRESS.free):
        assert count_try(f"name {number}", "203.0.113.5", now=NOW) == 0
        forget_tries(f"name {number}", "203.0.113.5")


@pytest.mark.parametrize("way", ["authenticate", "basic"])
def test_every_way_in_is_guarded(hashed: type[Counting], way: str) -> None:
    """The guard stands in the list of backends, before the one that looks at passwords."""
    from base64 import b64encode

    def once() -> None:
        request = RequestFactory().get("/", headers={"authorization": f"Basic {b64encode(b'ann:wrong').decode()}"})
        if way == "basic":
            with contextlib.suppress(AuthenticationFailed):
                BasicAuthentication().authenticate(Request(request))
        else:
            assert authenticate(request, username="ann", password="wrong") is None

    for _ in range(ACCOUNT_HERE.free):
        once()
    before = hashed.times
    with pytest.raises(RateLimited) as refused:
        once()
    assert refused.value.retry_after_s
    assert hashed.times == before


@pytest.mark.django_db(transaction=True)
def test_twins_count_as_two() -> None:
    """Thirty at once, as from several workers: no more than the free tries get through."""
    waits: list[int] = []
    start = threading.Barrier(12)

    def one() -> None:
        start.wait()
        try:
            waits.append(count_try("ann", "203.0.113.5"))
        finally:
            connections.close_all()

    threads = [threading.Thread(target=one) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert waits.count(0) == ACCOUNT_HERE.free


def test_old_tries_go() -> None:
    count_try("ann", "203.0.113.5", now=NOW - timedelta(days=2))
    assert forget_old_tries(NOW) == 3
