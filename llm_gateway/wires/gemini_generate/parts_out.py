"""Parts of an answer to a caller of this dialect."""

from __future__ import annotations

from typing import Any

from llm_gateway.core.chat import Audio, ChatRequest, Image, Opaque, Part, Refusal, Text, Thinking, ToolCall
from llm_gateway.wires._arguments import as_object

from . import media
from .names import NAME, NO_SIGNATURE
from .signatures import pack


class Calls:
    """Call ids of one answer: never empty, never twice. The first call without a signature says so
    in Google's words, so that the turn can be sent to Gemini later."""

    __slots__ = ("_first", "_seen")

    def __init__(self) -> None:
        self._seen: set[str] = set()
        self._first = True

    def part(self, call: ToolCall) -> dict[str, Any]:
        base = unique = call.id or "call"
        number = 1
        while unique in self._seen:
            number += 1
            unique = f"{base}_{number}"
        self._seen.add(unique)
        part: dict[str, Any] = {"functionCall": {"id": unique, "name": call.name, "args": as_object(call.arguments, call.custom)}}
        signature = call.signature or (NO_SIGNATURE if self._first else None)
        self._first = False
        return part | ({"thoughtSignature": signature} if signature else {})


def part_of(part: Part, calls: Calls, thoughts: bool) -> dict[str, Any] | None:
    match part:
        case Text(text=text) | Refusal(text=text):
            return {"text": text} if text else None
        case Thinking():
            return thought(part.text, pack(part.signature, part.redacted, part.wire, part.id, part.issuer), thoughts)
        case ToolCall():
            return calls.part(part)
        case Image(data=str()) | Audio():
            return media.write(part, "", own=False)
        case Opaque(wire=wire, raw=raw) if wire == NAME:
            return raw
    return None


def thought(text: str, signature: str | None, thoughts: bool) -> dict[str, Any] | None:
    """A signature goes back even where the caller did not ask to see thoughts: it has to return
    it."""
    signed = {"thoughtSignature": signature} if signature else {}
    if text and thoughts:
        return {"text": text, "thought": True, **signed}
    return {"text": "", **signed} if signed else None


def wants_thoughts(chat: ChatRequest | None) -> bool:
    """The format shows thoughts only to who asked for them."""
    if chat is None or chat.origin != NAME:
        return True
    return chat.reasoning is not None and chat.reasoning.include is True
