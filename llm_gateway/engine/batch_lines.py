"""What travels between the queue of lines and whoever executes them, and the port of that queue."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol
from uuid import UUID

import msgspec


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """A claimed line. ``request_id``: the fence, and the id its request gets. ``public_id``: of the client key it runs as.
    ``text``: as it stands in the file; ``None``: that is gone."""

    id: int
    number: int
    custom_id: str
    kind: str
    model: str
    offset: int
    length: int
    request_id: UUID
    batch: UUID
    dialect: str
    named_model: str
    file: UUID
    public_id: str
    team: int
    economy: bool
    fails_on_budget: bool
    text: bytes | None = None


class Ended(msgspec.Struct, frozen=True, kw_only=True):
    """A line's end. ``body``: as its dialect has it, of an answer or of an error; ``result_bytes``: of its line in a file of results."""

    line: Line
    completed: bool
    status: int
    error_code: str
    body: bytes
    result_bytes: int
    input_tokens: int = 0
    output_tokens: int = 0
    exhausted: bool = False


class Returned(msgspec.Struct, frozen=True, kw_only=True):
    """A line that goes back to the queue for ``wait_s``. ``sent``: a provider may have executed it. ``pause``: why its whole batch
    waits. ``lane``: the one that it is in from now on, where that changes."""

    line: Line
    wait_s: float = 0.0
    sent: bool = False
    pause: str = ""
    lane: str = ""


Outcome = Ended | Returned


class Pushback(msgspec.Struct, frozen=True, kw_only=True):
    """What an execution says of the deployments it met: those that answered, and those that pushed back with the wait they named."""

    served: str = ""
    pushed: Mapping[str, float | None] = {}


class BatchQueue(Protocol):
    """Every method returns after its commit and raises the database's errors."""

    async def take(self, free: int, rooms: Mapping[str, int], usual: int, most_bytes: int) -> list[Line]:
        """At most ``free`` lines, in turns over teams and batches. ``rooms``: by model name, how many may be taken; ``usual``: of a model
        that is not in it. ``most_bytes``: of their texts together; one line may have more."""
        ...

    async def put(self, outcomes: Sequence[Outcome]) -> None:
        """A line that is no longer ours is left as it is."""
        ...

    async def renew(self) -> None:
        """The leases of this runner's lines."""
        ...

    async def look_after(self) -> None:
        """Whatever needs no execution: dead runners' lines, ends of windows, cancellations, files to validate."""
        ...

    async def live(self) -> bool:
        """Whether requests of callers who wait are about."""
        ...
