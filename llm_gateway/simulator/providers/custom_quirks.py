"""Oddities seen at OpenAI-compatible hosts, chosen by a model name that contains ``quirk:<name>``, several joined by ``+``.

Each quirk edits one decoded body or chunk in place; the reader must get the same answer from it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import msgspec

from llm_gateway.simulator.reply import Frame, Reply, dump

MARK = "quirk:"
Json = dict[str, Any]


def _spoken(value: Json) -> Iterator[tuple[Json, Json]]:
    """Each choice with its message or delta."""
    for choice in value.get("choices", []):
        yield choice, choice.get("message") or choice.get("delta") or {}


def _reasoning(value: Json) -> None:
    """``reasoning`` where others say reasoning_content (OpenRouter, newer vLLM)."""
    for _, said in _spoken(value):
        if "reasoning_content" in said:
            said["reasoning"] = said.pop("reasoning_content")


def _think(value: Json) -> None:
    """Reasoning inside the content, between tags (DeepSeek R1 hosts of 2025). Whole answers only."""
    for _, said in _spoken(value):
        if "reasoning_content" in said and isinstance(said.get("content"), str):
            said["content"] = f"<think>\n{said.pop('reasoning_content')}\n</think>\n\n{said['content']}"


def _wholetool(value: Json) -> None:
    """Arguments as an object, no id, no index. For whole answers; a stream needs its pieces."""
    for _, said in _spoken(value):
        for call in said.get("tool_calls", []):
            if "index" not in call:
                call["id"] = None
                call["function"]["arguments"] = json.loads(call["function"]["arguments"])


def _noindex(value: Json) -> None:
    """Tool call deltas without index: an id begins the next call."""
    for _, said in _spoken(value):
        for call in said.get("tool_calls", []):
            call.pop("index", None)


def _contentlist(value: Json) -> None:
    """Content as a list of parts (Mistral)."""
    for _, said in _spoken(value):
        if isinstance(said.get("content"), str):
            said["content"] = [{"type": "text", "text": said["content"]}]


def _eos(value: Json) -> None:
    """A finish reason of one's own (Together)."""
    for choice, _ in _spoken(value):
        if choice.get("finish_reason") == "stop":
            choice["finish_reason"] = "eos"


def _emptyfinish(value: Json) -> None:
    """An empty finish reason where null is meant."""
    for choice, _ in _spoken(value):
        if choice.get("finish_reason") is None:
            choice["finish_reason"] = ""


def _norole(value: Json) -> None:
    """No role anywhere, no id, no time."""
    value["id"], value["created"] = "", 0
    for _, said in _spoken(value):
        said.pop("role", None)


def _nousage(value: Json) -> None:
    """No usage at all."""
    value.pop("usage", None)


def _cost(value: Json) -> None:
    """The price beside the usage (OpenRouter)."""
    if value.get("usage"):
        value["usage"] |= {"cost": 0.00042, "is_byok": False}
        value["provider"] = "Simulated"


QUIRKS: dict[str, Callable[[Json], None]] = {
    "reasoning": _reasoning,
    "think": _think,
    "wholetool": _wholetool,
    "noindex": _noindex,
    "contentlist": _contentlist,
    "eos": _eos,
    "emptyfinish": _emptyfinish,
    "norole": _norole,
    "nousage": _nousage,
    "cost": _cost,
}


def bend(reply: Reply, model: str) -> Reply:
    """``reply`` under the quirks that ``model`` names; ``nodone`` ends a stream without [DONE], ``padded`` puts blank lines
    before a body. Unknown names do nothing."""
    names = model.partition(MARK)[2].split("+")
    edits = [QUIRKS[name] for name in names if name in QUIRKS]
    if reply.frames is None:
        body = _edited(reply.body, edits)
        return replace(reply, body=b"\n\n   \n" + body if "padded" in names else body)
    frames = tuple(_frame(frame, edits) for frame in reply.frames if frame.kind != "terminal" or "nodone" not in names)
    return replace(reply, frames=frames)


def _frame(frame: Frame, edits: list[Callable[[Json], None]]) -> Frame:
    if not frame.data.startswith(b"data: {"):
        return frame
    return replace(frame, data=b"data: " + _edited(frame.data[6:], edits) + b"\n\n")


def _edited(data: bytes, edits: list[Callable[[Json], None]]) -> bytes:
    value = msgspec.json.decode(data)
    for edit in edits:
        edit(value)
    return dump(value)
