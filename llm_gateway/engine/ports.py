"""What the pipeline needs from outside, as Protocols. Stores implement them over the ORM, tests with a dict."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol
from uuid import UUID

import msgspec

from llm_gateway.core.catalog import Snapshot, Target
from llm_gateway.core.errors import GatewayError

from .calls import AttemptRecord, Call
from .spoken import Spoken


class Opening(msgspec.Struct, frozen=True, kw_only=True, weakref=True):
    """The open row and its holds, written in one transaction. ``budgets``: ids to hold ``hold_nusd`` against. ``at``: Unix seconds.
    ``choice``: what a strategy decided by, as :mod:`llm_gateway.strategies` writes it; ``policy``: the number of its version.

    Whoever runs the call holds it to the end: the row's lease is renewed as long as it lives."""

    call: Call
    at: float
    hold_nusd: int
    budgets: tuple[int, ...]
    target: Target
    strategy: str
    simulated: bool
    choice: str | None = None
    policy: int = 0


class Settlement(msgspec.Struct, frozen=True, kw_only=True):
    """The end of an open row, written in one transaction with its attempts and its ledger. Money in nano-USD, ``None`` unknown;
    ``charge_nusd`` is what budgets are charged (an unknown cost charges the hold). ``spoken``: what the caller was answered, for those who
    score it; it is written nowhere."""

    id: UUID
    at: float
    state: str
    opened: Opening
    target: Target | None
    attempts: tuple[AttemptRecord, ...]
    usage: Mapping[str, Any]
    cost_nusd: int | None
    charge_nusd: int
    price_id: int | None
    latency_ms: int | None
    ttft_ms: int | None
    status: int
    error_code: str
    finish_reason: str
    served_model: str
    flags: str
    decision: Mapping[str, Any]
    prompt: str | None = None
    answer: str | None = None
    spoken: Spoken | None = None


class Remembered(msgspec.Struct, frozen=True, kw_only=True):
    """What the row of an answer out of the cache says beside its caller: ``cache`` hit or semantic, ``saved_nusd`` what it would have cost
    now (``None``: unknown)."""

    cache: str
    target: Target
    served_model: str
    strategy: str
    finish_reason: str
    latency_ms: int
    saved_nusd: int | None
    decision: Mapping[str, Any]


class Rejection(msgspec.Struct, frozen=True, kw_only=True):
    """A request that ended without an upstream call. ``state``: ``rejected``; ``failed`` where no deployment was to be had; ``ok``,
    without an error, where the gateway itself had the answer; ``remembered``: out of the cache."""

    call: Call
    at: float
    error: GatewayError | None
    strategy: str = ""
    state: str = "rejected"
    remembered: Remembered | None = None


class Catalog(Protocol):
    def snapshot(self) -> Snapshot:
        """The newest catalogue this process has; never blocks."""
        ...


class Journal(Protocol):
    """Every method returns after its commit. ``open`` and ``reserve`` raise the budget errors, and ``StoreUnavailable`` / ``StoreBusy`` /
    ``StoreFull`` when nothing was written. ``settle`` never loses what it was given: with the database away it is spooled."""

    async def open(self, opening: Opening) -> None: ...
    async def reserve(self, opening: Opening, target: Target, hold_nusd: int) -> None: ...
    async def settle(self, settlement: Settlement) -> None: ...
    async def reject(self, rejection: Rejection) -> None: ...


class Answers(Protocol):
    """Kept answers, packed. Nothing here raises, and nothing waits long: what is slow or broken has no answer."""

    async def find(self, key: bytes) -> bytes | None: ...

    def keep(self, key: bytes, data: bytes, slip: Slip) -> None:
        """Returns at once; may be forgotten."""
        ...

    def drop(self, key: bytes) -> None:
        """Out of this process's memory."""
        ...

    def judged(self, alias: str, right: bool) -> None:
        """Whether what was kept for nearly the same question would have done. Returns at once; may be forgotten."""
        ...


class Slip(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a kept answer without opening it. ``at_rest``: it may be written to the database."""

    request_id: UUID
    team_id: int
    client_key_id: int | None
    asked: str
    model: str
    made_at: float
    expires_at: float
    at_rest: bool


class Observer(Protocol):
    """Hears of every end; must not block or raise."""

    def finished(self, settlement: Settlement) -> None: ...
    def rejected(self, rejection: Rejection) -> None: ...
