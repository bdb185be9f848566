"""What a caller is told of a database that refused."""

from __future__ import annotations

from django.db import InterfaceError, OperationalError

from llm_gateway.core.errors import GatewayError, StoreBusy, StoreFull, StoreUnavailable


def store_error(error: Exception) -> GatewayError:
    text = str(error).lower()
    if "locked" in text or "deadlock" in text or "timeout" in text:
        return StoreBusy("The gateway's database is busy; try again shortly.", retry_after_s=1)
    if "full" in text or "no space" in text or "readonly" in text:
        return StoreFull("The gateway's disk is full, so nothing can be logged or sent; the operator has to free space.", retry_after_s=30)
    return StoreUnavailable("The gateway's database is not available; try again shortly.", retry_after_s=2)


def outage(error: BaseException | None) -> GatewayError | None:
    """The same where ``error`` came from a database that is away, locked or full; ``None`` for a statement it could not make sense of."""
    if not isinstance(error, OperationalError | InterfaceError) or "no such " in str(error):
        return None
    return store_error(error)
