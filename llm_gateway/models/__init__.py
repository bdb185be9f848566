"""ORM nouns, a file per subject. Thin: columns, constraints and what a row is called."""

from .access import ClientKey, Team
from .catalogue_version import CatalogueVersion
from .health import DeploymentHealth, Heartbeat, KeyCheck
from .logs import Attempt, RequestBody, RequestLog
from .money import Budget, LedgerEntry
from .providers import Alias, AliasTarget, LanguageModel, Price, Provider, ProviderKey
from .routing import Strategy, StrategyActivation

__all__ = [
    "Alias",
    "AliasTarget",
    "Attempt",
    "Budget",
    "CatalogueVersion",
    "ClientKey",
    "DeploymentHealth",
    "Heartbeat",
    "KeyCheck",
    "LanguageModel",
    "LedgerEntry",
    "Price",
    "Provider",
    "ProviderKey",
    "RequestBody",
    "RequestLog",
    "Strategy",
    "StrategyActivation",
    "Team",
]
