"""What is reserved bounds what is asked for: the limit that goes upstream, the targets that may still be tried."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from llm_gateway.core.errors import Failure, FailureClass, GatewayError
from llm_gateway.core.money import Rate
from llm_gateway.engine.exchange import Exchange
from llm_gateway.engine.plan import estimate_nusd, plan
from llm_gateway.engine.prepare import prepare
from llm_gateway.engine.ticket import Ticket

from .fakes import IDENTITY, STREAM, WHOLE, Rig, Script, cut

_DOWN = Script(refuse=Failure(kind=FailureClass.CONNECT_REFUSED))
NOW = datetime(2026, 11, 22, tzinfo=UTC)


def changed(rig: Rig, slug: str, **changes: Any) -> None:
    snapshot = rig.catalog.snapshot()
    models = {**snapshot.models, slug: msgspec.structs.replace(snapshot.models[slug], **changes)}
    rig.catalog._snapshot = msgspec.structs.replace(snapshot, models=models)


@pytest.mark.parametrize("ceiling", [None, 100, 8192])
async def test_no_answer_may_be_longer_than_what_is_held_for_it(ceiling: int | None) -> None:
    """A model whose limit nobody knows, a caller that names none: what goes upstream is what the hold was made with."""
    rig = Rig()
    changed(rig, "a", max_output_tokens=None)
    call = msgspec.structs.replace(rig.call("a"), identity=msgspec.structs.replace(IDENTITY, max_tokens=ceiling))
    made = plan(call, rig.catalog.snapshot(), rig.health, NOW, 0.0)
    target = made.order[0]
    exchange = Exchange(rig.pipeline.surroundings, call, made, target)
    sent = json.loads(prepare(call, target, exchange.ceiling(target)).body)
    limit = sent.get("max_completion_tokens", sent.get("max_tokens"))
    assert exchange.opening.hold_nusd == made.prompt_tokens * 1000 + limit * 2000


@pytest.mark.parametrize(("wire", "least"), [("openai_responses", 16), ("anthropic_messages", 1), ("openai_chat", 1)])
async def test_what_a_wire_with_no_limit_that_low_may_cost_is_held(wire: str, least: int) -> None:
    rig = Rig()
    call = rig.call("a")
    call = msgspec.structs.replace(call, inbound=msgspec.structs.replace(call.inbound, max_tokens=1))
    target = plan(call, rig.catalog.snapshot(), rig.health, NOW, 0.0).order[0]
    target = msgspec.structs.replace(target, provider=msgspec.structs.replace(target.provider, wire=wire))
    assert estimate_nusd(call, target, 10, NOW, rig.catalog.snapshot()) == 10 * 1000 + least * 2000


async def test_a_dear_target_that_nothing_was_held_for_is_not_tried() -> None:
    """Of four in order the second and third rest by the time they are needed; the fourth costs a hundred times as much."""
    rig = Rig(_DOWN, Script(body=WHOLE))
    dear = Rate(price_id=2, effective_from=datetime(2020, 1, 1, tzinfo=UTC), input=10**8, output=2 * 10**8)
    changed(rig, "c", rates=(dear,))
    call = rig.call("abc")
    made = plan(call, rig.catalog.snapshot(), rig.health, NOW, 0.0)
    a, b, c = made.order
    made.remaining = [b]
    cheap = made.hold(a)
    made.remaining = [b, c]
    assert made.hold(a) == 100 * cheap
    made.remaining = [c]
    exchange = Exchange(rig.pipeline.surroundings, call, made, a)
    exchange.opening = msgspec.structs.replace(exchange.opening, hold_nusd=cheap)
    with pytest.raises(GatewayError):
        await rig.pipeline.track.content(exchange, Ticket(a, rig.health))
    assert rig.log.count("send") == 1
    assert made.skipped[-1] == ("c/c", "it may cost more than what is held for this request")


async def test_an_answer_that_broke_off_is_billed_at_the_tier_that_was_asked_for() -> None:
    rig = Rig(Script(*STREAM[:2], cut()))
    dear = Rate(price_id=2, effective_from=datetime(2020, 1, 1, tzinfo=UTC), tier="priority", input=10**7, output=2 * 10**7)
    changed(rig, "a", rates=(*rig.catalog.snapshot().models["a"].rates, dear))
    call = rig.call("a", stream=True)
    call = msgspec.structs.replace(call, inbound=msgspec.structs.replace(call.inbound, service_tier="priority"))
    answer = await rig.pipeline.stream(call)
    with pytest.raises(GatewayError):
        async for _ in answer.frames:
            pass
    (settled,) = rig.journal.settled
    assert settled.price_id == 2
    assert (settled.usage["service_tier"], settled.usage["usage_source"]) == ("priority", "estimated")
    assert settled.cost_nusd == settled.usage["input_tokens"] * 10_000 + settled.usage["output_tokens"] * 20_000
    await rig.balanced()
