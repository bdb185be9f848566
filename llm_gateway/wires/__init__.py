"""One package per wire format, both directions. Pure: bytes and frozen values in, bytes and frozen values out.

A package named after its format defines ``WIRE`` (we speak it to providers) and ``DIALECT`` (callers speak it to us) and registers
them; nothing else knows the formats' names.
"""

from collections.abc import Callable

from llm_gateway.core.registry import Registry
from llm_gateway.core.usage import Usage

from ._base import Counter, Dialect, Edits, Embedder, Embedding, Inbound, ModelFacts, Reply, StreamDecoder, StreamEncoder, Wire
from ._capabilities import left_out, unthought
from ._counted import Counted
from ._elsewhere import elsewhere
from ._fields import at_callers_place
from ._first_call import FirstCallOnly
from ._held_calls import HeldCalls
from ._issuers import issuer_of, without_tokens
from ._limits import Limits, limits
from ._renewed import Renewer, renewer
from ._stop_cut import StopCut
from ._turns import InTurn
from ._way_back import WayBack
from ._wishes import Fitted, fitted

wires: Registry[Wire] = Registry("wire", __name__)
dialects: Registry[Dialect] = Registry("dialect", __name__)
# Reads the usage of an embeddings answer; raises AttemptFailed for an error inside a 200.
meters: Registry[Callable[[bytes], Usage | None]] = Registry("usage meter", __name__)
# Token counts and embeddings between formats; a format without an entry has no such endpoint.
counters: Registry[Counter] = Registry("token counter", __name__)
embedders: Registry[Embedder] = Registry("embedder", __name__)
# What a host's whole answer lacks for strict readers of its own format is put in; a format without an entry passes as it came.
menders: Registry[Callable[[bytes], bytes]] = Registry("mender", __name__)
# A plain whole answer read at a glance, where nothing of it needs mending; None: read it in full, as every answer of other formats.
glances: Registry[Callable[[bytes], Counted | None]] = Registry("glance", __name__)
# A kept whole answer with an id and a time of its own; a format without an entry has neither.
renewers: Registry[Renewer] = Registry("renewer", __name__)

__all__ = [
    "Counted", "Counter", "Dialect", "Edits", "Embedder", "Embedding", "FirstCallOnly", "Fitted", "HeldCalls", "InTurn", "Inbound",
    "Limits", "ModelFacts", "Renewer", "Reply", "StopCut", "StreamDecoder", "StreamEncoder", "WayBack", "Wire", "at_callers_place",
    "counters", "dialects", "elsewhere", "embedders", "fitted", "glances", "issuer_of", "left_out", "limits", "menders", "meters",
    "renewer", "renewers", "unthought", "wires", "without_tokens",
]  # fmt: skip
