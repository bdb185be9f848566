"""OpenAI chat completions, and the many hosts that speak it."""

from llm_gateway.wires import dialects, wires

from .dialect import DIALECT
from .embeddings import usage_of
from .wire import WIRE

wires.add(WIRE.name, WIRE)
dialects.add(DIALECT.name, DIALECT)

__all__ = ["DIALECT", "WIRE", "usage_of"]
