"""Whether the shadow of an alias has measured enough to serve: the lower 95 % bound of right hits, and of how many."""

from __future__ import annotations


def refusal(alias: str) -> str:
    """Why the alias may not answer nearly the same question; empty: it may."""
    return f"Nothing was measured for {alias or 'this name'} yet: switch the shadow on first."
