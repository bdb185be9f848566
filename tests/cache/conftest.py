"""Answers are kept in the database here, whatever the lane; what is Redis' own is in test_redis.py."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.conf import settings


@pytest.fixture(scope="module", autouse=True)
def shelf_in_the_database() -> Iterator[None]:
    before, settings.REDIS_URL = settings.REDIS_URL, ""
    yield
    settings.REDIS_URL = before
