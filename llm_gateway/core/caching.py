"""What operators said about the answer cache, as the catalogue snapshot carries it, and what is told of one answer."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

# What a request log row and the answer's header say: no word where nobody wanted the cache.
HIT, SEMANTIC, MISS, BYPASS = "hit", "semantic", "miss", "bypass"
SERVED = (HIT, SEMANTIC)

# How long an answer may be kept, in seconds.
SHORTEST_S, LONGEST_S, USUAL_S = 60, 30 * 86_400, 86_400

# Scopes of a purge mark.
ALL, TEAM, KEY, ALIAS, MODEL = "all", "team", "key", "alias", "model"
SCOPES = (ALL, TEAM, KEY, ALIAS, MODEL)


class CacheRule(msgspec.Struct, frozen=True, kw_only=True):
    """One level's word. ``on`` ``None``: it says nothing about on and off. ``chance``: answers with chance in them (no temperature 0, no
    seed) are kept as well. ``shared``: the keys of a team share their answers (an alias only). ``semantic``: off, shadow or on (an
    alias only)."""

    on: bool | None = None
    chance: bool = False
    shared: bool = False
    ttl_s: int | None = None
    semantic: str = "off"


class CacheRules(msgspec.Struct, frozen=True, kw_only=True):
    """``keys`` by the client key's id, ``aliases`` by name. ``marks``: (scope, whose) to the Unix second of the last purge: what was made
    before it is out of reach. ``in_use``: whether any rule says on."""

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
    """What an answer says of the cache. ``why``: of a bypass. Of a hit: ``age_s``, and ``origin``, the request it was made for."""

    status: str
    why: str = ""
    age_s: int = 0
    origin: str = ""
