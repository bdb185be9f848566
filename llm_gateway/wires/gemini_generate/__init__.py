"""Google's generateContent. https://ai.google.dev/api/generate-content"""

from llm_gateway.wires import counters, dialects, embedders, glances, meters, renewer, renewers, wires

from . import elsewhere as elsewhere
from .dialect import GeminiDialect, encode_count
from .embeddings import GeminiEmbedder, usage_of
from .glance import glance
from .names import NAME
from .wire import GeminiCounter, GeminiGenerate, decode_count
from .wire import encode_count as encode_count_request

WIRE = wires.add(NAME, GeminiGenerate())
DIALECT = dialects.add(NAME, GeminiDialect())
meters.add(NAME, usage_of)
renewers.add(NAME, renewer("responseId", ""))
counters.add(NAME, GeminiCounter())
glances.add(NAME, glance)
embedders.add(NAME, GeminiEmbedder())

__all__ = ["DIALECT", "WIRE", "decode_count", "encode_count", "encode_count_request"]
