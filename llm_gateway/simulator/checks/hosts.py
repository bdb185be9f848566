"""What single chat hosts refuse, chosen by a model name that contains ``host:<name>``. Each rule is one that a real host has.

The words are those the hosts were reported to answer with, so that a reader of errors meets them, too.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from llm_gateway.simulator.reply import Problem
from llm_gateway.simulator.wires.common import obj, objs

MARK = "host:"
_THINKERS = ("deepseek", "kimi")


def _string_results(messages: list[dict[str, Any]]) -> None:
    for at, message in enumerate(messages):
        if message.get("role") == "tool" and not isinstance(message.get("content"), str):
            text = f"Failed to deserialize the JSON body into the target type: messages[{at}]: invalid type: sequence, expected a string"
            raise Problem("bad_request", text, f"messages[{at}].content", "invalid_request_error", status=422)


def _one_system(messages: list[dict[str, Any]]) -> None:
    for message in messages[1:]:
        if message.get("role") in ("system", "developer"):
            raise Problem("rule", "System message must be at the beginning.", status=400)


def _thoughts(messages: list[dict[str, Any]]) -> None:
    for at, message in enumerate(messages):
        if message.get("tool_calls") and not message.get("reasoning_content"):
            text = "The `reasoning_content` in the thinking mode must be passed back to the API."
            raise Problem("rule", text, f"messages[{at}]", "invalid_request_error", status=400)


def _no_thoughts(messages: list[dict[str, Any]]) -> None:
    for at, message in enumerate(messages):
        for name in ("reasoning_content", "reasoning"):
            if name in message:
                raise Problem("rule", f"property '{name}' is unsupported", f"messages[{at}].{name}", status=400)


def _tools_first(messages: list[dict[str, Any]]) -> None:
    waiting: list[str] = []
    for message in messages:
        if message.get("role") == "tool":
            if message.get("tool_call_id") not in waiting:
                raise Problem("rule", "Messages with role 'tool' must be a response to a preceding message with 'tool_calls'", status=400)
            waiting.remove(str(message["tool_call_id"]))
            continue
        if waiting:
            break
        waiting = [str(call.get("id")) for call in objs(message.get("tool_calls"))]
    if waiting:
        text = (
            "An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'. "
            "(insufficient tool messages following tool_calls message)"
        )
        raise Problem("rule", text, status=400)


def _whole_arguments(status: int) -> Callable[[list[dict[str, Any]]], None]:
    def check(messages: list[dict[str, Any]]) -> None:
        for message in messages:
            for call in objs(message.get("tool_calls")):
                try:
                    found = json.loads(str(obj(call.get("function")).get("arguments")))
                except ValueError as error:
                    raise Problem("rule", f"Unterminated string or bad token: {error}", status=status) from None
                if not isinstance(found, dict):
                    raise Problem("rule", "can only concatenate a mapping", status=status)

    return check


def _functions_only(body: dict[str, Any]) -> None:
    """Free-text tools and a choice of some tools are OpenAI's own."""
    for at, tool in enumerate(objs(body.get("tools"))):
        if tool.get("type") != "function":
            text = f"tools[{at}].type: unknown variant `{tool.get('type')}`, expected `function`"
            raise Problem("rule", text, f"tools[{at}].type", "invalid_request_error", status=400)
    if obj(body.get("tool_choice")).get("type") not in (None, "function"):
        raise Problem("rule", "tool_choice: invalid value", "tool_choice", "invalid_request_error", status=400)


Rule = Callable[[list[dict[str, Any]]], None]
HOSTS: dict[str, tuple[Rule, ...]] = {
    "openai": (_tools_first, _no_thoughts),
    "deepseek": (_string_results, _tools_first, _thoughts),
    "kimi": (_tools_first, _thoughts),
    "qwen": (_one_system, _string_results, _whole_arguments(400)),
    "vllm": (_one_system, _whole_arguments(400)),
    "llamacpp": (_one_system, _whole_arguments(500)),
    "groq": (_tools_first, _no_thoughts),
    "zai": (_string_results, _tools_first),
}
_USER = {"openai": 64, "zai": 128, "openrouter": 128}


def check(body: dict[str, Any], model: str) -> None:
    """Raises Problem as the host that ``model`` names would; other models are served."""
    name = model.partition(MARK)[2].split("+")[0]
    limit, user = _USER.get(name), body.get("user")
    if limit is not None and isinstance(user, str) and len(user) > limit:
        text = (
            f"Invalid 'user': string too long. Expected a string with maximum length {limit}, but got one with length {len(user)} instead."
        )
        raise Problem("rule", text, "user", "string_above_max_length", status=400)
    if name in HOSTS and name != "openai":
        _functions_only(body)
    for rule in HOSTS.get(name, ()):
        rule(objs(body.get("messages")))


def thinks(model: str) -> bool:
    """Whether the host reasons without being asked to."""
    return model.partition(MARK)[2].split("+")[0] in _THINKERS
