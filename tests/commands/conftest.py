from __future__ import annotations

import pytest

from llm_gateway.models import Provider, Team


@pytest.fixture
def team(db: None) -> Team:
    return Team.objects.create(name="Blue", slug="blue")


@pytest.fixture
def host(db: None) -> Provider:
    """A custom host that no name resolution is needed for."""
    return Provider.objects.create(
        slug="host", title="Host", service="custom", wire="openai_chat", base_url="http://127.0.0.1:9/v1", allow_private=True
    )
