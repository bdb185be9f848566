"""How tangled the functions are, by cyclomatic complexity and length."""

from __future__ import annotations

from . import scorers
from ._base import MOST_FINDINGS, Cost, Facts, Finding, Kind, Probes, Scorer, Verdict, deducted

TANGLED, KNOTTED, LONG = 15, 30, 150


class Complexity:
    name = "complexity"
    title = "Complexity"
    summary = f"No function above a cyclomatic complexity of {TANGLED} or {LONG} lines, measured by lizard in 20 languages."
    version = 1
    kind: Kind = "complexity"
    cost: Cost = "worker"

    def applies(self, facts: Facts) -> bool:
        return bool(facts.blocks)

    def score(self, text: str, facts: Facts, probes: Probes) -> Verdict:
        measured = [(number, one) for number, found in enumerate(probes.measured, 1) if found is not None for one in found]
        if not measured:
            return Verdict()
        findings = []
        for number, (name, line, branches, lines) in measured:
            if branches > TANGLED or lines > LONG:
                what = f"{name[:60]} has a cyclomatic complexity of {branches} and {lines} lines"
                severity = "high" if branches > KNOTTED else "medium"
                findings.append(Finding(rule="complex", severity=severity, block=number, line=line, message=what))  # type: ignore[arg-type]  # one of the two
        return Verdict(value=deducted(findings), findings=tuple(findings[:MOST_FINDINGS]))


complexity: Scorer = scorers.add("complexity", Complexity())
