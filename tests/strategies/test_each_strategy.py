"""What each strategy is for."""

from __future__ import annotations

import pytest

from llm_gateway.strategies import Candidate, Stats, strategies

from .build import FOUR, candidate, first, names, rank, shares


def proven(rate: float, requests: int = 200, ms: float = 1000.0, cost: float | None = None) -> Stats:
    return Stats(requests=requests, successes=round(requests * rate), latency_ms=ms, ttft_ms=ms / 4, cost_nusd=cost)


# enterprise


def test_enterprise_follows_priority_then_position_and_keeps_a_models_keys_together() -> None:
    candidates = [
        candidate("anthropic", "opus", position=2),
        candidate("anthropic", "sonnet", key=1, position=1),
        candidate("openai", "luna"),
        candidate("anthropic", "sonnet", key=0, position=1),
    ]
    ranking = rank("enterprise", candidates)
    assert names(ranking, candidates) == ["anthropic/sonnet", "anthropic/sonnet", "anthropic/opus", "openai/luna"]
    assert set(ranking.order[:2]) == {1, 3}
    assert ranking.scores[0] == {"priority": 20, "position": 2}


def test_enterprise_gives_no_traffic_to_a_key_of_weight_zero_while_another_is_there() -> None:
    keys = [candidate("a", "m", key=0, key_weight=0), candidate("a", "m", key=1)]
    assert shares("enterprise", keys, rounds=50) == {"a/key 1": pytest.approx(1)}
    assert rank("enterprise", keys[:1]).order == (0,)


# ab-testing


def test_ab_splits_the_two_best_providers_in_half_and_the_other_arm_stands_by() -> None:
    found = shares("ab-testing", FOUR)
    assert found["fireworks/key 0"] == pytest.approx(0.5, abs=0.05)
    assert found["anthropic/key 0"] == pytest.approx(0.5, abs=0.05)
    order = names(rank("ab-testing", FOUR), FOUR)
    assert {name.split("/")[0] for name in order[:2]} == {"fireworks", "anthropic"}
    assert order[2:] == ["openai/gpt-6-luna", "gemini/gemini-3.8-flash"]


def test_ab_takes_weights_for_providers_and_for_single_models() -> None:
    arms = {"arms": {"openai": 90, "gemini/gemini-3.8-flash": 10}}
    found = shares("ab-testing", FOUR, arms)
    assert found["openai/key 0"] == pytest.approx(0.9, abs=0.03)
    assert found["gemini/key 0"] == pytest.approx(0.1, abs=0.03)


def test_ab_keeps_a_caller_in_its_arm_whatever_is_drawn_until_the_salt_changes() -> None:
    def arms(settings: dict[str, object], draw: float) -> list[str]:
        return [first("ab-testing", FOUR, settings, draw, sticky=f"caller {n}").split("/")[0] for n in range(300)]

    assert arms({}, 0.1) == arms({}, 0.9)
    assert 110 < arms({}, 0.1).count("anthropic") < 190
    assert arms({"salt": "second try"}, 0.1) != arms({}, 0.1)
    loose = shares("ab-testing", FOUR, {"sticky": False}, sticky="caller 1")
    assert loose["anthropic/key 0"] == pytest.approx(0.5, abs=0.05)


def test_ab_keeps_all_of_a_client_key_in_one_arm_where_the_operator_says_so() -> None:
    settings = strategies.get("ab-testing").validate({"sticky": "key"})
    for key in range(40):
        found = {first("ab-testing", FOUR, settings, n / 20, client=f"key {key}", sticky=f"user {n}").split("/")[0] for n in range(20)}
        assert len(found) == 1
    arms = [first("ab-testing", FOUR, settings, 0.5, client=f"key {n}").split("/")[0] for n in range(300)]
    assert 110 < arms.count("anthropic") < 190
    with pytest.raises(ValueError, match='sticky has to be true, false or "key"'):
        strategies.get("ab-testing").validate({"sticky": "team"})


def test_ab_serves_the_callers_of_a_lost_arm_elsewhere_and_moves_nobody_else() -> None:
    arms = {"arms": {"anthropic": 50, "openai": 50}}
    left = [c for c in FOUR if c.target.provider.slug != "openai"]
    for n in range(50):
        before = first("ab-testing", FOUR, arms, sticky=f"caller {n}")
        after = first("ab-testing", left, arms, sticky=f"caller {n}")
        assert after == "anthropic/claude-sonnet-5-5"
        assert before in (after, "openai/gpt-6-luna")


def test_ab_says_which_arm_was_assigned() -> None:
    ranking = rank("ab-testing", FOUR, {"arms": {"openai": 1, "gemini": 1}}, sticky="caller 1")
    assigned = [score for score in ranking.scores if score["assigned"]]
    assert len(assigned) == 1
    assert str(assigned[0]["arm"]) in ranking.note


# weighted, round-robin


def test_weighted_shares_by_named_weights_or_by_the_providers_own() -> None:
    found = shares("weighted", FOUR, {"weights": {"openai": 3, "claude-sonnet-5-5": 1}})
    assert found["openai/key 0"] == pytest.approx(0.75, abs=0.05)
    assert found["anthropic/key 0"] == pytest.approx(0.25, abs=0.05)
    own = [candidate("a", "m", weight=4), candidate("b", "m", weight=1)]
    assert shares("weighted", own)["a/key 0"] == pytest.approx(0.8, abs=0.05)


def test_weighted_does_not_count_a_provider_twice_for_its_second_key() -> None:
    candidates = [candidate("a", "m", key=0), candidate("a", "m", key=1), candidate("b", "m")]
    found = shares("weighted", candidates)
    assert found["b/key 0"] == pytest.approx(0.5, abs=0.05)


def test_weighted_uses_what_has_no_weight_only_as_a_fallback() -> None:
    order = names(rank("weighted", FOUR, {"weights": {"gemini": 1, "openai": 0}}), FOUR)
    assert order == ["gemini/gemini-3.8-flash", "openai/gpt-6-luna", "fireworks/qwen3p8-max", "anthropic/claude-sonnet-5-5"]


def test_round_robin_gives_every_model_the_same_share() -> None:
    found = shares("round-robin", FOUR, rounds=2000)
    assert all(share == pytest.approx(0.25, abs=0.04) for share in found.values())


# lowest-cost


def test_lowest_cost_takes_the_cheapest_and_puts_the_unpriced_last() -> None:
    candidates = [
        candidate("a", "unpriced"),
        candidate("b", "dear", estimate=900),
        candidate("c", "cheap", estimate=100),
        candidate("d", "free", estimate=0),
    ]
    assert names(rank("lowest-cost", candidates), candidates) == ["d/free", "c/cheap", "b/dear", "a/unpriced"]


def test_lowest_cost_passes_over_a_model_that_surely_fails_but_not_one_that_failed_once() -> None:
    def pair(stats: Stats) -> list[Candidate]:
        return [candidate("a", "cheap", estimate=1, stats=stats), candidate("b", "dear", estimate=2)]

    assert first("lowest-cost", pair(Stats(requests=1, successes=0))) == "a/cheap"
    assert first("lowest-cost", pair(Stats(requests=10, successes=1))) == "b/dear"
    assert first("lowest-cost", pair(Stats(requests=10, successes=1)), {"min_success_rate": 0}) == "a/cheap"


# lowest-latency


def test_lowest_latency_takes_the_fastest_by_the_metric_that_matters() -> None:
    candidates = [
        candidate("a", "early", stats=Stats(requests=50, successes=50, latency_ms=9000, ttft_ms=100)),
        candidate("b", "short", stats=Stats(requests=50, successes=50, latency_ms=3000, ttft_ms=900)),
    ]
    assert first("lowest-latency", candidates, stream=True) == "a/early"
    assert first("lowest-latency", candidates, stream=False) == "b/short"
    assert first("lowest-latency", candidates, {"metric": "ttft"}, stream=False) == "a/early"


def test_a_fast_failure_is_no_fast_answer() -> None:
    candidates = [
        candidate("a", "fails fast", stats=proven(0.1, ms=100)),
        candidate("b", "works", stats=proven(1.0, ms=500)),
    ]
    assert first("lowest-latency", candidates) == "b/works"


def test_almost_equal_speeds_keep_the_operators_order() -> None:
    candidates = [
        candidate("a", "preferred", priority=1, stats=proven(1, ms=1050)),
        candidate("b", "hair faster", priority=2, stats=proven(1, ms=1000)),
    ]
    assert first("lowest-latency", candidates) == "a/preferred"
    assert first("lowest-latency", candidates, {"tolerance": 0}) == "b/hair faster"


def test_an_unmeasured_model_is_measured_by_a_few_requests() -> None:
    candidates = [candidate("a", "known", stats=proven(1)), candidate("b", "new")]
    assert shares("lowest-latency", candidates)["b/key 0"] == pytest.approx(0.05, abs=0.01)


# performance-based


def test_performance_prefers_success_over_speed_over_cost() -> None:
    candidates = [
        candidate("a", "flaky but fast", stats=proven(0.5, ms=300), estimate=1000),
        candidate("b", "steady", stats=proven(0.99, ms=1000), estimate=1000),
        candidate("c", "steady and slow", stats=proven(0.99, ms=4000), estimate=1000),
        candidate("d", "steady and dear", stats=proven(0.99, ms=1000), estimate=3000),
    ]
    assert first("performance-based", candidates) == "b/steady"
    ranking = rank("performance-based", candidates)
    assert {"score", "success_low", "speed", "cheapness", "uncertainty", "requests", "promise"} == set(ranking.scores[0])


def test_performance_trusts_many_good_answers_more_than_one() -> None:
    candidates = [candidate("a", "once", stats=proven(1, requests=1)), candidate("b", "often", stats=proven(0.98, requests=300))]
    assert first("performance-based", candidates) == "b/often"


def test_performance_weights_can_be_turned() -> None:
    candidates = [
        candidate("a", "cheap", stats=proven(0.9, ms=5000), estimate=10),
        candidate("b", "fast", stats=proven(0.9, ms=500), estimate=1000),
    ]
    assert first("performance-based", candidates, {"success_weight": 0, "latency_weight": 0, "cost_weight": 1}) == "a/cheap"
    assert first("performance-based", candidates, {"success_weight": 0, "latency_weight": 1, "cost_weight": 0}) == "b/fast"


def test_performance_tries_what_it_knows_little_of_more_often_than_what_is_known_to_fail() -> None:
    candidates = [
        candidate("a", "best", stats=proven(0.99)),
        candidate("b", "new"),
        candidate("c", "known bad", stats=proven(0.02, requests=500)),
    ]
    found = shares("performance-based", candidates, {"exploration": 0.1}, rounds=5000)
    assert found["a/key 0"] == pytest.approx(0.9, abs=0.01)
    assert found["b/key 0"] > 10 * found["c/key 0"] > 0


def test_a_model_that_recovered_is_found_again() -> None:
    """A simulation: the better model is down for a while; its failures leave the window, exploration meets it working again."""
    window: dict[str, list[bool]] = {"good": [True] * 50, "fallback": [True] * 50}
    served: list[str] = []
    for turn in range(1800):
        stats = {
            name: Stats(requests=len(seen), successes=sum(seen), latency_ms=500 if name == "good" else 2000)
            for name, seen in window.items()
        }
        candidates = [candidate("a", "fallback", stats=stats["fallback"]), candidate("b", "good", stats=stats["good"])]
        chosen = first("performance-based", candidates, draw=(turn * 0.618034) % 1).split("/")[1]
        served.append(chosen)
        window[chosen] = [*window[chosen], chosen == "fallback" or not 100 <= turn < 400][-50:]
        if turn % 20 == 0:
            window = {name: seen[1:] if len(seen) > 1 else seen for name, seen in window.items()}
    assert served[:100].count("good") > 90
    assert served[200:400].count("fallback") > 170
    assert served[1500:].count("good") > 260


# context-aware


CATALOGUE = [
    candidate("gemini", "gemini-3.8-flash"),
    candidate("openai", "gpt-6-luna"),
    candidate("anthropic", "claude-haiku-5-5", position=2),
    candidate("anthropic", "claude-sonnet-5-5", position=3),
    candidate("anthropic", "claude-opus-5-5", position=1),
    candidate("fireworks", "kimi-k3", upstream_id="accounts/fireworks/models/kimi-k3", position=1),
    candidate("fireworks", "qwen3p8-max", upstream_id="accounts/fireworks/models/qwen3p8-max", position=2),
]


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ({"task_type": "code_generation"}, "fireworks/qwen3p8-max"),
        ({"task_type": "Code-Generation"}, "fireworks/qwen3p8-max"),
        ({"language": "rust"}, "fireworks/qwen3p8-max"),
        ({"task_type": "review"}, "anthropic/claude-sonnet-5-5"),
        ({"task_type": "security", "language": "python"}, "anthropic/claude-sonnet-5-5"),
        ({"task_type": "analysis"}, "anthropic/claude-sonnet-5-5"),
        ({"task_type": "documentation"}, "gemini/gemini-3.8-flash"),
        ({"task_type": "document", "language": "go"}, "gemini/gemini-3.8-flash"),
        ({"task_type": "quick"}, "anthropic/claude-haiku-5-5"),
        ({}, "fireworks/kimi-k3"),
        ({"task_type": "poetry"}, "fireworks/kimi-k3"),
    ],
)
def test_the_default_rules_send_work_where_it_belongs(given: dict[str, str], wanted: str) -> None:
    assert first("context-aware", CATALOGUE, **given) == wanted


def test_a_rule_orders_its_wishes_and_everything_else_follows_in_the_operators_order() -> None:
    rules = {"rules": [{"name": "Rust", "languages": ["rust"], "prefer": ["gpt-6-luna", "anthropic"]}]}
    ranking = rank("context-aware", CATALOGUE, rules, language="Rust")
    assert names(ranking, CATALOGUE) == [
        "openai/gpt-6-luna",
        "anthropic/claude-opus-5-5",
        "anthropic/claude-haiku-5-5",
        "anthropic/claude-sonnet-5-5",
        "fireworks/kimi-k3",
        "fireworks/qwen3p8-max",
        "gemini/gemini-3.8-flash",
    ]
    assert "Rust" in ranking.note
    assert ranking.scores[1] == {"preference": 1}


@pytest.mark.parametrize(
    ("condition", "given", "holds"),
    [
        ({"frameworks": ["django", "rails"]}, {"framework": "Django"}, True),
        ({"frameworks": ["django"]}, {}, False),
        ({"languages": ["type*"]}, {"language": "TypeScript"}, True),
        ({"needs": ["images"]}, {"needs": frozenset({"images", "tools"})}, True),
        ({"needs": ["images", "tools"]}, {"needs": frozenset({"images"})}, False),
        ({"min_prompt_tokens": 1000}, {"prompt_tokens": 999}, False),
        ({"min_prompt_tokens": 1000}, {"prompt_tokens": 1000}, True),
        ({"max_prompt_tokens": 1000}, {"prompt_tokens": 1001}, False),
        ({"max_output_tokens": 100}, {"max_tokens": None}, False),
        ({"max_output_tokens": 100}, {"max_tokens": 100}, True),
        ({"task_types": ["*"]}, {"task_type": "anything"}, True),
        ({"task_types": ["*"]}, {}, False),
        ({"task_types": ["review"], "languages": ["go"]}, {"task_type": "review", "language": "c"}, False),
        ({}, {}, True),
    ],
)
def test_all_conditions_of_a_rule_have_to_hold(condition: dict[str, object], given: dict[str, object], holds: bool) -> None:
    chosen = first("context-aware", CATALOGUE, {"rules": [{**condition, "prefer": ["gemini"]}]}, **given)
    assert (chosen == "gemini/gemini-3.8-flash") is holds


def test_the_first_matching_rule_decides() -> None:
    rules = {"rules": [{"prefer": ["gemini"]}, {"prefer": ["openai"]}]}
    assert first("context-aware", CATALOGUE, rules) == "gemini/gemini-3.8-flash"
    assert first("context-aware", CATALOGUE, {"rules": []}) == "fireworks/kimi-k3"


def test_editing_validated_rules_does_not_edit_the_defaults() -> None:
    strategies.get("context-aware").validate({})["rules"][0]["prefer"].append("gemini")
    strategies.get("context-aware").validate({})["rules"][0]["prefer"].reverse()
    assert first("context-aware", CATALOGUE, task_type="review") == "anthropic/claude-sonnet-5-5"
