"""OpenAI chat completions, and the many hosts that speak it."""

from llm_gateway.wires import dialects, embedders, glances, menders, meters, renewer, renewers, wires

from .dialect import DIALECT
from .embeddings import ChatEmbedder, model_ids, usage_of
from .glance import glance
from .mend import mended
from .wire import WIRE

wires.add(WIRE.name, WIRE)
dialects.add(DIALECT.name, DIALECT)
meters.add(WIRE.name, usage_of)
menders.add(WIRE.name, mended)
glances.add(WIRE.name, glance)
renewers.add(WIRE.name, renewer("id", "chatcmpl-", ("created",)))
embedders.add(WIRE.name, ChatEmbedder())
# A host of OpenAI's Responses has the same endpoint beside it.
meters.add("openai_responses", usage_of)
embedders.add("openai_responses", ChatEmbedder())

__all__ = ["DIALECT", "WIRE", "model_ids", "usage_of"]
