"""What a strategy would do now: its candidates in the order they would be tried, and why others are left out."""

from __future__ import annotations

from typing import Any

import msgspec
from django.utils import timezone

from llm_gateway.core.catalog import Identity, Scope, StrategyInfo
from llm_gateway.models import Strategy
from llm_gateway.strategies import COMMON, Candidate, RequestFacts, strategies

from . import _verbs
from ._decision import text
from ._show import words

# A request of ordinary size: what the preview is computed for.
PROMPT_TOKENS, ANSWER_TOKENS = 2_000, 1_000
# How many of the newest decisions a form makes again while somebody types.
LATELY = 500


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One candidate. ``place`` is 1 for the first to be tried, ``None`` for one left out, whose ``why`` says the reason."""

    place: int | None
    model: str
    provider: str
    key: str
    state: str
    parts: str
    why: str = ""


class Preview(msgspec.Struct, frozen=True, kw_only=True):
    lines: tuple[Line, ...] = ()
    skipped: tuple[tuple[str, str], ...] = ()
    note: str = ""
    problem: str = ""


def kinds() -> list[tuple[str, str]]:
    return [(name, strategy.title) for name, strategy in strategies.items()]


def help_of(kind: str) -> dict[str, Any]:
    """Title, summary and the settings with their defaults; empty for a strategy file that is gone."""
    if kind not in strategies:
        return {}
    strategy = strategies.get(kind)
    try:
        defaults = strategy.validate({})
    except ValueError:
        defaults = {}
    return {
        "title": strategy.title,
        "summary": strategy.summary,
        "defaults": [*sorted(defaults.items()), *COMMON.items()],
    }


def tried(kind: str, form_class: Any, data: Any) -> dict[str, Any]:
    """What the settings of a form would do: who would be tried now, and the newest decisions made again. The template's context."""
    form = form_class(data, settings={})
    if not form.is_valid() or form.found is None:
        faults = [(form.fields[name].label if name in form.fields else "", lines[0]) for name, lines in form.errors.items()]
        return {"faults": faults}
    context: dict[str, Any] = {"preview": ranked(kind, kind, form.found)}
    try:
        context["report"] = _verbs.try_settings(kind, form.found, LATELY)
    except Exception as error:  # the page that helps with settings must not break on old rows
        context["trouble"] = type(error).__name__
    else:
        flows = [flow for flow in context["report"].get("flows", ()) if flow["from"] != flow["to"]]
        context |= {"flows": flows[:8], "moved": round(100 * (context["report"].get("moved_share") or 0))}
    return context


def preview(row: Strategy) -> Preview:
    return ranked(row.name, row.kind, row.settings)


def ranked(name: str, kind: str, settings: Any) -> Preview:
    """Never raises: a page that explains must not be the page that breaks."""
    from llm_gateway.engine.resolve import resolve
    from llm_gateway.stores.catalog import load_snapshot

    try:
        settings = _verbs.validate_settings(kind, settings)
        snapshot = load_snapshot()
        info = StrategyInfo(name=name, kind=kind, settings=settings)
        snapshot = msgspec.structs.replace(snapshot, strategies={**snapshot.strategies, name: info})
        found = resolve(snapshot, _anyone(), "auto", name)
    except Exception as error:  # a half-configured catalogue is what this page helps with
        return Preview(problem=str(error))
    candidates = [Candidate(target=target, estimate_nusd=_estimate(target)) for target in found.targets]
    facts = RequestFacts(now=timezone.now(), prompt_tokens=PROMPT_TOKENS, max_tokens=ANSWER_TOKENS)
    ranking = strategies.get(kind).order(candidates, facts, settings, 0.5)
    lines = [_line(candidates, ranking, index, place) for place, index in enumerate(ranking.order, 1)]
    lines += [_line(candidates, ranking, index, None) for index in range(len(candidates)) if index not in ranking.order]
    return Preview(lines=tuple(lines), skipped=found.skipped, note=ranking.note)


def _line(candidates: list[Candidate], ranking: Any, index: int, place: int | None) -> Line:
    target = candidates[index].target
    parts = ranking.scores[index] if index < len(ranking.scores) else {}
    return Line(
        place=place,
        model=target.model.name,
        provider=target.provider.title,
        key=target.credential.name,
        state=words(target.credential.state),
        parts=text(parts),
        why=ranking.skipped.get(index, "" if place else "left out by the strategy"),
    )


def _estimate(target: Any) -> int | None:
    from llm_gateway.policies.hold import hold_nusd

    return hold_nusd(PROMPT_TOKENS, ANSWER_TOKENS, 1, target.model.rates, timezone.now())


def _anyone() -> Identity:
    return Identity(client_key_id=None, public_id="", name="preview", team_id=0, team="", scopes=frozenset({Scope.GENERATE}))
