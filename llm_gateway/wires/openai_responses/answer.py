"""A Responses answer as events. A stream's items and a whole answer's run through one machine, so the two cannot differ."""

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
    """``told``: its content came in deltas already. ``source``: which of summary and raw text its thoughts are read from."""

    __slots__ = ("call", "closed", "id", "kind", "source", "told")

    def __init__(self, kind: str, item_id: str | None) -> None:
        self.kind = kind
        self.id = item_id
        self.call = -1
        self.told = False
        self.source = ""
        self.closed = False


class Reader:
    """Turns output items and their deltas into events."""

    __slots__ = ("_calls", "_items", "_refused", "_searches", "_thinking", "started")

    def __init__(self) -> None:
        self._items: dict[Any, _Item] = {}
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

    def text(self, key: Any, text: str) -> list[Event]:
        return self._content(key, "message", TextDelta(text)) if text else []

    def refusal(self, key: Any, text: str) -> list[Event]:
        self._refused = True
        return self._content(key, "message", RefusalDelta(text)) if text else []

    def thought(self, key: Any, text: str, source: str) -> list[Event]:
        item = self._item(key, "reasoning", None)
        if not text or item.closed or item.source not in ("", source):
            return []
        item.source = source
        item.told = True
        events = self._close_thinking(but=item)
        self._thinking = item
        events.append(ThinkingDelta(text))
        return events

    def arguments(self, key: Any, text: str) -> list[Event]:
        item = self._items.get(key)
        if item is None or item.call < 0 or not text:
            return []
        item.told = True
        return [ToolDelta(item.call, text)]

    def summary_part(self, key: Any, index: int) -> list[Event]:
        """Summary parts are paragraphs."""
        return self.thought(key, "\n\n", "summary") if index > 0 else []

    def added(self, key: Any, body: dict[str, Any]) -> list[Event]:
        kind = body.get("type")
        item = self._item(key, kind if isinstance(kind, str) else "", body.get("id"))
        if kind in ("function_call", "custom_tool_call") and item.call < 0:
            item.call = self._calls
            self._calls += 1
            name, space = str(body.get("name") or ""), body.get("namespace")
            start = ToolStart(
                item.call,
                str(body.get("call_id") or body.get("id") or ""),
                qualified(space, name) if isinstance(space, str) and space else name,
                kind == "custom_tool_call",
            )
            return [*self._close_thinking(), start]
        return []

    def done(self, key: Any, body: dict[str, Any]) -> list[Event]:
        """The whole item: tells what its deltas did not."""
        events = self.added(key, body)
        item = self._items[key]
        match item.kind:
            case "message":
                if not item.told:
                    events += self._message(key, body)
            case "function_call":
                events += self.arguments(key, _text(body.get("arguments"))) if not item.told else []
            case "custom_tool_call":
                events += self.arguments(key, _text(body.get("input"))) if not item.told else []
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

    def finish(self, response: dict[str, Any]) -> list[Event]:
        """The end of a response that did not fail."""
        events: list[Event] = []
        if not self._items:
            # Some hosts send nothing but the final object.
            for position, body in enumerate(_objects(response.get("output"))):
                events += self.done(position, body)
        events += self._close_thinking()
        incomplete = response.get("incomplete_details")
        if response.get("status") == "incomplete" and isinstance(incomplete, dict):
            raw = _text(incomplete.get("reason"))
            reason = _INCOMPLETE.get(raw, FinishReason.MODEL_FAULT)
        else:
            raw = _text(response.get("status")) or "completed"
            reason = FinishReason.TOOL_CALLS if self._calls else FinishReason.REFUSAL if self._refused else FinishReason.STOP
        events.append(Finish(reason, raw))
        tier = response.get("service_tier")
        usage = decode_usage(response.get("usage"), tier if isinstance(tier, str) else None, self._web_searches(response))
        if usage:
            events.append(UsageReport(usage))
        return events

    def _web_searches(self, response: dict[str, Any]) -> int | None:
        match response.get("tool_usage"):
            case {"web_search": {"num_requests": requests}}:
                return count(requests) or None
        return self._searches or None

    def _item(self, key: Any, kind: str, item_id: Any) -> _Item:
        item = self._items.get(key)
        if item is None:
            item = self._items[key] = _Item(kind, item_id if isinstance(item_id, str) else None)
        return item

    def _content(self, key: Any, kind: str, event: Event) -> list[Event]:
        self._item(key, kind, None).told = True
        if self._thinking is None:
            return [event]
        return [*self._close_thinking(), event]

    def _close_thinking(self, but: _Item | None = None) -> list[Event]:
        """Another item speaks: the thoughts before it are complete, though their ``done`` may come later (OpenRouter)."""
        item = self._thinking
        if item is None or item is but:
            return []
        self._thinking = None
        item.closed = True
        return [ThinkingMark(None, None, NAME, item.id)]

    def _message(self, key: Any, body: dict[str, Any]) -> list[Event]:
        events: list[Event] = []
        for part in _objects(body.get("content")):
            if part.get("type") == "refusal":
                events += self.refusal(key, _text(part.get("refusal")))
            else:
                events += self.text(key, _text(part.get("text")))
        return events

    def _reasoning(self, key: Any, item: _Item, body: dict[str, Any]) -> list[Event]:
        events: list[Event] = []
        if not item.told:
            for source in ("content", "summary"):
                texts = [_text(part.get("text")) for part in _objects(body.get(source))]
                events += self.thought(key, "\n\n".join(text for text in texts if text), source)
                if item.told:
                    break
        token = body.get("encrypted_content")
        if item.closed and not token:
            return events
        events += self._close_thinking(but=item)
        self._thinking = None
        item.closed = True
        events.append(ThinkingMark(token if isinstance(token, str) else None, None, NAME, item.id))
        return events


def _is_search(body: dict[str, Any]) -> bool:
    action = body.get("action")
    return not isinstance(action, dict) or action.get("type") in (None, "search")


def _objects(value: Any) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
