"""Requests to chat completions in forms of other times and other formats: functions before tools, bodies of the Responses format."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.gateway import GatewayServer
from tests.support.speaking import Answer

SCHEMA = {"type": "object", "properties": {"path": {"type": "string"}}, "required": ["path"]}
FUNCTION = {"name": "Read", "description": "Reads.", "parameters": SCHEMA}
FLAT = {"type": "function", **FUNCTION, "strict": False}
MODELS = ("chat/m", "responses/m", "claude/m", "gem/m")


def ask(gateway: GatewayServer, stream: bool = False, **body: Any) -> Answer:
    return gateway.client("openai_chat").send("/v1/chat/completions", body | {"stream": stream}, stream)


def message_of(answer: Answer) -> tuple[dict[str, Any], str | None]:
    """The message and its finish reason, of a whole answer or added up from a stream."""
    if not answer.stream:
        choice = answer.json["choices"][0]
        return choice["message"], choice["finish_reason"]
    message: dict[str, Any] = {}
    finish = None
    for _, chunk in answer.events:
        for choice in chunk["choices"] if isinstance(chunk, dict) else ():
            finish = choice["finish_reason"] or finish
            called = choice["delta"].get("function_call")
            if called:
                known = message.setdefault("function_call", {"name": "", "arguments": ""})
                known["name"] += called.get("name", "")
                known["arguments"] += called.get("arguments", "")
            assert "tool_calls" not in choice["delta"]
    return message, finish


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("model", MODELS[1:])
def test_functions_are_tools_for_every_other_wire_and_answered_as_functions(gateway: GatewayServer, model: str, stream: bool) -> None:
    asked = {"role": "user", "content": "Please call Read."}
    first = ask(gateway, stream, model=model, messages=[asked], functions=[FUNCTION], function_call="auto")
    assert first.status == 200, first.body
    message, finish = message_of(first)
    assert finish == "function_call"
    assert message["function_call"]["name"] == "Read"
    assert isinstance(json.loads(message["function_call"]["arguments"]), dict)
    history = [
        asked,
        {"role": "assistant", "content": None, "function_call": message["function_call"]},
        {"role": "function", "name": "Read", "content": "the text"},
    ]
    second = ask(gateway, stream, model=model, messages=history, functions=[FUNCTION])
    assert second.status == 200, second.body
    assert "the text" in second.text


def test_a_named_function_is_a_named_tool_and_strictness_stays(gateway: GatewayServer) -> None:
    mark = gateway.mark
    strict = FUNCTION | {"strict": True, "parameters": SCHEMA | {"additionalProperties": False}}
    answer = ask(
        gateway, model="responses/m", messages=[{"role": "user", "content": "x"}], functions=[strict], function_call={"name": "Read"}
    )
    assert answer.status == 200, answer.body
    sent = json.loads(gateway.received(mark)[0]["body"])
    assert sent["tools"][0]["strict"] is True
    assert sent["tool_choice"] == {"type": "function", "name": "Read"}
    wrong = ask(gateway, model="responses/m", messages=[{"role": "user", "content": "x"}], functions=[FUNCTION], function_call=5)
    assert wrong.status == 400


def test_functions_pass_untouched_on_their_own_wire(gateway: GatewayServer) -> None:
    mark = gateway.mark
    assert (
        ask(gateway, model="chat/m", messages=[{"role": "user", "content": "x"}], functions=[FUNCTION], function_call="none").status == 200
    )
    sent = json.loads(gateway.received(mark)[0]["body"])
    assert (sent["functions"], sent["function_call"]) == ([FUNCTION], "none")
    assert "tools" not in sent


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("form", ["input", "messages"])
def test_bodies_and_tools_of_the_responses_format_are_taken_here(gateway: GatewayServer, model: str, stream: bool, form: str) -> None:
    mark = gateway.mark
    said: dict[str, Any] = (
        {
            "input": [
                {"role": "system", "content": "Be brief."},
                {"role": "user", "content": [{"type": "input_text", "text": "Please call Read."}]},
            ]
        }
        if form == "input"
        else {"messages": [{"role": "user", "content": [{"type": "input_text", "text": "Please call Read."}]}]}
    )
    answer = ask(gateway, stream, model=model, tools=[FLAT], stream_options={"include_usage": True} if stream else None, **said)
    assert answer.status == 200, answer.body
    if stream:
        chunks = [chunk for _, chunk in answer.events if isinstance(chunk, dict)]
        assert all(chunk["object"] == "chat.completion.chunk" for chunk in chunks)
        assert [chunk["usage"] for chunk in chunks if chunk.get("usage")]
        assert any("tool_calls" in choice["delta"] for chunk in chunks for choice in chunk["choices"])
        assert answer.terminals == 1
    else:
        choice = answer.json["choices"][0]
        assert choice["finish_reason"] == "tool_calls"
        assert choice["message"]["tool_calls"][0]["function"]["name"] == "Read"
    if model == "chat/m":
        sent = json.loads(gateway.received(mark)[0]["body"])
        assert sent["tools"][0]["function"]["name"] == "Read"
        assert "input" not in sent
        assert sent["messages"][-1]["content"] == "Please call Read."


def test_a_flat_tool_choice_names_the_tool(gateway: GatewayServer) -> None:
    mark = gateway.mark
    body = {"messages": [{"role": "user", "content": "x"}], "tools": [FLAT], "tool_choice": {"type": "function", "name": "Read"}}
    assert ask(gateway, model="chat/m", **body).status == 200
    assert json.loads(gateway.received(mark)[0]["body"])["tool_choice"] == {"type": "function", "function": {"name": "Read"}}
