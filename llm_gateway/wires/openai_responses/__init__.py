"""OpenAI Responses, the format of Codex and of OpenAI's newer models."""

from typing import Any

from llm_gateway.core.chat import Part, Text
from llm_gateway.wires import counters, dialects, elsewhere, renewer, renewers, wires

from .dialect import DIALECT
from .plain import plain_words
from .wire import WIRE, ResponsesCounter, decode_count


def _told(item: dict[str, Any], asked: bool) -> tuple[Part, ...]:
    return (Text(text=plain_words(item)),)


wires.add(WIRE.name, WIRE)
dialects.add(DIALECT.name, DIALECT)
elsewhere.add(WIRE.name, _told)
renewers.add(WIRE.name, renewer("id", "resp_", ("created_at", "completed_at")))
counters.add(WIRE.name, ResponsesCounter())
# OpenAI's host counts for its chat models, too; whether a host does, its service says.
counters.add("openai_chat", ResponsesCounter())

__all__ = ["DIALECT", "WIRE", "decode_count"]
