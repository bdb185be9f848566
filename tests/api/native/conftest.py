from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from llm_gateway.api.native import host

from .fakes import Caller, FakeGateway


@pytest.fixture(autouse=True)
def urls(settings: Any) -> None:
    settings.ROOT_URLCONF = "tests.api.native.urlconf"


@pytest.fixture(autouse=True)
def gateway() -> Iterator[FakeGateway]:
    fake = FakeGateway()
    with host.hosted(fake):
        yield fake


@pytest.fixture
def caller() -> Caller:
    return Caller()
