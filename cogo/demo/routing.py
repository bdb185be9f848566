"""Which model answers a request of the history: the strategies themselves decide, over the catalogue as it was."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec

from llm_gateway.core.catalog import Identity, Scope, Snapshot, Target
from llm_gateway.engine.contexts import Contexts
from llm_gateway.engine.resolve import resolve
from llm_gateway.policies.hold import hold_nusd, output_limit
from llm_gateway.strategies import Candidate, RequestFacts, digested, strategies, write_choice

# Digests of made-up names need no secret, and the same names are dealt the same arms in every demonstration.
DIGEST_KEY = b"demonstration"


class Decided(msgspec.Struct, frozen=True, kw_only=True):
    """Targets in the order they would be tried; ``choice`` and ``policy`` where a strategy decided."""

    order: list[Target]
    strategy: str = ""
    note: str = ""
    choice: str | None = None
    policy: int | None = None


class Router:
    """One catalogue, under one version of the active strategy."""

    def __init__(self, snapshot: Snapshot, contexts: Contexts) -> None:
        self.snapshot = snapshot
        self._contexts = contexts
        self._anyone = Identity(client_key_id=None, public_id="", name="demo", team_id=0, team="", scopes=frozenset({Scope.GENERATE}))
        self._estimates: dict[tuple[str, int, int], list[int | None]] = {}
        self._found: dict[str, Any] = {}

    def decide(self, asked: str, facts: Mapping[str, Any], client: str, now: datetime, draw: float, *, kept: bool) -> Decided:
        """``kept``: the decision is young enough to be replayed."""
        found = self._found.get(asked)
        if found is None:
            found = self._found[asked] = resolve(self.snapshot, self._anyone, asked)
        if found.strategy is None:
            return Decided(order=list(found.targets))
        user = digested(DIGEST_KEY, facts["user"])
        seen = RequestFacts(
            now=now, prompt_tokens=facts["prompt"], max_tokens=facts["most"], task_type=facts["task"] or None,
            language=facts["language"] or None, sticky=user, user=user, client=client, stream=facts["stream"],
        )  # fmt: skip
        estimates = self._estimated(asked, found.targets, facts["prompt"], facts["most"], now)
        candidates = [Candidate(target=t, estimate_nusd=e) for t, e in zip(found.targets, estimates, strict=True)]
        info = found.strategy
        ranking = strategies.get(info.kind).order(candidates, seen, info.settings, draw)
        order = [candidates[index].target for index in ranking.order]
        if not kept:
            return Decided(order=order, strategy=info.name, note=ranking.note)
        choice = write_choice(
            seen, draw=draw, policy=info.version, catalogue=self._contexts.catalogue(self.snapshot), statistics="",
            candidates=self._contexts.candidates(found.targets, found.skipped), first=ranking.order[0], estimates=estimates, p=ranking.p,
            canary=False,
        )  # fmt: skip
        return Decided(order=order, strategy=info.name, note=ranking.note, choice=choice, policy=info.version)

    def _estimated(self, asked: str, targets: tuple[Target, ...], prompt: int, most: int, now: datetime) -> list[int | None]:
        known = self._estimates.get((asked, prompt, most))
        if known is None:
            known = [hold_nusd(prompt, output_limit(most, t.model), 1, t.model.rates, now) for t in targets]
            self._estimates[asked, prompt, most] = known
        return known
