"""Thinking belongs to its issuer: a session that goes from one provider to another and back, with signed thinking and tools."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import permutations

import pytest

from llm_gateway.engine.issuers import Issuers
from tests.square.speak import Wish, request
from tests.support.gateway import GatewayServer
from tests.support.reading import Said, read
from tests.support.signing import Signing, signing, token_of

DIALECTS = ("openai_chat", "openai_responses", "anthropic_messages", "gemini_generate")
# wire: (service, path, model)
WIRES = {
    "anthropic_messages": ("anthropic", "", "claude-haiku-4-5"),
    "openai_responses": ("openai", "/v1", "gpt-5.5"),
    "gemini_generate": ("gemini", "/v1beta", "gemini-3.8-flash"),
    "openai_chat": ("custom", "/v1", "reasoner"),
}
HOSTS = {f"{name}-{number}": wire for name, wire in zip(("claude", "gpt", "gem", "chat"), WIRES, strict=True) for number in (1, 2)}
PAIRS = [(one, two) for one, two in permutations(HOSTS, 2) if one.endswith("1") and (two.endswith("1") or HOSTS[one] == HOSTS[two])]
START = Wish(turns=(("user", [("text", "How is the weather?")]),), tools=("weather",), think=True)


@pytest.fixture(scope="module")
def hosts(gateway_server: GatewayServer) -> Iterator[Signing]:
    with signing() as state:
        state.hosts = HOSTS
        for name, wire in HOSTS.items():
            service, path, model = WIRES[wire]
            gateway_server.rows.provider(name, state.url(name) + path, service=service, wire=wire)
            gateway_server.rows.model(name, model, max_output_tokens=8000)
        gateway_server.refresh()
        yield state


def asked(gateway: GatewayServer, dialect: str, host: str, wish: Wish) -> Said:
    path, body = request(dialect, f"{host}/{WIRES[HOSTS[host]][2]}", wish, False)
    answer = gateway.client(dialect).send(path, body, False)
    assert answer.status == 200, answer.body
    return read(answer)


def then(wish: Wish, said: Said) -> Wish:
    call = said.calls[0]
    turns = (*wish.turns, ("assistant", [("own", said.turn)]), ("user", [("result", call.id, call.name, "sunny")]))
    return Wish(turns=turns, tools=wish.tools, think=wish.think)


def has_place(dialect: str, wire: str) -> bool:
    """Whether the dialect can carry the wire's tokens: chat completions know only the one on a call."""
    return wire != "openai_chat" and (dialect != "openai_chat" or wire == "gemini_generate")


def walks() -> Iterator[object]:
    """Every pair of providers in every dialect; every day each pair in one dialect, and two providers of one wire in their own."""
    for at, (first, second) in enumerate(PAIRS):
        for place, dialect in enumerate(DIALECTS):
            daily = place == at % len(DIALECTS) or dialect == HOSTS[first] == HOSTS[second]
            yield pytest.param(dialect, first, second, marks=() if daily else pytest.mark.slow)


@pytest.mark.parametrize(("dialect", "first", "second"), list(walks()))
def test_there_and_back(gateway: GatewayServer, hosts: Signing, dialect: str, first: str, second: str) -> None:
    hosts.bodies.clear()
    hosts.refused = 0
    number = hosts._number
    wish = then(START, asked(gateway, dialect, first, START))
    wish = then(wish, asked(gateway, dialect, second, wish))
    asked(gateway, dialect, first, wish)
    assert [name for name, _ in hosts.bodies] == [first, second, first]
    assert hosts.refused == 0
    own, other = token_of(first, number + 1), token_of(second, number + 2)
    assert own not in hosts.bodies[1][1]
    assert (own in hosts.bodies[2][1]) is has_place(dialect, HOSTS[first])
    assert other not in hosts.bodies[2][1]
    assert "cogo:" not in hosts.bodies[2][1]


@pytest.mark.parametrize(("wire", "first", "second"), [(HOSTS[one], one, two) for one, two in PAIRS if HOSTS[one] == HOSTS[two]])
def test_a_refusal_of_thinking_is_answered_by_one_more_try_without_it(
    gateway: GatewayServer, hosts: Signing, wire: str, first: str, second: str
) -> None:
    if wire == "openai_chat":
        return
    wish = then(START, asked(gateway, wire, first, START))
    gateway.gateway.pipeline.track.issuers = Issuers()  # as after a restart
    hosts.bodies.clear()
    hosts.refused = 0
    asked(gateway, wire, second, wish)
    assert hosts.refused == 1
    assert [name for name, _ in hosts.bodies] == [second, second]
    assert gateway.last_row().attempt_count == 2
