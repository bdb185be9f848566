from __future__ import annotations

from typing import Any

import pytest

from llm_gateway.core.catalog import ProviderInfo
from llm_gateway.core.errors import InvalidRequest
from llm_gateway.policies.deadline import Clocks, clocks_for, parse_deadline


def provider(**times: Any) -> ProviderInfo:
    return ProviderInfo(id=1, slug="p", title="P", service="custom", wire="openai_chat", base_url="https://p.test/v1", **times)


def test_the_defaults_are_those_of_the_bar() -> None:
    clocks = clocks_for(provider(), None)
    assert (clocks.connect_ms, clocks.idle_ms, clocks.total_ms, clocks.by_deadline) == (5_000, 60_000, 600_000, False)


def test_a_providers_own_times_win() -> None:
    times = {"connect_timeout_ms": 1, "first_event_timeout_ms": 2, "idle_timeout_ms": 3, "total_timeout_ms": 40}
    assert clocks_for(provider(**times), None) == Clocks(connect_ms=1, first_event_ms=2, idle_ms=3, total_ms=40)


def test_no_clock_outlasts_the_callers_deadline() -> None:
    assert clocks_for(provider(), 2.5) == Clocks(connect_ms=2500, first_event_ms=2500, idle_ms=2500, total_ms=2500, by_deadline=True)
    assert clocks_for(provider(), -1).total_ms == 1
    assert not clocks_for(provider(), 601).by_deadline


def test_an_unstreamed_answer_has_more_time_for_its_only_event_unless_the_provider_says() -> None:
    assert clocks_for(provider(), None, streamed=False).first_event_ms == 300_000
    assert clocks_for(provider(first_event_timeout_ms=70), None, streamed=False).first_event_ms == 70


@pytest.mark.parametrize(("value", "seconds"), [(None, None), ("1", 0.001), (" 2500 ", 2.5), ("86400000", 86400)])
def test_a_deadline_header_is_whole_milliseconds(value: str | None, seconds: float | None) -> None:
    assert parse_deadline(value) == seconds


@pytest.mark.parametrize("value", ["", "0", "-5", "1.5", "1e3", "NaN", "soon", "86400001", "9" * 5000, "٣", "1_000"])
def test_nonsense_is_refused_with_the_header_named(value: str) -> None:
    with pytest.raises(InvalidRequest, match="x-request-timeout-ms"):
        parse_deadline(value)
