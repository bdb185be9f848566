from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from llm_gateway.core.errors import InvalidRequest
from llm_gateway.policies.idempotency import Known, checked_key, kept, verdict

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def known(**given: Any) -> Known:
    return Known(
        **{
            "state": "finished",
            "body_hash": "a",
            "request_id": UUID(int=1),
            "lease_until": NOW + SECOND,
            "expires_at": NOW + timedelta(hours=24),
            **given,
        }
    )


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, "replay"),
        ({"body_hash": "b"}, "mismatch"),
        ({"expires_at": NOW}, "take"),
        ({"expires_at": NOW, "body_hash": "b"}, "take"),
        ({"state": "running", "original": "open"}, "in_flight"),
        ({"state": "running"}, "in_flight"),
        ({"state": "running", "body_hash": "b"}, "mismatch"),
        ({"state": "running", "expires_at": NOW, "original": "open"}, "in_flight"),
        ({"state": "running", "original": "orphaned"}, "unknown"),
        ({"state": "running", "lease_until": NOW, "original": "ok"}, "unknown"),
        ({"state": "running", "lease_until": NOW, "original": "open"}, "unknown"),
        ({"state": "running", "lease_until": NOW, "original": "failed", "sent": True}, "unknown"),
        ({"state": "running", "lease_until": NOW, "original": "failed"}, "take"),
        ({"state": "running", "lease_until": NOW, "original": "rejected"}, "take"),
        ({"state": "running", "lease_until": NOW}, "take"),
        ({"state": "unknown"}, "unknown"),
    ],
)
def test_what_becomes_of_a_duplicate(given: dict[str, Any], expected: str) -> None:
    assert verdict(known(**given), "a", NOW) == expected


def test_only_an_unknown_outcome_may_be_executed_again_at_the_callers_word() -> None:
    assert verdict(known(state="unknown"), "a", NOW, again=True) == "take"
    assert verdict(known(), "a", NOW, again=True) == "replay"
    assert verdict(known(state="running"), "a", NOW, again=True) == "in_flight"
    assert verdict(known(state="unknown", body_hash="b"), "a", NOW, again=True) == "mismatch"


def test_answers_are_kept_and_refusals_are_not() -> None:
    assert kept(200, retryable=False, sent=True)
    assert kept(502, retryable=False, sent=True)
    assert not kept(400, retryable=False, sent=False)
    assert not kept(503, retryable=True, sent=True)


@pytest.mark.parametrize("text", ["", "  ", "x" * 256, "a\nb"])
def test_a_key_has_1_to_255_characters(text: str) -> None:
    with pytest.raises(InvalidRequest):
        checked_key(text)


def test_a_key_loses_its_margin() -> None:
    assert checked_key(f" {'x' * 255} ") == "x" * 255
