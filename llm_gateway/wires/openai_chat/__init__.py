"""OpenAI chat completions, and the many hosts that speak it."""

from llm_gateway.wires import Format, formats, renewer
from llm_gateway.wires._openai.embeddings import OpenAIEmbedder, usage_of
from llm_gateway.wires.openai_responses.counting import ResponsesCounter

from .dialect import DIALECT
from .glance import glance
from .limits import LIMITS
from .mend import mended
from .wire import WIRE

FORMAT = formats.add(
    "openai_chat",
    Format(
        name="openai_chat",
        wire=WIRE,
        dialect=DIALECT,
        limits=LIMITS,
        # OpenAI's host counts for its chat models as well; the service says whether a host does.
        counter=ResponsesCounter(),
        embedder=OpenAIEmbedder(),
        meter=usage_of,
        mender=mended,
        glance=glance,
        renewer=renewer("id", "chatcmpl-", ("created",)),
    ),
)

__all__ = ["DIALECT", "FORMAT", "WIRE"]
