"""Every decision of a strategy can be made again from its log row, bit by bit, and holds no text."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from tests.support.gateway import GatewayServer

KINDS = (
    "enterprise", "ab-testing", "weighted", "round-robin", "lowest-cost", "lowest-latency", "performance-based", "context-aware",
)  # fmt: skip


@pytest.fixture(autouse=True)
def fresh(gateway: GatewayServer) -> Iterator[None]:
    from llm_gateway.models import DecisionContext, PolicyVersion, Strategy

    gateway.on_loop(gateway.gateway.health.contexts._named.clear)
    yield
    Strategy.objects.exclude(name__in=("enterprise", "ab-testing", "performance-based")).delete()
    PolicyVersion.objects.filter(canary_share__isnull=False).update(state="retired", canary_share=None)
    DecisionContext.objects.all().delete()
    gateway.refresh()


def _strategies(gateway: GatewayServer) -> list[str]:
    from llm_gateway.actions.activate_strategy import validate_settings
    from llm_gateway.models import Strategy

    for kind in KINDS:
        settings = validate_settings(kind, {"exploration": 0.3} if kind in ("lowest-latency", "performance-based") else {})
        Strategy.objects.create(name=f"p-{kind}", kind=kind, title=kind, settings=settings)
    gateway.refresh()
    return [f"p-{kind}" for kind in KINDS]


def test_each_strategys_decisions_replay_bit_exact_and_say_which_version_decided(gateway: GatewayServer) -> None:
    """P1 and P3, through the whole gateway: strategies that draw, hash, measure and follow rules; whole and streamed."""
    from llm_gateway.actions.replay_policy import replayed
    from llm_gateway.models import PolicyVersion, RequestLog
    from llm_gateway.strategies import read_choice

    names = _strategies(gateway)
    ids = []
    for turn in range(8):
        for name in names:
            answer = gateway.ask(
                "openai_chat", f"strategy:{name}", stream=turn % 2 == 1, max_tokens=5 + turn, user=f"user-{turn}" if turn % 3 else None
            )
            assert answer.status == 200
            ids.append(gateway.row(answer).pk)
    named = gateway.row(gateway.ask("openai_chat", "chat", max_tokens=5))
    assert (named.choice, named.policy) == (None, None), "who names a model is not routed"
    gateway.refresh()
    for name in names:
        version = PolicyVersion.objects.get(strategy__name=name)
        rows = RequestLog.objects.filter(pk__in=ids, strategy=name)
        assert {row.policy for row in rows} == {version.number}
        found = replayed(version)
        assert found["checked"] == {"rows": 8, "differing": 0}, (name, found)
        assert not found["not_replayable"]
    for row in RequestLog.objects.filter(pk__in=ids):
        assert len(row.choice.encode()) <= 250, row.choice
        assert "user-" not in row.choice, "a caller's own words are digests"
        choice = read_choice(row.choice)
        assert sum(choice.p[1::2]) == pytest.approx(1, abs=1e-4)


def test_the_answer_says_policy_draw_and_what_could_have_been_first(gateway: GatewayServer) -> None:
    answer = gateway.ask("native", "auto", max_tokens=20)
    decision = answer.json["decision"]
    row = gateway.row(answer)
    assert (decision["policy"], row.policy) == (row.policy, decision["policy"])
    assert 0 <= decision["draw"] < 1
    assert sum(one["p"] for one in decision["candidates"]) == pytest.approx(1)
    assert {one["target"] for one in decision["candidates"]} >= set(decision["order"])
    assert "candidates" not in row.decision, "the log keeps them in fewer bytes"


def test_statistics_are_frozen_for_a_second_and_what_the_strategy_saw_is_what_is_written(gateway: GatewayServer) -> None:
    from llm_gateway.stores.contexts import ContextReader
    from llm_gateway.strategies import read_choice

    _strategies(gateway)
    rows = [gateway.row(gateway.ask("openai_chat", "strategy:p-performance-based", max_tokens=5)) for _ in range(3)]
    gateway.refresh()
    keys = [read_choice(row.choice).statistics for row in rows]
    assert len(set(keys[1:])) == 1, "one second, one set of numbers"
    reader = ContextReader()
    gateway.on_loop(gateway.gateway.health.contexts.forget)
    last = gateway.row(gateway.ask("openai_chat", "strategy:p-performance-based", max_tokens=5))
    gateway.refresh()
    stats = reader.statistics(read_choice(last.choice).statistics)
    assert stats
    assert sum(one.requests for one in stats.stats.values()) == 3


def test_copies_of_the_catalogue_hold_no_secret_and_no_caller(gateway: GatewayServer) -> None:
    import zlib

    from llm_gateway.models import DecisionContext

    gateway.ask("openai_chat", "auto", max_tokens=5)
    gateway.refresh()
    bodies = [zlib.decompress(bytes(one.body)).decode() for one in DecisionContext.objects.filter(kind="catalogue")]
    assert bodies
    snapshot = gateway.gateway.catalog.snapshot()
    secrets = [key.secret.reveal() for many in snapshot.credentials.values() for key in many if key.secret]
    assert secrets
    for body in bodies:
        assert not any(secret in body for secret in secrets)
        assert msgspec.json.decode(body)["clients"] == {}
        assert "digest_key" not in body


def test_what_cannot_be_replayed_says_why_and_is_counted(gateway: GatewayServer) -> None:
    from llm_gateway.actions.replay_policy import replayed
    from llm_gateway.models import DecisionContext, PolicyVersion, RequestLog

    rows = [gateway.row(gateway.ask("openai_chat", "auto", max_tokens=5)) for _ in range(3)]
    gateway.refresh()
    version = PolicyVersion.objects.get(state="active", alias="")
    RequestLog.objects.filter(pk=rows[0].pk).update(choice="[1]")
    everything: Any = RequestLog.objects.exclude(choice=None).exclude(pk__in=[row.pk for row in rows])
    everything.update(choice=None)
    assert replayed(version)["not_replayable"] == {"its decision cannot be read": 1}
    DecisionContext.objects.filter(kind="catalogue").delete()
    told = replayed(version)
    assert told["not_replayable"] == {"its decision cannot be read": 1, "the catalogue of then is not kept any more": 2}
    assert (told["rows"], told["replayed"], told["estimates"]) == (3, 0, None)
    assert "cannot be estimated from this log" in told["why"]
