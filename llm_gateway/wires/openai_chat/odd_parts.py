"""What a chat history holds beside plain parts: parts of single hosts, sound that the model made, a
started answer.

Its own host reads it as it came. To a provider of another format it is told in words where it
stands in the history, which nobody can take back; what is asked just now is refused by name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec

from llm_gateway.core.chat import Document, Image, Opaque, Part, Text, Thinking
from llm_gateway.core.errors import InvalidRequest, UnsupportedParameter
from llm_gateway.wires._elsewhere import as_written
from llm_gateway.wires._openai import inbound

from . import schema

_NAME: Final = "openai_chat"
_COMMON: Final = frozenset({"text", "refusal", "image_url", "input_audio", "file"})


class Bodies:
    """The messages of one request as they came, decoded only where somebody asks."""

    __slots__ = ("_asked_from", "_last", "_messages", "_raw")

    def __init__(self, messages: list[schema.InMessage], raw: Mapping[str, msgspec.Raw]) -> None:
        self._asked_from = max((at for at, message in enumerate(messages) if message.role == "assistant"), default=-1)
        self._last = len(messages) - 1
        self._raw = raw
        self._messages: list[Any] | None = None

    def _body(self, position: int) -> dict[str, Any]:
        if self._messages is None:
            self._messages = inbound.value_of(self._raw.get("messages")) or []
        found = self._messages[position]
        assert isinstance(found, dict)
        return found

    def part(self, position: int, place: int, kind: str) -> Part:
        """A part that is no plain one, or lacks what its type has. Raises where it is asked about
        just now."""
        body = self._body(position)["content"][place]
        known = _known(body)
        if known is not None:
            return known
        if position > self._asked_from and self._body(position).get("role") == "user":
            at = f"messages[{position}].content[{place}]"
            if kind in _COMMON:
                raise InvalidRequest(f"{at}.{kind} is missing.", param=f"{at}.{kind}")
            raise UnsupportedParameter(f"Content of type `{kind}` cannot be translated for this provider.", param=f"{at}.type")
        return Opaque(wire=_NAME, raw=body)

    def call(self, position: int, place: int) -> Part:
        """A call that is neither a function's nor a free-text tool's: nobody else has one."""
        body = self._body(position)["tool_calls"][place]
        if position == self._last and body.get("type") in (None, "function", "custom"):
            at = f"messages[{position}].tool_calls[{place}].function"
            raise InvalidRequest(f"{at} is missing.", param=at)
        return Text(text=as_written(body))

    def field(self, position: int, name: str) -> Iterator[Part]:
        """Sound that the model made, or the mark of an answer to go on with, which means something
        at the very end only."""
        body = self._body(position)
        if name != "audio":
            if position == self._last:
                at = f"messages[{position}].{name}"
                raise UnsupportedParameter(f"{at} cannot be translated for this provider.", param=at)
            return
        said = body["audio"].get("transcript")
        if isinstance(said, str) and said:
            yield Text(text=said)
        elif not body.get("content"):
            yield Text(text="[The model answered with sound here.]")

    def pictures(self, position: int) -> Iterator[Part]:
        """What the model drew (OpenRouter)."""
        for one in self._body(position)["images"]:
            match one:
                case {"image_url": {"url": str(url)}} | {"image_url": str(url)}:
                    split = inbound.split_data_url(url)
                    yield Image(media_type=split[0], data=split[1]) if split else Image(url=url)


def _known(body: dict[str, Any]) -> Part | None:
    """Parts of single hosts that say what a plain part says."""
    match body:
        case {"type": "text" | "output_text", "text": None}:
            return Text(text="")
        case {"type": "thinking", "thinking": thought}:  # Mistral
            return Thinking(text=thought_of(thought))
        case {"type": "document_url", "document_url": str(url)}:  # Mistral
            return Document(url=url)
        case {"type": "input_file", "file_url": str(url)}:
            return Document(url=url)
        case {"type": "input_file", "file_data": str(data)}:
            kind, payload = inbound.split_data_url(data) or ("application/pdf", data)
            name = body.get("filename")
            return Document(media_type=kind, data=payload, name=name if isinstance(name, str) else None)
        case {"type": "input_file", "file_id": str(file_id)}:
            return Document(file_id=file_id)
    return None


def thought_of(value: Any) -> str:
    """The words of thoughts, whatever form a host gave them."""
    match value:
        case str():
            return value
        case list():
            return "".join(thought_of(one) for one in value)
        case {"text": inner} | {"thinking": inner} | {"summary": inner} | {"content": inner}:
            return thought_of(inner)
    return ""
