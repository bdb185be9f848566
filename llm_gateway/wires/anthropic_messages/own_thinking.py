"""A conversation of this format without the thinking that somebody else did."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llm_gateway.core import json

from .signatures import is_foreign

_TOKEN = {"thinking": "signature", "redacted_thinking": "data"}


def edited(body: bytes, foreign: Callable[[str], bool] | None) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The fields of the body to set and those to drop. ``foreign``: tells tokens that are not this
    provider's.

    A model with a thinking budget refuses a tool loop whose turn does not begin with its own
    thinking, so such a turn goes on without."""
    fields = json.lenient(body)
    messages = fields.get("messages") if isinstance(fields, dict) else None
    if not isinstance(messages, list):
        return {}, ()
    kept = _kept(messages, foreign)
    if kept == messages:
        return {}, ()
    asked = fields.get("thinking")
    enabled = isinstance(asked, dict) and asked.get("type") == "enabled"
    return {"messages": kept}, ("thinking", "context_management") if enabled and _in_unsigned_loop(kept) else ()


def _kept(messages: list[Any], foreign: Callable[[str], bool] | None) -> list[Any]:
    kept = []
    for message in messages:
        content = message.get("content") if isinstance(message, dict) else None
        if isinstance(content, list):
            own = [block for block in content if not _strange(block, foreign)]
            if own or not content:
                kept.append({**message, "content": own} if len(own) != len(content) else message)
        else:
            kept.append(message)
    return kept


def _strange(block: Any, foreign: Callable[[str], bool] | None) -> bool:
    mark = _TOKEN.get(block.get("type", "")) if isinstance(block, dict) else None
    if mark is None:
        return False
    token = block.get(mark)
    if not isinstance(token, str):
        # Of a host that signs nothing: it goes to who may take it, and not to who has refused it.
        return foreign is not None and foreign("")
    return is_foreign(token) or (foreign is not None and foreign(token))


def _in_unsigned_loop(messages: list[Any]) -> bool:
    before, last = _blocks(messages[-2:-1]), _blocks(messages[-1:])
    answers = any(isinstance(block, dict) and block.get("type") == "tool_result" for block in last)
    return answers and not (before and isinstance(before[0], dict) and before[0].get("type") in _TOKEN)


def _blocks(messages: list[Any]) -> list[Any]:
    content = messages[0].get("content") if messages and isinstance(messages[0], dict) else None
    return content if isinstance(content, list) else []
