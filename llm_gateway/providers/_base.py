"""The face of a service. Pure: it describes calls, the engine's transport makes them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import msgspec

from llm_gateway.core.keys import KeyVerdict
from llm_gateway.core.secret import Secret
from llm_gateway.wires import ModelFacts


class ServiceFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What never changes about a service.

    ``wire``: the format it speaks, ``None`` where the row says. ``base_url``: default, without a trailing slash. ``key_env``/``model_env``:
    environment names that configure it. ``non_stream_cap``: above this many output tokens, or with none given, the upstream call is
    streamed whatever the caller asked for. ``bills_aborted``: whether work is billed when we hang up before the first byte.
    ``priority``: its place in the enterprise order. ``pass_headers``: request headers of a caller that may go through.
    ``price_provider``: its id in the price data.
    """

    name: str
    title: str
    wire: str | None
    base_url: str | None = None
    key_env: tuple[str, ...] = ()
    model_env: tuple[str, ...] = ()
    non_stream_cap: int | None = None
    bills_aborted: bool = False
    priority: int = 100
    pass_headers: frozenset[str] = frozenset()
    price_provider: str | None = None


class Probe(msgspec.Struct, frozen=True, kw_only=True):
    """One unbilled call that tells whether a key works."""

    name: str
    url: str
    method: str = "GET"


class Service(Protocol):
    facts: ServiceFacts

    def headers(self, wire: str, key: Secret, passed: Mapping[str, str]) -> dict[str, str]:
        """Request headers: authentication, what the service demands, and of ``passed`` (lower-case names) what it allows."""
        ...

    def model_facts(self, wire: str, upstream_id: str) -> ModelFacts:
        """What an encoder must know of a model, from its id alone; the catalogue's own figures are laid over it."""
        ...

    def adapt(self, wire: str, body: bytes) -> bytes:
        """Last edits to a body that passes through on the same wire: what this host would refuse although it has no effect."""
        ...

    def probes(self, base_url: str, wire: str) -> tuple[Probe, ...]:
        """Calls to try in order until one is conclusive."""
        ...

    def judge(self, probe: Probe, status: int, headers: Mapping[str, str], body: bytes) -> KeyVerdict | None:
        """What the answer says of the key; ``None``: inconclusive, try the next probe."""
        ...
