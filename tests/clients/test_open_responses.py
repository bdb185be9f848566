"""What the Open Responses specification asks of every response object and event, over each provider's wire.

The requirements are those of its schema and compliance suite (https://github.com/openresponses/openresponses), written down anew: a field
that may be null has to be there all the same.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.gateway import GatewayServer
from tests.support.speaking import Answer

WIRES = ("chat", "anthropic", "gemini", "responses")
NUMBER = (int, float)
# field: types it may have; None stands for null.
RESPONSE: dict[str, tuple[Any, ...]] = {
    "id": (str,), "object": (str,), "created_at": (int,), "completed_at": (int, None), "status": (str,), "incomplete_details": (dict, None),
    "model": (str,), "previous_response_id": (str, None), "instructions": (str, None), "output": (list,), "error": (dict, None),
    "tools": (list,), "tool_choice": (str, dict), "truncation": (str,), "parallel_tool_calls": (bool,), "text": (dict,), "top_p": NUMBER,
    "presence_penalty": NUMBER, "frequency_penalty": NUMBER, "top_logprobs": (int,), "temperature": NUMBER, "reasoning": (dict, None),
    "usage": (dict, None), "max_output_tokens": (int, None), "max_tool_calls": (int, None), "store": (bool,), "background": (bool,),
    "service_tier": (str,), "metadata": (dict,), "safety_identifier": (str, None), "prompt_cache_key": (str, None), "user": (str, None),
}  # fmt: skip
ITEMS: dict[str, dict[str, tuple[Any, ...]]] = {
    "message": {"id": (str,), "status": (str,), "role": (str,), "content": (list,)},
    "function_call": {"id": (str,), "call_id": (str,), "name": (str,), "arguments": (str,), "status": (str,)},
    "reasoning": {"id": (str,), "summary": (list,)},
    "compaction": {"id": (str,), "encrypted_content": (str,)},
}
PARTS: dict[str, dict[str, tuple[Any, ...]]] = {
    "output_text": {"text": (str,), "annotations": (list,)},
    "refusal": {"refusal": (str,)},
    "summary_text": {"text": (str,)},
    "reasoning_text": {"text": (str,)},
}
FUNCTION: dict[str, tuple[Any, ...]] = {
    "name": (str,), "description": (str, None), "parameters": (dict, None), "strict": (bool, None),
}  # fmt: skip
AT_ITEM: dict[str, tuple[Any, ...]] = {"item_id": (str,), "output_index": (int,)}
AT_PART = {**AT_ITEM, "content_index": (int,)}
AT_SUMMARY = {**AT_ITEM, "summary_index": (int,)}
EVENTS: dict[str, dict[str, tuple[Any, ...]]] = {
    **{f"response.{state}": {"response": (dict,)} for state in ("created", "in_progress", "completed", "incomplete", "failed")},
    "response.output_item.added": {"output_index": (int,), "item": (dict,)},
    "response.output_item.done": {"output_index": (int,), "item": (dict,)},
    "response.content_part.added": {**AT_PART, "part": (dict,)},
    "response.content_part.done": {**AT_PART, "part": (dict,)},
    "response.output_text.delta": {**AT_PART, "delta": (str,)},
    "response.output_text.done": {**AT_PART, "text": (str,)},
    "response.refusal.delta": {**AT_PART, "delta": (str,)},
    "response.refusal.done": {**AT_PART, "refusal": (str,)},
    "response.reasoning_summary_part.added": {**AT_SUMMARY, "part": (dict,)},
    "response.reasoning_summary_part.done": {**AT_SUMMARY, "part": (dict,)},
    "response.reasoning_summary_text.delta": {**AT_SUMMARY, "delta": (str,)},
    "response.reasoning_summary_text.done": {**AT_SUMMARY, "text": (str,)},
    "response.function_call_arguments.delta": {**AT_ITEM, "delta": (str,)},
    "response.function_call_arguments.done": {**AT_ITEM, "arguments": (str,)},
}


def missing(value: dict[str, Any], fields: dict[str, tuple[Any, ...]], where: str) -> list[str]:
    found = []
    for name, types in fields.items():
        if name not in value:
            found.append(f"{where}.{name} is missing")
        elif not _is(value[name], types):
            found.append(f"{where}.{name} is {value[name]!r}")
    return found


def _is(value: Any, types: tuple[Any, ...]) -> bool:
    if value is None:
        return None in types
    if isinstance(value, bool):
        return bool in types
    return isinstance(value, tuple(kind for kind in types if kind is not None))


def faults_of(response: dict[str, Any], where: str = "response") -> list[str]:
    found = missing(response, RESPONSE, where)
    if found:
        return found
    for position, item in enumerate(response["output"]):
        found += faults_of_item(item, f"{where}.output[{position}]")
    for position, tool in enumerate(response["tools"]):
        found += missing(tool, FUNCTION, f"{where}.tools[{position}]") if tool["type"] == "function" else []
    found += missing(response["text"], {"format": (dict,)}, f"{where}.text")
    if response["reasoning"] is not None:
        found += missing(response["reasoning"], {"effort": (str, None), "summary": (str, None)}, f"{where}.reasoning")
    if response["usage"] is not None:
        found += missing(response["usage"], dict.fromkeys(("input_tokens", "output_tokens", "total_tokens"), (int,)), f"{where}.usage")
        found += missing(response["usage"]["input_tokens_details"], {"cached_tokens": (int,)}, where)
        found += missing(response["usage"]["output_tokens_details"], {"reasoning_tokens": (int,)}, where)
    if response["status"] == "completed" and response["completed_at"] is None:
        found.append(f"{where} is complete and does not say since when")
    return found


def faults_of_item(item: dict[str, Any], where: str) -> list[str]:
    found = missing(item, ITEMS.get(item["type"], {}), where)
    for part in (*item.get("content", ()), *item.get("summary", ())):
        found += missing(part, PARTS.get(part["type"], {}), f"{where}.{part['type']}")
    return found


def faults_of_stream(answer: Answer) -> list[str]:
    found = []
    for number, (name, event) in enumerate(answer.events):
        if name not in EVENTS:
            found.append(f"{name} is no event of the specification")
            continue
        found += missing(event, {"type": (str,), "sequence_number": (int,), **EVENTS[name]}, name)
        if event["type"] != name or event["sequence_number"] != number:
            found.append(f"{name} has number {event['sequence_number']} and not {number}")
        if "response" in EVENTS[name]:
            found += faults_of(event["response"], name)
        if "item" in EVENTS[name]:
            found += faults_of_item(event["item"], name)
        if "part" in EVENTS[name]:
            found += missing(event["part"], PARTS.get(event["part"]["type"], {}), name)
    return found


def ask(gateway: GatewayServer, wire: str, stream: bool, model: str = "m", **more: Any) -> dict[str, Any]:
    """The response object, after the schema was held against all that came."""
    body = {"model": f"{wire}/{model}", "stream": stream, **more}
    answer = gateway.client("openai_responses").send("/v1/responses", body, stream)
    assert answer.status == 200, answer.body
    if not stream:
        assert faults_of(answer.json) == []
        return dict(answer.json)
    assert faults_of_stream(answer) == []
    names = [name for name, _ in answer.events]
    assert names[:2] == ["response.created", "response.in_progress"]
    return dict(answer.events[-1][1]["response"])


def said(*texts: tuple[str, str]) -> list[dict[str, str]]:
    return [{"type": "message", "role": role, "content": text} for role, text in texts]


WEATHER = {
    "type": "function",
    "name": "get_weather",
    "description": "Get the weather.",
    "parameters": {"type": "object", "properties": {"location": {"type": "string"}}, "required": ["location"]},
}
PICTURE = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
SEEN = [{"type": "input_text", "text": "What is this?"}, {"type": "input_image", "image_url": PICTURE}]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("wire", WIRES)
def test_a_plain_answer_is_complete(gateway: GatewayServer, wire: str, stream: bool) -> None:
    found = ask(gateway, wire, stream, input=said(("user", "Say hello in exactly 3 words.")))
    assert found["status"] == "completed"
    assert found["output"]
    assert (found["temperature"], found["top_p"], found["truncation"]) == (1.0, 1.0, "disabled")
    assert found["completed_at"] >= found["created_at"] > 1_600_000_000


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize(
    "words",
    [
        said(("system", "You are a pirate."), ("user", "Say hello.")),
        said(("user", "My name is Alice."), ("assistant", "Hello Alice!"), ("user", "What is my name?")),
        [
            {
                "type": "message",
                "role": "user",
                "content": [{"type": "input_text", "text": "a"}, {"type": "input_image", "image_url": PICTURE}],
            }
        ],
        [{**said(("assistant", "Wait."))[0], "phase": "commentary"}, *said(("user", "Well?"))],
    ],
    ids=["system", "turns", "picture", "phase"],
)
def test_any_history_is_answered(gateway: GatewayServer, wire: str, words: list[Any]) -> None:
    found = ask(gateway, wire, False, input=words)
    assert found["status"] == "completed"
    assert found["output"][0]["type"] == "message"


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("wire", WIRES)
def test_a_call_is_told_in_every_event(gateway: GatewayServer, wire: str, stream: bool) -> None:
    gateway.simulator.control("script", steps=[{"tool": "get_weather", "arguments": {"location": "San Francisco"}}])
    found = ask(gateway, wire, stream, input=said(("user", "Weather in San Francisco?")), tools=[WEATHER])
    assert [item["type"] for item in found["output"]][-1] == "function_call"
    (tool,) = found["tools"]
    assert (tool["name"], tool["description"], tool["parameters"]) == ("get_weather", "Get the weather.", WEATHER["parameters"])


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("wire", WIRES)
def test_what_was_asked_is_repeated(gateway: GatewayServer, wire: str, stream: bool) -> None:
    asked: dict[str, Any] = {
        "temperature": 0.5, "top_p": 0.75, "max_output_tokens": 50, "metadata": {"ticket": "7"}, "instructions": "Be brief.",
        "parallel_tool_calls": False, "tools": [{**WEATHER, "strict": False}], "tool_choice": {"type": "function", "name": "get_weather"},
        "user": "u-1", "prompt_cache_key": "k-1", "safety_identifier": "s-1", "store": False, "service_tier": "default",
        "text": {"format": {"type": "text"}}, "truncation": "auto", "max_tool_calls": 4,
    }  # fmt: skip
    if wire == "anthropic":
        del asked["top_p"]  # Claude takes one of the two
    found = ask(gateway, wire, stream, model="claude-3-haiku-20240307" if wire == "anthropic" else "m", input="hello", **asked)
    assert {name: found[name] for name in asked} == asked


@pytest.mark.parametrize("wire", [wire for wire in WIRES if wire != "responses"])
def test_a_schema_an_effort_and_the_turn_before_are_repeated(gateway: GatewayServer, wire: str) -> None:
    schema = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"], "additionalProperties": False}
    shape = {"type": "json_schema", "name": "x", "schema": schema, "strict": True}
    first = ask(gateway, wire, False, input="hello")
    found = ask(
        gateway, wire, False, input="hello", text={"format": shape, "verbosity": "low"}, reasoning={"effort": "low"}, tool_choice="none",
        tools=[WEATHER], previous_response_id=first["id"],
    )  # fmt: skip
    assert found["text"] == {"format": {"description": None, **shape}, "verbosity": "low"}
    assert (found["reasoning"]["effort"], found["tool_choice"], found["previous_response_id"]) == ("low", "none", first["id"])
    assert found["store"] is True


@pytest.mark.parametrize("wire", WIRES)
def test_an_answer_that_is_too_long_says_so(gateway: GatewayServer, wire: str) -> None:
    gateway.simulator.control("script", steps=[{"text": "word " * 400}])
    found = ask(gateway, wire, False, input="hello", max_output_tokens=16)
    assert (found["status"], found["incomplete_details"], found["completed_at"]) == ("incomplete", {"reason": "max_output_tokens"}, None)


@pytest.mark.parametrize("wire", [wire for wire in WIRES if wire != "responses"])
def test_a_failed_stream_ends_with_a_whole_object(gateway: GatewayServer, wire: str) -> None:
    answer = gateway.ask("openai_responses", f"{wire}/fault:err@2", stream=True)
    name, event = answer.events[-1]
    assert name == "response.failed"
    assert faults_of(event["response"]) == []
    assert event["response"]["error"]["code"]
