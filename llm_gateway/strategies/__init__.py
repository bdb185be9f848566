"""One file per strategy: how candidates are ordered. Pure: ``now`` and ``draw`` are arguments, numbers come in as :class:`Stats`."""

from llm_gateway.core.registry import Registry

from ._affinity import spread
from ._base import Candidate, Ranking, RequestFacts, Stats, Strategy
from ._common import COMMON, FLAGS, HEDGE, split

strategies: Registry[Strategy] = Registry("strategy", __name__)

__all__ = ["COMMON", "FLAGS", "HEDGE", "Candidate", "Ranking", "RequestFacts", "Stats", "Strategy", "split", "spread", "strategies"]
