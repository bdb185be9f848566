"""Sessions whose rows open no door."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.test import Client

from cogo.sessions import SessionStore, stored_key

pytestmark = pytest.mark.django_db


@pytest.fixture
def browser():
    """Signed in, with its cookie."""
    client = Client()
    client.force_login(User.objects.create_superuser("somebody", "", "a password of some length"))
    return client


def cookie_opens(value: str) -> bool:
    stranger = Client()
    stranger.cookies["sessionid"] = value
    return stranger.get("/admin/").status_code == 200


def test_who_signed_in_stays_signed_in_and_signs_out(browser):
    assert browser.get("/admin/").status_code == 200
    assert Session.objects.count() == 1
    browser.logout()
    assert browser.get("/admin/").status_code == 302
    assert not Session.objects.filter(session_key=stored_key(browser.cookies["sessionid"].value if "sessionid" in browser.cookies else "x"))


def test_what_a_copy_of_the_database_shows_is_no_cookie(browser):
    cookie = browser.cookies["sessionid"].value
    row = Session.objects.get()
    assert cookie_opens(cookie)
    assert row.session_key != cookie
    assert cookie not in row.session_data
    assert not cookie_opens(row.session_key)


def test_a_row_that_holds_a_bare_cookie_opens_nothing(browser):
    Session.objects.update(session_key="a" * 32)
    assert not cookie_opens("a" * 32)


def test_another_secret_key_knows_no_session_unless_the_old_one_is_kept(browser, settings):
    cookie, old = browser.cookies["sessionid"].value, settings.SECRET_KEY
    settings.SECRET_KEY = "another " * 8
    assert not cookie_opens(cookie)
    settings.SECRET_KEY_FALLBACKS = [old]
    assert SessionStore(cookie).load()
    assert Session.objects.get().session_key == stored_key(cookie)
    settings.SECRET_KEY_FALLBACKS = []
    assert Session.objects.filter(session_key=stored_key(cookie)).exists()


def test_keys_are_cycled_and_deleted_by_the_cookie(browser):
    store = SessionStore(browser.cookies["sessionid"].value)
    store.load()
    store.cycle_key()
    assert store.exists(store.session_key)
    assert Session.objects.count() == 1
    store.delete(store.session_key)
    assert not Session.objects.exists()
    assert not store.exists(store.session_key)


async def _there_and_back() -> None:
    store = SessionStore()
    await store.aset("name", "value")
    await store.asave()
    again = SessionStore(store.session_key)
    assert await again.aget("name") == "value"
    assert await again.aexists(store.session_key)
    await again.adelete(store.session_key)
    assert not await again.aexists(store.session_key)


@pytest.mark.django_db(transaction=True)
async def test_the_same_inside_an_event_loop():
    await _there_and_back()
