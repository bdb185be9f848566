"""The catalogue as the engine sees it: an immutable snapshot of what the operator configured.

The stores rebuild it from the ORM when its version changes, so a reader never sees half a change.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from enum import StrEnum
from typing import Any

import msgspec

from .caching import CacheRules
from .host_facts import NOTHING, FactRow, HostFacts
from .keys import KeyState
from .learning import Learnt
from .money import Rate
from .secret import Secret


class Lifecycle(StrEnum):
    ACTIVE = "active"
    DEPRECATED = "deprecated"
    RETIRED = "retired"


class ProviderInfo(msgspec.Struct, frozen=True, kw_only=True):
    """``service`` names the provider file, ``wire`` the format it is spoken to in. ``priority``:
    lower is tried first. Times are in milliseconds; ``None``: the gateway's default. ``habits``:
    the preset's facts about the host; ``facts``: the operator's own, which override them."""

    id: int
    slug: str
    title: str
    service: str
    wire: str
    base_url: str
    priority: int = 100
    weight: int = 1
    allow_private: bool = False
    ignore_health: bool = False
    simulated: bool = False
    connect_timeout_ms: int | None = None
    first_event_timeout_ms: int | None = None
    idle_timeout_ms: int | None = None
    total_timeout_ms: int | None = None
    habits: tuple[FactRow, ...] = ()
    facts: HostFacts = NOTHING


class Credential(msgspec.Struct, frozen=True, kw_only=True):
    """A provider key that requests may use. ``secret`` is empty for hosts that take none."""

    id: int
    provider_id: int
    name: str
    secret: Secret
    state: KeyState = KeyState.UNCHECKED
    weight: int = 1


class ModelInfo(msgspec.Struct, frozen=True, kw_only=True):
    """``name`` is unique in the catalogue; ``upstream_id`` is the provider's. ``pattern``: the id
    holds ``*`` and admits every name that matches. ``successor`` names the model that replaces it.
    ``rates`` may be empty: unpriced. ``auto``: a strategy may choose it."""

    id: int
    provider_id: int
    name: str
    upstream_id: str
    title: str = ""
    lifecycle: Lifecycle = Lifecycle.ACTIVE
    retires_on: date | None = None
    successor: str | None = None
    context_window: int | None = None
    max_output_tokens: int | None = None
    capabilities: frozenset[str] = frozenset()
    rates: tuple[Rate, ...] = ()
    pattern: bool = False
    auto: bool = True
    position: int = 100
    facts: HostFacts = NOTHING


class AliasInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A name callers use. ``models``: names in the order to try them; several only if the operator
    listed several."""

    name: str
    models: tuple[str, ...]


class StrategyInfo(msgspec.Struct, frozen=True, kw_only=True):
    """``kind`` names the strategy file, ``settings`` its validated options; ``revision`` counts
    activations of changed settings; ``version``: its number as a policy version; 0 if none was
    recorded."""

    name: str
    kind: str
    settings: Mapping[str, Any]
    revision: int = 1
    version: int = 0


class CanaryInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A policy version that decides for ``share`` of the active strategy's requests. A caller stays
    on the side it first fell on."""

    strategy: StrategyInfo
    share: float


class Scope(StrEnum):
    GENERATE = "generate"
    ANALYZE = "analyze"
    READ = "read"
    MANAGE = "manage"


# Longest name of an end user, in characters; the rest is cut.
SUBJECT_CHARS = 512


class BodyLogging(StrEnum):
    OFF = "off"
    METADATA = "metadata"
    FULL = "full"


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """The caller. ``models``: empty admits all; ``budgets``: ids of the budgets that hold every
    request of this key. ``client_key_id`` is ``None`` for staff in the browser, whose ``team_id``
    is the gateway's own team. ``addresses``: the networks the key may be used from; empty: any.
    ``end_users``: the budgets per end user, by pseudonym."""

    client_key_id: int | None
    public_id: str
    name: str
    team_id: int
    team: str
    scopes: frozenset[Scope]
    models: frozenset[str] = frozenset()
    strategy: str | None = None
    max_tokens: int | None = None
    max_concurrency: int | None = None
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    budgets: tuple[int, ...] = ()
    end_users: Mapping[str, tuple[int, ...]] = {}
    bodies: BodyLogging = BodyLogging.METADATA
    allow_unpriced: bool = False
    expires_at: datetime | None = None
    revoked: bool = False
    addresses: tuple[str, ...] = ()


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """A model with a key that can be tried. ``upstream_id`` is what goes on the wire (for a
    pattern: the caller's own name). ``budgets``: ids of the budgets that its provider and model
    count against."""

    provider: ProviderInfo
    credential: Credential
    model: ModelInfo
    upstream_id: str
    budgets: tuple[int, ...] = ()

    @property
    def deployment(self) -> tuple[int, str]:
        """The scope of a circuit breaker: key × model."""
        return (self.credential.id, self.upstream_id)


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """``clients`` maps a public id to (digest of the key, identity). ``names`` maps every name a
    caller may use to its alias. ``learnt``: by model id, the statistics of past answers."""

    version: int
    providers: Mapping[int, ProviderInfo]
    credentials: Mapping[int, tuple[Credential, ...]]
    models: Mapping[str, ModelInfo]
    aliases: Mapping[str, AliasInfo]
    strategies: Mapping[str, StrategyInfo]
    active_strategy: str
    clients: Mapping[str, tuple[bytes, Identity]]
    provider_budgets: Mapping[int, tuple[int, ...]] = {}
    model_budgets: Mapping[int, tuple[int, ...]] = {}
    gateway_budgets: tuple[int, ...] = ()
    patterns: tuple[ModelInfo, ...] = ()
    settings: Mapping[str, Any] = {}
    canary: CanaryInfo | None = None
    learnt: Mapping[int, Learnt] = {}
    cache: CacheRules = CacheRules()
