"""OpenAI chat completions, and the many hosts that speak it."""

from llm_gateway.wires import dialects, meters, wires

from .dialect import DIALECT
from .embeddings import model_ids, usage_of
from .wire import WIRE

wires.add(WIRE.name, WIRE)
dialects.add(DIALECT.name, DIALECT)
meters.add(WIRE.name, usage_of)

__all__ = ["DIALECT", "WIRE", "model_ids", "usage_of"]
