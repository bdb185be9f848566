"""Searches that a provider runs by itself while it answers, and bills by the piece."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

# What is held for a tool whose uses the caller does not bound; more of them are an overrun.
UNBOUNDED = 5
MOST = 100


def allowed(tools: Iterable[tuple[Any, Any]]) -> int:
    """How many searches (kind of the tool, bound) pairs may come to."""
    return min(MOST, sum(_bound(most) for kind, most in tools if isinstance(kind, str) and kind.startswith("web_search")))


def _bound(most: Any) -> int:
    return most if isinstance(most, int) and not isinstance(most, bool) and most >= 0 else UNBOUNDED
