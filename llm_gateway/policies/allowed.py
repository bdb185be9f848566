"""Which names a client key's list of models admits. Pure.

An entry is what a caller may write: a model's name, an alias, ``PROVIDER/ID``, or one of these with
``*`` for any characters and ``?`` for one; also ``auto`` and ``strategy:NAME``.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from functools import lru_cache

AUTO = "auto"
STRATEGY = "strategy:"


def is_pattern(entry: str) -> bool:
    return "*" in entry or "?" in entry


@lru_cache(maxsize=4096)
def _compiled(entry: str) -> re.Pattern[str]:
    parts = (".*" if c == "*" else "." if c == "?" else re.escape(c) for c in entry)
    return re.compile("".join(parts), re.DOTALL)


@lru_cache(maxsize=4096)
def patterns(entries: frozenset[str]) -> tuple[str, ...]:
    """The patterns among ``entries``."""
    return tuple(sorted(entry for entry in entries if is_pattern(entry)))


def fits(pattern: str, names: Iterable[str]) -> bool:
    """Whether ``pattern`` admits one of ``names``."""
    match = _compiled(pattern).fullmatch
    return any(match(name) is not None for name in names)


def opens(entries: Collection[str], strategy: str) -> bool:
    """Whether a request without a model may go wherever a strategy sends it, regardless of the
    other entries. Only an entry about strategies grants this: ``a*`` is about models."""
    words = {f"{STRATEGY}{strategy}"}
    return AUTO in entries or any(
        entry in words or (is_pattern(entry) and fits(entry, words)) for entry in entries if entry.startswith(STRATEGY)
    )


def covered(entry: str, entries: Collection[str]) -> bool:
    """Whether one of ``entries`` admits everything that ``entry`` admits, judged by their text
    alone."""
    # A "*" absorbs the other side's wildcards; a "?" would not.
    return entry in entries or any("*" in other and "?" not in other and fits(other, (entry,)) for other in entries)
