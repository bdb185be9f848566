"""What a host's own answer lacks for strict readers of its own format, put in for callers of that
format.

Everything that is as the format says keeps its bytes. SDKs with typed answers refuse the rest: a
tool delta without index, finish reasons of a host's own, the object of another endpoint, no id,
time or role.
"""

from __future__ import annotations

import hashlib
import re
from typing import Any, Final

from llm_gateway.core import json
from llm_gateway.core.chat import FinishReason
from llm_gateway.core.events import Event, Finish, TextDelta, ThinkingDelta
from llm_gateway.wires import _halves
from llm_gateway.wires._openai.ids import call_id

from .chunks import Chunk
from .response_in import Reader, finish_of, pieces_of
from .stream_out import finish_word

CHUNK: Final = "chat.completion.chunk"
WHOLE: Final = "chat.completion"
_HALF: Final = re.compile(rb"\\u[dD][89abcdefABCDEF]")
_WORDS: Final = frozenset({"stop", "length", "tool_calls", "content_filter", "function_call"})
# A host that says its model failed means no normal end; no word of the format says so, and the
# host's own tells more than "stop".
_HONEST: Final = frozenset({FinishReason.MODEL_FAULT})


class Mender:
    """Over the chunks of one stream; ``identity`` is what the first chunks said of themselves."""

    __slots__ = ("_created", "_id", "_model")

    def __init__(self) -> None:
        self._id = ""
        self._created: int | None = None
        self._model: str | None = None

    def chunk(self, data: bytes, chunk: Chunk, reader: Reader, usual: bool) -> bytes | None:
        """The chunk's JSON as its format wants it; ``None``: it is. Asked after ``reader`` has read
        it. ``usual``: every field that the decoder knows has its type."""
        self._id = self._id or chunk.id or ""
        self._model = self._model if chunk.model is None else chunk.model
        if self._created is None and chunk.created:
            self._created = int(chunk.created)
        if usual and _sound(chunk, reader):
            return None
        cut = not usual and _HALF.search(data) is not None
        value = _halves.loads(data) if cut else json.lenient(data)
        if not isinstance(value, dict):
            return None
        changed = self._head(value, data, CHUNK)
        if not isinstance(value.get("choices"), list):
            value["choices"], changed = [], True
        for place, choice in enumerate(value["choices"]):
            if isinstance(choice, dict):
                changed |= _choice(choice, place, "delta") | _calls(choice.get("delta"), place, reader)
                if place in reader.first and not isinstance(choice["delta"].get("role"), str):
                    choice["delta"] = {"role": "assistant", **choice["delta"]}
                    changed = True
        if not changed:
            return None
        # Half a character goes on in the next chunk; readers of the format join the two.
        return _halves.dumps(value) if cut else json.dumps(value)

    def ends(self, finishes: list[Event]) -> bytes:
        """Chunks for the answers that their host never finished."""
        head = {"id": self._id, "object": CHUNK, "created": self._created or 0, "model": self._model or ""}
        said = b""
        for event in finishes:
            if isinstance(event, Finish):
                choice = {"index": event.choice, "delta": {}, "finish_reason": finish_word(event.reason, refused=True)}
                said += b"data: " + json.dumps(head | {"choices": [choice]}) + b"\n\n"
        return said

    def _head(self, value: dict[str, Any], data: bytes, kind: str) -> bool:
        changed = False
        if not isinstance(value.get("id"), str) or (not value["id"] and value.get("choices")):
            if not self._id:
                self._id = "chatcmpl-" + hashlib.sha256(data).hexdigest()[:24]
            value["id"], changed = self._id, True
        if value.get("object") != kind:
            value["object"], changed = kind, True
        if not isinstance(value.get("created"), int):
            value["created"], changed = self._created or 0, True
        if not isinstance(value.get("model"), str):
            value["model"], changed = self._model or "", True
        return changed

    def whole(self, body: bytes) -> bytes:
        """A whole answer; ``body`` itself where nothing is missing."""
        value = json.lenient(body)
        if not isinstance(value, dict) or not isinstance(value.get("choices"), list):
            return body
        if isinstance(created := value.get("created"), int | float):
            self._created = int(created)
        changed = self._head(value, body, WHOLE)
        for place, choice in enumerate(value["choices"]):
            if isinstance(choice, dict):
                changed |= _choice(choice, place, "message") | _whole_message(choice["message"], f"{value['id']}:{self._created}", place)
                if not isinstance(choice.get("finish_reason"), str):
                    choice["finish_reason"] = "tool_calls" if choice["message"].get("tool_calls") else "stop"
                    changed = True
        return json.dumps(value) if changed else body


def mended(body: bytes) -> bytes:
    """A whole answer of a host as its own format has it."""
    return Mender().whole(body)


def _sound(chunk: Chunk, reader: Reader) -> bool:
    """Whether strict readers take the chunk, as far as the typed decoder saw it. One without
    choices (usage, a host's own news) is read for what it has and for nothing else."""
    if chunk.choices is not None and not chunk.choices:
        return True
    if chunk.object != CHUNK or chunk.id is None or chunk.created is None or chunk.model is None or chunk.choices is None or reader.repairs:
        return False
    for place, choice in enumerate(chunk.choices):
        if choice.index is None or choice.delta is None or not (choice.finish_reason is None or choice.finish_reason in _WORDS):
            return False
        if not chunk.id or (place in reader.first and choice.delta.role is None) or isinstance(choice.delta.content, list):
            return False
        for call in choice.delta.tool_calls or ():
            if call.function is not None and isinstance(call.function.arguments, dict):
                return False
    return isinstance(chunk.created, int)


def _choice(choice: dict[str, Any], place: int, field: str) -> bool:
    """``field``: where the format has the content, ``delta`` or ``message``."""
    changed = False
    if not isinstance(choice.get("index"), int):
        choice["index"], changed = place, True
    if not isinstance(choice.get(field), dict):
        other = choice.pop("message" if field == "delta" else "delta", None)
        text = choice.pop("text", None)
        choice[field] = other if isinstance(other, dict) else {"content": text} if isinstance(text, str) else {}
        changed = True
    changed |= _plain_content(choice[field])
    word = choice.get("finish_reason")
    if word is None or word in _WORDS:
        return changed
    if not word:
        choice["finish_reason"] = None
        return True
    reason = finish_of(word) if isinstance(word, str | int | float) else FinishReason.STOP
    if reason not in _HONEST:
        choice["finish_reason"], changed = finish_word(reason, refused=False), True
    return changed


def _plain_content(said: dict[str, Any]) -> bool:
    """Mistral gives content as a list of texts, thoughts and references where the format has one
    text."""
    pieces = said.get("content")
    if not isinstance(pieces, list):
        return False
    events = list(pieces_of(pieces, 0))
    said["content"] = "".join(event.text for event in events if isinstance(event, TextDelta))
    if thought := "".join(event.text for event in events if isinstance(event, ThinkingDelta)):
        said.setdefault("reasoning_content", thought)
    return True


def _calls(delta: Any, place: int, reader: Reader) -> bool:
    """The calls of a delta, bound as the reader has bound them."""
    calls = delta.get("tool_calls") if isinstance(delta, dict) else None
    changed = False
    for position, call in enumerate(calls if isinstance(calls, list) else ()):
        if not isinstance(call, dict):
            continue
        repair = reader.repairs.get((place, position))
        if repair is not None:
            call["index"] = repair.index
            if repair.id is not None:
                call["id"] = repair.id
            holder = call.get("function") or call.get("custom")
            if repair.name is not None and isinstance(holder, dict):
                holder.pop("name", None)
                if repair.name:
                    holder["name"] = repair.name
            if repair.arguments is not None and isinstance(holder, dict):
                holder["arguments"] = repair.arguments
            changed = True
        changed |= _text_arguments(call)
    return changed


def _text_arguments(call: dict[str, Any]) -> bool:
    function = call.get("function")
    if isinstance(function, dict) and isinstance(function.get("arguments"), dict | list):
        function["arguments"] = json.dumps(function["arguments"]).decode()
        return True
    return False


def _whole_message(message: dict[str, Any], seed: str, place: int) -> bool:
    changed = False
    if not isinstance(message.get("role"), str):
        message["role"], changed = "assistant", True
    calls = message.get("tool_calls")
    for position, call in enumerate(calls if isinstance(calls, list) else ()):
        if not isinstance(call, dict):
            continue
        changed |= _text_arguments(call)
        if isinstance(function := call.get("function"), dict) and not isinstance(function.get("arguments"), str):
            function["arguments"], changed = "{}", True
        if not isinstance(call.get("id"), str) or not call["id"]:
            call["id"], changed = call_id(seed, place, position), True
        if not isinstance(call.get("type"), str):
            call["type"], changed = "custom" if "custom" in call else "function", True
    return changed
