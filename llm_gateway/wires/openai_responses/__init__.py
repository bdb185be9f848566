"""OpenAI Responses, the format of Codex and of OpenAI's newer models."""

from llm_gateway.wires import Format, formats, renewer
from llm_gateway.wires._openai.embeddings import OpenAIEmbedder, usage_of

from .counting import ResponsesCounter
from .dialect import DIALECT
from .limits import LIMITS
from .names import NAME
from .plain import parts_in_plain_words
from .wire import WIRE

FORMAT = formats.add(
    NAME,
    Format(
        name=NAME,
        wire=WIRE,
        dialect=DIALECT,
        limits=LIMITS,
        counter=ResponsesCounter(),
        # A host of Responses offers OpenAI's embeddings beside it.
        embedder=OpenAIEmbedder(),
        meter=usage_of,
        renewer=renewer("id", "resp_", ("created_at", "completed_at")),
        elsewhere=parts_in_plain_words,
    ),
)

__all__ = ["DIALECT", "FORMAT", "WIRE"]
