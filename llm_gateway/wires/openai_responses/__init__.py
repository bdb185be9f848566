"""OpenAI Responses, the format of Codex and of OpenAI's newer models."""

from llm_gateway.wires import dialects, wires

from .dialect import DIALECT
from .wire import WIRE, decode_count

wires.add(WIRE.name, WIRE)
dialects.add(DIALECT.name, DIALECT)

__all__ = ["DIALECT", "WIRE", "decode_count"]
