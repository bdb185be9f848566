"""Client keys, alerts, connecting a provider and the playground, as an operator does them in a real browser, wide and narrow."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from .serving import Served, eventually
from .test_console_in_a_browser import PASSWORD, page, pytestmark  # noqa: F401  # the same browser as there

PLAYGROUND = "/admin/llm_gateway/clientkey/playground/"
CONNECT = "/admin/llm_gateway/provider/connect/"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """With more patience than there: what is tried here needs every provider's key."""
    folder = tmp_path_factory.mktemp("jobs")
    with Served(folder, "--simulate", "--no-local-model", patience_s=120, DJANGO_SUPERUSER_PASSWORD=PASSWORD) as gateway:
        status = f"{gateway.url}/api/ai-models/keys/status"
        eventually(lambda: httpx.get(status, headers=gateway.headers, timeout=30).json()["overall_status"] == "all_valid", seconds=60)
        yield gateway


def fits(page: Any, path: str) -> None:  # noqa: F811
    for width in (1280, 390):
        page.set_viewport_size({"width": width, "height": 900})
        page.goto(path)
        page.wait_for_load_state("networkidle")
        assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth"), (path, width)
    page.set_viewport_size({"width": 1280, "height": 900})


def test_a_key_is_made_with_the_picker_shown_once_and_rolled(page: Any, served: Served) -> None:  # noqa: F811
    page.set_viewport_size({"width": 1280, "height": 900})
    page.goto("/admin/llm_gateway/clientkey/add/")
    page.fill("[name=name]", "laptop")
    page.locator("[name=team]").select_option(index=1, force=True)
    page.locator("details.cogo-picker summary").click()
    page.fill(".cogo-picker-search", "claude-sonnet")
    page.locator(".cogo-picker-list input[value=claude-sonnet-5-5]").check()
    assert "claude-sonnet" in page.input_value("[name=models_allowed]")
    page.fill("[name=budget_usd]", "5")
    page.get_by_role("button", name="Save", exact=True).first.click()
    first = page.locator(".cogo-secret").input_value()
    page.reload()
    page.get_by_text("Budgets that bind it").wait_for()
    assert first not in page.content()
    address = page.url
    page.get_by_role("link", name="Roll", exact=True).click()
    page.get_by_role("button", name="Roll and show").click()
    second = page.locator(".cogo-secret").input_value()
    page.goto(address)
    assert page.get_by_role("button", name="End it now").count() == 1
    ask = {"model": "claude-sonnet-5-5", "max_tokens": 20, "messages": [{"role": "user", "content": "Hi"}]}
    for key in (first, second):
        sent = {"Authorization": f"Bearer {key}"}
        # Workers hear of a new text within two seconds.
        eventually(
            lambda sent=sent: httpx.post(f"{served.url}/v1/chat/completions", headers=sent, json=ask, timeout=30).status_code == 200,
            seconds=10,
        )


def test_the_playground_answers_in_two_panes_with_figures(page: Any) -> None:  # noqa: F811
    page.goto(PLAYGROUND)
    page.click("#pg-add")
    for number, name in enumerate(("claude-sonnet-5-5", "auto")):
        page.locator(".cogo-panes input").nth(number).fill(name)
    page.fill("#pg-text", "Write a haiku.")
    page.keyboard.press("Control+Enter")
    page.locator(".cogo-figures").nth(1).wait_for(timeout=20_000)
    for line in page.locator(".cogo-figures").all_inner_texts():
        assert "first token" in line
        assert "$" in line
    page.locator("#pg-mode").select_option("analyze")
    page.fill("#pg-text", "def f(x): return eval(x)")
    page.click("#pg-send")
    page.get_by_text("of 100.").first.wait_for(timeout=30_000)


def test_a_rule_shows_only_the_figures_of_its_event(page: Any) -> None:  # noqa: F811
    page.goto("/admin/llm_gateway/alertrule/add/")
    page.locator("[name=event]").select_option("latency", force=True)
    assert page.locator("[name=latency__p95_ms]").is_visible()
    assert not page.locator("[name=error_rate__percent]").is_visible()


@pytest.mark.parametrize(
    "path",
    [
        PLAYGROUND, CONNECT, f"{CONNECT}?preset=groq", "/admin/llm_gateway/clientkey/add/", "/admin/llm_gateway/alert/",
        "/admin/llm_gateway/alertrule/", "/admin/llm_gateway/alertrule/add/", "/admin/llm_gateway/alertdestination/add/",
        "/admin/reports/end-users/",
    ],
)  # fmt: skip
def test_pages_fit_wide_and_narrow(page: Any, path: str) -> None:  # noqa: F811
    fits(page, path)


def test_nothing_complained_and_nobody_else_was_asked(page: Any) -> None:  # noqa: F811
    assert page.seen.complaints == []
    assert page.seen.hosts == {urlsplit(page.url).netloc}
