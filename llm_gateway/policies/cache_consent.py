"""Whether and how a request uses the answer cache: the nearest rule of header, client key, alias
and gateway decides. Pure."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from llm_gateway.core.caching import LONGEST_S, SHORTEST_S, USUAL_S, CacheRules
from llm_gateway.core.errors import InvalidRequest

HEADER, TTL_HEADER = "x-cogo-cache", "x-cogo-cache-ttl"
WORDS = ("on", "off", "only", "refresh")


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """``look``: a cached answer is acceptable. ``keep``: a fresh answer may be stored for
    ``ttl_s``. ``only``: never call a provider. ``max_age_s``: how old a kept answer may be,
    ``None``: any age. The rest as in :class:`~llm_gateway.core.caching.CacheRule`."""

    look: bool = True
    keep: bool = True
    only: bool = False
    chance: bool = False
    shared: bool = False
    ttl_s: int = USUAL_S
    max_age_s: int | None = None
    semantic: str = "off"


def wish_of(headers: Mapping[str, str], rules: CacheRules, client_key_id: int | None, asked: str) -> Wish | None:
    """``None``: the cache is off for this request. ``headers`` have lower-case names; ``asked``:
    the model as asked for. Raises :class:`InvalidRequest` for a header value that means nothing."""
    word = _word(headers)
    ttl_s = _ttl(headers.get(TTL_HEADER))
    alias = rules.aliases.get(asked)
    levels = [rule for rule in (rules.keys.get(client_key_id or 0), alias, rules.gateway) if rule is not None]
    if word is None:
        on = next((rule.on for rule in levels if rule.on is not None), False)
        word = "on" if on else "off"
    control = _directives(headers.get("cache-control", ""))
    if word == "off" or "no-store" in control:
        return None
    return Wish(
        look=word != "refresh" and "no-cache" not in control,
        keep=word != "only",
        only=word == "only",
        chance=next((rule.chance for rule in levels), False),
        shared=alias is not None and alias.shared,
        ttl_s=ttl_s or next((rule.ttl_s for rule in levels if rule.ttl_s), USUAL_S),
        max_age_s=_seconds(control.get("max-age")),
        semantic=alias.semantic if alias is not None else "off",
    )


def says_something(headers: Mapping[str, str]) -> bool:
    return HEADER in headers or TTL_HEADER in headers


def _word(headers: Mapping[str, str]) -> str | None:
    text = headers.get(HEADER)
    if text is None:
        return None
    word = text.strip().lower()
    if word not in WORDS:
        raise InvalidRequest(f"`{HEADER}` has to be one of {', '.join(WORDS)}.", param=HEADER)
    return word


def _ttl(text: str | None) -> int | None:
    if text is None:
        return None
    digits = text.strip()
    if not (digits.isascii() and digits.isdecimal() and len(digits) < 9 and SHORTEST_S <= int(digits) <= LONGEST_S):
        raise InvalidRequest(f"`{TTL_HEADER}` has to be a whole number of seconds from {SHORTEST_S} to {LONGEST_S}.", param=TTL_HEADER)
    return int(digits)


def _directives(text: str) -> dict[str, str]:
    """RFC 9111, 5.2.1; unknown directives have no effect."""
    directives: dict[str, str] = {}
    for part in text.split(",") if text else ():
        name, _, value = part.partition("=")
        directives[name.strip().lower()] = value.strip().strip('"')
    return directives


def _seconds(text: str | None) -> int | None:
    return int(text) if text and text.isascii() and text.isdecimal() and len(text) < 10 else None
