"""What a linter says of Python: names that do not exist, imports for nothing, traps."""

from __future__ import annotations

from . import scorers
from ._base import Cost, Facts, Kind, Probes, Scorer, Verdict
from ._linted import verdict


class Lint:
    name = "lint"
    title = "Lint"
    summary = "Undefined names, unused imports, bare excepts and likely mistakes, found by ruff (Python)."
    version = 1
    kind: Kind = "lint"
    cost: Cost = "worker"

    def applies(self, facts: Facts) -> bool:
        return any(block.language == "python" for block in facts.blocks)

    def score(self, text: str, facts: Facts, probes: Probes) -> Verdict:
        return verdict(probes, lambda finding: not finding.rule.startswith("S"))


lint: Scorer = scorers.add("lint", Lint())
