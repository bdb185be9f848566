"""What a request would do now, without sending it: the same plan a real one gets, looked at instead of carried out.

Pure over snapshot and health: no place of a probe is taken, nothing is written.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec

from llm_gateway.core.catalog import Snapshot, Target
from llm_gateway.core.errors import GatewayError, NoHealthyDeployment
from llm_gateway.policies.hold import estimate_tokens

from .calls import Call
from .health import DeploymentHealth
from .plan import Plan, callers_budgets, label, not_served, plan
from .resolve import NAMED, resolve


class Considered(msgspec.Struct, frozen=True, kw_only=True):
    """A target that could be tried. ``place`` is 1 for the first; ``None`` for one that rests, and ``why`` says for what.
    ``estimate_nusd``: the most this request could cost there."""

    place: int | None
    target: Target
    estimate_nusd: int | None
    score: Mapping[str, Any] = {}
    why: str = ""
    wait_s: float = 0.0


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """``error``: what the caller would be told at once, a budget's refusal after :func:`with_refusal`; ``None`` when the first of
    ``considered`` would be tried. ``names``: the models that the name means, in order; empty where a strategy chooses. ``budgets``: ids
    that ``hold_nusd`` would be reserved against, those of the first target included."""

    asked: str
    strategy: str
    kind: str = ""
    settings: Mapping[str, Any] = {}
    names: tuple[str, ...] = ()
    note: str = ""
    prompt_tokens: int = 0
    hold_nusd: int = 0
    budgets: tuple[int, ...] = ()
    considered: tuple[Considered, ...] = ()
    skipped: tuple[tuple[str, str], ...] = ()
    error: GatewayError | None = None


def explain(call: Call, snapshot: Snapshot, health: DeploymentHealth, now: datetime, draw: float) -> Explanation:
    """``draw``: what a strategy that shares by chance would have drawn. Never raises :class:`GatewayError`: it is part of the answer."""
    asked = call.inbound.model or "auto"
    try:
        found = resolve(snapshot, call.identity, call.inbound.model, call.strategy)
    except GatewayError as error:
        return Explanation(asked=asked, strategy=call.strategy or "", error=error)
    info = found.strategy
    shown: dict[str, Any] = {
        "asked": asked,
        "strategy": info.name if info else NAMED,
        "kind": info.kind if info else "",
        "settings": info.settings if info else {},
        "names": () if info else tuple(dict.fromkeys(target.model.name for target in found.targets)),
        "prompt_tokens": estimate_tokens(call.inbound.size),
    }
    try:
        made = plan(call, snapshot, health, now, draw)
    except GatewayError as error:
        return Explanation(**shown, skipped=found.skipped, error=error)
    considered = _considered(made, health)
    first = next((line.target for line in considered if line.place == 1), None)
    return Explanation(
        **shown,
        note=made.note,
        hold_nusd=made.hold(first or made.order[0]),
        budgets=tuple(dict.fromkeys((*callers_budgets(call, snapshot), *(first.budgets if first else ())))),
        considered=considered,
        skipped=tuple(made.skipped),
        error=None if first else _resting(considered, health),
    )


def with_refusal(found: Explanation, refused: GatewayError | None) -> Explanation:
    """``found``, when a budget would say ``refused`` to its hold: the same request goes on to the targets that cost nothing, if any of
    them may be tried now."""
    if refused is None or found.error is not None:
        return found
    free = [line for line in found.considered if line.estimate_nusd == 0]
    if not found.hold_nusd or not any(line.place for line in free):
        return msgspec.structs.replace(found, error=refused)
    lines: list[Considered] = []
    place = 0
    for line in found.considered:
        tried = line.place is not None and line.estimate_nusd == 0
        place += tried
        lines.append(msgspec.structs.replace(line, place=place if tried else None, why=line.why or ("" if tried else refused.message)))
    note = f"{found.note} A budget has no room: only targets that cost nothing are tried.".strip()
    return msgspec.structs.replace(found, considered=tuple(lines), hold_nusd=0, note=note)


def _considered(made: Plan, health: DeploymentHealth) -> tuple[Considered, ...]:
    scores = {id(target): parts for target, parts in made.scores}
    lines = []
    place = 0
    for target in made.order:
        why = health.look(target)
        place += why is None
        lines.append(
            Considered(
                place=place if why is None else None,
                target=target,
                estimate_nusd=made.estimates.get(id(target)),
                score=scores.get(id(target), {}),
                why=why or "",
                wait_s=health.wait_s(target) if why else 0.0,
            )
        )
    return tuple(lines)


def _resting(considered: tuple[Considered, ...], health: DeploymentHealth) -> GatewayError:
    if all(health.needs_operator(line.target) for line in considered):
        return not_served([(label(line.target), line.why) for line in considered])
    wait = min((line.wait_s for line in considered if not health.needs_operator(line.target)), default=1.0)
    return NoHealthyDeployment(
        "Every model that could answer is resting after failures; at most one request would be let through to look.",
        retry_after_s=min(max(wait, 1.0), 60.0),
        details={"skipped": [f"{label(line.target)}: {line.why}" for line in considered][:20]},
    )
