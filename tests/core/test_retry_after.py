"""How long a provider asks us to wait: every form of it (reliability.md T11)."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from llm_gateway.core.retry_after import retry_after_s

NOW = datetime(2026, 11, 22, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7),
        ({"retry-after": "0.25"}, 0.25),
        ({"retry-after": "0"}, 0),
        ({"retry-after": " 12 "}, 12),
        ({"retry-after": "86400"}, 86400),
        ({"retry-after-ms": "1500"}, 1.5),
        ({"x-ms-retry-after-ms": "250"}, 0.25),
        ({"retry-after-ms": "1500", "x-ms-retry-after-ms": "9000", "retry-after": "60"}, 1.5),
        ({"retry-after-ms": "soon", "retry-after": "60"}, 60),
        ({"retry-after": "Sun, 22 Nov 2026 12:00:30 GMT"}, 30),
        ({"retry-after": "Sunday, 22-Nov-26 12:00:30 GMT"}, 30),
        ({"retry-after": "Sun, 22 Nov 2026 11:59:00 GMT"}, 0),
        ({"retry-after": "-5"}, None),
        ({"retry-after": "NaN"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "-inf"}, None),
        ({"retry-after": "1e999"}, None),
        ({"retry-after": "1e12"}, None),
        ({"retry-after": ""}, None),
        ({"retry-after": "later"}, None),
        ({"retry-after": "Sun, 99 Nov 2026 12:00:30 GMT"}, None),
        ({"retry-after": "x" * 100_000}, None),
    ],
)
def test_every_form_is_read_or_taken_as_absent(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after_s(headers, NOW) == seconds


def test_without_a_clock_the_answers_own_date_is_the_clock() -> None:
    at = {"retry-after": "Sun, 22 Nov 2026 12:00:30 GMT"}
    assert retry_after_s(at) is None
    assert retry_after_s({**at, "date": "Sun, 22 Nov 2026 12:00:10 GMT"}) == 20


def test_anthropics_reset_counts_only_for_a_limit_that_is_used_up() -> None:
    headers = {
        "anthropic-ratelimit-requests-remaining": "10",
        "anthropic-ratelimit-requests-reset": "2026-11-22T13:00:00Z",
        "anthropic-ratelimit-input-tokens-remaining": "0",
        "anthropic-ratelimit-input-tokens-reset": "2026-11-22T12:00:42Z",
        "anthropic-ratelimit-output-tokens-remaining": "0",
        "anthropic-ratelimit-output-tokens-reset": "not a time",
    }
    assert retry_after_s(headers, NOW) == 42
    assert retry_after_s({**headers, "retry-after": "3"}, NOW) == 3


def test_the_latest_of_several_used_up_limits_decides_and_a_past_one_is_now() -> None:
    def used_up(*times: str) -> dict[str, str]:
        names = ("requests", "tokens")
        return {
            f"anthropic-ratelimit-{name}-{part}": value
            for name, time in zip(names, times, strict=False)
            for part, value in (("remaining", "0"), ("reset", time))
        }

    assert retry_after_s(used_up("2026-11-22T12:00:10Z", "2026-11-22T12:00:20+00:00"), NOW) == 20
    assert retry_after_s(used_up("2026-11-22T11:00:00Z"), NOW) == 0
