"""How many bodies may be on their way at once: in all, of one client key, from one address, and of callers without a key.

A body that arrives with its head, or shortly after, is no upload. The others wait here and not in a place, so whoever sends slowly takes
nothing away from those whose requests are complete.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

from llm_gateway.core.catalog import Identity
from llm_gateway.core.errors import GatewayError, Overloaded, RateLimited
from llm_gateway.policies.callers import subscriber

N = TypeVar("N", int, str)

# Callers without a client key (a browser before Django has looked at its session) share these.
ANONYMOUS = 32
ANONYMOUS_PER_ADDRESS = 8
RETRY_AFTER_S = 1.0


class Uploads:
    """``many``: whether an address speaks for many callers (a proxy, this machine), which lifts the bound per address."""

    def __init__(self, *, most: int, per_key: int, per_address: int) -> None:
        self._most = most
        self._per_key = per_key
        self._per_address = per_address
        self._keys: Counter[int] = Counter()
        self._addresses: Counter[str] = Counter()
        self._strangers: Counter[str] = Counter()

    @property
    def under_way(self) -> int:
        return self._keys.total() + self._strangers.total()

    def of(self, identity: Identity) -> int:
        """Uploads of this key."""
        return self._keys[identity.client_key_id or 0]

    @contextmanager
    def one(self, identity: Identity | None, address: str, *, many: bool) -> Iterator[None]:
        """Counts an upload while it lasts. Raises :class:`RateLimited` or :class:`Overloaded`."""
        address = subscriber(address)
        refused = self._stranger_refused(address, many) if identity is None else self._refused(identity, address, many)
        if refused is not None:
            raise refused
        by_address = self._strangers if identity is None else self._addresses
        by_address[address] += 1
        key = 0 if identity is None else identity.client_key_id or 0
        if identity is not None:
            self._keys[key] += 1
        try:
            yield
        finally:
            _less(by_address, address)
            if identity is not None:
                _less(self._keys, key)

    def _refused(self, identity: Identity, address: str, many: bool) -> GatewayError | None:
        if self.of(identity) >= self._per_key:
            return RateLimited(
                f"{self._per_key} requests of this key are still sending their body, and no more may; finish those first.",
                retry_after_s=RETRY_AFTER_S,
            )
        if not many and self._addresses[address] >= self._per_address:
            return RateLimited(
                f"{self._per_address} requests from this address are still sending their body, and no more may; finish those first.",
                retry_after_s=RETRY_AFTER_S,
            )
        return (
            Overloaded("The gateway is full; try again shortly.", retry_after_s=RETRY_AFTER_S) if self._keys.total() >= self._most else None
        )

    def _stranger_refused(self, address: str, many: bool) -> GatewayError | None:
        full = self._strangers.total() >= ANONYMOUS or (not many and self._strangers[address] >= ANONYMOUS_PER_ADDRESS)
        if not full:
            return None
        return Overloaded(
            "Too many requests without a client key are still sending their body; try again shortly.", retry_after_s=RETRY_AFTER_S
        )


def _less(count: Counter[N], name: N) -> None:
    count[name] -= 1
    if count[name] <= 0:
        del count[name]
