"""One file per strategy: how candidates are ordered. Pure: ``now`` and ``draw`` are arguments, numbers come in as :class:`Stats`."""

from llm_gateway.core.registry import Registry

from ._base import Candidate, Ranking, RequestFacts, Stats, Strategy

strategies: Registry[Strategy] = Registry("strategy", __name__)

__all__ = ["Candidate", "Ranking", "RequestFacts", "Stats", "Strategy", "strategies"]
