"""Recorded model lists, by which the keys of these providers are checked."""

from __future__ import annotations

import json

import pytest

from llm_gateway.core.keys import KeyState
from llm_gateway.providers import services

from . import recorded
from .recorded import Recorded

pytestmark = recorded.mark

LISTS = [one for provider in ("anthropic", "gemini") for one in recorded.load(provider, "models")]


@pytest.mark.parametrize("exchange", LISTS, ids=str)
def test_a_model_list_says_that_the_key_is_good(exchange: Recorded) -> None:
    service = services.get(exchange.provider)
    assert service.facts.wire is not None
    assert service.facts.base_url is not None
    (probe, *_) = service.probes(service.facts.base_url, service.facts.wire)
    verdict = service.judge(probe, exchange.status, exchange.headers, exchange.body_bytes)
    assert isinstance(json.loads(exchange.body_bytes), dict)
    assert verdict is not None
    assert verdict.state is KeyState.VALID
