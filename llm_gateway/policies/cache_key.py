"""The cache key of an answer: everything in the request that can change the answer, and who may
receive it. Pure.

Every field counts except a short list that never changes an answer; unknown fields count too.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from typing import Any, Final

import msgspec

# Raising this number makes all older entries unreachable.
VERSION: Final = 1

_OPENAI: Final = frozenset({"stream", "stream_options", "user", "safety_identifier", "metadata", "prompt_cache_key", "service_tier"})
# Top-level fields by dialect that change how an answer is delivered, billed or filed, never what it
# says.
DENIED: Final[Mapping[str, frozenset[str]]] = {
    "openai_chat": _OPENAI,
    "openai_responses": _OPENAI,
    "openai_completions": frozenset({"stream", "stream_options", "user"}),
    "anthropic_messages": frozenset({"stream", "metadata", "service_tier"}),
    "gemini_generate": frozenset(),
    "native": frozenset({"stream", "include_usage", "user", "service_tier", "hints", "session"}),
}
# Request headers that may change an answer.
HEADERS: Final = ("anthropic-beta", "anthropic-version", "openai-beta")

_sorted = msgspec.json.Encoder(order="deterministic")


class Scene(msgspec.Struct, frozen=True, kw_only=True):
    """What stands beside the body. ``client_key_id`` ``None``: the team's keys share; negative: one
    of the staff. ``behind``: what the asked model means today, so that another meaning is another
    key. ``ceiling``: the client key's own limit on output. ``facts``: what a native request says
    beside its conversation."""

    team_id: int
    client_key_id: int | None
    kind: str
    dialect: str
    model: str
    behind: tuple[str, ...]
    ceiling: int | None = None
    headers: tuple[str, ...] = ()
    facts: tuple[str | None, ...] = ()


def cache_key(secret: bytes, scene: Scene, body: Mapping[str, Any]) -> bytes:
    """32 bytes. ``body``: the request as decoded JSON. Without ``secret``, a key reveals nothing
    about the request."""
    return hmac.digest(secret, _sorted.encode((VERSION, scene, canonical(scene.dialect, body))), hashlib.sha256)


def canonical(dialect: str, body: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that count."""
    denied = DENIED.get(dialect, frozenset())
    kept = {name: value for name, value in body.items() if name not in denied}
    # Not to store it at the provider is the provider's matter, not the answer's; what is to be
    # stored there is never kept here.
    if kept.get("store") is False and denied is _OPENAI:
        del kept["store"]
    return kept


def answer_headers(headers: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(headers.get(name, "") for name in HEADERS)
