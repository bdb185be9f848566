"""One package per wire format, both directions. Pure: bytes and frozen values in, bytes and frozen values out.

A package named after its format defines ``WIRE`` (we speak it to providers) and ``DIALECT`` (callers speak it to us) and registers
them; nothing else knows the formats' names.
"""

from collections.abc import Callable

from llm_gateway.core.registry import Registry
from llm_gateway.core.usage import Usage

from ._base import Counter, Dialect, Edits, Embedder, Embedding, Inbound, ModelFacts, Reply, StreamDecoder, StreamEncoder, Wire
from ._capabilities import left_out, unthought
from ._elsewhere import elsewhere
from ._first_call import FirstCallOnly
from ._free_text import FreeTextCalls
from ._issuers import issuer_of, without_tokens
from ._limits import Limits, limits
from ._way_back import WayBack

wires: Registry[Wire] = Registry("wire", __name__)
dialects: Registry[Dialect] = Registry("dialect", __name__)
# Reads the usage of an embeddings answer; raises AttemptFailed for an error inside a 200.
meters: Registry[Callable[[bytes], Usage | None]] = Registry("usage meter", __name__)
# Token counts and embeddings between formats; a format without an entry has no such endpoint.
counters: Registry[Counter] = Registry("token counter", __name__)
embedders: Registry[Embedder] = Registry("embedder", __name__)

__all__ = [
    "Counter", "Dialect", "Edits", "Embedder", "Embedding", "FirstCallOnly", "FreeTextCalls", "Inbound", "Limits", "ModelFacts", "Reply",
    "StreamDecoder", "StreamEncoder", "WayBack", "Wire", "counters", "dialects", "elsewhere", "embedders", "issuer_of", "left_out",
    "limits", "meters", "unthought", "wires", "without_tokens",
]  # fmt: skip
