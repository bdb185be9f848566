"""Items and parts that a host fills without having opened them: official SDKs fail at such a stream, so the openings are put in."""

from __future__ import annotations

from contextlib import suppress
from typing import Any, Final, Protocol

from llm_gateway.core import json
from llm_gateway.core.sse import encode_event


class Told(Protocol):
    """What an event says of its place."""

    @property
    def key(self) -> Any: ...
    @property
    def at(self) -> int: ...
    @property
    def output_index(self) -> int | None: ...
    @property
    def item_id(self) -> str | None: ...
    @property
    def item(self) -> dict[str, Any] | None: ...


_TEXT: Final = ("output_text", "text")
_REFUSAL: Final = ("refusal", "refusal")
_PARTS: Final = {
    "response.output_text.delta": _TEXT,
    "response.output_text.done": _TEXT,
    "response.refusal.delta": _REFUSAL,
    "response.refusal.done": _REFUSAL,
}
# A call cannot be opened for its host: only its item knows its name.
_ITEMS: Final = dict.fromkeys((*_PARTS, "response.content_part.added"), "message") | dict.fromkeys(
    ("response.reasoning_text.delta", "response.reasoning_summary_part.added", "response.reasoning_summary_text.delta"), "reasoning"
)
_EMPTY: Final[dict[str, dict[str, Any]]] = {
    "message": {"role": "assistant", "content": []},
    "reasoning": {"summary": []},
    "function_call": {"arguments": ""},
    "custom_tool_call": {"input": ""},
}


class Openings:
    """Knows what a stream has opened. ``added``: how many events were put in so far; what follows counts on from there."""

    __slots__ = ("_items", "_parts", "added")

    def __init__(self) -> None:
        self._items: set[Any] = set()
        self._parts: set[tuple[Any, int]] = set()
        self.added = 0

    def before(self, kind: str, event: Told, data: bytes) -> bytes:
        """The frames that have to stand before this event, usually none. ``data``: the event as it is shown, for its number."""
        key = event.key
        if key is None:
            return b""
        part = _PARTS.get(kind)
        if part is not None and (key, event.at) in self._parts:
            return b""
        number = None
        made: list[bytes] = []
        if key not in self._items:
            self._items.add(key)
            if (item := _item(kind, event)) is not None:
                number = _number(data)
                made.append(_event("response.output_item.added", number, output_index=event.output_index or 0, item=item))
        if kind == "response.content_part.added":
            self._parts.add((key, event.at))
        elif part is not None:
            self._parts.add((key, event.at))
            number = _number(data) if number is None else number
            opened: dict[str, Any] = {"type": part[0], part[1]: ""} | ({"annotations": [], "logprobs": []} if part is _TEXT else {})
            place = {"output_index": event.output_index or 0, "item_id": event.item_id or "", "content_index": event.at}
            at = None if number is None else number + len(made)
            made.append(_event("response.content_part.added", at, **place, part=opened))
        self.added += len(made)
        return b"".join(made)

    def numbered(self, data: bytes) -> bytes:
        """The event with its number moved on by what was put in before it."""
        number = _number(data)
        if number is None or not self.added:
            return data
        with suppress(json.InvalidJson):
            return json.edit_object(data, {"sequence_number": number + self.added})
        return data


def _item(kind: str, event: Told) -> dict[str, Any] | None:
    """The item as it would have been opened; ``None`` where this event opens it or nobody can tell."""
    if kind == "response.output_item.done" and event.item is not None:
        name = event.item.get("type")
        empty = _EMPTY.get(name) if isinstance(name, str) else None
        return None if empty is None else event.item | empty | {"status": "in_progress"}
    name = _ITEMS.get(kind)
    return None if name is None else {"id": event.item_id or "", "type": name, "status": "in_progress", **_EMPTY[name]}


def _number(data: bytes) -> int | None:
    value = json.lenient(data)
    number = value.get("sequence_number") if isinstance(value, dict) else None
    return number if isinstance(number, int) else None


def _event(kind: str, number: int | None, **fields: Any) -> bytes:
    counted = {} if number is None else {"sequence_number": number}
    return encode_event(json.dumps({"type": kind, **counted, **fields}), kind)
