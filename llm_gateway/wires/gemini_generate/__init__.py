"""Google's generateContent. https://ai.google.dev/api/generate-content"""

from llm_gateway.wires import Format, formats, renewer

from . import elsewhere
from .dialect import GeminiDialect
from .embeddings import GeminiEmbedder, usage_of
from .glance import glance
from .limits import LIMITS
from .names import NAME
from .wire import GeminiCounter, GeminiGenerate

WIRE = GeminiGenerate()
DIALECT = GeminiDialect()
FORMAT = formats.add(
    NAME,
    Format(
        name=NAME,
        wire=WIRE,
        dialect=DIALECT,
        limits=LIMITS,
        counter=GeminiCounter(),
        embedder=GeminiEmbedder(),
        meter=usage_of,
        glance=glance,
        renewer=renewer("responseId", ""),
        elsewhere=elsewhere.read,
    ),
)

__all__ = ["DIALECT", "FORMAT", "WIRE"]
