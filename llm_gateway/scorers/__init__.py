"""One file per scorer: what can be said of an answer without asking a model. Pure: what tools find comes in as probe results."""

from llm_gateway.core.registry import Registry

from ._base import LONGEST, Block, Facts, Finding, Probes, Scored, Scorer, Severity, Verdict
from ._blocks import blocks_of, facts_of, language_of
from ._total import FORMULA, WEIGHTS, Quality, judge

scorers: Registry[Scorer] = Registry("scorer", __name__)

__all__ = [
    "FORMULA",
    "LONGEST",
    "WEIGHTS",
    "Block",
    "Facts",
    "Finding",
    "Probes",
    "Quality",
    "Scored",
    "Scorer",
    "Severity",
    "Verdict",
    "blocks_of",
    "facts_of",
    "judge",
    "language_of",
    "scorers",
]  # fmt: skip
