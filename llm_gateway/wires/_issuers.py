"""Thinking belongs to its issuer: the provider and the family of models that signed or encrypted
it.

Tokens of another format ride through a caller's dialect with the name of their wire;
``wire@issuer`` says whose they are, too. Nobody but the issuer can read them, and most providers
refuse a conversation that holds a stranger's.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

import msgspec

from llm_gateway.core.chat import ChatRequest, ChatResponse, Message, Part, Thinking, ToolCall
from llm_gateway.core.events import Event, ThinkingMark, ToolStart

_FAMILY = re.compile(r"[a-z]+")
_replace = msgspec.structs.replace


def issuer_of(provider: str, upstream_id: str) -> str:
    """``provider`` is the row's short name. Models of one family (``claude``, ``gpt``, ``gemini``)
    read each other's tokens."""
    family = _FAMILY.search(upstream_id.rsplit("/", 1)[-1].lower())
    return f"{provider}/{family[0] if family else ''}"


def address(wire: str | None, issuer: str | None) -> str:
    return f"{wire or ''}@{issuer}" if issuer else wire or ""


def parted(text: str) -> tuple[str | None, str | None]:
    """Wire and issuer of an address."""
    wire, _, issuer = text.partition("@")
    return wire or None, issuer or None


def stamped(events: Iterable[Event], issuer: str) -> Iterator[Event]:
    """The provider's events with its name on every token that is its own."""
    for event in events:
        signed = (isinstance(event, ThinkingMark) and event.wire) or (isinstance(event, ToolStart) and event.signature)
        yield _replace(event, issuer=issuer) if signed and event.issuer is None else event  # type: ignore[attr-defined]  # one of the two


def stamped_whole(response: ChatResponse, issuer: str) -> ChatResponse:
    choices = tuple(_replace(choice, parts=tuple(_stamped(part, issuer) for part in choice.parts)) for choice in response.choices)
    return _replace(response, choices=choices)


def _stamped(part: Part, issuer: str) -> Part:
    signed = (isinstance(part, Thinking) and part.wire) or (isinstance(part, ToolCall) and part.signature)
    return _replace(part, issuer=issuer) if signed and part.issuer is None else part  # type: ignore[attr-defined]  # one of the two


def without_tokens(chat: ChatRequest) -> ChatRequest:
    """The conversation without anything that somebody signed or encrypted: what is sent after a
    provider refused it."""
    return _replace(chat, messages=tuple(_bare(message) for message in chat.messages))


def _bare(message: Message) -> Message:
    parts: list[Part] = []
    for part in message.parts:
        if isinstance(part, ToolCall) and part.signature:
            parts.append(_replace(part, signature=None, issuer=None))
        elif not (isinstance(part, Thinking) and (part.wire or part.signature or part.redacted)):
            parts.append(part)
    return _replace(message, parts=tuple(parts)) if len(parts) != len(message.parts) or message.role == "assistant" else message


_WRAP = "cogo:"


def wrapped(token: str, issuer: str | None) -> str:
    """A token with its issuer, for a dialect that has a place for the token alone."""
    return f"{_WRAP}{issuer}:{token}" if issuer else token


def unwrapped(text: str) -> tuple[str, str | None]:
    """The token and its issuer, where the gateway wrote it."""
    if not text.startswith(_WRAP):
        return text, None
    issuer, _, token = text.removeprefix(_WRAP).partition(":")
    return token, issuer or None
