"""Strategies as a caller meets them: through the real gateway, with the simulator as every provider."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from tests.support.gateway import GatewayServer
from tests.support.speaking import Answer

SERVICES = ("fireworks", "anthropic", "openai", "gemini")
DIALECTS = ("openai_chat", "anthropic_messages", "native")


@pytest.fixture(autouse=True)
def restored(gateway: GatewayServer) -> Iterator[None]:
    """Providers well, windows unknown, strategies as they were."""
    from llm_gateway.models import LanguageModel, ProviderKey, Strategy

    yield
    ProviderKey.objects.filter(name="second").delete()
    gateway.simulator.control("personality/all", state="up", faults=[])
    LanguageModel.objects.filter(auto=True).update(context_window=None)
    Strategy.objects.exclude(name__in=("enterprise", "ab-testing", "performance-based")).delete()
    gateway.refresh()


def strategy(gateway: GatewayServer, name: str, kind: str, **settings: Any) -> str:
    """A strategy that stands by; its name as a model."""
    from llm_gateway.actions.activate_strategy import validate_settings
    from llm_gateway.models import Strategy

    Strategy.objects.create(name=name, kind=kind, title=name, settings=validate_settings(kind, settings))
    gateway.refresh()
    return f"strategy:{name}"


def sick(gateway: GatewayServer, provider: str, fault: str) -> None:
    gateway.simulator.control(f"personality/{provider}", fault=fault)


def windows(gateway: GatewayServer, **tokens: int | None) -> None:
    from llm_gateway.models import LanguageModel

    for slug, window in tokens.items():
        LanguageModel.objects.filter(provider__slug=slug, auto=True).update(context_window=window)
    gateway.refresh()


def tried(gateway: GatewayServer, answer: Answer) -> list[tuple[str, str]]:
    return [(a.provider_slug, a.error_class) for a in gateway.row(answer).attempts.order_by("number")]


# After an answer that is no use.


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_prompt_that_does_not_fit_goes_only_to_a_larger_window(gateway: GatewayServer, dialect: str, stream: bool) -> None:
    windows(gateway, fireworks=8000, anthropic=4000, openai=None, gemini=100_000)
    sick(gateway, "fireworks", "ctx")
    answer = gateway.ask(dialect, "auto", stream=stream)
    assert answer.status == 200, answer.body
    assert tried(gateway, answer) == [("fireworks", "context_length"), ("gemini", "")]
    skipped = {entry["target"].partition("/")[0]: entry["why"] for entry in gateway.row(answer).decision["skipped"]}
    assert {"anthropic", "openai"} <= skipped.keys()
    assert all("larger window" in why for why in skipped.values())


def test_a_prompt_that_fits_nowhere_is_the_callers_400(gateway: GatewayServer) -> None:
    windows(gateway, fireworks=8000, anthropic=4000, openai=8000, gemini=8000)
    sick(gateway, "fireworks", "ctx")
    answer = gateway.ask("openai_chat", "auto")
    assert (answer.status, answer.code) == (400, "context_length_exceeded")
    assert tried(gateway, answer) == [("fireworks", "context_length")]


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_content_filter_ends_it_unless_the_strategy_goes_on(gateway: GatewayServer, dialect: str) -> None:
    strict = strategy(gateway, "strict", "weighted", weights={"openai": 1})
    lenient = strategy(gateway, "lenient", "weighted", weights={"openai": 1}, content_policy_fallback=True)
    sick(gateway, "openai", "filter")
    refused = gateway.ask(dialect, strict)
    assert (refused.status, refused.code) == (400, "content_filter")
    assert tried(gateway, refused) == [("openai", "content_filter")]
    answer = gateway.ask(dialect, lenient)
    assert answer.status == 200, answer.body
    assert tried(gateway, answer) == [("openai", "content_filter"), ("fireworks", "")]
    row = gateway.row(answer)
    assert row.cost_nusd <= row.hold_nusd, "both answers were held for"


def test_a_content_filter_is_not_asked_again_with_another_key(gateway: GatewayServer) -> None:
    gateway.rows.provider_key("openai", "second")
    lenient = strategy(gateway, "lenient", "weighted", weights={"openai": 1}, content_policy_fallback=True)
    sick(gateway, "openai", "filter")
    assert tried(gateway, gateway.ask("openai_chat", lenient)) == [("openai", "content_filter"), ("fireworks", "")]


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("dialect", DIALECTS)
def test_an_empty_answer_is_passed_on_unless_the_strategy_asks_the_next(gateway: GatewayServer, dialect: str, stream: bool) -> None:
    plain = strategy(gateway, "plain", "enterprise")
    insistent = strategy(gateway, "insistent", "enterprise", retry_empty=True)
    sick(gateway, "fireworks", "empty")
    empty = gateway.row(gateway.ask(dialect, plain, stream=stream))
    assert (empty.state, empty.flags, empty.attempt_count) == ("ok", "empty", 1)
    answer = gateway.ask(dialect, insistent, stream=stream)
    row = gateway.row(answer)
    assert answer.text.strip()
    assert "x-cogo-warning" not in answer.headers
    assert (row.provider_slug, row.flags, row.attempt_count) == ("anthropic", "passed_over", 2)
    costs = [attempt.cost_nusd for attempt in row.attempts.order_by("number")]
    assert row.cost_nusd == sum(costs) <= row.hold_nusd
    assert min(costs) > 0, "the empty answer is paid for"


def test_when_all_are_empty_the_last_is_passed_on(gateway: GatewayServer) -> None:
    insistent = strategy(gateway, "insistent", "enterprise", retry_empty=True)
    sick(gateway, "all", "empty")
    row = gateway.row(gateway.ask("openai_chat", insistent))
    assert (row.state, row.attempt_count, set(row.flags.split())) == ("ok", 3, {"passed_over", "empty"})


# Whose prompt is cached where.


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_conversation_with_a_named_model_stays_with_one_key_while_that_is_well(gateway: GatewayServer, dialect: str) -> None:
    from llm_gateway.models import ProviderKey

    if "twokeys" not in gateway.rows.providers:
        gateway.rows.provider("twokeys", gateway.simulator.base_url("custom"), keys=2)
    gateway.refresh()

    def key_of(prompt: str) -> int:
        row = gateway.row(gateway.ask(dialect, "twokeys/x", prompt=prompt))
        return int(row.attempts.get().provider_key_id)

    prompts = [f"{dialect} begins conversation {n}" for n in range(12)]
    before = {prompt: key_of(prompt) for prompt in prompts}
    assert len(set(before.values())) == 2, "both keys have their share"
    assert {prompt: key_of(prompt) for prompt in prompts} == before
    left = before[prompts[0]]
    ProviderKey.objects.filter(pk=left).update(enabled=False)
    gateway.refresh()
    assert key_of(prompts[0]) != left
    ProviderKey.objects.filter(pk=left).update(enabled=True)
    gateway.refresh()
    assert key_of(prompts[0]) == left


# Which strategy.


@pytest.mark.parametrize("dialect", DIALECTS)
def test_the_request_comes_before_the_key_and_the_key_before_the_gateway(gateway: GatewayServer, dialect: str) -> None:
    for slug in SERVICES:
        strategy(gateway, f"only-{slug}", "weighted", weights={slug: 1})
    own = gateway.issue(f"own-{dialect}", strategy="only-openai")
    asks: list[tuple[str, str, dict[str, Any]]] = [
        ("", "fireworks", {}),
        (own, "openai", {}),
        (own, "gemini", {"headers": {"x-cogo-strategy": "only-gemini"}}),
        (own, "anthropic", {"model": "strategy:only-anthropic"}),
        (own, "anthropic", {"model": "strategy:only-anthropic", "headers": {"x-cogo-strategy": "only-gemini"}}),
    ]
    if dialect == "native":
        asks.append((own, "gemini", {"strategy": "only-gemini", "headers": {"x-cogo-strategy": "only-anthropic"}}))
    for key, expected, more in asks:
        row = gateway.row(gateway.client(dialect, key or None).ask(more.pop("model", "auto"), **more))
        assert (row.state, row.provider_slug) == ("ok", expected), more
        assert row.strategy in (f"only-{expected}", "enterprise")


def test_a_strategy_that_does_not_exist_is_the_callers_404(gateway: GatewayServer) -> None:
    for dialect in DIALECTS:
        answer = gateway.client(dialect).ask("auto", headers={"x-cogo-strategy": "nothing-like-it"})
        assert (answer.status, answer.code) == (404, "not_found")


# Shares.


def test_ab_testing_splits_half_and_half(gateway: GatewayServer) -> None:
    model = strategy(gateway, "halves", "ab-testing", arms={"fireworks": 50, "openai": 50})
    served = Counter(gateway.ask("openai_chat", model, max_tokens=5).headers["x-cogo-provider"] for _ in range(400))
    assert set(served) == {"fireworks", "openai"}
    # Four standard deviations of a fair coin thrown 400 times: one run in 16,000 fails.
    assert abs(served["fireworks"] - 200) <= 40, served


@pytest.mark.parametrize("dialect", ["openai_chat", "native"])
def test_a_session_stays_with_its_arm_and_comes_back_to_it(gateway: GatewayServer, dialect: str) -> None:
    model = strategy(gateway, "halves", "ab-testing", arms={"fireworks": 50, "openai": 50})

    def arm(session: str) -> str:
        answer = gateway.client(dialect).ask(model, headers={"x-cogo-session": session})
        return gateway.row(answer).provider_slug  # type: ignore[no-any-return]

    arms = {f"session-{n}": arm(f"session-{n}") for n in range(12)}
    assert set(arms.values()) == {"fireworks", "openai"}
    assert {session: arm(session) for session in arms} == arms
    sick(gateway, "fireworks", "status:401")
    away = next(session for session, found in arms.items() if found == "fireworks")
    assert arm(away) == "openai"
    gateway.simulator.control("personality/fireworks", state="up", faults=[])
    gateway.forget()
    assert arm(away) == "fireworks"


def test_a_conversation_stays_with_the_key_that_has_it_cached_while_it_is_well(gateway: GatewayServer) -> None:
    from llm_gateway.models import ProviderKey

    gateway.rows.provider_key("fireworks", "second")
    gateway.refresh()
    keys = dict(ProviderKey.objects.filter(provider__slug="fireworks").values_list("pk", "name"))

    def homes(turn: int) -> dict[str, str]:
        """The key that served each of twelve conversations in their ``turn``."""
        found = {}
        for name in (f"conversation {n}" for n in range(12)):
            said = [{"role": "user", "content": f"{name} begins"}]
            for n in range(turn):
                said += [{"role": "assistant", "content": f"answer {n}"}, {"role": "user", "content": f"question {n}"}]
            answer = gateway.ask("openai_chat", "auto", messages=[{"role": "system", "content": "Manual. " * 400}, *said])
            found[name] = keys[gateway.row(answer).attempts.last().provider_key_id]
        return found

    first = homes(0)
    assert set(first.values()) == {"default", "second"}, "conversations spread over the keys, also below one system prompt"
    assert [homes(1), homes(2)] == [first, first]
    second = ProviderKey.objects.filter(provider__slug="fireworks", name="second")
    second.update(state="invalid")
    gateway.refresh()
    assert set(homes(3).values()) == {"default"}
    second.update(state="valid")
    gateway.refresh()
    assert homes(4) == first


# Performance.


def test_a_model_that_recovered_is_found_again(gateway: GatewayServer) -> None:
    """Down for a while, then up: what it did then speaks against it, and a few looks bring its traffic back."""
    from llm_gateway.actions.add_provider import set_price
    from llm_gateway.models import LanguageModel

    model = strategy(gateway, "measured", "performance-based", latency_weight=0, cost_weight=0.4, exploration=0.1)
    cheap = LanguageModel.objects.get(provider__slug="gemini", auto=True)
    set_price(cheap, Decimal("0.01"), Decimal("0.02"), source="test")
    gateway.refresh()
    try:
        sick(gateway, "gemini", "status:500")
        down = _served_by(gateway, model, 60)
        assert (down["gemini"], sum(down.values())) == (0, 60), "every request was answered by another"
        gateway.simulator.control("personality/gemini", state="up", faults=[])
        _rest_is_over(gateway)
        assert _first_of(gateway, model) != "gemini", "its failures count"
        for _ in range(40):
            if _served_by(gateway, model, 20)["gemini"] >= 15:
                break
        assert _first_of(gateway, model) == "gemini"
    finally:
        set_price(cheap, Decimal(1), Decimal(2), source="test")
        gateway.refresh()


def _first_of(gateway: GatewayServer, model: str) -> str:
    """Whom the numbers put first, looks at others left aside."""
    scores = gateway.row(gateway.ask("openai_chat", model, max_tokens=5)).decision["scores"]
    return max(scores, key=lambda name: scores[name]["score"]).partition("/")[0]  # type: ignore[no-any-return]


def _served_by(gateway: GatewayServer, model: str, times: int) -> Counter[str]:
    answers = [gateway.ask("openai_chat", model, max_tokens=5) for _ in range(times)]
    return Counter(answer.headers["x-cogo-provider"] for answer in answers if answer.status == 200)


def _rest_is_over(gateway: GatewayServer) -> None:
    """An open breaker may be probed at once, here and in what other workers would read of it."""
    import msgspec

    from llm_gateway.models import DeploymentHealth

    gateway.settle()
    DeploymentHealth.objects.all().delete()
    gateway.refresh()

    def over() -> None:
        breakers = gateway.gateway.health._breakers
        for key, breaker in breakers.items():
            breakers[key] = msgspec.structs.replace(breaker, until=0.0)

    gateway.on_loop(over)
