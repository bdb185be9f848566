from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.core.cache import cache

from llm_gateway.api.native import host
from tests.analytics.doors import Door


@pytest.fixture(autouse=True)
def forgotten() -> None:
    """The figures of the last minutes are kept for a few seconds; not from test to test."""
    cache.clear()


@pytest.fixture
def door() -> Iterator[Door]:
    found = Door()
    with host.hosted(found):  # type: ignore[arg-type]
        yield found
