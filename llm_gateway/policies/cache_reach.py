"""Whether a cached answer may still be served. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from llm_gateway.core.caching import ALL


def within_reach(made_at: float, expires_at: float, whose: Mapping[str, str], marks: Mapping[tuple[str, str], float], now: float) -> bool:
    """``whose``: the entry's owner by scope (team, key, alias, model). ``marks``: by scope and
    owner, when that was purged last. An answer that was in progress during a purge is out of reach,
    too. Times in Unix seconds."""
    if expires_at <= now:
        return False
    if not marks:
        return True
    if made_at <= marks.get((ALL, ""), -1.0):
        return False
    return all(made_at > marks.get(one, -1.0) for one in whose.items())
