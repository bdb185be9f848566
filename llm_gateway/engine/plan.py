"""Who may answer, in which order, and why: the decision of a request."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

import msgspec

from llm_gateway.core.catalog import Snapshot, StrategyInfo, Target
from llm_gateway.core.errors import ConfigError, Failure, GatewayError, NotServed, PromptTooLong, UnsupportedParameter
from llm_gateway.policies.end_users import end_user_of, pseudonym
from llm_gateway.policies.hold import estimate_tokens, hold_nusd, output_limit
from llm_gateway.policies.retry import Reach, reach
from llm_gateway.strategies import (
    FLAGS,
    HEDGE,
    LABEL_CHARS,
    Candidate,
    Ranking,
    RequestFacts,
    Stats,
    digested,
    place,
    spread,
    strategies,
    write_choice,
)
from llm_gateway.wires import limits

from .calls import Call
from .health import DeploymentHealth
from .resolve import NAMED, Resolution, resolve

# A hold covers what may be tried: the first of the order, as many as there are attempts.
HELD_TARGETS = 3


class Plan:
    """Mutable for one request: ``remaining`` shrinks as targets are tried, ``skipped`` grows."""

    __slots__ = (
        "at", "call", "chosen", "estimates", "hedged", "note", "order", "prompt_tokens", "remaining", "resolution", "scores", "skipped",
        "snapshot", "strategy",
    )  # fmt: skip

    def __init__(
        self, call: Call, snapshot: Snapshot, resolution: Resolution, order: list[Target], prompt_tokens: int,
        estimates: Mapping[int, int | None], skipped: list[tuple[str, str]], scores: list[tuple[Target, Mapping[str, Any]]], note: str,
    ) -> None:  # fmt: skip
        self.call = call
        self.snapshot = snapshot
        self.resolution = resolution
        self.strategy = resolution.strategy.name if resolution.strategy else NAMED
        self.order = order
        self.remaining = list(order)
        self.prompt_tokens = prompt_tokens
        self.estimates = estimates
        self.skipped = skipped
        self.scores = scores
        self.note = note
        self.hedged: dict[str, Any] | None = None
        # The moment that everything here was decided at; what a strategy chose from.
        self.at: datetime | None = None
        self.chosen: Chosen | None = None

    def skip(self, target: Target, why: str) -> None:
        self.skipped.append((label(target), why))

    def eligible(self, failure: Failure, failed: Target) -> list[Target]:
        """Which of the remaining targets could still answer after ``failure`` of ``failed``."""
        return self._within(reach(failure.kind), failed)

    def narrow(self, scope: Reach, failed: Target) -> None:
        kept = self._within(scope, failed)
        if scope == "other_key":
            # The fault is the key's: another key of the same model comes before another provider.
            kept.sort(key=lambda t: 0 if t.model.id == failed.model.id else 1)
        for target in self.remaining:
            if target not in kept:
                self.skip(target, f"after the failure of {label(failed)} only {scope.replace('_', ' ')} helps")
        self.remaining = kept

    def _within(self, scope: Reach, failed: Target) -> list[Target]:
        match scope:
            case "other_key":
                return [t for t in self.remaining if t.credential.id != failed.credential.id]
            case "other_host":
                host = urlsplit(failed.provider.base_url).netloc
                return [t for t in self.remaining if urlsplit(t.provider.base_url).netloc != host]
            case "other_model":
                return [t for t in self.remaining if t.model.id != failed.model.id]
            case "larger_window":
                window = failed.model.context_window or 0
                return [t for t in self.remaining if (t.model.context_window or 0) > window]
            case _:
                return list(self.remaining)

    def only_free(self, first: Target, why: str) -> bool:
        """Keep to the targets that cost nothing, ``first`` among them; the others are skipped for ``why``. Whether any is left."""
        targets = [first, *self.remaining]
        free = [target for target in targets if self.estimate(target) == 0]
        if not free or len(free) == len(targets):
            return False
        for target in targets:
            if self.estimate(target):
                self.skip(target, why)
        self.remaining = free
        return True

    def shared_hold(self, target: Target, hold_nusd: int, budgets: Collection[int]) -> int:
        """What to reserve in ``budgets`` of ``target`` alone: all of the hold, for other targets may spend of it, too; nothing where
        whatever is left that falls on them is free."""
        bound = [target, *(other for other in self.remaining if set(other.budgets) & set(budgets))]
        return hold_nusd if any(self.estimate(one) for one in bound) else 0

    def option(self, name: str) -> bool:
        """A common setting of the strategy in charge; off for a model asked for by name."""
        return self.resolution.strategy is not None and self.resolution.strategy.settings.get(name) is True

    @property
    def hedge_after_s(self) -> float | None:
        """How long the first target may be silent before a second is asked as well; ``None``: no second one is."""
        strategy = self.resolution.strategy
        after_ms = strategy.settings.get(HEDGE) if strategy is not None else None
        return after_ms / 1000 if type(after_ms) is int and self.call.inbound.kind == "chat" else None

    @property
    def hedges(self) -> int:
        return 0 if self.hedged is None else 1

    def hedge(self, first: Target, second: Target, after_ms: int) -> None:
        self.hedged = {"first": label(first), "second": label(second), "after_ms": after_ms, "won": None}

    def hedge_won(self, target: Target) -> None:
        if self.hedged is not None:
            self.hedged["won"] = label(target)

    def hold(self, first: Target) -> int:
        """Nano-USD to reserve when ``first`` is tried first: the dearest of the targets that may be tried, or all of them where more than
        one may have to be paid."""
        if not self.remaining:
            return max(0, self.estimates.get(id(first)) or 0)
        rest = [target for target in self.remaining if target is not first]
        estimates = [self.estimate(target) for target in (first, *rest[: HELD_TARGETS - 1])]
        several = self.hedge_after_s is not None or any(self.option(name) for name in FLAGS)
        return sum(estimates) if several else max(estimates, default=0)

    def estimate(self, target: Target) -> int:
        return self.estimates.get(id(target)) or 0

    def decision(self) -> dict[str, Any]:
        """For the log row, the native answer and the admin."""
        shown: dict[str, Any] = {
            "asked": self.call.inbound.model or "auto",
            "strategy": self.strategy,
            "order": [label(self.order[0])] if len(self.order) == 1 else [label(target) for target in self.order],
        }
        if self.resolution.stands_in_for:
            shown["stands_in_for"] = self.resolution.stands_in_for
        if self.note:
            shown["note"] = self.note
        if self.hedged is not None:
            shown["hedged"] = dict(self.hedged)
        if self.scores:
            shown["scores"] = {label(target): dict(parts) for target, parts in self.scores}
        if self.skipped:
            shown["skipped"] = [{"target": who, "why": why} for who, why in self.skipped]
        if self.chosen is not None:
            shown["policy"] = self.chosen.policy
            shown["draw"] = self.chosen.draw
        return shown


class Chosen(msgspec.Struct, frozen=True, kw_only=True):
    """What a strategy decided, as it is written down (``text``) and as it is shown. ``p``: empty where the strategy gives none."""

    policy: int
    draw: float
    text: str
    candidates: tuple[Candidate, ...]
    ranking: Ranking

    def shown(self) -> list[dict[str, Any]]:
        """Each candidate with the probability that it stood first, and why it was left out."""
        p, skipped = self.ranking.p, self.ranking.skipped
        return [
            {
                "target": label(candidate.target),
                "p": p[place] if p else None,
                **({"left_out": skipped[place]} if place in skipped else {}),
            }
            for place, candidate in enumerate(self.candidates)
        ]


def callers_budgets(call: Call, snapshot: Snapshot) -> tuple[int, ...]:
    """The budgets that bind a request whoever answers it: of its key, its team and the gateway, and those of its end user."""
    identity = call.identity
    if not identity.end_users or not (name := end_user_of(call.inbound.user, call.metadata)):
        return identity.budgets
    own = identity.end_users.get(pseudonym(snapshot.settings["end_user_key"], identity.team_id, name), ())
    return (*identity.budgets, *own)


def label(target: Target) -> str:
    name = f"{target.provider.slug}/{target.upstream_id}"
    return name if target.credential.name in ("", "default") else f"{name} ({target.credential.name})"


def plan(call: Call, snapshot: Snapshot, health: DeploymentHealth, now: datetime, draw: float) -> Plan:
    """Raises :class:`ModelNotFound`, :class:`NotFound` (strategy), :class:`ConfigError` (unpriced), :class:`NotServed`, and what no model
    can do: :class:`UnsupportedParameter` or :class:`PromptTooLong`. None of this passes by itself."""
    inbound = call.inbound
    resolution = resolve(snapshot, call.identity, inbound.model, call.strategy)
    prompt_tokens = estimate_tokens(inbound.size)
    skipped = list(resolution.skipped)
    estimates: dict[int, int | None] = {}
    targets: list[Target] = []
    unpriced: list[Target] = []
    for target in resolution.targets:
        estimate = estimate_nusd(call, target, prompt_tokens, now, snapshot)
        if estimate is None:
            unpriced.append(target)
            skipped.append((label(target), "no price is known, so its cost cannot be held"))
            continue
        estimates[id(target)] = estimate
        targets.append(target)
    if not targets:
        if unpriced:
            raise ConfigError(
                f"No price is known for `{unpriced[0].model.name}`, so requests to it are refused; the operator has to enter one "
                "(0 for a free model) or allow unpriced models for this key.",
                details={"skipped": [f"{who}: {why}" for who, why in skipped][:20]},
            )
        raise not_served(skipped)
    if resolution.strategy is None and len(targets) == 1:
        return Plan(call, snapshot, resolution, targets, prompt_tokens, estimates, skipped, [], "")
    facts = _facts(call, snapshot, now, prompt_tokens)
    if resolution.strategy is None:
        order, note = _long_ones_last(_named_order(resolution, targets, facts, draw), health, prompt_tokens)
        return Plan(call, snapshot, resolution, order, prompt_tokens, estimates, skipped, [], note)
    info = resolution.strategy
    if canary := _canary(resolution, snapshot, facts, draw):
        info, resolution = canary, msgspec.structs.replace(resolution, strategy=canary)
    frozen = health.frozen()
    candidates = [
        Candidate(target=t, stats=frozen.of(t), estimate_nusd=estimates[id(t)], learnt=snapshot.learnt.get(t.model.id)) for t in targets
    ]
    left_out = tuple(skipped)
    ranking: Ranking = strategies.get(info.kind).order(candidates, facts, info.settings, draw)
    skipped += [(label(candidates[i].target), why) for i, why in ranking.skipped.items()]
    order = [candidates[i].target for i in ranking.order]
    if not order:
        raise _unfit(list(ranking.skipped.values()), skipped if resolution.skipped or unpriced else [])
    scores = [(candidates[i].target, ranking.scores[i]) for i in ranking.order[:8] if i < len(ranking.scores)]
    order, note = _long_ones_last(order, health, prompt_tokens)
    made = Plan(call, snapshot, resolution, order, prompt_tokens, estimates, skipped, scores, f"{ranking.note} {note}".strip())
    contexts = health.contexts
    text = write_choice(
        facts,
        draw=draw,
        policy=info.version,
        catalogue=contexts.catalogue(snapshot),
        statistics=contexts.used(frozen),
        candidates=contexts.candidates(targets, left_out),
        first=ranking.order[0],
        estimates=[candidate.estimate_nusd for candidate in candidates],
        p=ranking.p,
        canary=canary is not None,
    )
    made.at = now
    made.chosen = Chosen(policy=info.version, draw=draw, text=text, candidates=tuple(candidates), ranking=ranking)
    return made


def _facts(call: Call, snapshot: Snapshot, now: datetime, prompt_tokens: int) -> RequestFacts:
    """What a strategy may know, with digests where a caller's own words would be."""
    inbound = call.inbound
    key = snapshot.settings.get("digest_key", b"")
    return RequestFacts(
        now=now,
        prompt_tokens=prompt_tokens,
        max_tokens=inbound.max_tokens,
        needs=inbound.needs,
        task_type=_label(call.task_type),
        language=_label(call.language),
        framework=_label(call.framework),
        sticky=digested(key, call.sticky or inbound.user or ""),
        user=digested(key, inbound.user or ""),
        client=call.identity.public_id,
        affinity=digested(key, inbound.affinity),
        stream=call.stream,
    )


def _label(text: str | None) -> str | None:
    return text[:LABEL_CHARS] if text else None


def _canary(resolution: Resolution, snapshot: Snapshot, facts: RequestFacts, draw: float) -> StrategyInfo | None:
    """The version under trial, where this request is one of its share. Who fell to it stays with it as long as the share does not fall."""
    canary = snapshot.canary
    if canary is None or not resolution.auto:
        return None
    unit = facts.sticky or facts.affinity or f"draw:{draw!r}"
    return canary.strategy if place("canary", str(canary.strategy.version), unit) < canary.share else None


def _long_ones_last(order: list[Target], health: DeploymentHealth, prompt_tokens: int) -> tuple[list[Target], str]:
    """Who refused a prompt as short as this one lately comes last, with all whose window is no larger, and a sentence that says so."""
    refused = [target for target in order if not health.takes_length(target, prompt_tokens)]
    if not refused:
        return order, ""
    window = max(target.model.context_window or 0 for target in refused)
    last = [t for t in order if any(t is one for one in refused) or (t.model.context_window or window + 1) <= window]
    kept = [t for t in order if not any(t is one for one in last)]
    return [*kept, *last], f"Last, because a prompt of this length was refused: {', '.join(label(t) for t in last)}." if kept else ""


def estimate_nusd(call: Call, target: Target, prompt_tokens: int, now: datetime, snapshot: Snapshot) -> int | None:
    """What is held for ``call`` at ``target``; ``None``: no price is known."""
    inbound = call.inbound
    if inbound.kind == "count_tokens":
        return 0
    limit = 0 if inbound.kind == "embeddings" else output_limit(inbound.max_tokens, target.model, call.identity.max_tokens)
    if limit and inbound.dialect != target.provider.wire and target.provider.wire in limits:
        # A wire may take no limit as low as the caller's; what it can cost then is held.
        limit = max(limit, limits.get(target.provider.wire).least_output)
    tier = inbound.service_tier or "standard"
    audio = "audio" in inbound.needs
    rates = target.model.rates
    hold = hold_nusd(prompt_tokens, limit, inbound.n, rates, now, tier=tier, audio=audio, cache_1h=True, searches=inbound.searches)
    if hold is not None:
        return hold
    ceiling = snapshot.settings.get("unpriced_ceiling_pusd")
    allowed = snapshot.settings.get("unpriced") == "ceiling" or call.identity.allow_unpriced
    if ceiling is None or not allowed:
        return None
    return int((prompt_tokens + limit * inbound.n) * ceiling) // 1000


def _named_order(resolution: Resolution, targets: list[Target], facts: RequestFacts, draw: float) -> list[Target]:
    """Alias order first; the keys of one model share by weight, each conversation staying with the key that has its prompt cached."""
    if len(targets) == 1:
        return targets
    tier_of = {id(t): n for t, n in zip(resolution.targets, resolution.tiers, strict=True)}
    candidates = [Candidate(target=target, stats=Stats()) for target in targets]
    tiers: dict[int, list[int]] = {}
    for index, target in enumerate(targets):
        tiers.setdefault(tier_of[id(target)], []).append(index)
    order: list[Target] = []
    for _, group in sorted(tiers.items()):
        weights = [float(targets[index].credential.weight) for index in group]
        order += [targets[index] for index in (spread(group, weights, candidates, facts, draw) if len(group) > 1 else group)]
    return order


def not_served(skipped: list[tuple[str, str]]) -> NotServed:
    """Nothing of this passes by itself: keys that are missing or that their provider refused."""
    if not skipped:
        return NotServed("No model can answer: none is configured. The gateway's operator has to add a provider key.")
    return NotServed(
        f"No model can answer until the gateway's operator acts: {_first_reason(skipped)}. Keys are added and replaced under Provider keys "
        "in the console.",
        details={"skipped": [f"{who}: {why}" for who, why in skipped][:20]},
    )


def _unfit(misfits: list[str], others: list[tuple[str, str]]) -> GatewayError:
    """Every candidate left is unfit for this request; ``others``: what else was skipped, where something else was."""
    if others:
        return not_served(others)
    if all("context window" in why for why in misfits):
        return PromptTooLong(f"No routable model can take this prompt: {misfits[0]}.")
    return UnsupportedParameter(f"No routable model can do this: {misfits[0]}.")


def _first_reason(skipped: list[tuple[str, str]]) -> str:
    return "; ".join(f"{who}: {why}" for who, why in skipped[:3])
