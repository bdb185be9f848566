"""What the batches of all dialects share: whose they are, and how they are named."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any
from uuid import UUID

from llm_gateway.core.catalog import Identity
from llm_gateway.core.errors import NotFound
from llm_gateway.models import Batch
from llm_gateway.wiring import gateway

PREFIXES = ("batch_", "msgbatch_", "batches/")


def batch_id(text: str) -> UUID | None:
    for prefix in PREFIXES:
        if text.startswith(prefix) and len(text) == len(prefix) + 32:
            try:
                return UUID(hex=text.removeprefix(prefix))
            except ValueError:
                return None
    return None


async def found_batch(identity: Identity, text: str, dialect: str = "") -> Batch:
    """Raises :class:`NotFound`, the same for what belongs to somebody else or another dialect. Natively, without ``dialect``, all are
    found."""
    pk = batch_id(text)
    batch: Batch | None = None if pk is None else await gateway().threaded(find, identity, pk, dialect)
    if batch is None:
        raise NotFound(f"No such batch: {text[:100]!r}; it expired, was deleted, or belongs to another key.", param="id")
    return batch


def find(identity: Identity, pk: UUID, dialect: str) -> Batch | None:
    found: Batch | None = of_key(identity, dialect).filter(pk=pk).first()
    return found


def of_key(identity: Identity, dialect: str = "") -> Any:
    rows = Batch.objects.filter(team_id=identity.team_id, client_key_id=identity.client_key_id)
    return rows.filter(dialect=dialect) if dialect else rows


def paged(identity: Identity, dialect: str, after: UUID | None, size: int) -> tuple[list[Batch], bool]:
    """The newest first; whether there are more. Blocking."""
    rows = of_key(identity, dialect).order_by("-id")
    if after is not None:
        rows = rows.filter(pk__lt=after)
    found = list(rows[: size + 1])
    return found[:size], len(found) > size


def all_of(show: Callable[[Batch], dict[str, Any]], rows: Iterable[Batch]) -> list[dict[str, Any]]:
    """Blocking."""
    return [show(row) for row in rows]
