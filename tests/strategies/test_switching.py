"""Draft, validate, put in force, roll back: with a history, and in every worker within two seconds."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.support.clock import Stopwatch
from tests.support.gateway import GatewayServer

WITHIN_S = 2.0


class Worker:
    """A second gateway on the same database, as another server process has one."""

    def __init__(self) -> None:
        self._up = threading.Event()
        self._down: asyncio.Event
        self._thread = threading.Thread(target=lambda: asyncio.run(self._main()), name="second worker", daemon=True)
        self._thread.start()
        assert self._up.wait(10)

    async def _main(self) -> None:
        from llm_gateway.wiring import Gateway

        self.gateway = Gateway()
        self._loop, self._down = asyncio.get_running_loop(), asyncio.Event()
        await self.gateway.start()
        self._up.set()
        await self._down.wait()
        await self.gateway.stop(0)

    @property
    def active(self) -> str:
        return str(self.gateway.catalog.snapshot().active_strategy)

    def weights(self, strategy: str) -> Any:
        found = self.gateway.catalog.snapshot().strategies.get(strategy)
        return found.settings["weights"] if found else None

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._down.set)
        self._thread.join(10)


@pytest.fixture
def second(gateway: GatewayServer) -> Iterator[Worker]:
    worker = Worker()
    yield worker
    worker.stop()


@pytest.fixture(autouse=True)
def as_before(gateway: GatewayServer) -> Iterator[None]:
    from llm_gateway.actions.activate_strategy import activate_strategy
    from llm_gateway.models import Strategy

    yield
    activate_strategy("enterprise", via="test", settings={})
    Strategy.objects.filter(name="draft").delete()
    gateway.refresh()


def served(gateway: GatewayServer) -> tuple[str, str]:
    row = gateway.row(gateway.ask("openai_chat", "auto", max_tokens=5))
    return row.strategy, row.provider_slug


def until(true: Callable[[], bool], watch: Stopwatch) -> None:
    while not true():
        assert watch.took_s < WITHIN_S, "not in force within two seconds"
        time.sleep(0.01)


def api(gateway: GatewayServer, path: str, body: Any = None) -> Any:
    headers = {"authorization": f"Bearer {gateway.rows.key}"}
    url = f"/api/ai-models/{path}"
    return gateway.http.get(url, headers=headers) if body is None else gateway.http.post(url, json=body, headers=headers)


def test_a_switch_is_in_force_in_every_worker_within_two_seconds(gateway: GatewayServer, second: Worker) -> None:
    from llm_gateway.actions.activate_strategy import activate_strategy
    from llm_gateway.models import Strategy

    Strategy.objects.create(name="draft", kind="weighted", title="Draft", settings={"weights": {"openai": 1}})
    assert (served(gateway), second.active) == (("enterprise", "fireworks"), "enterprise"), "a draft changes nothing"
    watch = Stopwatch()
    activate_strategy("draft", via="test")
    until(lambda: served(gateway) == ("draft", "openai"), watch)
    until(lambda: second.active == "draft", watch)
    # The same for settings of what is in force.
    watch = Stopwatch()
    activate_strategy("draft", via="test", settings={"weights": {"gemini": 1}})
    until(lambda: served(gateway) == ("draft", "gemini"), watch)
    until(lambda: second.weights("draft") == {"gemini": 1.0}, watch)


def test_a_roll_back_restores_name_and_settings_everywhere(gateway: GatewayServer, second: Worker) -> None:
    from llm_gateway.actions.activate_strategy import activate_strategy
    from llm_gateway.actions.rollback_strategy import rollback_strategy
    from llm_gateway.models import Strategy, StrategyActivation

    Strategy.objects.create(name="draft", kind="weighted", title="Draft", settings={"weights": {"openai": 1}})
    activate_strategy("enterprise", via="test", settings={"retry_empty": True})
    activate_strategy("draft", via="test")
    activate_strategy("draft", via="test", settings={"weights": {"gemini": 1}})
    watch = Stopwatch()
    rollback_strategy(via="test")
    until(lambda: served(gateway) == ("draft", "openai"), watch)
    until(lambda: second.weights("draft") == {"openai": 1.0}, watch)
    rollback_strategy(to=StrategyActivation.objects.filter(strategy__name="enterprise").order_by("-pk").first(), via="test")
    active = Strategy.objects.get(active=True)
    assert (active.name, active.settings) == ("enterprise", {"retry_empty": True})


def test_the_history_says_who_and_when(gateway: GatewayServer) -> None:
    from django.utils import timezone

    from llm_gateway.models import StrategyActivation

    before, begun = StrategyActivation.objects.count(), timezone.now()
    answer = api(gateway, "strategy/set", {"strategy": "ab_testing"})
    assert answer.json() == {"active": "ab-testing", "previous": "enterprise", "changed": True}
    last = StrategyActivation.objects.order_by("-pk").first()
    assert last is not None
    assert (last.strategy.name, last.previous, last.via) == ("ab-testing", "enterprise", "client key tester")
    assert begun <= last.at <= timezone.now()
    gateway.refresh()
    told = api(gateway, "strategy").json()
    assert (told["active"], told["active_by"]) == ("ab-testing", "client key tester")
    assert api(gateway, "strategy/set", {"strategy": "ab-testing"}).json()["changed"] is False
    assert StrategyActivation.objects.count() == before + 1, "what is in force is not switched to again"


@pytest.mark.parametrize(
    ("kind", "settings", "said"),
    [
        ("weighted", {"weights": {"nobody": 1}}, "no provider or model named nobody"),
        ("weighted", {"weight": 1}, "has no setting weight"),
        ("ab-testing", {"arms": {"openai": 1}}, "at least 2"),
        ("enterprise", {"retry_empty": "yes"}, "retry_empty has to be true or false"),
        ("enterprise", {"hedge_after_ms": 49}, "hedge_after_ms has to be a whole number of milliseconds from 50"),
        ("weighted", {"hedge_after_ms": True}, "hedge_after_ms has to be a whole number of milliseconds from 50"),
    ],
)
def test_what_is_not_valid_never_comes_into_force(gateway: GatewayServer, kind: str, settings: dict[str, Any], said: str) -> None:
    from llm_gateway.models import Strategy, StrategyActivation

    Strategy.objects.create(name="draft", kind=kind, title="Draft", settings=settings)
    gateway.refresh()
    before = StrategyActivation.objects.count()
    answer = api(gateway, "strategy/set", {"strategy": "draft"})
    assert answer.status_code == 400
    assert said in answer.json()["error"]["message"]
    assert (Strategy.objects.get(active=True).name, StrategyActivation.objects.count()) == ("enterprise", before)
    assert served(gateway)[0] == "enterprise"


def test_who_may_only_generate_may_not_switch(gateway: GatewayServer) -> None:
    key = gateway.issue("no-manager", scopes=("generate", "read"))
    headers = {"authorization": f"Bearer {key}"}
    answer = gateway.http.post("/api/ai-models/strategy/set", json={"strategy": "ab-testing"}, headers=headers)
    assert answer.status_code == 403
