"""A Responses answer as events. A stream's items and a whole answer's run through one machine, so
the two cannot differ."""

from __future__ import annotations

from typing import Any, Final

from llm_gateway.core.chat import FinishReason, Image, Opaque
from llm_gateway.core.events import (
    Event,
    Finish,
    PartAdded,
    RefusalDelta,
    Start,
    TextDelta,
    ThinkingDelta,
    ThinkingMark,
    ToolDelta,
    ToolStart,
    UsageReport,
)
from llm_gateway.core.json import dumps
from llm_gateway.core.usage import count
from llm_gateway.wires._openai.usage import decode_usage

from .names import NAME, qualified

_INCOMPLETE: Final = {
    "max_output_tokens": FinishReason.LENGTH,
    "max_messages": FinishReason.LENGTH,
    "content_filter": FinishReason.CONTENT_FILTER,
    "steered": FinishReason.STOP,
}


class _Item:
    """One output item as the stream told it. ``told``: its text so far, by kind and index of the
    part. ``source``: which of summary and raw text its thoughts are read from. ``body``: the item
    when it was done; ``opening``: when it was added."""

    __slots__ = ("body", "call", "closed", "done", "id", "kind", "opening", "source", "told")

    def __init__(self, kind: str, item_id: str | None) -> None:
        self.kind = kind
        self.id = item_id
        self.call = -1
        self.told: dict[tuple[str, int], list[str]] = {}
        self.source = ""
        self.closed = False
        self.done = False
        self.opening: dict[str, Any] = {}
        self.body: dict[str, Any] | None = None

    def rest(self, part: tuple[str, int], whole: str) -> str:
        """What of ``whole`` was not told yet. Hosts that word it differently afterwards are
        believed the first time."""
        told = "".join(self.told.get(part, ()))
        return whole[len(told) :] if whole.startswith(told) else ""


ARGUMENTS: Final = ("arguments", 0)
_CALLS: Final = ("function_call", "custom_tool_call")


class Reader:
    """Turns output items and their deltas into events.

    A host tells an item up to three times: in deltas, when a part or the item is done, and in the
    final response. Whatever one of them leaves out is taken from the next.
    """

    __slots__ = ("_calls", "_items", "_order", "_refused", "_searches", "_thinking", "started")

    def __init__(self) -> None:
        self._items: dict[Any, _Item] = {}
        self._order: list[_Item] = []
        self._calls = 0
        self._searches = 0
        self._refused = False
        self._thinking: _Item | None = None
        self.started = False

    def start(self, response: dict[str, Any]) -> list[Event]:
        if self.started:
            return []
        self.started = True
        created = response.get("created_at")
        own, model = response.get("id"), response.get("model")
        return [
            Start(
                own if isinstance(own, str) else "",
                model if isinstance(model, str) else "",
                int(created) if isinstance(created, int | float) else None,
            )
        ]

    def text(self, key: Any, index: int, text: str) -> list[Event]:
        return self._content(self._item(key, "message", None), ("text", index), TextDelta(text)) if text else []

    def text_done(self, key: Any, index: int, whole: str) -> list[Event]:
        return self.text(key, index, self._item(key, "message", None).rest(("text", index), whole))

    def refusal(self, key: Any, index: int, text: str) -> list[Event]:
        self._refused = True
        return self._content(self._item(key, "message", None), ("refusal", index), RefusalDelta(text)) if text else []

    def refusal_done(self, key: Any, index: int, whole: str) -> list[Event]:
        return self.refusal(key, index, self._item(key, "message", None).rest(("refusal", index), whole))

    def thought(self, key: Any, index: int, text: str, source: str) -> list[Event]:
        """Parts of thoughts are paragraphs."""
        item = self._item(key, "reasoning", None)
        if not text or item.closed or item.source not in ("", source):
            return []
        item.source = source
        gap = "\n\n" if item.told and (source, index) not in item.told else ""
        item.told.setdefault((source, index), []).append(text)
        events = self._close_thinking(but=item)
        self._thinking = item
        events.append(ThinkingDelta(gap + text))
        return events

    def thought_done(self, key: Any, index: int, whole: str, source: str) -> list[Event]:
        return self.thought(key, index, self._item(key, "reasoning", None).rest((source, index), whole), source)

    def arguments(self, key: Any, text: str, kind: str) -> list[Event]:
        """Arguments of a call that was not added yet wait for its name."""
        item = self._item(key, kind, None)
        if not text:
            return []
        item.told.setdefault(ARGUMENTS, []).append(text)
        return [ToolDelta(item.call, text)] if item.call >= 0 else []

    def arguments_done(self, key: Any, whole: str, kind: str) -> list[Event]:
        return self.arguments(key, self._item(key, kind, None).rest(ARGUMENTS, whole), kind)

    def added(self, key: Any, body: dict[str, Any]) -> list[Event]:
        kind = body.get("type")
        item = self._items.get(key)
        if item is not None and item.done and item.id is not None and body.get("id") not in (None, item.id):
            del self._items[key]  # a host that gives every item the same place
        item = self._item(key, kind if isinstance(kind, str) else "", body.get("id"))
        item.opening = item.opening or body
        return self._call(item, body) if item.kind in _CALLS and item.call < 0 else []

    def _call(self, item: _Item, body: dict[str, Any]) -> list[Event]:
        item.call = self._calls
        self._calls += 1
        name, space = _text(body.get("name")), _text(body.get("namespace"))
        own = _text(body.get("call_id")) or _text(body.get("id"))
        start = ToolStart(item.call, own, qualified(space, name) if space else name, item.kind == "custom_tool_call")
        told = "".join(item.told.get(ARGUMENTS, ()))
        return [*self._close_thinking(), start, *([ToolDelta(item.call, told)] if told else [])]

    def done(self, key: Any, body: dict[str, Any]) -> list[Event]:
        """The whole item: tells what its deltas did not."""
        events = self.added(key, body)
        return events + self._fill(self._items[key], key, body)

    def _fill(self, item: _Item, key: Any, body: dict[str, Any]) -> list[Event]:
        events: list[Event] = []
        first, item.done = not item.done, True
        item.body = item.body or body
        match item.kind:
            case "message":
                events += self._message(key, body)
            case "function_call":
                events += self.arguments_done(key, text_of(body.get("arguments")), item.kind)
            case "custom_tool_call":
                events += self.arguments_done(key, _text(body.get("input")), item.kind)
            case _ if not first:
                pass
            case "reasoning":
                events += self._reasoning(key, item, body)
            case "image_generation_call" if isinstance(body.get("result"), str):
                image = Image(media_type=f"image/{body.get('output_format') or 'png'}", data=body["result"])
                events += [*self._close_thinking(), PartAdded(image)]
            case _:
                if item.kind == "web_search_call" and _is_search(body):
                    self._searches += 1
                events += [*self._close_thinking(), PartAdded(Opaque(wire=NAME, raw=body))]
        return events

    def finish(self, response: dict[str, Any], incomplete: bool = False) -> list[Event]:
        """The end of a response that did not fail. ``incomplete``: the event said so, whatever its
        response says."""
        events: list[Event] = []
        for place, (body, item) in enumerate(self._matched(response)):
            if item is None:
                events += self.done(("final", place), body)
            else:
                key = next(key for key, one in self._items.items() if one is item)
                events += self.added(key, body) + self._fill(item, key, body)
        for key, item in list(self._items.items()):
            if item.kind in _CALLS and item.opening and not item.told:
                events += self._fill(item, key, item.opening)
        events += self._close_thinking()
        raw, reason = self._reason(response, incomplete)
        events.append(Finish(reason, raw))
        tier = response.get("service_tier")
        usage = decode_usage(response.get("usage"), tier if isinstance(tier, str) else None, self._web_searches(response))
        if usage:
            events.append(UsageReport(usage))
        return events

    @property
    def complete(self) -> bool:
        """Every item that began has said that it is completed, and the last of them is a word to
        the caller."""
        over = [item.done and (item.kind == "reasoning" or (item.body or {}).get("status") == "completed") for item in self._order]
        return bool(over) and all(over) and self._order[-1].kind in ("message", *_CALLS)

    def _reason(self, response: dict[str, Any], incomplete: bool) -> tuple[str, FinishReason]:
        details = response.get("incomplete_details")
        if incomplete or (response.get("status") == "incomplete" and isinstance(details, dict)):
            raw = _text(details.get("reason")) if isinstance(details, dict) else ""
            return raw or "incomplete", _INCOMPLETE.get(raw, FinishReason.MODEL_FAULT)
        raw = _text(response.get("status")) or "completed"
        return raw, FinishReason.TOOL_CALLS if self._calls else FinishReason.REFUSAL if self._refused else FinishReason.STOP

    def _matched(self, response: dict[str, Any]) -> list[tuple[dict[str, Any], _Item | None]]:
        """The final items with what the stream told of them: by id, by the call's id, else the next
        of its kind (hosts make new ids)."""
        left = [item for item in self._order if item.kind]
        found: list[tuple[dict[str, Any], _Item | None]] = []
        for body in _objects(response.get("output")):
            item = next((one for one in left if _same(one, body)), None)
            if item is not None:
                left.remove(item)
            found.append((body, item))
        for at, (body, item) in enumerate(found):
            if item is None and (kin := next((one for one in left if one.kind == body.get("type")), None)) is not None:
                left.remove(kin)
                found[at] = (body, kin)
        return found

    def completed(self, response: dict[str, Any]) -> list[dict[str, Any]] | None:
        """The final output with what only the stream told; ``None`` where nothing is missing."""
        matched = self._matched(response)
        bodies = {id(item): mended(body, item) for body, item in matched if item is not None}
        output = [body for item in self._order if (body := bodies.get(id(item)) or shown(item)) is not None]
        output += [body for body, item in matched if item is None]
        given = _objects(response.get("output"))
        return output if len(output) > len(given) or any(one is not two for one, two in zip(output, given, strict=False)) else None

    def _web_searches(self, response: dict[str, Any]) -> int | None:
        match response.get("tool_usage"):
            case {"web_search": {"num_requests": requests}}:
                return count(requests) or None
        return self._searches or None

    def _item(self, key: Any, kind: str, item_id: Any) -> _Item:
        item = self._items.get(key)
        if item is None:
            item = self._items[key] = _Item(kind, None)
            self._order.append(item)
        if item.id is None and isinstance(item_id, str):
            item.id = item_id
        item.kind = item.kind or kind
        return item

    def _content(self, item: _Item, part: tuple[str, int], event: TextDelta | RefusalDelta) -> list[Event]:
        item.told.setdefault(part, []).append(event.text)
        if self._thinking is None:
            return [event]
        return [*self._close_thinking(), event]

    def _close_thinking(self, but: _Item | None = None) -> list[Event]:
        """Another item speaks: the thoughts before it are complete, though their ``done`` may come
        later (OpenRouter)."""
        item = self._thinking
        if item is None or item is but:
            return []
        self._thinking = None
        item.closed = True
        return [ThinkingMark(None, None, NAME, item.id)]

    def _message(self, key: Any, body: dict[str, Any]) -> list[Event]:
        events: list[Event] = []
        for index, part in enumerate(_pieces(body.get("content"))):
            if part.get("type") == "refusal":
                events += self.refusal_done(key, index, _text(part.get("refusal")))
            else:
                events += self.text_done(key, index, _text(part.get("text")))
        return events

    def _reasoning(self, key: Any, item: _Item, body: dict[str, Any]) -> list[Event]:
        events: list[Event] = []
        for source in ("content", "summary") if not item.source else (item.source,):
            for index, part in enumerate(_objects(body.get(source))):
                events += self.thought_done(key, index, _text(part.get("text")), source)
            if item.source:
                break
        token = body.get("encrypted_content")
        if item.closed and not token:
            return events
        events += self._close_thinking(but=item)
        self._thinking = None
        item.closed = True
        events.append(ThinkingMark(token if isinstance(token, str) else None, None, NAME, item.id))
        return events


def _same(item: _Item, body: dict[str, Any]) -> bool:
    if item.kind != body.get("type"):
        return False
    if item.id is not None and item.id == body.get("id"):
        return True
    call = body.get("call_id")
    return item.kind in _CALLS and isinstance(call, str) and call == (item.body or item.opening).get("call_id")


def mended(body: dict[str, Any], item: _Item) -> dict[str, Any]:
    """A final item with the text that only the stream told; itself where it says all."""
    match item.kind:
        case "function_call" | "custom_tool_call":
            name = "arguments" if item.kind == "function_call" else "input"
            told = "".join(item.told.get(ARGUMENTS, ()))
            return body | {name: told} if told and not body.get(name) else body
        case "message" if not _pieces(body.get("content")):
            return body | {"content": content} if (content := _content_of(item)) else body
        case _:
            return body


def shown(item: _Item) -> dict[str, Any] | None:
    """An item that only the stream told, as the final response would have it."""
    if item.body is not None:
        return mended(item.body, item)
    if item.kind in _CALLS and item.opening:
        return mended(item.opening | {"status": "completed"}, item)
    content = _content_of(item) if item.kind == "message" else []
    if not content:
        return None
    return {"id": item.id, "type": "message", "status": "completed", "role": "assistant", "content": content}


def _content_of(item: _Item) -> list[dict[str, Any]]:
    parts: list[dict[str, Any]] = []
    for (kind, _), pieces in sorted(item.told.items(), key=lambda told: told[0][1]):
        text = "".join(pieces)
        parts.append(
            {"type": "refusal", "refusal": text} if kind == "refusal" else {"type": "output_text", "text": text, "annotations": []}
        )
    return parts


def text_of(value: Any) -> str:
    """A call's arguments; some hosts send the object they stand for."""
    return dumps(value).decode() if isinstance(value, dict) else _text(value)


def _is_search(body: dict[str, Any]) -> bool:
    action = body.get("action")
    return not isinstance(action, dict) or action.get("type") in (None, "search")


def _pieces(content: Any) -> list[dict[str, Any]]:
    """The content of a message; some hosts give the text alone."""
    return [{"type": "output_text", "text": content}] if isinstance(content, str) and content else _objects(content)


def _objects(value: Any) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
