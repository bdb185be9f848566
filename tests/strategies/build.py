"""Candidates and facts with defaults, so that a test names only what it is about."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from llm_gateway.core.catalog import Credential, ModelInfo, ProviderInfo, Target
from llm_gateway.core.secret import Secret
from llm_gateway.strategies import Candidate, Ranking, RequestFacts, Stats, strategies

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
PRIORITIES = {"fireworks": 10, "anthropic": 20, "openai": 30, "gemini": 40}


def candidate(
    slug: str,
    name: str,
    *,
    key: int = 0,
    key_weight: int = 1,
    priority: int | None = None,
    weight: int = 1,
    stats: Stats | None = None,
    estimate: int | None = None,
    **model: Any,
) -> Candidate:
    provider_id = sum(map(ord, slug))
    provider = ProviderInfo(
        id=provider_id,
        slug=slug,
        title=slug,
        service="custom",
        wire="openai_chat",
        base_url=f"https://{slug}.test/v1",
        priority=PRIORITIES.get(slug, 100) if priority is None else priority,
        weight=weight,
    )
    credential = Credential(id=provider_id * 10 + key, provider_id=provider_id, name=f"key {key}", secret=Secret("x"), weight=key_weight)
    info = ModelInfo(id=1, provider_id=provider_id, name=name, upstream_id=model.pop("upstream_id", name), **model)
    target = Target(provider=provider, credential=credential, model=info, upstream_id=info.upstream_id)
    return Candidate(target=target, stats=stats or Stats(), estimate_nusd=estimate)


def facts(**given: Any) -> RequestFacts:
    return RequestFacts(**{"now": NOW, "prompt_tokens": 100, "max_tokens": 500, **given})


def rank(kind: str, candidates: Sequence[Candidate], settings: dict[str, Any] | None = None, draw: float = 0.5, **given: Any) -> Ranking:
    strategy = strategies.get(kind)
    return strategy.order(candidates, facts(**given), strategy.validate(settings or {}), draw)


def names(ranking: Ranking, candidates: Sequence[Candidate]) -> list[str]:
    return [f"{candidates[i].target.provider.slug}/{candidates[i].target.model.name}" for i in ranking.order]


def first(kind: str, candidates: Sequence[Candidate], settings: dict[str, Any] | None = None, draw: float = 0.5, **given: Any) -> str:
    return names(rank(kind, candidates, settings, draw, **given), candidates)[0]


def shares(
    kind: str, candidates: Sequence[Candidate], settings: dict[str, Any] | None = None, rounds: int = 1000, **given: Any
) -> dict[str, float]:
    """How often each candidate comes first over evenly spread draws."""
    strategy = strategies.get(kind)
    options = strategy.validate(settings or {})
    counts: dict[str, float] = {}
    for turn in range(rounds):
        index = strategy.order(candidates, facts(**given), options, (turn + 0.5) / rounds).order[0]
        name = f"{candidates[index].target.provider.slug}/{candidates[index].target.credential.name}"
        counts[name] = counts.get(name, 0) + 1 / rounds
    return counts


FOUR = [
    candidate("gemini", "gemini-3.8-flash"),
    candidate("openai", "gpt-6-luna"),
    candidate("anthropic", "claude-sonnet-5-5"),
    candidate("fireworks", "qwen3p8-max", upstream_id="accounts/fireworks/models/qwen3p8-max"),
]
