"""Which candidates can do a request at all: asked by every strategy before it ranks."""

from __future__ import annotations

from collections.abc import Sequence

from llm_gateway.core.catalog import Lifecycle, ModelInfo

from ._base import Candidate, RequestFacts

# What a model can or cannot do. Other needs ("reasoning", "json") are wishes: a model without them answers all the same.
_HARD = frozenset({"tools", "images", "documents", "audio", "json_schema", "n", "embeddings"})
_ONLY_EMBEDDINGS = frozenset({"embeddings"})
# The prompt's tokens are estimated to err upward; so much of the estimate is there for certain.
_CERTAIN = 0.6


def fitting(candidates: Sequence[Candidate], facts: RequestFacts) -> tuple[list[int], dict[int, str]]:
    """Indices of the candidates that can do it, and why each of the others cannot.

    When none fits for certain, those that an estimate of the prompt excluded are given the benefit of the doubt: the provider counts
    exactly, and its refusal costs nothing.
    """
    hard = facts.needs & _HARD
    skipped = {index: reason for index, one in enumerate(candidates) if (reason := _misfit(one.target.model, facts, hard, 1.0))}
    if candidates and len(skipped) == len(candidates):
        skipped = {index: reason for index, candidate in enumerate(candidates) if (reason := misfit(candidate, facts, _CERTAIN))}
    return [index for index in range(len(candidates)) if index not in skipped] if skipped else list(range(len(candidates))), skipped


def misfit(candidate: Candidate, facts: RequestFacts, certain: float = 1.0) -> str:
    """Why ``candidate`` cannot do the request; empty when it can or when nothing is known against it. ``certain``: the share of the
    estimated prompt to count; below 1 the answer's room is not counted either."""
    return _misfit(candidate.target.model, facts, facts.needs & _HARD, certain)


def _misfit(model: ModelInfo, facts: RequestFacts, hard: frozenset[str], certain: float) -> str:
    if model.lifecycle is Lifecycle.RETIRED:
        return "retired by its provider"
    # Unknown capabilities are no reason: the provider's own answer will tell.
    if model.capabilities:
        if missing := hard - model.capabilities:
            return f"cannot do {', '.join(sorted(missing))}"
        if model.capabilities == _ONLY_EMBEDDINGS and "embeddings" not in facts.needs:
            return "only makes embeddings"
    window = model.context_window
    if window is None:
        return ""
    # A limit above the model's own is lowered to it on the way out (agents ask for the most they know of).
    room = min(facts.max_tokens or 0, model.max_output_tokens or facts.max_tokens or 0) if certain == 1 else 0
    if facts.prompt_tokens * certain + room > window:
        return f"its context window of {window} tokens is too small for about {facts.prompt_tokens} and {room} to write"
    return ""
