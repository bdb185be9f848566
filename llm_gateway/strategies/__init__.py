"""One file per strategy: how candidates are ordered. Pure: ``now`` and ``draw`` are arguments, numbers come in as :class:`Stats`."""

from llm_gateway.core.registry import Registry

from ._base import Candidate, Ranking, RequestFacts, Stats, Strategy
from ._common import COMMON, split

strategies: Registry[Strategy] = Registry("strategy", __name__)

__all__ = ["COMMON", "Candidate", "Ranking", "RequestFacts", "Stats", "Strategy", "split", "strategies"]
