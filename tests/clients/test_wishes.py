"""Hints and habits that programs send to every model: never refused, told where they are left out, done by the gateway where it can."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.gateway import GatewayServer
from tests.support.reading import read

TARGETS = {"chat": "chat/m", "anthropic": "anthropic/m", "gemini": "gemini/m", "responses": "responses/m"}
FUNCTION = {"type": "function", "name": "f", "parameters": {"type": "object", "properties": {}}}


def left_out(headers: Any) -> list[str]:
    return [name for name in headers.get("x-cogo-left-out", "").split(", ") if name]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("wire", ["anthropic", "gemini"])
@pytest.mark.parametrize(
    ("dialect", "more", "names"),
    [
        ("openai_responses", {"text": {"verbosity": "medium"}}, ["text.verbosity"]),
        ("openai_responses", {"truncation": "auto"}, ["truncation"]),
        ("openai_responses", {"context_management": [{"type": "compaction", "compact_threshold": 9000}]}, ["context_management"]),
        ("openai_responses", {"reasoning": {"mode": "pro"}}, ["reasoning.mode"]),
        ("openai_responses", {"reasoning": {"mode": "standard"}}, []),
        ("openai_responses", {"max_tool_calls": 3, "tools": [FUNCTION]}, []),
        ("openai_responses", {"truncation": "disabled", "background": False, "top_logprobs": 0, "metadata": {"a": "b"}}, []),
        ("openai_responses", {"presence_penalty": 0, "frequency_penalty": 0.0}, []),
        ("openai_chat", {"verbosity": "low"}, ["verbosity"]),
        ("openai_chat", {"prediction": {"type": "content", "content": "x"}}, ["prediction"]),
    ],
)
def test_a_hint_is_left_out_and_told(
    gateway: GatewayServer, dialect: str, wire: str, more: dict[str, Any], names: list[str], stream: bool
) -> None:
    answer = gateway.ask(dialect, TARGETS[wire], stream=stream, **more)
    assert answer.status == 200, answer.body
    assert left_out(answer.headers) == names


@pytest.mark.parametrize("more", [{"truncation": "auto"}, {"reasoning": {"mode": "standard"}}, {"max_tool_calls": 3}])
def test_neutral_values_reach_no_chat_host(gateway: GatewayServer, more: dict[str, Any]) -> None:
    mark = gateway.mark
    assert gateway.ask("openai_responses", "chat/m", **more).status == 200
    assert not set(more) & set(json.loads(gateway.received(mark)[0]["body"]))


def test_a_hint_that_a_format_knows_arrives(gateway: GatewayServer) -> None:
    mark = gateway.mark
    told = gateway.ask("openai_responses", "chat/m", text={"verbosity": "low"})
    back = gateway.ask("openai_chat", "responses/m", verbosity="low")
    assert (left_out(told.headers), left_out(back.headers)) == ([], [])
    one, two = (json.loads(entry["body"]) for entry in gateway.received(mark))
    assert (one["verbosity"], two["text"]["verbosity"]) == ("low", "low")
    strict = gateway.ask("openai_responses", "fireworks/m", text={"verbosity": "low"})
    assert left_out(strict.headers) == ["text.verbosity"]  # Fireworks refuses fields that it does not know


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("wire", "named"), [("anthropic", ["seed"]), ("responses", ["seed"]), ("gemini", []), ("chat", [])])
def test_a_seed_is_left_out_where_there_is_none(gateway: GatewayServer, wire: str, named: list[str], stream: bool) -> None:
    mark = gateway.mark
    answer = gateway.ask("openai_chat", TARGETS[wire], stream=stream, seed=7)
    assert answer.status == 200, answer.body
    assert left_out(answer.headers) == named
    assert ('"seed":7' in gateway.received(mark)[0]["body"].replace(": ", ":")) is not bool(named)


STOPS: dict[str, dict[str, Any]] = {
    "openai_chat": {"stop": ["STOP", "\n\n"]},
    "anthropic_messages": {"stop_sequences": ["STOP", "\n\n"]},
    "gemini_generate": {"generationConfig": {"stopSequences": ["STOP", "\n\n"]}},
}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("dialect", STOPS)
def test_the_gateway_cuts_for_providers_without_stop_sequences(gateway: GatewayServer, dialect: str, stream: bool) -> None:
    gateway.simulator.control("script", steps=[{"text": "one two STOP three four"}])
    mark = gateway.mark
    answer = gateway.ask(dialect, "responses/m", stream=stream, **STOPS[dialect])
    assert answer.status == 200, answer.body
    said = read(answer)
    assert (said.text, said.finish) == ("one two ", "stop")
    assert answer.headers["x-cogo-emulated"] == "stop"
    assert "stop" not in json.loads(gateway.received(mark)[0]["body"])
    row = gateway.row(answer)
    assert said.usage is None or said.usage[1] == row.output_tokens  # what was really generated
    assert (row.output_tokens or 0) > 2
    if dialect == "anthropic_messages" and not stream:
        assert (answer.json["stop_reason"], answer.json["stop_sequence"]) == ("stop_sequence", "STOP")


@pytest.mark.parametrize("stream", [False, True])
def test_the_gateway_cuts_for_models_without_stop_sequences_on_the_same_wire(gateway: GatewayServer, stream: bool) -> None:
    gateway.simulator.control("script", steps=[{"text": "one two STOP three"}, {"text": "one two STOP three"}])
    mark = gateway.mark
    answer = gateway.ask("openai_chat", "openai/gpt-6-luna", stream=stream, stop="STOP")
    assert answer.status == 200, answer.body
    assert (read(answer).text, answer.headers["x-cogo-emulated"]) == ("one two ", "stop")
    assert "stop" not in json.loads(gateway.received(mark)[0]["body"])
    plain = gateway.ask("openai_chat", "openai/gpt-6-luna", stream=stream)
    assert (read(plain).text, "x-cogo-emulated" in plain.headers) == ("one two STOP three", False)


def test_a_blank_sequence_is_cut_here_and_the_others_by_claude(gateway: GatewayServer) -> None:
    gateway.simulator.control("script", steps=[{"text": "one\n\ntwo"}])
    mark = gateway.mark
    answer = gateway.ask("openai_chat", "anthropic/m", stop=["\n\n", "END"])
    assert read(answer).text == "one"
    assert json.loads(gateway.received(mark)[0]["body"])["stop_sequences"] == ["END"]


@pytest.mark.parametrize("dialect", STOPS)
def test_what_waited_for_a_stop_is_told_when_the_stream_breaks(gateway: GatewayServer, dialect: str) -> None:
    """Half a stop sequence is text of the answer, and the end is an error and no stop."""
    answer = gateway.ask(dialect, "responses/fault:err@2", stream=True, **STOPS[dialect])
    assert len(answer.errors) == 1
    assert answer.terminals == 0
