"""Tool calls without the thought signatures of somebody else (Google's OpenAI-compatible API gives and wants them)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from llm_gateway.wires._issuers import unwrapped

from .calls import signature_of


def own_signatures(body: bytes, foreign: Callable[[str], bool] | None) -> list[Any] | None:
    """The messages to send instead; ``None`` where nothing changes. A signature that the gateway put there is from another format."""
    messages = msgspec.json.decode(body).get("messages")
    found = False
    kept = []
    for message in messages if isinstance(messages, list) else ():
        calls = message.get("tool_calls") if isinstance(message, dict) else None
        if isinstance(calls, list) and any(_strange(call, foreign) for call in calls):
            found = True
            kept.append({**message, "tool_calls": [_bare(call) if _strange(call, foreign) else call for call in calls]})
        else:
            kept.append(message)
    return kept if found else None


def _strange(call: Any, foreign: Callable[[str], bool] | None) -> bool:
    signature = signature_of(call.get("extra_content")) if isinstance(call, dict) else None
    if signature is None:
        return False
    return unwrapped(signature)[1] is not None or (foreign is not None and foreign(signature))


def _bare(call: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in call.items() if name != "extra_content"}
