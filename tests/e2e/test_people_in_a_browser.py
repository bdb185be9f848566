"""People come in, in a real browser on the whole gateway: the first password, an invitation, the page over all changes; wide and narrow."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from .serving import Served
from .test_console_in_a_browser import BROWSER, QUIET, Seen

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(180),
    pytest.mark.skipif(sys.platform != "linux" or BROWSER is None, reason="needs Linux and Chromium (the gate installs it)"),
]
OWN, HERS = "my own words 17", "hers alone, 4 words"
WIDER = "() => document.documentElement.scrollWidth > document.documentElement.clientWidth"
PICTURES = os.environ.get("TEST_PICTURES", "")


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with Served(tmp_path_factory.mktemp("people"), "--simulate", "--no-local-model", patience_s=120) as gateway:
        yield gateway


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=BROWSER, args=list(QUIET))
        yield found
        found.close()


def opened(browser: Any, served: Served, width: int, scheme: str) -> Any:
    page = browser.new_context(base_url=served.url, viewport={"width": width, "height": 900}, color_scheme=scheme).new_page()
    page.seen = Seen(page)
    return page


def fits(page: Any, called: str) -> None:
    """At both widths."""
    before = page.viewport_size
    for width in (1280, 390):
        page.set_viewport_size({"width": width, "height": 900})
        if PICTURES:
            page.screenshot(path=str(Path(PICTURES) / f"{called}-{width}.png"), full_page=True)
        assert not page.evaluate(WIDER), f"{called} is too wide at {width}"
    page.set_viewport_size(before)


def sign_in(page: Any, name: str, password: str) -> None:
    page.goto("/admin/")
    page.fill("[name=username]", name)
    page.fill("[name=password]", password)
    page.click("[type=submit]")


def choose(page: Any, **fields: str) -> None:
    for name, value in fields.items():
        page.fill(f"[name={name}]", value)
    page.press("[name=new_password2]", "Enter")


def test_from_the_first_password_to_a_colleague_who_came_in(browser: Any, served: Served) -> None:
    told = re.search(r"assword.*\s(\S+)$", served.output, re.MULTILINE)
    assert told, served.output
    boss = opened(browser, served, 1280, "light")
    sign_in(boss, "operator", told[1])
    boss.wait_for_url("**/admin/password_change/")
    boss.goto("/admin/llm_gateway/provider/")
    boss.get_by_text("Choose a password of your own first.").wait_for()
    fits(boss, "own-password")
    choose(boss, old_password=told[1], new_password1=OWN, new_password2=OWN)
    boss.wait_for_url("**/admin/")
    boss.get_by_text("The password is yours now.").wait_for()

    boss.goto("/admin/llm_gateway/invitation/add/")
    fits(boss, "invite")
    boss.fill("[name=name]", "Ann Lee")
    boss.fill("[name=email]", "ann.lee@example.com")
    boss.locator("[name=role][value=auditor]").check(force=True)
    boss.locator("[type=submit][name=_save]").click()
    link = boss.get_by_label("The link of the invitation").input_value()
    fits(boss, "link")

    ann = opened(browser, served, 390, "dark")
    ann.goto(urlsplit(link).path)
    ann.wait_for_url("**/invitation/")
    ann.get_by_text("you are invited as auditor").wait_for()
    fits(ann, "invitation")
    choose(ann, new_password1=HERS, new_password2=HERS)
    ann.wait_for_url("**/admin/")
    ann.get_by_text("Welcome, Ann Lee.").wait_for()

    ann.goto("/admin/llm_gateway/auditentry/?person=operator")
    assert "Ann Lee" in ann.inner_text("body")
    fits(ann, "trail")
    boss.goto("/admin/llm_gateway/invitation/")
    boss.get_by_text("accepted", exact=True).first.wait_for()
    fits(boss, "invitations")
    for page in (boss, ann):
        assert page.seen.complaints == []
        assert page.seen.hosts == {urlsplit(served.url).netloc}
    stranger = opened(browser, served, 390, "light")
    stranger.goto(urlsplit(link).path)
    stranger.get_by_text("This link does not open anything").wait_for()
    fits(stranger, "closed")
