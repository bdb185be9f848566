"""Availability under mixed faults (T20): as good as the candidates allow, and nothing fails through the gateway itself."""

from __future__ import annotations

import math
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import httpx
import pytest

from tests.support.gateway import GatewayServer
from tests.support.speaking import Answer, Speaker

# The worst first, so that most requests need a fallback.
CANDIDATES = {"gemini": 0.3, "openai": 0.2, "anthropic": 0.1, "fireworks": 0.05}
MOST_ATTEMPTS = 3
FAULTS = (
    "status:500",
    "status:502",
    "status:503",
    "status:529",
    "status:429",
    "status:408",
    "rst@0",
    "fin@0",
    "html200",
    "redirect",
    "bighdr",
)
ONLY_WHOLE = ("badjson", "truncjson", "err200")
DIALECTS = ("openai_chat", "anthropic_messages", "native")


@dataclass
class Outcome:
    asked: int
    good: int
    codes: Counter[str | None]
    statuses: Counter[int]


def unavoidable() -> float:
    """That the first three candidates all fail."""
    return math.prod(list(CANDIDATES.values())[:MOST_ATTEMPTS])


def flaky(gateway: GatewayServer, *, ignore_health: bool, stream: bool) -> str:
    from llm_gateway.models import Provider

    gateway._control("reset", {})
    for slug, p in CANDIDATES.items():
        faults = [*FAULTS, *(() if stream else ONLY_WHOLE)]
        gateway.personality(slug, state="flaky", p=p, faults=faults, latency_ms=0, chunk_ms=0)
    Provider.objects.filter(slug__in=CANDIDATES).update(ignore_health=ignore_health)
    return gateway.alias("four", *((slug, "steady") for slug in CANDIDATES))


def ask(gateway: GatewayServer, number: int, alias: str, *, stream: bool, at_once: int = 1) -> Outcome:
    def some(worker: int) -> list[Answer]:
        with httpx.Client(base_url=gateway.url, timeout=30, trust_env=False) as http:
            return [
                Speaker(http, DIALECTS[turn % len(DIALECTS)], gateway.rows.key).ask(alias, "say 3 words", stream=stream)
                for turn in range(worker, number, at_once)
            ]

    with ThreadPoolExecutor(at_once) as pool:
        answers = [answer for part in pool.map(some, range(at_once)) for answer in part]
    good = sum(answer.status == 200 and not answer.errors and answer.terminals == (1 if stream else 0) for answer in answers)
    return Outcome(len(answers), good, Counter(a.code for a in answers if a.errors), Counter(a.status for a in answers))


def judge(gateway: GatewayServer, outcome: Outcome, since: int, p: float) -> None:
    """At most what chance allows within three sigma; every failure has its upstream cause on its row."""
    from llm_gateway.models import Attempt, RequestLog

    failed = outcome.asked - outcome.good
    most = outcome.asked * p + 3 * math.sqrt(outcome.asked * p * (1 - p))
    assert failed <= most, (failed, most, outcome)
    assert "internal_error" not in outcome.codes
    assert 500 not in outcome.statuses
    gateway.quiet()
    for row in RequestLog.objects.filter(asked_model="four").exclude(state="ok").prefetch_related("attempts"):
        causes = [attempt.error_class for attempt in row.attempts.all()]
        assert causes, (row.error_code, "failed without an upstream cause")
        assert all(causes), causes
        assert len(causes) <= MOST_ATTEMPTS
    seen = [entry for entry in gateway.received(since) if entry["method"] == "POST"]
    assert Attempt.objects.filter(request__asked_model="four").count() == len(seen)


@pytest.fixture
def calm(gateway: GatewayServer) -> GatewayServer:
    """The books of this module's earlier tests are not counted again."""
    from llm_gateway.models import RequestLog

    RequestLog.objects.filter(asked_model="four").update(asked_model="earlier")
    return gateway


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_four_candidates_that_fail_independently(calm: GatewayServer, stream: bool) -> None:
    """One after the other over a seeded simulator: the same faults in each run."""
    since = calm.mark
    alias = flaky(calm, ignore_health=True, stream=stream)
    outcome = ask(calm, 200, alias, stream=stream)
    judge(calm, outcome, since, unavoidable())
    assert len(calm.received(since)) > 200 * 1.2, "faults did strike"
    calm._control("reset", {})


def test_resting_candidates_cost_no_request(calm: GatewayServer) -> None:
    """With cooldowns and breakers at work a request may find fewer candidates, and still never fails without being sent."""
    since = calm.mark
    alias = flaky(calm, ignore_health=False, stream=False)
    outcome = ask(calm, 150, alias, stream=False)
    judge(calm, outcome, since, 0.06)
    calm._control("reset", {})


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_five_thousand_under_mixed_faults(calm: GatewayServer) -> None:
    for stream, number in ((False, 3500), (True, 1500)):
        since = calm.mark
        alias = flaky(calm, ignore_health=True, stream=stream)
        outcome = ask(calm, number, alias, stream=stream, at_once=4)
        judge(calm, outcome, since, unavoidable())
        from llm_gateway.models import RequestLog

        RequestLog.objects.filter(asked_model="four").update(asked_model="earlier")
    calm._control("reset", {})
