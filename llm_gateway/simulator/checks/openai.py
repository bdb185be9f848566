"""What OpenAI refuses: foreign fields, broken tool turns, strict schemas that are not strict."""

from __future__ import annotations

import re
from typing import Any

from llm_gateway.simulator.checks.foreign import foreign, path_to
from llm_gateway.simulator.checks.limits import openai_body, openai_parameters, too_long
from llm_gateway.simulator.reply import Problem
from llm_gateway.simulator.wires.common import obj, objs

_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_ROLES = ("system", "assistant", "user", "function", "tool", "developer")
_TURN = "Invalid parameter: messages with role 'tool' must be a response to a preceeding message with 'tool_calls'."


def check_chat(body: dict[str, Any]) -> None:
    """Raises Problem as chat completions would."""
    _check_fields("chat", body)
    openai_body(body)
    waiting: list[str] = []
    for at, message in enumerate(objs(body.get("messages"))):
        role = message.get("role")
        if role not in _ROLES:
            text = f"Invalid value: '{role}'. Supported values are: 'system', 'assistant', 'user', 'function', 'tool', and 'developer'."
            raise Problem("bad_request", text, f"messages[{at}].role", "invalid_value")
        if role == "tool":
            if message.get("tool_call_id") not in waiting:
                raise Problem("bad_request", _TURN, f"messages.[{at}].role")
            waiting.remove(message["tool_call_id"])
            continue
        _all_answered(waiting, at)
        waiting = [str(call.get("id")) for call in objs(message.get("tool_calls"))]
        for place, name in enumerate(waiting):
            too_long(name, 40, f"messages[{at}].tool_calls[{place}].id")
    _all_answered(waiting, len(body.get("messages") or ()))
    for at, tool in enumerate(objs(body.get("tools"))):
        _check_tool(obj(tool.get("function")), f"tools[{at}].function")
    shape = obj(obj(body.get("response_format")).get("json_schema"))
    if shape.get("strict"):
        _strict(shape.get("schema"), _about(shape), "response_format", "invalid_json_schema")


def check_responses(body: dict[str, Any]) -> None:
    """Raises Problem as the responses endpoint would."""
    _check_fields("responses", body)
    openai_body(body)
    items = objs(body.get("input"))
    called = {str(item.get("call_id")) for item in items if str(item.get("type")).endswith("_call")}
    ours = {str(item.get("call_id")) for item in items if item.get("type") in ("function_call", "custom_tool_call")}
    answered = {str(item.get("call_id")) for item in items if str(item.get("type")).endswith("_call_output")}
    if not body.get("previous_response_id") and not body.get("conversation"):
        for missing in sorted(answered - called):
            raise Problem("bad_request", f"No tool call found for function call output with call_id {missing}.", "input")
    for name in sorted(called | answered):
        too_long(name, 64, "input[0].call_id")
    for missing in sorted(ours - answered):
        raise Problem("bad_request", f"No tool output found for function call {missing}.", "input")
    for at, item in enumerate(items):
        alone = at + 1 == len(items) or items[at + 1].get("role") not in (None, "assistant")
        if item.get("type") == "reasoning" and item.get("id") and alone:
            text = f"Item '{item['id']}' of type 'reasoning' was provided without its required following item."
            raise Problem("bad_request", text, "input")
    for at, tool in enumerate(objs(body.get("tools"))):
        if tool.get("type") == "function":
            _check_tool(tool, f"tools[{at}]")
    shape = obj(obj(body.get("text")).get("format"))
    if shape.get("type") == "json_schema" and shape.get("strict"):
        _strict(shape.get("schema"), _about(shape), "text.format.schema", "invalid_json_schema")


def _about(shape: dict[str, Any]) -> str:
    return f"Invalid schema for response_format '{shape.get('name')}': "


def _check_fields(wire: str, body: dict[str, Any]) -> None:
    name = foreign(wire, body)
    for field in ("messages", "input", "tools"):
        name = name or path_to(body.get(field), "cache_control", field)
    if name:
        raise Problem("bad_request", f"Unknown parameter: '{name}'.", name, "unknown_parameter")


def _all_answered(waiting: list[str], at: int) -> None:
    if waiting:
        text = (
            "An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'. The "
            f"following tool_call_ids did not have response messages: {', '.join(waiting)}"
        )
        raise Problem("bad_request", text, f"messages.[{at}].role")


def _check_tool(tool: dict[str, Any], where: str) -> None:
    name = str(tool.get("name", ""))
    if tool and not _NAME.fullmatch(name):
        text = f"Invalid '{where}.name': string does not match pattern. Expected a string that matches the pattern '^[a-zA-Z0-9_-]+$'."
        raise Problem("bad_request", text, f"{where}.name", "invalid_value")
    if tool:
        openai_parameters(tool.get("parameters"), name, f"{where}.parameters")
    if tool.get("strict"):
        _strict(tool.get("parameters"), f"Invalid schema for function '{name}': ", f"{where}.parameters", "invalid_function_parameters")


def _strict(schema: Any, prefix: str, param: str, code: str, context: tuple[str, ...] = ()) -> None:
    """Strict mode wants every object closed and every property required."""
    if not isinstance(schema, dict):
        return
    properties = obj(schema.get("properties"))
    if properties or schema.get("type") == "object":
        if schema.get("additionalProperties") is not False:
            text = f"{prefix}In context={context}, 'additionalProperties' is required to be supplied and to be false."
            raise Problem("bad_request", text, param, code)
        missing = next((name for name in properties if name not in (schema.get("required") or ())), None)
        if missing:
            text = (
                f"{prefix}In context={context}, 'required' is required to be supplied and to be an array including every key in "
                f"properties. Missing '{missing}'."
            )
            raise Problem("bad_request", text, param, code)
    for name, part in properties.items():
        _strict(part, prefix, param, code, (*context, "properties", name))
    _strict(schema.get("items"), prefix, param, code, (*context, "items"))
    for group in ("anyOf", "$defs", "definitions"):
        inner = schema.get(group)
        named = {str(at): part for at, part in enumerate(inner)} if isinstance(inner, list) else obj(inner)
        for name, part in named.items():
            _strict(part, prefix, param, code, (*context, group, name))
