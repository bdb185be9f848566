"""What callers and providers write is shown as text: a page with hostile rows has the scripts and handlers of one with harmless rows."""

from __future__ import annotations

from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import pytest
from django.db import transaction
from django.test import Client
from django.utils import timezone
from typing_extensions import override

import llm_gateway.admin
from llm_gateway.models import DeploymentHealth, KeyCheck, Provider, ProviderKey, RequestLog
from tests.analytics import factories

pytestmark = pytest.mark.django_db
PAYLOADS = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "'><svg/onload=alert(1)>",
    '" onmouseover="alert(1)',
    "</textarea><script src=//evil.example/x.js></script>",
    "<a href=javascript:alert(1)>x</a>",
    "{{7*7}}{% now 'Y' %}",
    "\" x-on:click='alert(1)' x-init=alert(1) \"",
    '<div hx-get="//evil.example" hx-trigger="load">',
    "<iframe srcdoc='<script>alert(1)</script>'>",
)
ACTIVE = ("script", "iframe", "object", "embed", "svg", "img", "form", "style", "meta", "base")
LIVE = ("on", "x-", "hx-", "@", ":")


class _Active(HTMLParser):
    """Counts whatever could act: elements, handlers, and addresses that run."""

    def __init__(self) -> None:
        super().__init__()
        self.found: Counter[str] = Counter()

    @override
    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in ACTIVE:
            self.found[tag] += 1
        for name, value in attrs:
            if name.startswith(LIVE):
                self.found[name] += 1
            if (value or "").strip().lower().startswith(("javascript:", "//evil")):
                self.found[f"{name}={value}"] += 1


def active(client: Client, url: str) -> Counter[str]:
    answer = client.get(url)
    assert answer.status_code == 200, url
    parser = _Active()
    parser.feed(answer.content.decode())
    return parser.found


def fill(text: str) -> list[str]:
    """A row of everything, with ``text`` in every field others can write; the pages that show it."""
    short = text[:60]
    now = timezone.now()
    acme = factories.provider("acme", short)
    served = factories.model(f"m {text}", acme, note=text, title=text, capabilities=[text])
    key = factories.client_key(text[:100], factories.team(short), scopes=[text], models_allowed=[text])
    row = factories.request(
        now, key, served, asked_model=text, served_model=text, tag=short, strategy=short, error_code=text[:40], flags=text[:100],
        state="failed",
        finish_reason=text[:20], dialect=text[:20], kind=text[:16], worker=text[:40], usage_source="reported",
        decision={"order": [text], "note": text, "scores": {text: {text: text}}, "skipped": [{"target": text, "why": text}], text: text},
        metadata={text: text},
    )  # fmt: skip
    factories.attempt(
        row, 1, "failed", error_class=text[:24], detail=text, upstream_request_id=text[:100], upstream_id=text, billed=text[:10]
    )
    secret = ProviderKey.objects.create(provider=acme, reason=text, evidence=text, name=text[:100])
    KeyCheck.objects.create(provider_key=secret, at=now, state="invalid", reason=text, evidence=text, trigger=short[:20])
    DeploymentHealth.objects.create(provider_key=secret, upstream_id=text, state="open", reason=text, evidence=text, since=now)
    alias = factories.Alias.objects.create(name=text, note=text)
    factories.AliasTarget.objects.create(alias=alias, model=served)
    factories.Budget.objects.create(name=text[:100], limit_nusd=1, client_key=key)
    pages = [
        "/admin/",
        *(f"/admin/reports/{name}/?by=model&by=tag&by=client_key_id&by=strategy" for name in ("cost", "performance", "savings")),
    ]
    for model in (RequestLog, Provider, ProviderKey, KeyCheck, DeploymentHealth, factories.LanguageModel, factories.ClientKey,
                  factories.Alias,
                  factories.Budget, factories.Team, factories.Price):  # fmt: skip
        name = model._meta.model_name
        last = model._default_manager.order_by("pk").last()
        pages += [f"/admin/llm_gateway/{name}/", f"/admin/llm_gateway/{name}/{last.pk}/change/"]
    return pages


@pytest.mark.slow
def test_nothing_a_stranger_writes_becomes_active(boss: Client) -> None:
    def pages(text: str) -> list[Counter[str]]:
        mark = transaction.savepoint()
        found = [active(boss, url) for url in fill(text)]
        transaction.savepoint_rollback(mark)
        return found

    harmless = pages("harmless " * 3)
    # Several at once, so that three rounds do; what a short field cuts off leads in another round.
    for first in range(0, len(PAYLOADS), 4):
        text = "".join(PAYLOADS[first:] + PAYLOADS[:first])[:195]
        assert pages(text) == harmless, text


def test_safe_strings_are_made_by_format_html_alone() -> None:
    rooms = (Path(llm_gateway.admin.__file__).parent, Path(llm_gateway.admin.__file__).parents[2] / "analytics")
    for room in rooms:
        for file in room.rglob("*.py"):
            assert "mark_safe" not in file.read_text(encoding="utf-8"), file
    for file in (rooms[1].parent / "templates").rglob("*.html"):
        text = file.read_text(encoding="utf-8")
        assert "|safe" not in text, file
        assert "autoescape off" not in text, file
        assert "<script" not in text, file
