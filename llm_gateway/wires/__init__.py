"""One package per wire format, both directions. Pure: bytes and frozen values in, bytes and frozen
values out.

A package named after its format registers one :class:`Format`: the wire that we speak to providers,
the dialect that callers speak to us, and what else it offers. Nothing outside the package knows the
format's name. In every package ``request_in`` reads a caller's request, ``request_out`` writes one
for a provider, ``response_in`` reads a provider's answer, ``response_out`` writes one for a caller;
``stream_in`` and ``stream_out`` do the same for streams.
"""

from ._base import (
    Counter,
    Dialect,
    Edits,
    Embedder,
    Embedding,
    Inbound,
    ModelFacts,
    Reply,
    StreamDecoder,
    StreamEncoder,
    Wire,
)
from ._capabilities import left_out
from ._counted import Counted
from ._fields import at_callers_place
from ._first_call import FirstCallOnly
from ._format import (
    Format,
    counters,
    dialects,
    elsewhere,
    embedders,
    formats,
    glances,
    limits,
    menders,
    meters,
    renewers,
    unthought,
    wires,
)
from ._held_calls import HeldCalls
from ._issuers import issuer_of, without_tokens
from ._limits import Limits
from ._renewed import Renewer, renewer
from ._stop_cut import StopCut
from ._turns import InTurn
from ._way_back import WayBack
from ._wishes import Fitted, fitted

__all__ = [
    "Counted", "Counter", "Dialect", "Edits", "Embedder", "Embedding", "FirstCallOnly", "Fitted", "Format", "HeldCalls", "InTurn",
    "Inbound", "Limits", "ModelFacts", "Renewer", "Reply", "StopCut", "StreamDecoder", "StreamEncoder", "WayBack", "Wire",
    "at_callers_place", "counters", "dialects", "elsewhere", "embedders", "fitted", "formats", "glances", "issuer_of", "left_out",
    "limits", "menders", "meters", "renewer", "renewers", "unthought", "wires", "without_tokens",
]  # fmt: skip
