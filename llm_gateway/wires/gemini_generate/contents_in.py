"""Contents of a caller as neutral messages. A part that no neutral part holds whole travels as
:class:`Opaque`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from llm_gateway.core import json
from llm_gateway.core.chat import Message, Opaque, Part, Text, Thinking, ToolCall, ToolResult
from llm_gateway.core.errors import InvalidRequest
from llm_gateway.wires import _typed

from . import media
from .names import NAME
from .schema import CallIn, ContentIn, PartIn, ResultIn, ResultPartIn
from .signatures import unpack

_KNOWN = frozenset(PartIn.__struct_encode_fields__)
# About how media is read; without them it is read in the default way.
_HINTS = frozenset(("mediaResolution", "partMetadata"))


def system_of(content: ContentIn | None) -> list[Message]:
    parts = tuple(_Reader().parts(content, "systemInstruction", 0)) if content else ()
    return [Message(role="system", parts=parts)] if parts else []


def messages_of(contents: list[ContentIn]) -> list[Message]:
    reader = _Reader()
    messages = []
    asked_from = max((at for at, content in enumerate(contents) if content.role == "model"), default=-1)
    for at, content in enumerate(contents):
        parts = _joined(reader.parts(content, f"contents[{at}]", at, past=at <= asked_from))
        role = {"model": "assistant", "system": "system"}.get(content.role or "user", "user")
        messages.append(Message(role=role, parts=parts))  # type: ignore[arg-type]  # the table's words
    return messages


def _joined(parts: Iterator[Part]) -> tuple[Part, ...]:
    """A stream gives another format's thought and its token as two parts; they are one."""
    found: list[Part] = []
    for part in parts:
        before = found[-1] if found else None
        if (
            isinstance(part, Thinking)
            and isinstance(before, Thinking)
            and part.wire not in (None, NAME)
            and not part.text
            and not (before.signature or before.redacted or before.wire)
        ):
            found[-1] = msgspec.structs.replace(part, text=before.text)
        else:
            found.append(part)
    return tuple(found)


class _Reader:
    """Remembers calls without an answer: callers of older models send neither call nor answer with
    an id, and the name has to do."""

    def __init__(self) -> None:
        self._open: list[tuple[str, str]] = []

    def parts(self, content: ContentIn, path: str, turn: int, past: bool = False) -> Iterator[Part]:
        """``past``: the content stands in the history, where nobody can put a part right; what is
        malformed there travels as it is."""
        for at, raw in enumerate(content.parts or ()):
            try:
                yield from self._part(raw, f"{path}.parts[{at}]", f"{turn}_{at}")
            except InvalidRequest:
                if not past:
                    raise
                if any(raw.values()):
                    yield Opaque(wire=NAME, raw=raw)

    def _part(self, raw: dict[str, Any], path: str, place: str) -> Iterator[Part]:
        part = _typed.convert(raw, PartIn, path)
        if raw.keys() - _KNOWN - _HINTS:
            yield Opaque(wire=NAME, raw=raw)
        elif part.function_call is not None:
            yield self._call(part.function_call, part.thought_signature, place)
        elif part.function_response is not None:
            yield self._result(part.function_response)
        elif part.inline_data is not None:
            yield media.read(part.inline_data) or Opaque(wire=NAME, raw=raw)
        elif part.file_data is not None:
            yield media.read_file(part.file_data) or Opaque(wire=NAME, raw=raw)
        elif part.text is None and part.thought_signature is None:
            raise InvalidRequest(f"{path}: must have one initialized field.", param=path)
        else:
            yield from _text(part)

    def _call(self, call: CallIn, signature: str | None, place: str) -> Part:
        name = call.id or f"call_{place}_{call.name}"
        self._open.append((call.name, name))
        found = unpack(signature)
        own = found.signature if found.wire == NAME else None
        arguments = json.dumps(call.args or {}).decode()
        return ToolCall(id=name, name=call.name, arguments=arguments, signature=own, issuer=found.issuer)

    def _result(self, result: ResultIn) -> Part:
        answered = result.id or next((made for name, made in self._open if name == result.name), f"call_{result.name}")
        self._open = [one for one in self._open if one[1] != answered]
        text, failed = _said(result.response or {})
        content: list[Part] = [Text(text=text)] if text else []
        for one in result.parts or ():
            part = _typed.convert(one, ResultPartIn, "functionResponse.parts") if one.keys() & {"inlineData", "fileData"} else None
            inner = media.read(part.inline_data) if part and part.inline_data else None
            inner = media.read_file(part.file_data) if part and part.file_data else inner
            content.append(inner or Opaque(wire=NAME, raw=one))
        return ToolResult(call_id=answered, name=result.name, content=tuple(content), is_error=failed)


def _text(part: PartIn) -> Iterator[Part]:
    found = unpack(part.thought_signature)
    if part.thought:
        yield Thinking(text=part.text or "", **found._asdict())
        return
    if part.text:
        yield Text(text=part.text)
    if any(found):
        yield Thinking(**found._asdict())


def _said(response: dict[str, Any]) -> tuple[str, bool]:
    """The wrapping that the SDKs and Gemini CLI put around a plain string comes off; other objects
    stay JSON."""
    if len(response) == 1:
        name, value = next(iter(response.items()))
        if name in ("result", "output", "error") and isinstance(value, str):
            return value, name == "error"
    return (json.dumps(response).decode() if response else ""), False
