"""Google's generateContent. https://ai.google.dev/api/generate-content"""

from llm_gateway.wires import dialects, meters, wires

from .dialect import GeminiDialect, encode_count
from .embeddings import usage_of
from .names import NAME
from .wire import GeminiGenerate, decode_count
from .wire import encode_count as encode_count_request

WIRE = wires.add(NAME, GeminiGenerate())
DIALECT = dialects.add(NAME, GeminiDialect())
meters.add(NAME, usage_of)

__all__ = ["DIALECT", "WIRE", "decode_count", "encode_count", "encode_count_request"]
