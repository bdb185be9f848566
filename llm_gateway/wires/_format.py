"""The record that a package of this room registers: all that the gateway knows of one format."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from llm_gateway.core.chat import ChatRequest, Part
from llm_gateway.core.registry import Facet, Registry
from llm_gateway.core.usage import Usage

from ._base import Counter, Dialect, Embedder, ModelFacts, Wire
from ._counted import Counted
from ._limits import Limits
from ._renewed import Renewer


class Format(msgspec.Struct, frozen=True, kw_only=True):
    """``None``: the format has no such thing, and whoever asks does without.

    ``wire``: how we speak it to providers. ``dialect``: how callers speak it to us. ``limits``:
    what providers accept. ``counter`` and ``embedder``: its endpoints for token counts and
    embeddings. ``meter``: reads the usage of an embeddings answer; raises ``AttemptFailed`` for an
    error inside a 200. ``mender``: adds what a host's whole answer lacks for strict readers of its
    own format. ``glance``: reads a plain whole answer at a glance; answers ``None`` where the
    answer has to be read in full. ``renewer``: gives a kept whole answer an id and a time of its
    own. ``unthought``: whether a model will not think in this request, although the caller asked
    for it. ``elsewhere``: a piece that only this format understands, in plain parts; the second
    argument tells whether the caller asks about it now. It answers ``None`` for a piece it does not
    know, and raises ``UnsupportedParameter`` for one that cannot be told.
    """

    name: str
    wire: Wire | None = None
    dialect: Dialect | None = None
    limits: Limits | None = None
    counter: Counter | None = None
    embedder: Embedder | None = None
    meter: Callable[[bytes], Usage | None] | None = None
    mender: Callable[[bytes], bytes] | None = None
    glance: Callable[[bytes], Counted | None] | None = None
    renewer: Renewer | None = None
    unthought: Callable[[ChatRequest, ModelFacts], bool] | None = None
    elsewhere: Callable[[dict[str, Any], bool], tuple[Part, ...] | None] | None = None


formats: Registry[Format] = Registry("wire format", "llm_gateway.wires")

wires: Facet[Wire] = Facet(formats, "wire", lambda one: one.wire)
dialects: Facet[Dialect] = Facet(formats, "dialect", lambda one: one.dialect)
limits: Facet[Limits] = Facet(formats, "table of limits", lambda one: one.limits)
counters: Facet[Counter] = Facet(formats, "token counter", lambda one: one.counter)
embedders: Facet[Embedder] = Facet(formats, "embedder", lambda one: one.embedder)
meters: Facet[Callable[[bytes], Usage | None]] = Facet(formats, "usage meter", lambda one: one.meter)
menders: Facet[Callable[[bytes], bytes]] = Facet(formats, "mender", lambda one: one.mender)
glances: Facet[Callable[[bytes], Counted | None]] = Facet(formats, "glance", lambda one: one.glance)
renewers: Facet[Renewer] = Facet(formats, "renewer", lambda one: one.renewer)
unthought: Facet[Callable[[ChatRequest, ModelFacts], bool]] = Facet(formats, "rule of thinking", lambda one: one.unthought)
elsewhere: Facet[Callable[[dict[str, Any], bool], tuple[Part, ...] | None]] = Facet(
    formats, "reader of foreign pieces", lambda one: one.elsewhere
)
