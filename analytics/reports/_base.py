"""The face of a report, and the values it is made of. A report computes; pages and files only render."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date, datetime
from typing import Any, Literal, Protocol

import msgspec

from analytics import days
from analytics.queries import Filters

Kind = Literal["text", "count", "usd", "share", "ms"]


class Column(msgspec.Struct, frozen=True):
    """``kind`` says how a cell is shown: ``usd`` is nano-USD, ``share`` a number from 0 to 1, ``ms`` milliseconds. A ``None`` cell reads
    ``absent``. ``digits``: of an amount on the page; files have all of them."""

    name: str
    title: str
    kind: Kind = "text"
    absent: str = "unknown"
    digits: int = 6


class Series(msgspec.Struct, frozen=True):
    """``key``: the value that the name stands for; ``None``: several."""

    name: str
    values: tuple[float | None, ...]
    key: Any = None


class Chart(msgspec.Struct, frozen=True, kw_only=True):
    title: str
    labels: tuple[str, ...]
    series: tuple[Series, ...]
    unit: str = ""
    stacked: bool = True
    line: bool = False
    # The dimension that its series are of, and the days that its labels are of, where it leads to requests.
    by: str = ""
    days: tuple[date, ...] = ()


class Card(msgspec.Struct, frozen=True):
    """A figure above the table. ``tone``: good, warn, bad or empty."""

    label: str
    value: str
    note: str = ""
    tone: str = ""


class Lines:
    """Rows made anew whenever they are read, a part at a time, so that a long report never stands in memory as a whole."""

    def __init__(self, make: Callable[[], Iterator[tuple[Any, ...]]]) -> None:
        self._make = make

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        return self._make()


class Sheet(msgspec.Struct, frozen=True, kw_only=True):
    """``rows`` have one cell per column and may be read again and again; ``totals`` too, where a total makes sense. ``empty``: a title
    and a sentence in the place of a table without rows."""

    columns: tuple[Column, ...]
    rows: Iterable[tuple[Any, ...]]
    totals: tuple[Any, ...] = ()
    cards: tuple[Card, ...] = ()
    chart: Chart | None = None
    notes: tuple[str, ...] = ()
    empty: tuple[str, str] = ("No rows for this choice", "Widen the range or loosen the filters.")


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """``start`` and ``end`` are midnights of ``zone``, ``end`` exclusive; ``now`` is the moment of asking. ``option``: the report's own
    choice."""

    start: datetime
    end: datetime
    now: datetime
    group_by: tuple[str, ...] = ()
    filters: Filters = Filters()
    option: str = ""
    zone: str = days.UTC_NAME

    @property
    def days(self) -> tuple[date, ...]:
        """Every day of the range that has begun."""
        return days.between(self.start, min(self.end, self.now), self.zone)


class Report(Protocol):
    """``groups``: what it may be grouped by, with ``default_groups``. ``option_title``: the label of a choice of its own, whose values are
    ``options()``; empty: none. ``dated``: it is of the days that are asked for. ``icon``: its Material symbol in the sidebar, where the
    lowest ``position`` comes first."""

    name: str
    title: str
    icon: str
    position: int
    summary: str
    dated: bool
    option_title: str

    @property
    def groups(self) -> tuple[str, ...]: ...
    @property
    def default_groups(self) -> tuple[str, ...]: ...
    def options(self) -> Sequence[tuple[str, str]]: ...

    def build(self, asked: Asked) -> Sheet: ...
