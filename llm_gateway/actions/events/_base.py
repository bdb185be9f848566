"""What an event is: a question that is asked again and again, with figures an operator may set."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec


class Happening(msgspec.Struct, frozen=True):
    """Something that is so now. ``about``: what of, the same as long as it is the same; ``text``: a sentence without secrets."""

    about: str
    text: str


class Figure(msgspec.Struct, frozen=True):
    """A whole number that a rule may set."""

    name: str
    label: str
    default: int
    least: int = 1
    most: int = 1_000_000


Figures = Mapping[str, int]


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """``look``: what is so at a moment, asked at most once in ``every``; ``None`` where the journal writes the alert itself, as one of
    ``kinds``. ``urgent``: whether a new rule wakes people."""

    title: str
    summary: str
    look: Callable[[Figures, datetime], Sequence[Happening]] | None = None
    kinds: frozenset[str] = frozenset()
    figures: tuple[Figure, ...] = ()
    every: timedelta = timedelta(minutes=1)
    urgent: bool = False

    def settled(self, settings: Any) -> dict[str, int]:
        """Its figures with defaults filled in. Raises ``ValueError`` with a sentence."""
        given = settings if isinstance(settings, dict) else {}
        found = {}
        for figure in self.figures:
            value = given.get(figure.name, figure.default)
            if type(value) is not int or not figure.least <= value <= figure.most:
                raise ValueError(f"{figure.label} is a whole number from {figure.least} to {figure.most}.")
            found[figure.name] = value
        if unknown := sorted(set(given) - {figure.name for figure in self.figures}):
            raise ValueError(f"There is no figure {', '.join(map(str, unknown))}.")
        return found
