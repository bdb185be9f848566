from __future__ import annotations

import pytest
from django.core.cache import cache


@pytest.fixture(autouse=True)
def forgotten() -> None:
    """The figures of the last minutes are kept for a few seconds; not from test to test."""
    cache.clear()
