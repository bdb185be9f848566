"""Fields of the neutral conversation in a caller's own words, so that a refusal names what the
caller sent."""

from __future__ import annotations

import re
from collections.abc import Mapping

from llm_gateway.core.chat import ChatRequest
from llm_gateway.core.errors import GatewayError, UnsupportedParameter

_HEAD = re.compile(r"[a-z_]+")
_PLACE = re.compile(r"messages\[(\d+)\](\.content)?")
# Formats whose callers give the system text beside their messages, and what a message's content is
# called there.
_SYSTEM_APART = {"anthropic_messages": ("system", ".content"), "gemini_generate": ("system_instruction", ".parts")}


def in_callers_words(error: GatewayError, names: Mapping[str, str]) -> tuple[str, str | None]:
    """Message and field of an error; ``names`` maps the noun's fields to the dialect's. Other
    errors speak of what they were given."""
    param = error.param
    if not isinstance(error, UnsupportedParameter) or not param:
        return error.message, param
    head = _HEAD.match(param)
    if head and head[0] in names:
        param = names[head[0]] + param[head.end() :]
    message = error.message.replace(f"`{error.param}`", f"`{param}`")
    return (message if param in message else f"{param}: {message}"), param


def at_callers_place(error: UnsupportedParameter, chat: ChatRequest) -> UnsupportedParameter:
    """``error`` with the place in the neutral conversation turned into the one in the caller's own
    body."""
    match = _PLACE.match(error.param or "")
    if match is None or not error.param:
        return error
    if chat.origin == "openai_responses":
        # Its items are grouped into messages: which item it was is not known here.
        told = "messages"
    elif chat.origin in _SYSTEM_APART:
        system, content = _SYSTEM_APART[chat.origin]
        at = int(match[1]) - (bool(chat.messages) and chat.messages[0].role == "system")
        told = system if at < 0 else f"messages[{at}]{content if match[2] else ''}{error.param[match.end() :]}"
    else:
        return error
    return UnsupportedParameter(error.message.replace(f"`{error.param}`", f"`{told}`"), param=told)
