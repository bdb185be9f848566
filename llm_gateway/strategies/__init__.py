"""One file per strategy: how candidates are ordered. Pure: ``now`` and ``draw`` are arguments, numbers come in as :class:`Stats`."""

from llm_gateway.core.registry import Registry

from ._affinity import place, spread
from ._base import Candidate, Ranking, RequestFacts, Stats, Strategy
from ._choice import DRAWS, LABEL_CHARS, Choice, digested, read_choice, write_choice
from ._common import COMMON, COMMON_SCHEMA, FLAGS, HEDGE, split
from ._fit import fitting
from ._layout import forget_layouts
from ._schema import Flag, Kind, Line, Names, Number, OneOf, Rows, Setting, SettingError, Shares

strategies: Registry[Strategy] = Registry("strategy", __name__)

__all__ = [
    "COMMON",
    "COMMON_SCHEMA",
    "DRAWS",
    "FLAGS",
    "HEDGE",
    "LABEL_CHARS",
    "Candidate",
    "Choice",
    "Flag",
    "Kind",
    "Line",
    "Names",
    "Number",
    "OneOf",
    "Ranking",
    "RequestFacts",
    "Rows",
    "Setting",
    "SettingError",
    "Shares",
    "Stats",
    "Strategy",
    "digested",
    "fitting",
    "forget_layouts",
    "place",
    "read_choice",
    "split",
    "spread",
    "strategies",
    "write_choice",
]
