"""The total: a weighted mean of what applied, by a numbered formula."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

import msgspec

from ._base import LONGEST, Facts, Probes, Scored, Scorer, Verdict

# New weights are a new number; what was computed with the old one stays as it is.
FORMULA = 1
WEIGHTS: Mapping[str, int] = {"structure": 4, "syntax": 4, "lint": 3, "security": 3, "complexity": 1, "judge": 4, "execution": 8}
CAP = 40
_UNKNOWN = Verdict()
_QUOTED = re.compile(r"`[^`]*`?|'[^']*'?|\"[^\"]*\"?")


class Quality(msgspec.Struct, frozen=True, kw_only=True):
    """``score`` 0 … 100, ``None``: nothing could be said. ``formula``: the number of the formula that made it."""

    score: int | None
    scorers: tuple[Scored, ...]
    formula: int = FORMULA

    def without_words(self) -> Quality:
        """As it is kept: a message may name what the answer says, in backticks; the place and the rule stay."""
        return msgspec.structs.replace(
            self,
            scorers=tuple(
                msgspec.structs.replace(
                    one, findings=tuple(msgspec.structs.replace(f, message=_QUOTED.sub("…", f.message)) for f in one.findings)
                )
                for one in self.scorers
            ),
        )


def judge(text: str, facts: Facts, probes: Probes, using: Iterable[Scorer]) -> Quality:
    """What these scorers say of an answer. A scorer that fails says nothing; that is never the answer's fault (Q2)."""
    made: list[Scored] = []
    total = weights = 0.0
    capped = False
    for scorer in using:
        verdict = _ask(scorer, text, facts, probes)
        made.append(Scored(name=scorer.name, version=scorer.version, value=verdict.value, findings=verdict.findings))
        capped = capped or verdict.caps
        if verdict.value is not None and (weight := WEIGHTS.get(scorer.kind, 0)):
            total += weight * verdict.value
            weights += weight
    if not weights:
        return Quality(score=None, scorers=tuple(made))
    score = round(100 * total / weights)
    return Quality(score=min(score, CAP) if capped else score, scorers=tuple(made))


def _ask(scorer: Scorer, text: str, facts: Facts, probes: Probes) -> Verdict:
    if len(text) > LONGEST:
        return _UNKNOWN
    try:
        return scorer.score(text, facts, probes) if scorer.applies(facts) else _UNKNOWN
    except (ValueError, ArithmeticError, LookupError, TypeError, AttributeError, RecursionError, MemoryError):
        return _UNKNOWN
