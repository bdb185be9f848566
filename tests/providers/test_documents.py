"""docs/providers say what a new installation loads, and every preset and provider has its place in the documents."""

from __future__ import annotations

import os
import re
from datetime import UTC, datetime

import pytest

from llm_gateway.actions.import_prices import import_prices
from llm_gateway.actions.load_catalogue import load_catalogue
from llm_gateway.providers import services

from . import document


@pytest.mark.django_db
@pytest.mark.parametrize("slug", document.PAGES)
def test_the_page_of_a_provider_has_the_models_and_prices_that_are_loaded(slug: str) -> None:
    load_catalogue()
    import_prices()
    file = document.FOLDER / f"{document.PAGES[slug]}.md"
    page = file.read_text()
    writes = bool(os.environ.get("COGO_WRITE_DOCUMENTS"))
    dated = re.search(r"As of (\d+ \w+ \d{4}):", page)
    at = datetime.now(UTC) if writes or dated is None else datetime.strptime(dated[1], "%d %B %Y").replace(tzinfo=UTC)
    made = document.written(page, document.table(slug, at))
    if writes:
        file.write_text(made)
    assert made == page or writes, "run: make provider-tables"
    assert page.count("| `") > 3 or writes


def test_every_provider_file_has_its_page() -> None:
    index = (document.FOLDER / "README.md").read_text()
    for service in services:
        slug = service if isinstance(service, str) else service.facts.name
        if slug not in ("simulated", "local"):
            assert f"{slug}.md" in index, f"docs/providers/{slug}.md is missing from the index"
            assert (document.FOLDER / f"{slug}.md").exists()
