"""What every provider's batch API has in common, seen from the gateway that sends to it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any, Protocol

import msgspec


class NotUnderstood(ValueError):
    """An answer that is none of this API's."""


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One call. ``path``: below the provider's base URL."""

    method: str
    path: str
    body: bytes = b""
    content_type: str = "application/json"


class Line(msgspec.Struct, frozen=True):
    """One request. ``name``: its ``custom_id`` there, 32 hexadecimal digits; ``body``: as a live
    call of this format has it."""

    name: str
    body: bytes


class Shard(msgspec.Struct, frozen=True, kw_only=True):
    """What is sent as one batch. ``name``: ours, by which it is found again where the API keeps it.
    ``since``: before its first byte went out; ``lines``: empty where only looked for, ``count``
    then says how many they were."""

    name: str
    model: str
    since: datetime
    count: int
    lines: tuple[Line, ...] = ()


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """Where a batch stands. ``state``: ``running``, ``ended`` (whatever the reason; its lines say
    the rest) or ``refused`` (nothing was executed; ``why``). ``results``: the calls that bring
    them; ``inline``: those that came along. ``tidy``: calls that delete what the provider keeps of
    it."""

    state: str
    why: str = ""
    results: tuple[Step, ...] = ()
    inline: bytes = b""
    tidy: tuple[Step, ...] = ()


class ToldLine(msgspec.Struct, frozen=True):
    """What became of one line. ``state``: ``answered`` (``body``: as a live answer), ``failed``
    (``body``: as a live error of ``status``), ``expired`` or ``cancelled``, which cost nothing."""

    name: str
    state: str
    status: int = 0
    body: bytes = b""


class BatchApi(Protocol):
    """Readers raise :class:`NotUnderstood`. ``wire``: the format of its lines; ``most_lines`` and
    ``most_bytes``: of one batch; ``named``: it keeps our name, so that a batch is found again for
    certain. Without it, :meth:`find` tells by time and size, and the names of the lines in the
    results prove it."""

    wire: str
    most_lines: int
    most_bytes: int
    named: bool

    def upload(self, shard: Shard) -> Step | None:
        """The call that comes before the batch; it costs nothing, and may be repeated."""
        ...

    def uploaded(self, body: bytes) -> str: ...

    def create(self, shard: Shard, upload: str) -> Step: ...

    def created(self, body: bytes) -> str:
        """The provider's id of the batch."""
        ...

    def listing(self) -> Step: ...

    def find(self, body: bytes, shard: Shard) -> tuple[str, ...]:
        """The ids of the batches in a listing that may be ``shard``."""
        ...

    def poll(self, remote: str) -> Step: ...

    def told(self, body: bytes, remote: str, upload: str) -> Told: ...

    def cancel(self, remote: str) -> Step: ...

    def read(self, body: bytes) -> Iterator[ToldLine | None]:
        """The lines of a body of results in its own order; ``None`` for what cannot be read."""
        ...


_lenient = msgspec.json.Decoder()


def obj(body: bytes | msgspec.Raw) -> dict[str, Any]:
    """Raises :class:`NotUnderstood`."""
    try:
        found = _lenient.decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        raise NotUnderstood("the answer is no JSON") from None
    if not isinstance(found, dict):
        raise NotUnderstood("the answer is no JSON object")
    return found


def text(value: Any, what: str) -> str:
    """Raises :class:`NotUnderstood`."""
    if not isinstance(value, str) or not value or len(value) > 200:
        raise NotUnderstood(f"the answer has no {what}")
    return value


def objects(value: Any) -> list[dict[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def moment(value: Any) -> datetime | None:
    """Of RFC 3339, with as many digits as a provider likes."""
    if not isinstance(value, str):
        return None
    head, dot, rest = value.partition(".")
    if dot:
        digits = "".join(one for one in rest if one.isdigit())[:6]
        value = f"{head}.{digits.ljust(6, '0')}+00:00"
    try:
        return datetime.fromisoformat(value)
    except ValueError:
        return None
