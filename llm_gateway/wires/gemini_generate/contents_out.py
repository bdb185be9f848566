"""Neutral messages as contents of a request."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import msgspec

from llm_gateway.core import json
from llm_gateway.core.chat import Audio, ChatRequest, Document, Image, Message, Opaque, Part, Refusal, Text, Thinking, ToolCall, ToolResult
from llm_gateway.core.errors import UnsupportedParameter
from llm_gateway.wires._arguments import as_object
from llm_gateway.wires._base import ModelFacts

from . import media
from .names import NAME, NO_SIGNATURE

_DEPTH = 24
_EXACT = 2**53


def encode(chat: ChatRequest, facts: ModelFacts) -> tuple[dict[str, Any] | None, list[dict[str, Any]]]:
    """The system instruction and the contents."""
    writer = _Writer(chat, facts)
    rest = list(chat.messages)
    head: list[Message] = []
    while rest and rest[0].role == "system":
        head.append(rest.pop(0))
    if head and not rest:  # the format wants a content
        rest.append(Message(role="user", parts=head.pop().parts))
    parts = writer.parts([part for message in head for part in message.parts], "systemInstruction")
    contents: list[dict[str, Any]] = []
    for at, message in enumerate(rest, len(chat.messages) - len(rest)):
        _append(contents, message.role, writer.parts(message.parts, f"messages[{at}]"))
    if facts.thinking == "level":
        _sign(contents)
    return ({"parts": parts} if parts else None), contents


def _append(contents: list[dict[str, Any]], role: str, parts: list[dict[str, Any]]) -> None:
    if role == "system":
        # There is no system turn inside a conversation; as a marked user text it keeps its place.
        parts = [{"text": f"<system>\n{part['text']}\n</system>"} if "text" in part else part for part in parts]
    name = "model" if role == "assistant" else "user"
    if not parts:
        return
    if contents and contents[-1]["role"] == name:
        # All answers to a turn's calls have to stand in one content.
        contents[-1]["parts"] += parts
    else:
        contents.append({"role": name, "parts": parts})


def _sign(contents: list[dict[str, Any]]) -> None:
    """Models of the third generation refuse a turn whose first call has no signature; for calls
    they did not make there is a word. https://ai.google.dev/gemini-api/docs/thought-signatures"""
    for content in contents:
        first = next((part for part in content["parts"] if "functionCall" in part), None)
        if first is not None:
            first.setdefault("thoughtSignature", NO_SIGNATURE)


class _Writer:
    def __init__(self, chat: ChatRequest, facts: ModelFacts) -> None:
        self._own = chat.origin == NAME
        self._inside = facts.thinking == "level"
        self._names: dict[str, str] = {}

    def parts(self, parts: tuple[Part, ...] | list[Part], path: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        signature: str | None = None
        for part, following in pairwise((*parts, None)):
            match part:
                case Thinking(wire=wire, signature=str(token), redacted=None) if not self._own and wire == NAME and _unsigned(following):
                    signature = token
                    self._thinking(msgspec.structs.replace(part, signature=None), found)
                case Text(text=text) | Refusal(text=text):
                    if text:
                        found.append({"text": text})
                case Thinking():
                    self._thinking(part, found)
                case ToolCall():
                    found.append(self._call(part, signature))
                    signature = None
                case ToolResult():
                    found += self._result(part, path)
                case Image() | Audio() | Document():
                    found.append(media.write(part, path, own=self._own))
                case Opaque(wire=wire, raw=raw) if wire == NAME:
                    found.append(raw)
                case _:
                    raise UnsupportedParameter("This provider does not know a part of this request.", param=path)
        return found

    def _thinking(self, part: Thinking, found: list[dict[str, Any]]) -> None:
        if part.redacted is not None or part.wire not in (None, NAME) or (part.wire is None and not self._own):
            return
        signed = {"thoughtSignature": part.signature} if part.signature else {}
        if part.text:
            found.append({"text": part.text, "thought": True, **signed})
        elif signed:
            # A signature without a thought belongs to the text before it.
            if found and found[-1].keys() == {"text"}:
                found[-1] |= signed
            else:
                found.append({"text": "", **signed})

    def _call(self, call: ToolCall, before: str | None) -> dict[str, Any]:
        """``before``: the signature that a format without a place for it put before the call (see
        _call_signatures.py)."""
        self._names[call.id] = call.name
        part: dict[str, Any] = {"functionCall": {"id": call.id, "name": call.name, "args": as_object(call.arguments, call.custom)}}
        signature = call.signature or before
        return part | ({"thoughtSignature": signature} if signature else {})

    def _result(self, result: ToolResult, path: str) -> list[dict[str, Any]]:
        """Models of the third generation take media inside an answer, older ones beside it."""
        texts = [part.text for part in result.content if isinstance(part, Text | Refusal)]
        others = [part for part in result.content if not isinstance(part, Text | Refusal)]
        pieces = self.parts(others, path)
        answer: dict[str, Any] = {
            "id": result.call_id,
            "name": self._names.get(result.call_id) or result.name or result.call_id,
            "response": _wrapped("\n".join(texts), result.is_error),
        }
        if pieces and self._inside:
            answer["parts"] = pieces
            pieces = []
        return [{"functionResponse": answer}, *pieces]


def _unsigned(part: Part | None) -> bool:
    return isinstance(part, ToolCall) and not part.signature


def _is_plain(value: Any, depth: int = 0) -> bool:
    """Whether Google takes JSON as a structure and hands it on unchanged: names that begin with
    ``$`` mean something to it (``$ref`` points at another part), numbers become floats, and depth
    is bounded."""
    if isinstance(value, dict):
        return depth < _DEPTH and all(name and not name.startswith("$") and _is_plain(one, depth + 1) for name, one in value.items())
    if isinstance(value, list):
        return depth < _DEPTH and all(_is_plain(one, depth + 1) for one in value)
    return not isinstance(value, int) or abs(value) <= _EXACT


def _wrapped(text: str, failed: bool) -> dict[str, Any]:
    """The format wants an object: JSON objects go as they are, anything else under the name that
    Google's SDKs use."""
    if failed:
        return {"error": text}
    value = json.lenient(text.encode("utf-8", "replace")) if text.startswith("{") else None
    if isinstance(value, dict) and _is_plain(value) and not (len(value) == 1 and next(iter(value)) in ("result", "output", "error")):
        return value
    return {"result": text}
