"""P1 over ten thousand rows, how fast they replay, and how little they take."""

from __future__ import annotations

import random
import time
import zlib
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from llm_gateway.core.ids import uuid7
from llm_gateway.engine.contexts import Frozen, read_statistics, rounded, written
from llm_gateway.strategies import Candidate, RequestFacts, Stats, digested, read_choice, strategies, write_choice

pytestmark = pytest.mark.django_db

KINDS: dict[str, dict[str, Any]] = {
    "enterprise": {}, "ab-testing": {"arms": {"openai": 50, "anthropic": 50}, "sticky": "user"}, "weighted": {}, "round-robin": {},
    "lowest-cost": {}, "lowest-latency": {"exploration": 0.2}, "performance-based": {"exploration": 0.2, "quality_weight": 0.2},
    "context-aware": {},
}  # fmt: skip


def _scenes(rows: int) -> dict[str, Any]:
    """Rows of all strategies as a gateway writes them, over a catalogue of eight candidates and a hundred seconds of statistics."""
    from llm_gateway.actions.activate_strategy import validate_settings
    from llm_gateway.core.catalog import Target
    from llm_gateway.engine.contexts import key_of
    from llm_gateway.models import DecisionContext, PolicyVersion, RequestLog, Strategy
    from llm_gateway.stores.catalog import load_snapshot
    from llm_gateway.stores.contexts import Pending, _body
    from tests.analytics import factories

    factories.catalogue()
    key = factories.client_key()
    versions = {}
    for kind, settings in KINDS.items():
        name = f"p-{kind}"
        Strategy.objects.create(name=name, kind=kind, title=kind, settings=validate_settings(kind, settings))
        versions[kind] = PolicyVersion.objects.get(strategy__name=name)
    snapshot = load_snapshot()
    targets = [
        Target(provider=snapshot.providers[m.provider_id], credential=c, model=m, upstream_id=m.upstream_id)
        for m in snapshot.models.values()
        for c in snapshot.credentials.get(m.provider_id, ())
        if not m.pattern
    ][:8]
    import msgspec

    draws = random.Random(1)
    listed = msgspec.json.encode(([(t.credential.id, t.model.id) for t in targets], []))
    now = datetime.now(UTC)
    contexts = [Pending(f"v{snapshot.version}", "catalogue", snapshot), Pending(key_of("c", listed), "candidates", listed)]
    numbers = []
    for _ in range(100):
        scored = {t.model.id: (round(draws.random(), 4), draws.randrange(20, 100)) for t in targets}
        frozen = Frozen("", {t.deployment: rounded(_stats(draws)) for t in targets}, scored)
        body = written(frozen)
        numbers.append((key_of("s", body), frozen))
        contexts.append(Pending(numbers[-1][0], "statistics", body))
    DecisionContext.objects.bulk_create(DecisionContext(key=one.key, kind=one.kind, at=now, body=_body(one)) for one in contexts)
    made = []
    total = 0
    for n in range(rows):
        kind = list(KINDS)[n % len(KINDS)]
        number, frozen = numbers[draws.randrange(100)]
        at = now - timedelta(seconds=rows - n)
        user = digested(b"k", f"user {draws.randrange(500)}") if draws.random() < 0.7 else ""
        facts = RequestFacts(
            now=at, prompt_tokens=draws.randrange(1, 9000), max_tokens=draws.choice([None, 500, 4096]),
            needs=frozenset(draws.sample(["tools", "json", "reasoning"], draws.randrange(3))),
            task_type=draws.choice([None, "code", "review"]),
            language=draws.choice([None, "python", "go"]), sticky=user, user=user, client=key.public_id,
            affinity=digested(b"k", str(n % 300)) if draws.random() < 0.5 else "", stream=n % 3 == 0,
        )  # fmt: skip
        candidates = [Candidate(target=t, stats=frozen.of(t), estimate_nusd=draws.randrange(10**6)) for t in targets]
        draw = draws.getrandbits(32) / 2**32
        ranking = strategies.get(kind).order(candidates, facts, versions[kind].settings, draw)
        if not ranking.order:
            continue
        text = write_choice(
            facts, draw=draw, policy=versions[kind].number, catalogue=snapshot.version, statistics=number, candidates=contexts[1].key,
            first=ranking.order[0], estimates=[c.estimate_nusd for c in candidates], p=ranking.p, canary=False,
        )  # fmt: skip
        total += len(text)
        made.append(
            RequestLog(
                id=uuid7(int(at.timestamp() * 1000), n.to_bytes(10, "big")),
                created_at=at,
                finished_at=at,
                state="ok",
                kind="chat",
                dialect="openai_chat",
                team_id=key.team_id,
                client_key=key,
                stream=facts.stream,
                choice=text,
                policy=versions[kind].number,
                strategy=f"p-{kind}",
            )
        )
    RequestLog.objects.bulk_create(made, batch_size=500)
    return {"versions": versions, "rows": len(made), "mean": total / max(1, len(made))}


def _stats(draws: random.Random) -> Stats:
    if draws.random() < 0.1:
        return Stats()
    n = draws.randrange(1, 200)
    return Stats(
        requests=n, successes=draws.randrange(n + 1), latency_ms=draws.expovariate(1 / 900), ttft_ms=draws.expovariate(1 / 200),
        cost_nusd=draws.random() * 1e6,
    )  # fmt: skip


@pytest.mark.parametrize(
    "rows", [240, pytest.param(10_000, marks=pytest.mark.slow), pytest.param(50_000, marks=[pytest.mark.slow, pytest.mark.weekly])]
)
def test_all_rows_of_all_strategies_replay_to_the_same_first_choice(rows: int) -> None:
    """P1; at 50,000 rows in at most 60 seconds of one core."""
    from llm_gateway.actions._replaying import Scene, Scenes
    from llm_gateway.actions.replay_policy import replayed
    from llm_gateway.models import RequestLog

    made = _scenes(rows)
    versions = {version.number: version for version in made["versions"].values()}
    checked = 0
    for row, scene in Scenes().all(RequestLog.objects.exclude(choice=None).order_by("id")):
        assert isinstance(scene, Scene), scene
        version = versions[row.policy or 0]
        assert scene.ranked(version.kind, version.settings).order[0] == scene.choice.first, version.kind
        checked += 1
    assert checked == made["rows"]
    began = time.process_time()
    found = replayed(made["versions"]["performance-based"], last=50_000)
    assert time.process_time() - began <= 60 * rows / 50_000 + 1
    assert (found["replayed"], found["checked"]["differing"], found["not_replayable"]) == (made["rows"], 0, {})
    assert made["mean"] <= 250, "bytes, with eight candidates, weights, a user and a prefix"


def test_statistics_are_written_rounded_as_strategies_saw_them() -> None:
    draws = random.Random(9)
    frozen = Frozen("", {(n, f"m{n}"): rounded(_stats(draws)) for n in range(20)}, {3: (0.25, 40)})
    assert read_statistics(written(frozen)) == frozen
    exact = _stats(random.Random(12))
    assert exact.latency_ms != rounded(exact).latency_ms


def test_statistics_that_strategies_get_are_those_that_are_rounded() -> None:
    from llm_gateway.engine.contexts import Contexts

    exact = {(1, "m"): Stats(requests=3, successes=2, latency_ms=123.456789, cost_nusd=1 / 3)}
    contexts = Contexts()
    frozen = contexts.statistics(lambda: exact)
    key = contexts.used(frozen)
    pending = contexts.pending.popleft()
    assert pending.key == key
    assert read_statistics(pending.content).stats == dict(frozen.stats), "what a replay reads is what was seen, rounded"


def test_contexts_are_written_once_read_back_and_purged_after_the_window() -> None:
    from llm_gateway.actions.purge_decisions import purge_decisions
    from llm_gateway.engine.contexts import Contexts
    from llm_gateway.models import DecisionContext
    from llm_gateway.stores.contexts import ContextReader, write_contexts

    contexts = Contexts()
    key = contexts.candidates([], [("m", "no key for Moon")])
    assert contexts.candidates([], [("m", "no key for Moon")]) == key
    assert (write_contexts(contexts), write_contexts(contexts)) == (1, 0)
    assert ContextReader().candidates(key) == ([], [("m", "no key for Moon")])
    assert zlib.decompress(bytes(DecisionContext.objects.get(key=key).body))
    now = datetime.now(UTC)
    assert purge_decisions(now + timedelta(days=14)) == 0
    assert purge_decisions(now + timedelta(days=16)) == 1


def test_a_choice_that_no_version_wrote_is_refused() -> None:
    for wrong in ("", "[]", "{}", '[1,2,"x"]', "null"):
        with pytest.raises(ValueError):  # noqa: PT011  # msgspec's own sentence
            read_choice(wrong)
