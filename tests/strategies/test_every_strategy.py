"""What holds for all strategies alike."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llm_gateway.core.catalog import Lifecycle
from llm_gateway.strategies import Candidate, Stats, strategies

from .build import FOUR, candidate, names, rank, shares

ALL = list(strategies)


def test_all_of_them_are_found() -> None:
    assert ALL == [
        "ab-testing",
        "context-aware",
        "enterprise",
        "learned",
        "lowest-cost",
        "lowest-latency",
        "performance-based",
        "round-robin",
        "weighted",
    ]
    assert all(s.name == name and s.title and s.summary.endswith(".") for name, s in strategies.items())


some_stats = st.builds(
    lambda n, share, ms, cost: Stats(
        requests=n, successes=int(n * share), latency_ms=ms, ttft_ms=ms and ms / 3, cost_nusd=cost and float(cost)
    ),
    st.integers(0, 300),
    st.floats(0, 1),
    st.none() | st.floats(1, 1e5),
    st.none() | st.integers(0, 10**9),
)
some_candidate = st.builds(
    lambda slug, name, key, prio, weight, key_weight, stats, estimate, window, able: candidate(
        slug,
        name,
        key=key,
        priority=prio,
        weight=weight,
        key_weight=key_weight,
        stats=stats,
        estimate=estimate,
        context_window=window,
        capabilities=able,
    ),
    st.sampled_from(["a", "b", "c"]),
    st.sampled_from(["m1", "m2"]),
    st.integers(0, 2),
    st.sampled_from([10, 20]),
    st.integers(0, 3),
    st.integers(0, 3),
    some_stats,
    st.none() | st.integers(0, 10**9),
    st.sampled_from([None, 50, 100_000]),
    st.sampled_from([frozenset(), frozenset({"tools"}), frozenset({"embeddings"})]),
)


@pytest.mark.parametrize("kind", ALL)
@given(
    candidates=st.lists(some_candidate, max_size=8),
    draw=st.floats(0, 1, exclude_max=True),
    needs=st.sampled_from([frozenset(), frozenset({"tools"}), frozenset({"reasoning"})]),
    words=st.fixed_dictionaries(
        {
            "affinity": st.sampled_from(["", "prefix"]),
            "sticky": st.sampled_from(["", "caller"]),
            "task_type": st.sampled_from([None, "review", "code"]),
            "stream": st.booleans(),
        }
    ),
)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_every_candidate_is_ordered_once_or_skipped_with_a_reason(
    kind: str, candidates: list[Candidate], draw: float, needs: frozenset[str], words: dict[str, Any]
) -> None:
    ranking = rank(kind, candidates, draw=draw, needs=needs, **words)
    assert sorted([*ranking.order, *ranking.skipped]) == list(range(len(candidates)))
    assert all(ranking.skipped.values())
    assert len(ranking.scores) == len(candidates)
    json.dumps([dict(score) for score in ranking.scores])
    assert ranking == rank(kind, candidates, draw=draw, needs=needs, **words)


@pytest.mark.parametrize("kind", ALL)
def test_what_cannot_do_it_is_skipped_with_the_reason(kind: str) -> None:
    candidates = [
        candidate("a", "small", context_window=500),
        candidate("a", "blind", capabilities=frozenset({"tools"})),
        candidate("a", "gone", lifecycle=Lifecycle.RETIRED),
        candidate("a", "vectors", capabilities=frozenset({"embeddings", "images"})),
        candidate("a", "able", capabilities=frozenset({"images"}), context_window=600),
        candidate("a", "unknown"),
    ]
    ranking = rank(kind, candidates, needs=frozenset({"images", "reasoning"}))
    assert sorted(names(ranking, candidates)) == ["a/able", "a/unknown", "a/vectors"]
    assert ranking.skipped == {
        0: "its context window of 500 tokens is too small for about 100 and 500 to write",
        1: "cannot do images",
        2: "retired by its provider",
    }


@pytest.mark.parametrize("kind", ALL)
def test_a_model_for_embeddings_gets_no_chat(kind: str) -> None:
    candidates = [candidate("a", "vectors", capabilities=frozenset({"embeddings"})), candidate("a", "chat")]
    assert names(rank(kind, candidates), candidates) == ["a/chat"]
    assert "a/vectors" in names(rank(kind, candidates, needs=frozenset({"embeddings"})), candidates)


@pytest.mark.parametrize("kind", ALL)
def test_an_estimate_alone_never_leaves_a_caller_without_a_model(kind: str) -> None:
    candidates = [candidate("a", "m", context_window=1000), candidate("b", "tiny", context_window=100)]
    assert names(rank(kind, candidates, prompt_tokens=1500), candidates) == ["a/m"]
    assert rank(kind, candidates, prompt_tokens=5000).order == ()


def test_a_limit_above_the_models_own_does_not_exclude_it() -> None:
    candidates = [candidate("a", "m", context_window=10_000, max_output_tokens=4000)]
    assert rank("enterprise", candidates, prompt_tokens=5000, max_tokens=128_000).order == (0,)


@pytest.mark.parametrize("kind", ALL)
def test_no_candidates_no_order(kind: str) -> None:
    ranking = rank(kind, [])
    assert (ranking.order, ranking.scores, ranking.skipped) == ((), (), {})


@pytest.mark.parametrize("kind", ALL)
def test_validated_settings_validate_again_to_the_same(kind: str) -> None:
    found = strategies.get(kind).validate({})
    assert strategies.get(kind).validate(found) == found
    json.dumps(found)


@pytest.mark.parametrize("kind", ALL)
def test_an_unknown_setting_is_refused_by_name(kind: str) -> None:
    with pytest.raises(ValueError, match="wieghts"):
        strategies.get(kind).validate({"wieghts": {}})


@pytest.mark.parametrize(
    ("kind", "given", "words"),
    [
        ("weighted", {"weights": {"a": -1}}, "weight of a has to be a number from 0"),
        ("weighted", {"weights": {"a": 0}}, "at least 1 of the weights has to be above 0"),
        ("weighted", {"weights": ["a"]}, "map provider or model names to weights"),
        ("weighted", {"weights": {"a": True}}, "weight of a"),
        ("weighted", {"weights": {"a": float("nan")}}, "weight of a"),
        ("weighted", {"weights": {" ": 1}}, "name is missing"),
        ("weighted", {"sticky": "yes"}, "sticky has to be true or false"),
        ("ab-testing", {"arms": {"a": 1}}, "at least 2 of the weights have to be above 0"),
        ("ab-testing", {"salt": 7}, "salt has to be a text"),
        ("performance-based", {"exploration": 0.9}, "exploration has to be a number from 0 to 0.5"),
        ("performance-based", {"success_weight": 0, "latency_weight": 0, "cost_weight": 0}, "At least one"),
        ("lowest-cost", {"min_success_rate": "high"}, "min_success_rate has to be a number from 0 to 1"),
        ("lowest-latency", {"metric": "p99"}, "metric has to be one of auto, ttft, latency"),
        ("context-aware", {"rules": {}}, "rules has to be a list"),
        ("context-aware", {"rules": ["x"]}, "Rule 1 has to be an object"),
        ("context-aware", {"rules": [{"prefer": ["a"]}, {"tasks": [], "prefer": ["a"]}]}, "Rule 2 has an unknown field tasks"),
        ("context-aware", {"rules": [{"task_types": ["x"]}]}, "Rule 1 says nothing in prefer"),
        ("context-aware", {"rules": [{"prefer": "a"}]}, "prefer has to be a list of texts"),
        ("context-aware", {"rules": [{"prefer": ["a"], "max_prompt_tokens": -1}]}, "whole number of tokens"),
        ("context-aware", {"rules": [{"prefer": ["a"], "name": 3}]}, "name has to be a text"),
    ],
)
def test_a_wrong_setting_is_refused_with_a_sentence_for_the_operator(kind: str, given: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        strategies.get(kind).validate(given)


@pytest.mark.parametrize("kind", ["enterprise", "lowest-cost", "lowest-latency", "performance-based", "context-aware"])
def test_equal_deployments_share_by_weight_and_keep_a_prompt_prefix_together(kind: str) -> None:
    twins = [candidate("a", "m", key=0, key_weight=3), candidate("a", "m", key=1, key_weight=1)]
    found = shares(kind, twins, {"exploration": 0} if kind in ("lowest-latency", "performance-based") else None)
    assert found["a/key 0"] == pytest.approx(0.75, abs=0.05)
    for prefix in ("one", "two", "three"):
        quiet = shares(kind, twins, {"exploration": 0} if kind in ("lowest-latency", "performance-based") else None, 20, affinity=prefix)
        assert len(quiet) == 1


def test_prefixes_spread_by_weight_and_only_the_share_of_a_lost_deployment_moves() -> None:
    three = [candidate("a", "m", key=k) for k in range(3)]
    before = [rank("enterprise", three, affinity=f"prefix {n}").order[0] for n in range(600)]
    assert all(150 < before.count(k) < 250 for k in range(3))
    after = [rank("enterprise", three[:2], affinity=f"prefix {n}").order[0] for n in range(600)]
    assert all(now == then for then, now in zip(before, after, strict=True) if then != 2)


def test_one_prefix_of_many_callers_does_not_send_them_all_to_one_deployment() -> None:
    twins = [candidate("a", "m", key=0), candidate("a", "m", key=1)]
    chosen = [rank("enterprise", twins, affinity="the same system prompt", sticky=f"caller {n}").order[0] for n in range(400)]
    assert 140 < sum(chosen) < 260


def test_four_providers_in_the_operators_order_are_the_fallback_of_all() -> None:
    wanted = ["fireworks/qwen3p8-max", "anthropic/claude-sonnet-5-5", "openai/gpt-6-luna", "gemini/gemini-3.8-flash"]
    for kind in ("enterprise", "lowest-cost", "lowest-latency", "performance-based", "context-aware"):
        assert names(rank(kind, FOUR), FOUR) == wanted
