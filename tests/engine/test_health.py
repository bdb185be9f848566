"""What a process remembers of deployments, without a gateway around it (T12)."""

from __future__ import annotations

import time
from typing import Any

import msgspec
import pytest

from llm_gateway.core.catalog import Target
from llm_gateway.core.errors import Failure, FailureClass
from llm_gateway.core.usage import Usage
from llm_gateway.engine.health import DeploymentHealth
from llm_gateway.policies.breaker import OPEN_S, Breaker, State
from tests.engine.fakes import FakeCatalog

_K = FailureClass
DOWN = Failure(kind=_K.CONNECT_REFUSED)


@pytest.fixture
def target() -> Target:
    snapshot = FakeCatalog({}).snapshot()
    provider = next(iter(snapshot.providers.values()))
    credential = snapshot.credentials[provider.id][0]
    model = next(m for m in snapshot.models.values() if m.provider_id == provider.id)
    return Target(provider=provider, credential=credential, model=model, upstream_id=model.upstream_id, budgets=())


def again(target: Target) -> Target:
    """The same deployment as another request has it."""
    return msgspec.structs.replace(target)


def half_open(health: DeploymentHealth, target: Target) -> Target:
    """A probe that is out."""
    health._breakers[target.deployment] = Breaker(state=State.OPEN, opened_at=0.0, until=time.monotonic() - 1, ejections=1)
    probe = again(target)
    assert health.admit(probe) is None
    return probe


def state(health: DeploymentHealth, target: Target) -> Any:
    found = health._breakers.get(target.deployment)
    return found.state if found else State.CLOSED


def test_only_the_probe_closes_a_half_open_breaker(target: Target) -> None:
    health = DeploymentHealth()
    probe = half_open(health, target)
    health.succeeded(again(target), 90_000, None, None)
    assert state(health, target) is State.HALF_OPEN
    assert health.admit(again(target)), "the probe is still out"
    health.succeeded(probe, 10, None, None)
    assert state(health, target) is State.CLOSED


@pytest.mark.parametrize("late", [DOWN, Failure(kind=_K.RATE_LIMITED, status=429, retry_after_s=0.0)])
def test_nor_does_a_late_failure_open_it_again(target: Target, late: Failure) -> None:
    health = DeploymentHealth()
    probe = half_open(health, target)
    health.failed(again(target), late)
    assert state(health, target) is State.HALF_OPEN
    health.failed(probe, DOWN)
    assert state(health, target) is State.OPEN


def test_a_key_that_is_out_of_credit_is_not_asked_in_a_panic(target: Target) -> None:
    health = DeploymentHealth()
    health.failed(again(target), DOWN)
    assert health.panic(again(target))
    health = DeploymentHealth()
    health.failed(again(target), DOWN)
    health.failed(again(target), Failure(kind=_K.QUOTA, status=402))
    assert health.admit(again(target))
    assert not health.panic(again(target))


def test_what_opens_a_breaker_is_told_once_and_so_is_its_early_end(target: Target) -> None:
    told: list[tuple[str, str]] = []
    health = DeploymentHealth(lambda _, effect, __: told.append((effect.kind, effect.reason)))
    for _ in range(7):
        health.failed(again(target), DOWN)
    assert [what for what in told if what[0] == "trip"] == [("trip", "kept failing: connect_refused")]
    probe = again(target)
    assert not health.panic(probe), "too soon after the last failure"
    health._breakers[target.deployment] = msgspec.structs.replace(health._breakers[target.deployment], opened_at=0.0)
    assert health.panic(probe)
    health.succeeded(probe, 10, None, None)
    assert told[-1][0] == "recover"


def test_what_another_worker_found_is_restored_and_cleared(target: Target) -> None:
    health = DeploymentHealth()
    key = target.deployment
    health.restore([(key, "tripped", "kept failing: reset", OPEN_S)])
    assert "kept failing: reset" in str(health.admit(again(target)))
    health._breakers[key] = msgspec.structs.replace(health._breakers[key], opened_at=0.0)
    assert health.panic(again(target)), "a passing fault, as if it were this worker's"
    health.restore([])
    assert health.admit(again(target)) is None


def test_what_is_remembered_of_names_that_callers_make_up_has_an_end(target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("llm_gateway.engine.health.MAX_DEPLOYMENTS", 10)
    health = DeploymentHealth()
    for number in range(30):
        made_up = msgspec.structs.replace(target, upstream_id=f"m{number}")
        health.succeeded(made_up, 10, None, None)
        health.measured(made_up, Usage(input_tokens=100, output_tokens=100), 400, 90)
    assert len(health._samples) == len(health._lengths) == 10
    assert health.of([made_up])[0].requests == 1
