"""Breakers, cooldowns and keys as requests meet them (T12)."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx

from llm_gateway.policies.breaker import OPEN_S, PANIC_S, Breaker, State
from tests.support.clock import Stopwatch
from tests.support.gateway import GatewayServer
from tests.support.speaking import Answer, Speaker


def ask_many(gateway: GatewayServer, model: str, count: int) -> list[Answer]:
    def one(_: int) -> Answer:
        with httpx.Client(base_url=gateway.url, timeout=20, trust_env=False) as http:
            return Speaker(http, "openai_chat", gateway.rows.key).ask(model)

    with ThreadPoolExecutor(16) as pool:
        return list(pool.map(one, range(count)))


def breaker(gateway: GatewayServer, slug: str, upstream_id: str) -> Any:
    from llm_gateway.models import ProviderKey

    key = ProviderKey.objects.get(provider__slug=slug).pk
    return gateway.on_loop(lambda: gateway.gateway.health._breakers.get((key, upstream_id)))


def opened(gateway: GatewayServer, slug: str, upstream_id: str, **changes: Any) -> None:
    """Put the breaker where a run of failures would have put it."""
    from llm_gateway.models import ProviderKey

    key = ProviderKey.objects.get(provider__slug=slug).pk
    fields = {"state": State.OPEN, "opened_at": time.monotonic(), "until": time.monotonic() + OPEN_S, "ejections": 1, **changes}
    gateway.on_loop(lambda: gateway.gateway.health._breakers.__setitem__((key, upstream_id), Breaker(**fields)))


def restarted(gateway: GatewayServer) -> None:
    found = gateway.gateway

    def forget() -> None:
        found.health.__init__(found.health._on_effect)
        found._known_rests = []

    gateway.on_loop(forget)
    gateway.refresh()


def test_five_failures_in_a_row_open_the_breaker_and_the_second_target_answers_at_once(gateway: GatewayServer) -> None:
    alias = gateway.alias("trip", ("refused", "t"), ("chat2", "t"))
    for _ in range(5):
        answer = gateway.ask("openai_chat", alias)
        assert (answer.status, answer.headers["x-cogo-attempts"]) == (200, "2")
    assert breaker(gateway, "refused", "t").state is State.OPEN
    answer = gateway.ask("openai_chat", alias)
    assert (answer.status, answer.headers["x-cogo-attempts"]) == (200, "1")
    skipped = gateway.row(answer).decision["skipped"]
    assert skipped[0]["target"].startswith("refused/t")
    assert "cooling" in skipped[0]["why"]


def test_an_open_breaker_is_shown_and_survives_a_restart(gateway: GatewayServer) -> None:
    from llm_gateway.models import DeploymentHealth

    for _ in range(5):
        gateway.ask("openai_chat", "refused/gone")
    gateway.settle()
    row = DeploymentHealth.objects.get()
    assert (row.upstream_id, row.state, row.reason) == ("gone", "tripped", "kept failing: connect_refused")
    assert row.evidence.startswith("connect_refused")
    assert 0 < (row.until - row.since).total_seconds() <= OPEN_S
    restarted(gateway)
    found = breaker(gateway, "refused", "gone")
    assert found.state is State.OPEN
    assert 0 < found.until - time.monotonic() <= OPEN_S
    time.sleep(PANIC_S)
    # Another worker's finding is a breaker here, too: all candidates out by passing faults still let one request through.
    assert gateway.ask("openai_chat", "refused/gone").code == "upstream_unreachable"
    # The failed probe writes a new row in a thread of its own: one that came after the deletion would keep the breaker.
    gateway.settle()
    DeploymentHealth.objects.all().delete()
    gateway.refresh()
    assert breaker(gateway, "refused", "gone") is None


def test_a_breaker_that_closes_early_takes_its_row_along(gateway: GatewayServer) -> None:
    from llm_gateway.models import DeploymentHealth

    gateway.program("chat/back", *["status:500"] * 5, "ok")
    for _ in range(3):
        gateway.ask("openai_chat", "chat/back")
    gateway.settle()
    assert DeploymentHealth.objects.get().state == "tripped"
    assert gateway.ask("openai_chat", "chat/back").code == "no_healthy_deployment"
    time.sleep(PANIC_S)
    assert gateway.ask("openai_chat", "chat/back").status == 200
    gateway.settle()
    assert not DeploymentHealth.objects.exists()


def test_a_half_open_breaker_lets_one_probe_through_and_the_others_do_not_pile_up(gateway: GatewayServer) -> None:
    opened(gateway, "chat", "probe", until=time.monotonic() - 1)
    gateway.program("chat/probe", "slow:400")
    alias = gateway.alias("probing", ("chat", "probe"), ("chat2", "other"))
    since = gateway.mark
    answers = ask_many(gateway, alias, 40)
    assert {(answer.status, answer.code) for answer in answers} == {(200, None)}
    sent = [entry for entry in gateway.received(since) if entry["model"] == "probe"]
    # Those that came while the probe was out went elsewhere; it succeeded, so later ones may have followed it.
    probe = min(sent, key=lambda entry: entry["mono"])
    during = [entry for entry in sent if entry["mono"] < probe["mono"] + 0.35]
    assert during == [probe]
    found = breaker(gateway, "chat", "probe")
    assert found is None or found.state is State.CLOSED


def test_a_probe_that_fails_opens_for_longer(gateway: GatewayServer) -> None:
    opened(gateway, "refused", "again", until=time.monotonic() - 1)
    assert gateway.ask("openai_chat", "refused/again").status == 502
    found = breaker(gateway, "refused", "again")
    assert (found.state, found.ejections) == (State.OPEN, 2)
    assert found.until - time.monotonic() > OPEN_S


def test_p21_when_all_candidates_cool_the_answer_is_fast_and_says_when(gateway: GatewayServer) -> None:
    now = time.monotonic()
    opened(gateway, "chat", "cold", state=State.CLOSED, cool_until=now + 30, until=0.0, ejections=0)
    opened(gateway, "chat2", "cold", state=State.CLOSED, cool_until=now + 12, until=0.0, ejections=0)
    alias = gateway.alias("cold", ("chat", "cold"), ("chat2", "cold"))
    since = gateway.mark
    took = []
    for _ in range(10):
        watch = Stopwatch()
        answer = gateway.ask("openai_chat", alias)
        took.append(watch.took_s)
        assert (answer.status, answer.code) == (503, "no_healthy_deployment")
        assert 9 <= int(answer.headers["retry-after"]) <= 12
    assert min(took) < 0.02
    assert gateway.mark == since
    row = gateway.row(answer)
    assert (row.state, row.attempt_count, row.cost_nusd) == ("failed", 0, 0)


def test_p21_soft_ejections_of_all_let_one_request_at_a_time_through(gateway: GatewayServer) -> None:
    opened(gateway, "chat", "soft", opened_at=time.monotonic() - PANIC_S)
    gateway.program("chat/soft", "slow:400")
    since = gateway.mark
    answers = ask_many(gateway, "chat/soft", 20)
    fine = [answer for answer in answers if answer.status == 200]
    assert fine
    assert {answer.status for answer in answers} == {200, 503}
    first = min(entry["mono"] for entry in gateway.received(since))
    assert sum(entry["mono"] < first + 0.35 for entry in gateway.received(since)) == 1


def test_a_callers_own_faults_never_cool_anything(gateway: GatewayServer) -> None:
    for fault in ("status:400", "status:422", "status:413", "ctx", "filter", "status:409"):
        for _ in range(6 if fault != "status:409" else 2):
            gateway.ask("openai_chat", f"chat/fault:{fault}")
        assert gateway.health() == {}, fault
        found = breaker(gateway, "chat", f"fault:{fault}")
        assert found is None or not found.run, fault


def test_a_404_puts_out_that_model_only(gateway: GatewayServer) -> None:
    assert gateway.ask("openai_chat", "chat/fault:status:404").status == 404
    assert gateway.ask("openai_chat", "chat/fault:ok").status == 200
    answer = gateway.ask("openai_chat", "chat/fault:status:404")
    assert (answer.status, answer.code) == (503, "no_healthy_deployment")


def test_a_refused_key_is_out_at_once_and_until_somebody_replaces_it(gateway: GatewayServer) -> None:
    from llm_gateway.models import ProviderKey

    assert gateway.ask("openai_chat", "chat/fault:status:401").status == 502
    since = gateway.mark
    answer = gateway.ask("openai_chat", "chat/fault:ok")
    assert (answer.status, answer.code) == (503, "no_healthy_deployment")
    gateway.settle()
    gateway.refresh()
    answer = gateway.ask("openai_chat", "chat/fault:ok")
    assert (answer.status, answer.code) == (503, "no_healthy_deployment")
    assert gateway.mark == since
    key = ProviderKey.objects.get(provider__slug="chat")
    assert (key.state, bool(key.reason)) == ("invalid", True)
    assert "401" in key.evidence
    gateway.rows.provider_key("chat", "default", "sim-valid-replaced")
    gateway.refresh()
    assert gateway.ask("openai_chat", "chat/fault:ok").status == 200


def test_a_cooldown_is_shared_shown_and_survives_a_restart(gateway: GatewayServer) -> None:
    from llm_gateway.models import DeploymentHealth

    assert gateway.ask("openai_chat", "chat/fault:status:429:ra=120").status == 429
    gateway.settle()
    row = DeploymentHealth.objects.get()
    assert (row.upstream_id, row.state) == ("fault:status:429:ra=120", "open")
    assert row.reason
    assert "429" in row.evidence
    assert 100 < (row.until - row.since).total_seconds() <= 120

    restarted(gateway)
    since = gateway.mark
    answer = gateway.ask("openai_chat", "chat/fault:status:429:ra=120")
    assert (answer.status, answer.code) == (503, "no_healthy_deployment")
    assert gateway.mark == since
    # An operator clears it; the workers hear of it with the next refresh.
    row.delete()
    gateway.refresh()
    assert gateway.ask("openai_chat", "chat/fault:status:429:ra=120").status == 429
