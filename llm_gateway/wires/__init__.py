"""One package per wire format, both directions. Pure: bytes and frozen values in, bytes and frozen values out.

A package named after its format defines ``WIRE`` (we speak it to providers) and ``DIALECT`` (callers speak it to us) and registers
them; nothing else knows the formats' names.
"""

from collections.abc import Callable
from typing import Any

from llm_gateway.core.chat import ChatRequest
from llm_gateway.core.registry import Registry
from llm_gateway.core.usage import Usage

from . import _plain as plain
from ._base import Counter, Dialect, Edits, Embedder, Embedding, Inbound, ModelFacts, Reply, StreamDecoder, StreamEncoder, Wire
from ._capabilities import left_out
from ._first_call import FirstCallOnly
from ._free_text import FreeTextCalls
from ._stop_cut import StopCut
from ._wishes import Fitted, fitted

wires: Registry[Wire] = Registry("wire", __name__)
dialects: Registry[Dialect] = Registry("dialect", __name__)
# Reads the usage of an embeddings answer; raises AttemptFailed for an error inside a 200.
meters: Registry[Callable[[bytes], Usage | None]] = Registry("usage meter", __name__)
# Token counts and embeddings between formats; a format without an entry has no such endpoint.
counters: Registry[Counter] = Registry("token counter", __name__)
embedders: Registry[Embedder] = Registry("embedder", __name__)
# What a piece that only one format understands says, in words: where a conversation goes to another format, text stands in its place.
describers: Registry[Callable[[dict[str, Any]], str]] = Registry("describer", __name__)


def in_words_of(wire: str, chat: ChatRequest) -> ChatRequest:
    """``chat`` without pieces that ``wire`` does not understand, where their own format can say what they say."""
    return plain.in_words_of(wire, chat, lambda part: describers.get(part.wire)(part.raw) if part.wire in describers else None)


__all__ = [
    "Counter",
    "Dialect",
    "Edits",
    "Embedder",
    "Embedding",
    "FirstCallOnly",
    "Fitted",
    "FreeTextCalls",
    "Inbound",
    "ModelFacts",
    "Reply",
    "StopCut",
    "StreamDecoder",
    "StreamEncoder",
    "Wire",
    "counters",
    "describers",
    "dialects",
    "embedders",
    "fitted",
    "in_words_of",
    "left_out",
    "meters",
    "wires",
]  # fmt: skip
