"""The console with the demonstration's history, page by page in a real browser: nothing complains, nothing is cut off, nothing serious is
found by axe; and the pictures of docs/console.md are taken from it (``make pictures`` writes them anew)."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from .serving import Served, eventually
from .test_console_in_a_browser import BROWSER, PASSWORD, QUIET, Seen, pytestmark  # noqa: F401  # the same browser as there
from .test_live_console import AXE, SERIOUS, WIDER

MOST_BYTES = 1_500_000
# What docs/console.md shows, in the order of its sections: name, page, and what is scrolled to the top.
SHOWN = (
    ("home", "/admin/", ""),
    ("requests", "/admin/llm_gateway/requestlog/", ""),
    ("request", "requestlog", ""),
    ("strategy", "strategy:A/B testing", ""),
    ("settings", "strategy:A/B testing", "Settings"),
    ("experiment", "experiment", ""),
    ("policy", "policyversion", "Against what is in force under this name"),
    ("cost", "/admin/reports/cost/", ""),
    ("playground", "/admin/llm_gateway/clientkey/playground/", ""),
    ("connect", "/admin/llm_gateway/provider/connect/", ""),
)
NEWER = (
    "/admin/", "/admin/llm_gateway/requestlog/", "/admin/llm_gateway/strategy/", "/admin/llm_gateway/strategy/add/",
    "/admin/llm_gateway/strategy/add/?kind=context-aware", "/admin/llm_gateway/strategyactivation/", "/admin/llm_gateway/policyversion/",
    "/admin/llm_gateway/policyversion/draft/?strategy=weighted", "/admin/llm_gateway/experiment/", "/admin/llm_gateway/batch/",
    "/admin/llm_gateway/cacherule/", "/admin/llm_gateway/qualityrule/", "/admin/llm_gateway/clientkey/playground/",
    "/admin/llm_gateway/provider/connect/", "/admin/llm_gateway/alert/", "/admin/llm_gateway/alertrule/", "/admin/llm_gateway/invitation/",
    "/admin/auth/user/", "/admin/reports/cache/", "/admin/reports/quality/", "/admin/reports/savings/", "/admin/reports/forecast/",
)  # fmt: skip


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("pictures")
    with Served(
        folder, "--simulate", "--no-local-model", "--sample-traffic", patience_s=420, DJANGO_SUPERUSER_PASSWORD=PASSWORD
    ) as gateway:
        assert "simulated requests" in gateway.output
        yield gateway


@pytest.fixture(scope="module")
def page(served: Served) -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=BROWSER, args=list(QUIET))
        page = browser.new_page(base_url=served.url, viewport={"width": 1280, "height": 800})
        page.set_default_timeout(90_000)
        page.seen = Seen(page)
        page.goto("/admin/")
        page.fill("[name=username]", "operator")
        page.fill("[name=password]", PASSWORD)
        page.click("[type=submit]")
        page.wait_for_url("**/admin/")
        yield page
        browser.close()


def first_of(page: Any, place: str) -> str:
    """The address of a page: itself, the newest row of a list, or the row of a name."""
    if place.startswith("/"):
        return place
    model, _, name = place.partition(":")
    page.goto(f"/admin/llm_gateway/{model}/")
    rows = page.locator("#result_list tbody tr", has_text=name) if name else page.locator("#result_list tbody tr")
    if model == "requestlog":
        rows = page.locator("#result_list tbody tr", has_text="enterprise").or_(rows)
    return str(rows.locator(f"a[href*='/{model}/'][href*='/change/']").first.get_attribute("href"))


@pytest.mark.timeout(900)
def test_every_page_of_the_demonstration_has_something_to_say(page: Any, served: Served, tmp_path: Path) -> None:
    folder = Path(os.environ.get("TEST_PICTURES") or tmp_path)
    folder.mkdir(parents=True, exist_ok=True)
    status = f"{served.url}/api/ai-models/keys/status"
    eventually(lambda: httpx.get(status, headers=served.headers, timeout=30).json()["overall_status"] == "all_valid", seconds=120)
    replayed = first_of(page, "policyversion")
    eventually(lambda: page.goto(replayed) and "decisions were made again" in page.content(), seconds=300)
    for name, place, scrolled in SHOWN:
        page.goto(first_of(page, place))
        page.wait_for_load_state("networkidle")
        if scrolled:
            page.locator("h2", has_text=scrolled).first.evaluate("one => one.scrollIntoView({block: 'start'})")
        page.wait_for_timeout(1200)
        assert page.get_by_text("Simulated: nothing here is real").count(), place
        assert page.locator("#content").inner_text().strip(), place
        page.screenshot(path=folder / f"{name}.png")
    assert sum(file.stat().st_size for file in folder.glob("*.png")) <= MOST_BYTES
    assert page.seen.complaints == []
    assert page.seen.hosts == {page.url.split("/")[2]}


@pytest.mark.timeout(900)
def test_the_newer_pages_fit_in_both_themes_and_axe_finds_nothing_serious(page: Any) -> None:
    found = []
    for width, height in ((1280, 900), (390, 844)):
        page.set_viewport_size({"width": width, "height": height})
        for theme in ("light", "dark"):
            page.emulate_media(color_scheme=theme)
            for path in NEWER:
                page.goto(path)
                page.wait_for_load_state()
                whole, seen = page.evaluate(WIDER)
                if whole > seen:
                    found.append((path, width, theme, "too wide", [whole]))
                if AXE.is_file():
                    page.wait_for_timeout(300)
                    page.evaluate(AXE.read_text())
                    found += [(path, width, theme, *one) for one in page.evaluate(SERIOUS)]
    page.set_viewport_size({"width": 1280, "height": 800})
    page.emulate_media(color_scheme="light")
    assert found == []
    assert [one for one in page.seen.complaints if "axe" not in one] == []


def test_a_line_is_added_to_a_table_of_weights_and_the_preview_follows(page: Any) -> None:
    page.goto(first_of(page, "strategy:Weighted"))
    page.get_by_role("button", name="Add a line").click()
    names, weights = page.locator("[name=s-weights-name]"), page.locator("[name=s-weights-weight]")
    count = names.count()
    names.nth(count - 2).fill("openai")
    weights.nth(count - 2).fill("3")
    names.nth(count - 1).fill("anthropic")
    weights.nth(count - 1).fill("1")
    assert page.locator("[data-share]").nth(count - 2).inner_text() == "75 %"
    told = page.locator("#cogo-tried")
    told.get_by_text(re.compile(r"% would go elsewhere")).wait_for()
    weights.nth(count - 1).fill("much")
    told.get_by_text("The weight of anthropic has to be a number.").wait_for()
    weights.nth(count - 1).focus()
    ring = "e => { const s = getComputedStyle(e); return s.outlineStyle !== 'none' && parseFloat(s.outlineWidth) > 0; }"
    assert weights.nth(count - 1).evaluate(ring), "keyboard focus is to be seen"
