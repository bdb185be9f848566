"""What the simulated model says."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest

from llm_gateway.simulator import Simulator, tokens
from tests.simulator.wire import WIRES, Seen, ask, everywhere, post, text_of

SCHEMA = {"type": "object", "properties": {"path": {"type": "string"}, "line": {"type": "integer"}}, "required": ["path"]}


def offered(wire: str, *names: str) -> dict[str, Any]:
    """Tools of these names, as ``wire`` writes them."""
    if wire == "anthropic":
        return {"tools": [{"name": name, "input_schema": SCHEMA} for name in names]}
    if wire == "gemini":
        return {"tools": [{"functionDeclarations": [{"name": name, "parametersJsonSchema": SCHEMA} for name in names]}]}
    if wire == "responses":
        return {"tools": [{"type": "function", "name": name, "parameters": SCHEMA} for name in names]}
    return {"tools": [{"type": "function", "function": {"name": name, "parameters": SCHEMA}} for name in names]}


def calls(wire: str, seen: Seen) -> list[tuple[str, dict[str, Any]]]:
    """Name and arguments of each tool call of an unstreamed answer."""
    body = seen.json()
    if wire == "anthropic":
        return [(block["name"], block["input"]) for block in body["content"] if block["type"] == "tool_use"]
    if wire == "gemini":
        parts = body["candidates"][0]["content"].get("parts", [])
        return [(part["functionCall"]["name"], part["functionCall"]["args"]) for part in parts if "functionCall" in part]
    if wire == "responses":
        return [(item["name"], json.loads(item["arguments"])) for item in body["output"] if item["type"] == "function_call"]
    made = body["choices"][0]["message"].get("tool_calls", [])
    return [(call["function"]["name"], json.loads(call["function"]["arguments"])) for call in made]


def forced(wire: str, name: str | None) -> dict[str, Any]:
    """A choice that requires any tool, or the named one."""
    if wire == "anthropic":
        return {"tool_choice": {"type": "tool", "name": name} if name else {"type": "any"}}
    if wire == "gemini":
        config = {"mode": "ANY", **({"allowedFunctionNames": [name]} if name else {})}
        return {"toolConfig": {"functionCallingConfig": config}}
    if name is None:
        return {"tool_choice": "required"}
    flat = {"type": "function", "name": name}
    return {"tool_choice": flat if wire == "responses" else {"type": "function", "function": {"name": name}}}


@pytest.mark.parametrize(
    ("prompt", "fence"),
    [
        ("write a python class for orders", "```python"),
        ("create a React component", "```typescript"),
        ("a golang http handler", "```go"),
        ("write a SQL report", "```sql"),
        ("implement an algorithm", "```python"),
        ("a bash script", "```bash"),
    ],
)
async def test_code_is_written_in_the_language_asked_for(sim: Simulator, prompt: str, fence: str) -> None:
    assert fence in text_of("openai", await ask(sim, "openai", "gpt-4o", prompt))


async def test_the_same_prompt_and_seed_give_the_same_answer_everywhere(sim: Simulator) -> None:
    async with Simulator(latency_ms=0, chunk_ms=0, seed=1) as twin, Simulator(latency_ms=0, chunk_ms=0, seed=9) as other:
        first = [text_of(wire, seen) for wire, _, seen in await everywhere(sim, "sim-model", "tell me about caches")]
        second = [text_of(wire, seen) for wire, _, seen in await everywhere(twin, "sim-model", "tell me about caches")]
        third = [text_of(wire, seen) for wire, _, seen in await everywhere(other, "sim-model", "tell me about caches")]
    assert first == second
    assert len(set(first)) == 1
    assert set(third) != set(first)


@pytest.mark.parametrize("wire", WIRES)
async def test_tools_are_called_when_required_named_or_asked_for(sim: Simulator, wire: str) -> None:
    tools = offered(wire, "read_file", "list_dir")
    assert calls(wire, await ask(sim, wire, "sim-model", "hello", **tools)) == []
    required = calls(wire, await ask(sim, wire, "sim-model", "hello", **tools, **forced(wire, None)))
    assert [name for name, _ in required] == ["read_file"]
    jsonschema.validate(required[0][1], SCHEMA)
    named = calls(wire, await ask(sim, wire, "sim-model", "hello", **tools, **forced(wire, "list_dir")))
    assert [name for name, _ in named] == ["list_dir"]
    mentioned = calls(wire, await ask(sim, wire, "sim-model", "please list_dir here", **tools))
    assert [name for name, _ in mentioned] == ["list_dir"]
    asked = calls(wire, await ask(sim, wire, "sim-model", "use the tool", **tools))
    assert [name for name, _ in asked] == ["read_file"]
    both = calls(wire, await ask(sim, wire, "sim-model", "use the tools in parallel, call both", **tools))
    assert [name for name, _ in both] == ["read_file", "list_dir"]


@pytest.mark.parametrize("wire", WIRES)
async def test_a_limit_counts_the_same_in_every_wire(sim: Simulator, wire: str) -> None:
    limit: dict[str, Any] = {"max_tokens": 20}
    if wire == "gemini":
        limit = {"generationConfig": {"maxOutputTokens": 20}}
    if wire == "responses":
        limit = {"max_output_tokens": 20}
    seen = await ask(sim, wire, "sim-model", "write 200 words", **limit)
    assert tokens.count(text_of(wire, seen)) == 20


@pytest.mark.parametrize("wire", ["openai", "responses", "gemini", "fireworks", "custom"])
async def test_json_is_produced_for_each_wires_schema_field(sim: Simulator, wire: str) -> None:
    schema = {"type": "object", "properties": {"ok": {"const": True}, "n": {"type": "integer", "minimum": 5}}, "required": ["ok", "n"]}
    chat = {"response_format": {"type": "json_schema", "json_schema": {"name": "r", "schema": schema}}}
    field: dict[str, Any] = {
        "responses": {"text": {"format": {"type": "json_schema", "name": "r", "schema": schema}}},
        "gemini": {"generationConfig": {"responseMimeType": "application/json", "responseJsonSchema": schema}},
    }.get(wire, chat)
    jsonschema.validate(json.loads(text_of(wire, await ask(sim, wire, "sim-model", "analyse", **field))), schema)


async def test_anthropic_answers_its_output_format(sim: Simulator) -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"], "additionalProperties": False}
    seen = await ask(sim, "anthropic", "sim-model", "analyse", output_config={"format": {"type": "json_schema", "schema": schema}})
    jsonschema.validate(json.loads(text_of("anthropic", seen)), schema)


async def test_a_schema_quoted_in_the_prompt_is_followed(sim: Simulator) -> None:
    schema = {"type": "object", "properties": {"verdict": {"enum": ["good", "bad"]}}, "required": ["verdict"]}
    seen = await ask(sim, "anthropic", "sim-model", f"Answer in JSON after this schema: {json.dumps(schema)} and no prose.")
    jsonschema.validate(json.loads(text_of("anthropic", seen)), schema)


async def test_prose_has_the_length_asked_for(sim: Simulator) -> None:
    assert len(text_of("openai", await ask(sim, "openai", "gpt-4o", "write 120 words on queues")).split()) == 120


async def test_a_script_answers_step_by_step_on_any_wire(sim: Simulator) -> None:
    steps = [
        {"tool": "read_file", "arguments": {"path": "a.py"}},
        {"tools": [{"tool": "read_file", "arguments": {}}, {"tool": "list_dir", "arguments": {"path": "."}}]},
        {"text": "All done.", "thinking": "nothing left"},
    ]
    await post(sim, "/_sim/script", {"steps": steps})
    assert calls("anthropic", await ask(sim, "anthropic", "sim-model")) == [("read_file", {"path": "a.py"})]
    assert [name for name, _ in calls("responses", await ask(sim, "responses", "sim-model"))] == ["read_file", "list_dir"]
    assert text_of("gemini", await ask(sim, "gemini", "sim-model", stream=True)) == "All done."
    assert text_of("openai", await ask(sim, "openai", "sim-model")) != "All done."


async def test_a_script_can_be_kept_for_calls_that_offer_tools(sim: Simulator) -> None:
    await post(sim, "/_sim/script", {"steps": [{"text": "first"}], "only_with_tools": True})
    assert text_of("openai", await ask(sim, "openai", "sim-model")) != "first"
    assert text_of("openai", await ask(sim, "openai", "sim-model", **offered("openai", "read_file"))) == "first"


async def test_a_script_step_can_be_a_fault(sim: Simulator) -> None:
    await post(sim, "/_sim/script", {"steps": [{"fault": "status:500"}, {"text": "better"}]})
    assert (await ask(sim, "openai", "sim-model")).status == 500
    assert text_of("openai", await ask(sim, "openai", "sim-model")) == "better"


async def test_freeform_tools_come_back_as_text(sim: Simulator) -> None:
    custom = {"tools": [{"type": "custom", "name": "apply_patch"}], "tool_choice": "required"}
    seen = await ask(sim, "responses", "sim-model", **custom)
    item = seen.json()["output"][-1]
    assert (item["type"], item["name"]) == ("custom_tool_call", "apply_patch")
    streamed = await ask(sim, "responses", "sim-model", stream=True, **custom)
    assert "response.custom_tool_call_input.done" in [event["type"] for event in streamed.events()]
    await post(sim, "/_sim/script", {"steps": [{"tool": "apply_patch", "input": "*** Begin Patch"}]})
    assert (await ask(sim, "responses", "sim-model", **custom)).json()["output"][-1]["input"] == "*** Begin Patch"


async def test_tokens_are_a_quarter_of_the_characters() -> None:
    assert [tokens.count(text) for text in ("", "a", "abcd", "abcde")] == [0, 1, 1, 2]
