"""Tool calls without the thought signatures of somebody else (Google's OpenAI-compatible API gives
and wants them), and a conversation without the thoughts that a host does not take back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from llm_gateway.wires._issuers import unwrapped

from .calls import signature_of

# Where hosts show thoughts and clients give them back, without a token that would say whose they
# are.
_THOUGHTS = frozenset(("reasoning_content", "reasoning", "reasoning_details"))


def own_signatures(body: bytes, foreign: Callable[[str], bool] | None) -> list[Any] | None:
    """The messages to send instead; ``None`` where nothing changes. A signature that the gateway
    put there is from another format. ``foreign`` says of no token that it is foreign where the host
    has refused thoughts: then all of them are left out."""
    messages = msgspec.json.decode(body).get("messages")
    if not isinstance(messages, list):
        return None
    bare = foreign is not None and foreign("")
    kept = [_kept(message, foreign, bare) for message in messages]
    return kept if any(one is not other for one, other in zip(kept, messages, strict=True)) else None


def _kept(message: Any, foreign: Callable[[str], bool] | None, bare: bool) -> Any:
    if not isinstance(message, dict):
        return message
    if bare and not _THOUGHTS.isdisjoint(message):
        message = {name: value for name, value in message.items() if name not in _THOUGHTS}
    calls = message.get("tool_calls")
    if isinstance(calls, list) and any(_strange(call, foreign) for call in calls):
        return {**message, "tool_calls": [_bare(call) if _strange(call, foreign) else call for call in calls]}
    return message


def _strange(call: Any, foreign: Callable[[str], bool] | None) -> bool:
    signature = signature_of(call.get("extra_content")) if isinstance(call, dict) else None
    if signature is None:
        return False
    return unwrapped(signature)[1] is not None or (foreign is not None and foreign(signature))


def _bare(call: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in call.items() if name != "extra_content"}
