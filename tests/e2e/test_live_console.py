"""The console's moving parts in a real browser, on the whole gateway: what lives, what is found, what fits the screen."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from .serving import Served, eventually
from .test_console_in_a_browser import BROWSER, PASSWORD, QUIET, Seen

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(180),
    pytest.mark.skipif(sys.platform != "linux" or BROWSER is None, reason="needs Linux and Chromium (the gate installs it)"),
]
# Never shipped: from a copy that is installed here, if there is one.
AXE = Path(os.environ.get("AXE_JS", "node_modules/axe-core/axe.min.js"))
SERIOUS = (
    "() => axe.run(document, {resultTypes: ['violations']}).then(told => told.violations"
    ".filter(one => ['serious', 'critical'].includes(one.impact)).map(one => [one.id, one.nodes.map(node => node.html.slice(0, 120))]))"
)
LIST = "/admin/llm_gateway/requestlog/"
SIZES = ((1280, 900), (390, 844))
PAGES = (
    "/admin/", LIST, "/admin/llm_gateway/budget/", "/admin/llm_gateway/deploymenthealth/", "/admin/auth/user/1/change/",
    "/admin/auth/group/add/", "/admin/llm_gateway/clientkey/add/", "/admin/reports/cost/", "/admin/llm_gateway/provider/1/change/",
)  # fmt: skip
WIDER = "() => [document.documentElement.scrollWidth, document.documentElement.clientWidth]"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with Served(tmp_path_factory.mktemp("live"), "--simulate", "--no-local-model", DJANGO_SUPERUSER_PASSWORD=PASSWORD) as gateway:
        eventually(
            lambda: httpx.get(f"{gateway.url}/api/ai-models/keys/status", headers=gateway.headers).json()["overall_status"] == "all_valid",
            seconds=40,
        )
        yield gateway


@pytest.fixture(scope="module")
def page(served: Served) -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=BROWSER, args=list(QUIET))
        page = browser.new_page(base_url=served.url, viewport={"width": 1280, "height": 900})
        page.seen = Seen(page)
        page.goto("/admin/")
        page.fill("[name=username]", "operator")
        page.fill("[name=password]", PASSWORD)
        page.click("[type=submit]")
        page.wait_for_url("**/admin/")
        yield page
        browser.close()


def ask(served: Served, **more: Any) -> httpx.Response:
    asked = {"prompt": "Add two numbers.", "max_tokens": 40, **more}
    return httpx.post(f"{served.url}/api/ai-models/generate", headers=served.headers, json=asked, timeout=30)


def test_new_requests_appear_by_themselves_and_stop_while_paused(page: Any, served: Served) -> None:
    first = ask(served).json()["id"]
    page.goto(LIST)
    page.locator(f"a[href*='{first}']").first.wait_for()
    second = ask(served).json()["id"]
    page.locator(f"a[href*='{second}']").first.wait_for(timeout=8000)
    assert page.locator("#result_list tbody a[href*='/requestlog/']").first.get_attribute("href").find(second) > 0, "newest first"
    page.get_by_role("button", name="Live").click()
    third = ask(served).json()["id"]
    page.wait_for_timeout(4500)
    assert page.locator(f"a[href*='{third}']").count() == 0
    page.get_by_role("button", name="Paused").click()
    page.locator(f"a[href*='{third}']").first.wait_for(timeout=8000)


def test_a_refusal_is_found_by_its_id_and_says_what_its_caller_read(page: Any, served: Served) -> None:
    told = ask(served, max_tokens="many").json()["error"]
    assert told["code"] == "invalid_request"
    page.goto(LIST)
    page.fill("#changelist-search input[name=q], input[name=q]", told["request_id"])
    page.keyboard.press("Enter")
    page.locator(f"a[href*='{told['request_id']}']").first.click()
    page.get_by_text("What the caller was told").wait_for()
    assert told["message"] in page.inner_text("body")


def test_a_request_can_be_copied_and_explained_again(page: Any, served: Served) -> None:
    page.goto(f"{LIST}{ask(served, model='claude').json()['id']}/change/")
    page.get_by_text("Copy as curl").click()
    page.locator("[data-copy=snippet-1]").click()
    page.locator("[data-copy=snippet-1]", has_text="Copied").wait_for()
    assert '"model": "claude"' in page.locator("#snippet-1").inner_text()
    page.get_by_role("link", name="Explain now").click()
    page.wait_for_load_state()
    assert page.locator("[name=model]").input_value() == "claude"
    assert "claude" in page.inner_text("table.cogo-table")


def test_a_replaced_key_shows_its_state_in_the_list_by_itself(page: Any) -> None:
    page.goto("/admin/llm_gateway/providerkey/")
    page.locator("#result_list tbody a", has_text="Gemini").first.click()
    page.fill("[name=new_key]", "sim-invalid-replaced")
    page.get_by_role("button", name="Save", exact=True).click()
    page.wait_for_url("**/providerkey/")
    page.locator("tbody", has_text="Gemini").get_by_text("invalid", exact=True).wait_for(timeout=12000)


def test_home_moves_by_itself_and_its_charts_lead_to_requests(page: Any, served: Served) -> None:
    page.goto("/admin/")
    page.locator("canvas.chart").first.wait_for()
    before = page.locator("a.cogo-kpi", has_text="Requests, 24 h").locator(".cogo-kpi-value").inner_text()
    for _ in range(3):
        assert ask(served).status_code == 200
    page.wait_for_function(
        "before => [...document.querySelectorAll('a.cogo-kpi')].find(one => one.textContent.includes('Requests, 24 h'))"
        "?.querySelector('.cogo-kpi-value').textContent !== before",
        arg=before, timeout=30000,
    )  # fmt: skip
    assert page.locator("canvas.chart").count() == 4
    assert page.evaluate("[...document.querySelectorAll('canvas.chart')].every(one => Chart.getChart(one))"), "charts are drawn again"
    jumps = page.evaluate("JSON.parse(document.querySelector('canvas[data-jumps]').dataset.jumps)")
    page.goto(jumps[0][-1])
    page.locator("#result_list tbody a[href*='/requestlog/']").first.wait_for()


def test_whoever_uses_a_keyboard_gets_past_the_menu_with_two_keys(page: Any) -> None:
    page.goto("/admin/reports/cost/")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to content"
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.closest('#content') !== null")


@pytest.mark.skipif(not AXE.is_file(), reason="needs axe-core: npm install axe-core, or AXE_JS names its axe.min.js")
def test_axe_finds_nothing_serious(page: Any) -> None:
    found = []
    for theme in ("light", "dark"):
        page.emulate_media(color_scheme=theme)
        for path in (*PAGES, "/admin/llm_gateway/languagemodel/", "/admin/llm_gateway/price/add/", "/admin/llm_gateway/strategy/explain/"):
            page.goto(path)
            page.wait_for_load_state()
            page.wait_for_timeout(600)
            page.evaluate(AXE.read_text())
            found += [(path, theme, *one) for one in page.evaluate(SERIOUS)]
    assert found == []


def test_every_page_fits_its_screen_in_both_themes_without_a_complaint(page: Any) -> None:
    for width, height in SIZES:
        page.set_viewport_size({"width": width, "height": height})
        for theme in ("light", "dark"):
            page.emulate_media(color_scheme=theme)
            for path in PAGES:
                page.goto(path)
                page.wait_for_load_state()
                whole, seen = page.evaluate(WIDER)
                assert whole <= seen, f"{path} is {whole} wide at {width}, {theme}"
    page.set_viewport_size({"width": 1280, "height": 900})
    assert [one for one in page.seen.complaints if "axe" not in one] == []
    assert page.seen.hosts == {page.url.split("/")[2]}
