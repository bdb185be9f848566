"""Single sign-on and a second factor in a real browser: wide and narrow, light and dark, nothing
fetched from elsewhere."""

from __future__ import annotations

import base64
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.hotp import HOTP

from tests.support.identity import CLIENT, Provider

from .serving import ROOT, Served
from .test_console_in_a_browser import BROWSER
from .test_people_in_a_browser import browser, fits, opened, sign_in  # noqa: F401  # browser is a fixture

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(240),
    pytest.mark.skipif(sys.platform != "linux" or BROWSER is None, reason="needs Linux and Chromium (the gate installs it)"),
]
PASSWORD = "only-for-this-test-1"


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    with Provider() as running:
        yield running


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, provider: Provider) -> Iterator[Served]:
    given = {
        "COGO_SSO_ISSUER": provider.issuer, "COGO_SSO_CLIENT_ID": CLIENT, "COGO_SSO_CLIENT_SECRET": provider.secret,
        "COGO_SSO_PRIVATE": "true",
        "COGO_SSO_NAME": "Example ID", "COGO_SSO_ROLES": "llm-operators=operator", "COGO_SSO_DOMAINS": "example.com",
        "COGO_SECOND_FACTOR_ROLES": "superuser", "DJANGO_SUPERUSER_PASSWORD": PASSWORD,
    }  # fmt: skip
    with Served(tmp_path_factory.mktemp("sso"), "--simulate", "--no-local-model", patience_s=120, **given) as gateway:
        yield gateway


class App:
    """An authenticator app: takes each step once, as people do who wait for the next code."""

    def __init__(self, key: str) -> None:
        self._key = HOTP(base64.b32decode(key.replace(" ", "")), 6, SHA1())
        self._last = 0

    def code(self) -> str:
        # The gateway takes the step after this one, too.
        step = max(int(time.time() // 30), self._last + 1)
        while step > int(time.time() // 30) + 1:
            time.sleep(0.2)
        self._last = step
        return self._key.generate(step).decode()


def in_both_themes(page: Any, called: str) -> None:
    for scheme in ("light", "dark"):
        # The console asks the system for it once, when a page is loaded; these pages are shown
        # once.
        page.evaluate("dark => document.documentElement.classList.toggle('dark', dark)", scheme == "dark")
        fits(page, f"{called}-{scheme}")


def manage(served: Served, command: str) -> str:
    """What the operator does at the terminal."""
    line = [sys.executable, "manage.py", command, "operator"]
    return subprocess.run(line, cwd=ROOT, env=served._environment, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_ann_comes_in_by_her_identity_provider(browser: Any, served: Served, provider: Provider, width: int, scheme: str) -> None:  # noqa: F811
    ann = opened(browser, served, width, scheme)
    ann.goto("/admin/llm_gateway/team/")
    in_both_themes(ann, "sign-in")
    ann.get_by_role("link", name="Sign in with Example ID").click()
    ann.wait_for_url("**/admin/llm_gateway/team/")
    assert ann.seen.complaints == []
    assert ann.seen.hosts == {urlsplit(served.url).netloc, urlsplit(provider.issuer).netloc}, "the provider, and nobody else"
    stranger = opened(browser, served, width, scheme)
    provider.person["email_verified"] = False
    stranger.goto("/admin/login/")
    stranger.get_by_role("link", name="Sign in with Example ID").click()
    stranger.get_by_text("has not verified your mail address").wait_for()
    in_both_themes(stranger, "refused")
    stranger.get_by_role("link", name="Back to the sign-in page").click()
    stranger.wait_for_url("**/admin/login/")
    provider.person["email_verified"] = True


def test_a_second_factor_from_the_picture_to_the_recovery_code(browser: Any, served: Served) -> None:  # noqa: F811
    boss = opened(browser, served, 1280, "light")
    sign_in(boss, "operator", PASSWORD)
    boss.wait_for_url("**/admin/sign-in/second-factor/")
    boss.get_by_alt_text("QR code with the key for the app").wait_for()
    assert boss.evaluate("() => document.querySelector('.cogo-qr').naturalWidth > 100"), "the picture is drawn"
    in_both_themes(boss, "factor-set-up")
    app = App(boss.locator("[data-key]").inner_text())
    boss.goto("/admin/")
    boss.wait_for_url("**/admin/login/**")
    boss.goto("/admin/sign-in/second-factor/")
    boss.get_by_label("Code").fill("000000")
    boss.keyboard.press("Enter")
    boss.get_by_role("alert").wait_for()
    boss.get_by_label("Code").fill(app.code())
    boss.keyboard.press("Enter")
    boss.get_by_text("They are shown now and never again.").wait_for()
    in_both_themes(boss, "factor-codes")
    codes = boss.get_by_label("Recovery codes").locator("li").all_inner_texts()
    boss.get_by_role("link", name="I have stored them").click()
    boss.wait_for_url("**/admin/")
    boss.goto("/admin/second-factor/")
    boss.get_by_text("10 recovery codes left").wait_for()
    in_both_themes(boss, "factor-on")

    again = opened(browser, served, 390, "dark")
    sign_in(again, "operator", PASSWORD)
    again.wait_for_url("**/admin/sign-in/second-factor/")
    in_both_themes(again, "factor-asked")
    again.get_by_label("Code").fill(codes[0])
    again.keyboard.press("Enter")
    again.wait_for_url("**/admin/")
    again.goto("/admin/second-factor/")
    again.get_by_text("9 recovery codes left").wait_for()
    for page in (boss, again):
        assert page.seen.complaints == []
        assert page.seen.hosts == {urlsplit(served.url).netloc}


def test_a_colleague_switches_one_on_and_a_superuser_resets_it(browser: Any, served: Served) -> None:  # noqa: F811
    """After the one before: Ann of the provider is there, and the operator has a second factor."""
    ann = opened(browser, served, 390, "dark")
    ann.goto("/admin/sso/")
    ann.wait_for_url("**/admin/")
    ann.goto("/admin/second-factor/")
    in_both_themes(ann, "factor-off")
    app = App(ann.locator("[data-key]").inner_text())
    ann.get_by_label("Code").fill(app.code())
    ann.keyboard.press("Enter")
    ann.get_by_text("They are shown now and never again.").wait_for()
    in_both_themes(ann, "factor-own-codes")
    link = manage(served, "sign_in_link").split()[-1]
    manage(served, "reset_second_factor")
    boss = opened(browser, served, 1280, "light")
    boss.goto(urlsplit(link).path)
    in_both_themes(boss, "link")
    boss.get_by_role("button", name="Sign in").click()
    boss.wait_for_url("**/admin/sign-in/second-factor/")
    boss.get_by_label("Code").fill(App(boss.locator("[data-key]").inner_text()).code())
    boss.keyboard.press("Enter")
    boss.get_by_role("link", name="I have stored them").click()
    boss.goto("/admin/auth/user/")
    boss.get_by_role("link", name="ann@example.com", exact=True).first.click()
    in_both_themes(boss, "account")
    boss.get_by_role("button", name="Reset second factor").click()
    boss.get_by_role("button", name="They lost app and codes: reset?").click()
    boss.get_by_text("The second factor of ann@example.com is off").wait_for()
    for page in (boss, ann):
        assert page.seen.complaints == []
