"""The attempts of a process whose answers are awaited or on their way, what ends them from outside, and what repeating them may cost."""

from __future__ import annotations

from llm_gateway.core.catalog import Identity
from llm_gateway.core.errors import Failure, FailureClass, GatewayError, KeyRevoked, ShuttingDown
from llm_gateway.policies.retry import RetryBudget

from .attempt import Attempt
from .gate import KeyGate, revoked
from .ports import Catalog

# Given to the live answers of a key that is no longer good; told from a provider's reset by identity.
_KEY_GONE = Failure(kind=FailureClass.RESET, code="key_revoked", message="the client key was revoked or has expired")


class LiveAttempts:
    """``retrying``: attempts that repeat another one, while nobody knows yet whether they will be answered."""

    def __init__(self, catalog: Catalog, gate: KeyGate) -> None:
        self._catalog = catalog
        self._gate = gate
        self._attempts: dict[Attempt, Identity] = {}
        self._ending: Failure | None = None
        self.retrying = 0

    def __len__(self) -> int:
        return len(self._attempts)

    def add(self, attempt: Attempt, identity: Identity) -> None:
        self._attempts[attempt] = identity

    def discard(self, attempt: Attempt) -> None:
        self._attempts.pop(attempt, None)

    def end(self, failure: Failure) -> None:
        """End every answer with ``failure`` and let no other attempt begin (shutdown)."""
        ending = self._ending = self._ending or failure
        for attempt in list(self._attempts):
            attempt.abort(ending)

    def end_revoked(self) -> int:
        """End the answers of keys that are no longer good (C17). Returns how many."""
        snapshot = self._catalog.snapshot()
        gone = [attempt for attempt, owner in self._attempts.items() if attempt.aborted is None and revoked(owner, snapshot)]
        for attempt in gone:
            attempt.abort(_KEY_GONE)
        return len(gone)

    def unwanted(self, identity: Identity) -> GatewayError | None:
        """Why nothing more is begun for this caller, if so."""
        if self._ending is not None:
            return _shutting_down()
        return _key_gone() if revoked(identity, self._catalog.snapshot()) else None

    def ours(self, failure: Failure) -> GatewayError | None:
        """What the caller is told when it was not the provider but us who ended the attempt."""
        if failure is _KEY_GONE:
            return _key_gone()
        return _shutting_down() if failure is self._ending else None

    @property
    def may_repeat(self) -> bool:
        """Whether there is room for one more attempt that repeats another."""
        return RetryBudget(in_flight=self._gate.in_flight, retrying=self.retrying).allows


def _key_gone() -> GatewayError:
    return KeyRevoked("This client key was revoked or has expired; ask the gateway's operator for a new one.")


def _shutting_down() -> GatewayError:
    return ShuttingDown("The gateway is shutting down; send the request again.", retry_after_s=2)
