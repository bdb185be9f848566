"""The operator's rules for the answer cache, as the catalogue snapshot carries them, and what a
caller learns about one answer."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

# The words in a request's log row and in the answer's header; empty when nobody asked for the
# cache.
HIT, SEMANTIC, MISS, BYPASS = "hit", "semantic", "miss", "bypass"
SERVED = (HIT, SEMANTIC)

# How long an answer may be kept, in seconds.
SHORTEST_S, LONGEST_S, USUAL_S = 60, 30 * 86_400, 86_400

# Scopes of a purge mark.
ALL, TEAM, KEY, ALIAS, MODEL = "all", "team", "key", "alias", "model"
SCOPES = (ALL, TEAM, KEY, ALIAS, MODEL)


class CacheRule(msgspec.Struct, frozen=True, kw_only=True):
    """The rule of one level. ``on``: ``None`` leaves the choice to the next level. ``chance``: also
    keep answers that vary (no temperature 0, no seed). ``shared``: the keys of a team share answers
    (aliases only). ``semantic``: off, shadow or on (aliases only)."""

    on: bool | None = None
    chance: bool = False
    shared: bool = False
    ttl_s: int | None = None
    semantic: str = "off"


class CacheRules(msgspec.Struct, frozen=True, kw_only=True):
    """``keys``: by client key id; ``aliases``: by name. ``marks``: (scope, whose) to the Unix
    second of the last purge; answers older than it are never served. ``in_use``: whether any rule
    switches the cache on."""

    gateway: CacheRule | None = None
    keys: Mapping[int, CacheRule] = {}
    aliases: Mapping[str, CacheRule] = {}
    marks: Mapping[tuple[str, str], float] = {}

    @property
    def in_use(self) -> bool:
        if self.gateway is None and not self.keys and not self.aliases:
            return False
        rules = (self.gateway, *self.keys.values(), *self.aliases.values())
        return any(rule is not None and rule.on for rule in rules)


class CacheNote(msgspec.Struct, frozen=True, kw_only=True):
    """What an answer reports about the cache. ``why``: the reason of a bypass. For a hit:
    ``age_s``, and ``origin``, the request that produced the answer."""

    status: str
    why: str = ""
    age_s: int = 0
    origin: str = ""
