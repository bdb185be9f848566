"""One cell of the square, walked through the running gateway."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from tests.support.gateway import GatewayServer
from tests.support.reading import Said, read
from tests.support.speaking import Answer

from .features import Feature
from .speak import Unspeakable, Wish, request

DIALECTS = ("openai_chat", "openai_responses", "anthropic_messages", "gemini_generate")
# A wire and where it is spoken: the provider's slug in tests/support/rows.py.
WIRES = {"openai_chat": "chat", "openai_responses": "square", "anthropic_messages": "anthropic", "gemini_generate": "gemini"}
MODELS = {
    "openai_chat": "square-reasoner",
    "openai_responses": "gpt-4.1",
    "anthropic_messages": "claude-haiku-4-5",
    "gemini_generate": "gemini-3.8-flash",
}
THINKERS = MODELS | {"openai_responses": "gpt-5.5"}


def prepare(gateway: GatewayServer) -> None:
    """Models with room to think, and OpenAI's own host for Responses."""
    if "square" not in gateway.rows.providers:
        gateway.rows.provider("square", gateway.simulator.base_url("openai"), service="openai", wire="openai_responses")
        for models in (MODELS, THINKERS):
            for wire, name in models.items():
                gateway.rows.model(WIRES[wire], name, max_output_tokens=8000)
        gateway.refresh()


@dataclass
class Walked:
    """``outcome``: ``done``, ``refused`` or ``unspeakable``; ``sent``: the bodies the provider got."""

    outcome: str
    field: str = ""
    said: Said | None = None
    sent: tuple[str, ...] = ()
    answer: Answer | None = None


def walk(gateway: GatewayServer, feature: Feature, dialect: str, wire: str, stream: bool) -> Walked:
    model = f"{WIRES[wire]}/{feature.fault or (THINKERS if feature.wish.think else MODELS)[wire]}"
    if (dialect, wire) in feature.senseless:
        return Walked("unspeakable")
    gateway.simulator.control("reset")
    if feature.steps:
        gateway.simulator.control("script", steps=list(feature.steps))
    mark = gateway.mark
    try:
        walked = _ask(gateway, feature.wish, dialect, model, stream)
        if walked.outcome == "done" and (feature.warm or feature.loop):
            assert walked.said is not None
            wish = feature.wish if feature.warm else _next(feature.wish, walked.said)
            walked = _ask(gateway, wish, dialect, model, stream)
    except Unspeakable:
        return Walked("unspeakable")
    walked.sent = tuple(entry.get("body", "") for entry in gateway.received(mark))
    return walked


def _ask(gateway: GatewayServer, wish: Wish, dialect: str, model: str, stream: bool) -> Walked:
    path, body = request(dialect, model, wish, stream)
    answer = gateway.client(dialect).send(path, body, stream)
    if answer.status == 400:
        assert answer.code in ("unsupported_parameter", "UNSUPPORTED_PARAMETER"), answer.body
        return Walked("refused", field_of(answer.json), answer=answer)
    assert answer.status == 200, answer.body
    if stream:
        assert not answer.errors, answer.body
        assert answer.terminals >= 1, answer.body
    return Walked("done", said=read(answer), answer=answer)


def _next(wish: Wish, said: Said) -> Wish:
    """The turn after a tool call: what the model said, as the dialect gave it, and the result."""
    call = said.calls[0]
    turns = (*wish.turns, ("assistant", [("own", said.turn)]), ("user", [("result", call.id, call.name, "rain-in-the-square")]))
    return Wish(turns=turns, tools=wish.tools, think=wish.think)


def field_of(document: dict[str, Any]) -> str:
    """The field a refusal names, in whichever place the dialect has for it; its message must name it too."""
    error = document["error"]
    details = error.get("details")
    found = error.get("param") or ""
    if isinstance(details, dict):
        found = details["param"]
    for detail in details if isinstance(details, list) else ():
        for one in detail.get("fieldViolations") or ():
            found = one["field"]
    assert found in error["message"], document
    return str(found)


def pretty(sent: str) -> str:
    return json.dumps(json.loads(sent), indent=1)[:3000]
