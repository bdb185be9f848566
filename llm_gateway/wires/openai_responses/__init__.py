"""OpenAI Responses, the format of Codex and of OpenAI's newer models."""

from llm_gateway.wires import counters, describers, dialects, wires

from .dialect import DIALECT
from .plain import plain_words
from .wire import WIRE, ResponsesCounter, decode_count

wires.add(WIRE.name, WIRE)
dialects.add(DIALECT.name, DIALECT)
describers.add(WIRE.name, plain_words)
counters.add(WIRE.name, ResponsesCounter())
# OpenAI's host counts for its chat models, too; whether a host does, its service says.
counters.add("openai_chat", ResponsesCounter())

__all__ = ["DIALECT", "WIRE", "decode_count"]
