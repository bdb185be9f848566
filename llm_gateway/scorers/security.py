"""What a linter says of Python's dangerous habits: eval, a shell, a password in the text."""

from __future__ import annotations

from . import scorers
from ._base import Cost, Facts, Kind, Probes, Scorer, Verdict
from ._linted import verdict


class Security:
    name = "security"
    title = "Security"
    summary = "Calls that let input become code or commands, weak hashes, secrets in the text: ruff's S rules (Python)."
    version = 1
    kind: Kind = "security"
    cost: Cost = "worker"

    def applies(self, facts: Facts) -> bool:
        return any(block.language == "python" for block in facts.blocks)

    def score(self, text: str, facts: Facts, probes: Probes) -> Verdict:
        return verdict(probes, lambda finding: finding.rule.startswith("S"))


security: Scorer = scorers.add("security", Security())
