"""One name for one thing, and pages that can be heard and walked through."""

from __future__ import annotations

import re

import pytest
from django.test import Client
from django.urls import reverse

from .test_pages import fill

pytestmark = pytest.mark.django_db
OLD = ("Signs of life", "sign of life", "Speaks", "Adapter", "Routable by strategies", "Told by", "standing by", "Strategy activations")


def menu(html: str) -> list[tuple[str, str]]:
    """(title, address) of every entry."""
    part = html.split('id="nav-sidebar"')[1].split('id="main"')[0]
    entries = re.findall(r'<a href="(/admin/[^"]*)"[^>]*>(.*?)</a>', part, re.DOTALL)
    texts = [(url, [line.strip() for line in re.sub(r"<[^>]+>", "\n", text).splitlines() if line.strip()]) for url, text in entries]
    return [(lines[-1], url) for url, lines in texts if lines]


def test_a_page_is_called_what_its_menu_entry_is_called_and_no_old_word_is_left(boss: Client) -> None:
    fill()
    entries = menu(boss.get("/admin/").content.decode())
    assert len(entries) > 25
    for title, url in entries:
        html = boss.get(url).content.decode()
        page = re.search(r"<title>\s*(.*?)</title>", html, re.DOTALL)
        assert page is not None
        for word in OLD:
            assert word not in html, (url, word)
        if not url.startswith(("/admin/llm_gateway/", "/admin/auth/")) or "explain" in url:
            continue
        crumbs = html.split('id="header-inner"')[1].split('id="content"')[0]
        assert title.lower() in crumbs.lower(), (title, url)


def test_every_page_has_a_landmark_and_a_way_past_the_menu(boss: Client) -> None:
    fill()
    urls = ["/admin/", "/admin/reports/cost/", "/admin/llm_gateway/requestlog/", "/admin/llm_gateway/provider/add/"]
    urls += [reverse("admin:llm_gateway_strategy_explain"), "/admin/auth/group/", "/admin/llm_gateway/budget/"]
    for url in urls:
        html = boss.get(url).content.decode()
        assert html.count('role="main"') == 1, url
        assert html.count('href="#content"') == 1, url
        assert html.index('href="#content"') < html.index('id="nav-sidebar"'), "before the menu"
        assert 'id="content" tabindex="-1"' in html, url
        assert re.search(r'<html lang="en', html), url
