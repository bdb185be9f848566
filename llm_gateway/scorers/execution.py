"""Whether the code passes the tests that somebody brought for it. Never of live traffic."""

from __future__ import annotations

from . import scorers
from ._base import Cost, Facts, Finding, Kind, Probes, Scorer, Verdict


class Execution:
    name = "execution"
    title = "Tests"
    summary = "The code passes the caller's own tests, run where it can do no harm. Only lines of an evaluation set are run."
    version = 1
    kind: Kind = "execution"
    cost: Cost = "worker"

    def applies(self, facts: Facts) -> bool:
        return any(block.language == "python" for block in facts.blocks)

    def score(self, text: str, facts: Facts, probes: Probes) -> Verdict:
        if probes.passed is None:
            return Verdict()
        if probes.passed:
            return Verdict(value=1.0)
        reason = probes.ended_by or "wrong"
        return Verdict(value=0.0, findings=(Finding(rule="tests", severity="high", message=f"The tests do not pass: {reason}."),))


execution: Scorer = scorers.add("execution", Execution())
