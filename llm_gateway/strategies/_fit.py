"""Which candidates can do a request at all: asked by every strategy before it ranks."""

from __future__ import annotations

from collections.abc import Sequence

from llm_gateway.core.catalog import Lifecycle

from ._base import Candidate, RequestFacts


def fitting(candidates: Sequence[Candidate], facts: RequestFacts) -> tuple[list[int], dict[int, str]]:
    """Indices of the candidates that can do it, and why each of the others cannot."""
    fit: list[int] = []
    skipped: dict[int, str] = {}
    for index, candidate in enumerate(candidates):
        reason = misfit(candidate, facts)
        if reason:
            skipped[index] = reason
        else:
            fit.append(index)
    return fit, skipped


def misfit(candidate: Candidate, facts: RequestFacts) -> str:
    """Why ``candidate`` cannot do the request; empty when it can or when nothing is known against it."""
    model = candidate.target.model
    if model.lifecycle is Lifecycle.RETIRED:
        return "retired by its provider"
    # Unknown capabilities are no reason: the provider's own answer will tell.
    missing = facts.needs - model.capabilities if model.capabilities else frozenset()
    if missing:
        return f"cannot do {', '.join(sorted(missing))}"
    window = model.context_window
    if window is not None and facts.prompt_tokens + (facts.max_tokens or 0) > window:
        return f"context window of {window} tokens is too small for {facts.prompt_tokens} + {facts.max_tokens or 0}"
    limit = model.max_output_tokens
    if limit is not None and facts.max_tokens is not None and facts.max_tokens > limit:
        return f"cannot write {facts.max_tokens} tokens, at most {limit}"
    return ""
