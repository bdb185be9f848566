"""The console and the browsable API as their users have them: the whole gateway, and a real browser that loads nothing from elsewhere."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from tests.support.clock import Stopwatch

from .serving import Served, eventually

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(180),
    pytest.mark.skipif(sys.platform != "linux" or BROWSER is None, reason="needs Linux and Chromium (the gate installs it)"),
]
PASSWORD = "only-for-this-test-1"
QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with Served(tmp_path_factory.mktemp("console"), "--simulate", "--no-local-model", DJANGO_SUPERUSER_PASSWORD=PASSWORD) as gateway:
        eventually(
            lambda: httpx.get(f"{gateway.url}/api/ai-models/keys/status", headers=gateway.headers).json()["overall_status"] == "all_valid"
        )
        yield gateway


class Seen:
    """What the browser complained of, and whom it asked."""

    def __init__(self, page: Any) -> None:
        self.complaints: list[str] = []
        self.hosts: set[str] = set()
        page.on("console", lambda said: self.complaints.append(f"{page.url}: {said.text}") if said.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: self.complaints.append(f"{page.url}: {error}"))
        page.on("request", lambda request: self.hosts.add(urlsplit(request.url).netloc))
        page.on("response", lambda told: self.complaints.append(f"{told.status} {told.url}") if told.status >= 400 else None)


@pytest.fixture(scope="module")
def page(served: Served) -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=BROWSER, args=list(QUIET))
        page = browser.new_page(base_url=served.url, viewport={"width": 1400, "height": 900})
        page.seen = Seen(page)
        page.goto("/admin/")
        page.fill("[name=username]", "operator")
        page.fill("[name=password]", PASSWORD)
        page.click("[type=submit]")
        page.wait_for_url("**/admin/")
        yield page
        browser.close()


def test_a_pasted_key_shows_its_state_within_seconds(page: Any) -> None:
    page.goto("/admin/llm_gateway/providerkey/add/")
    choices = page.locator("[name=provider] option").all_inner_texts()
    page.locator("[name=provider]").select_option(label=next(one for one in choices if "Anthropic" in one), force=True)
    page.fill("[name=name]", "pasted")
    page.fill("[name=new_key]", "sim-invalid-pasted")
    page.get_by_role("button", name="Save and continue editing").click()
    watch = Stopwatch()
    state = page.locator("#key-state")
    state.get_by_text("invalid", exact=True).first.wait_for(timeout=8000)
    assert watch.took_s < 8
    assert "sim-invalid-pasted" not in page.content()


def test_two_clicks_switch_the_strategy_and_requests_follow(page: Any, served: Served) -> None:
    page.goto("/admin/llm_gateway/strategy/")
    page.locator("tr", has_text="performance-based").get_by_text("Switch to this").click()
    page.get_by_role("button", name="Put in force").click()
    page.wait_for_load_state()
    asked = {"prompt": "Add two numbers.", "max_tokens": 100}

    def follows() -> bool:
        answer = httpx.post(f"{served.url}/api/ai-models/generate", headers=served.headers, json=asked, timeout=30).json()
        return bool(answer["strategy"] == "performance-based")

    eventually(follows, seconds=3)


def test_a_request_is_found_with_its_attempts_and_its_decision(page: Any, served: Served) -> None:
    answer = httpx.post(f"{served.url}/api/ai-models/generate", headers=served.headers, json={"prompt": "Sort a list.", "max_tokens": 60})
    page.goto("/admin/llm_gateway/requestlog/")
    page.locator("table tbody th a, table tbody td a").first.click()
    page.wait_for_load_state()
    shown = page.inner_text("main, #content, body")
    assert answer.json()["id"] in page.url + shown
    for word in ("Attempts", "Why it went there", "Usage and cost", "reported"):
        assert word in shown


def test_the_cost_report_draws_its_chart(page: Any) -> None:
    page.goto("/admin/reports/cost/")
    page.locator("canvas").first.wait_for()
    drawn = page.evaluate(
        "() => { const c = document.querySelector('canvas'); const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;"
        " return d.some(value => value > 0); }"
    )
    assert drawn
    with page.expect_download() as download:
        page.get_by_role("link", name="CSV").first.click()
    assert download.value.suggested_filename.endswith(".csv")


def test_the_browsable_api_sends_its_form(page: Any) -> None:
    page.goto("/api/ai-models/generate")
    page.get_by_role("button", name="POST").first.click()
    page.wait_for_load_state()
    told = page.locator(".response-info").inner_text()
    assert "HTTP 200 OK" in told
    assert re.search(r'"finish_reason": "(stop|length)"', told)
    page.goto("/api/docs/")
    page.locator(".opblock[id*=generate]").first.wait_for()


def test_no_page_complained_or_asked_another_host(page: Any) -> None:
    for path in ("/", "/admin/", "/admin/llm_gateway/budget/add/", "/admin/llm_gateway/strategy/explain/", "/admin/reports/forecast/"):
        page.goto(path)
        page.wait_for_load_state("networkidle")
        assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth"), f"{path} is too wide"
    assert page.seen.complaints == []
    assert page.seen.hosts == {urlsplit(page.url).netloc}
