"""Context-aware: what the request is about chooses the model. Rules are asked in order; the first that matches decides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

from . import strategies
from ._base import Candidate, Ranking, RequestFacts
from ._fit import fitting
from ._layout import layout
from ._order import in_order
from ._schema import Line, Names, Number, Rows, Setting, about, read
from ._shares import best_by, spelled

_LISTS = ("task_types", "languages", "frameworks", "needs")
_BOUNDS = ("min_prompt_tokens", "max_prompt_tokens", "max_output_tokens")
MAX_RULES = 50
_CODE = ["fireworks/*qwen*coder*", "fireworks/*qwen*", "fireworks/*"]

DEFAULT_RULES: list[dict[str, Any]] = [
    {
        "name": "Analysis, review and security",
        "task_types": ["analysis", "analyze", "quality", "security", "performance", "review", "code_review", "debug", "optimize"],
        "prefer": ["anthropic/*sonnet*", "anthropic/*", "*claude*"],
    },
    {
        "name": "Documentation",
        "task_types": ["document", "documentation", "docs", "explain", "summarize"],
        "prefer": ["gemini/*", "*gemini*"],
    },
    {
        "name": "Quick tasks",
        "task_types": ["quick", "simple", "chat", "completion", "classify"],
        "prefer": ["*haiku*", "*luna*", "*flash-lite*", "*-mini*", "*flash*", "*nano*"],
    },
    {
        "name": "Code generation",
        "task_types": ["code", "code_generation", "generate", "generation", "refactor", "test", "tests", "translate_code"],
        "prefer": _CODE,
    },
    {"name": "Anything in a programming language", "languages": ["*"], "prefer": _CODE},
]

RULES = Rows(
    "rules",
    (
        Line("name", "How the decision record calls it."),
        Names("task_types", "One of these tasks."),
        Names("languages", "One of these languages; * is any that is given."),
        Names("frameworks", "One of these frameworks."),
        Names("needs", "All of these: tools, images, documents, audio, json_schema, reasoning."),
        Number("min_prompt_tokens", None, 0, 1e9, "At least so long a prompt.", "tokens", whole=True),
        Number("max_prompt_tokens", None, 0, 1e9, "At most so long a prompt.", "tokens", whole=True),
        Number("max_output_tokens", None, 0, 1e9, "Asks for at most so long an answer.", "tokens", whole=True),
        Names("prefer", "These providers or models first: PROVIDER, MODEL or PROVIDER/PATTERN, with *.", "models"),
    ),
    DEFAULT_RULES,
    "Asked from the top; the first whose conditions all hold decides. An empty condition always holds.",
    MAX_RULES,
    "rule",
)


class ContextAware:
    """Candidates that a rule prefers come in the order of its list, each entry in the operator's order; the others follow as fallbacks.

    Without a matching rule the operator's order holds.
    """

    name = "context-aware"
    title = "Context-aware"
    summary = "Rules on task, language, framework and size choose the model: code to a coder, reviews to Claude, documents to Gemini."
    schema: tuple[Setting, ...] = (RULES,)

    def validate(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """``rules``: a list of ``{name?, task_types?, languages?, frameworks?, needs?, min_prompt_tokens?, max_prompt_tokens?,
        max_output_tokens?, prefer}``. All conditions of a rule have to hold; a list holds when one of its entries does (``*``: any value
        that is given at all; of ``needs`` all). ``prefer``: ``provider``, model name or ``provider/pattern``, with ``*``."""
        rules = read(self.schema, settings, self.name)["rules"]
        with about("rules"):
            return {"rules": [_rule(rule, place) for place, rule in enumerate(rules, 1)]}

    def order(self, candidates: Sequence[Candidate], facts: RequestFacts, settings: Mapping[str, Any], draw: float) -> Ranking:
        fit, skipped = fitting(candidates, facts)
        rule = next((rule for rule in settings.get("rules", DEFAULT_RULES) if _matches(rule, facts)), None)
        wishes: Sequence[str] = rule["prefer"] if rule else ()
        laid = layout(candidates, fit)
        key = ("wishes", *wishes)
        places = laid.notes.get(key) or laid.note(key, [_place(candidate, wishes) for candidate in candidates])
        order = sorted(in_order(laid, facts, draw), key=places.__getitem__)
        scores = tuple([{"preference": place + 1 if place < len(wishes) else None} for place in places])
        note = f"Rule “{rule.get('name') or 'unnamed'}” matched." if rule else "No rule matched; the operator's order holds."
        p = spelled(best_by(laid, fit, places.__getitem__), len(candidates))
        return Ranking(order=tuple(order), scores=scores, skipped=skipped, note=note, p=p)


def _rule(rule: Any, place: int) -> dict[str, Any]:
    where = f"Rule {place}"
    if not isinstance(rule, Mapping):
        raise ValueError(f"{where} has to be an object with at least prefer.")
    known = ("name", "prefer", *_LISTS, *_BOUNDS)
    unknown = sorted(str(name) for name in rule if name not in known)
    if unknown:
        raise ValueError(f"{where} has an unknown field {', '.join(unknown)}; it may have {', '.join(known)}.")
    name = rule.get("name", "")
    if not isinstance(name, str):
        raise ValueError(f"{where}: name has to be a text.")
    found: dict[str, Any] = {"name": name}
    for field in (*_LISTS, "prefer"):
        values = rule.get(field)
        if values is None:
            continue
        if not isinstance(values, list | tuple) or not all(isinstance(value, str) and value.strip() for value in values):
            raise ValueError(f"{where}: {field} has to be a list of texts.")
        found[field] = [value.strip().lower() for value in values]
    for field in _BOUNDS:
        value = rule.get(field)
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise ValueError(f"{where}: {field} has to be a whole number of tokens.")
        found[field] = value
    if not found.get("prefer"):
        raise ValueError(f"{where} says nothing in prefer; name the providers or models it should choose.")
    return found


def _matches(rule: Mapping[str, Any], facts: RequestFacts) -> bool:
    for field, value in (("task_types", facts.task_type), ("languages", facts.language), ("frameworks", facts.framework)):
        wanted = rule.get(field)
        if wanted and not (value and _one_of(_plain(value), wanted)):
            return False
    if not set(rule.get("needs") or ()) <= facts.needs:
        return False
    low, high, output = (rule.get(field) for field in _BOUNDS)
    if low is not None and facts.prompt_tokens < low:
        return False
    if high is not None and facts.prompt_tokens > high:
        return False
    return output is None or (facts.max_tokens is not None and facts.max_tokens <= output)


def _one_of(value: str, patterns: Sequence[str]) -> bool:
    # Most rules name plain words, and those take a tenth of the time.
    if value in patterns:
        return True
    wild = [one for one in patterns if "*" in one or "?" in one or "[" in one]
    return any(fnmatchcase(value, pattern) for pattern in wild)


def _place(candidate: Candidate, wishes: Sequence[str]) -> int:
    target = candidate.target
    slug = target.provider.slug.lower()
    forms = (slug, target.model.name.lower(), f"{slug}/{target.model.name.lower()}", f"{slug}/{target.upstream_id.lower()}")
    return next((place for place, wish in enumerate(wishes) if any(fnmatchcase(form, wish) for form in forms)), len(wishes))


def _plain(value: str) -> str:
    return value.strip().lower().replace("-", "_").replace(" ", "_")


strategies.add(ContextAware.name, ContextAware())
