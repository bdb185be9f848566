"""ORM nouns, a file per subject. Thin: columns, constraints and what a row is called."""

from .access import ClientKey, Team
from .alerts import Alert
from .audit import AuditEntry
from .audits import AuditRun
from .catalogue_version import CatalogueVersion
from .experiments import Experiment, ExperimentVerdict
from .health import DeploymentHealth, Heartbeat, KeyCheck
from .idempotency import IdempotencyRecord
from .logs import Attempt, RequestBody, RequestLog
from .money import Budget, LedgerEntry
from .policies import DecisionContext, LearnerClock, LearnerState, PolicyEvent, PolicyReplay, PolicyVersion
from .providers import Alias, AliasTarget, LanguageModel, Price, Provider, ProviderKey
from .responses import StoredResponse
from .routing import Strategy, StrategyActivation
from .sign_ins import SignInTries
from .statements import Statement, StatementClosed

__all__ = [
    "Alert",
    "Alias",
    "AliasTarget",
    "Attempt",
    "AuditEntry",
    "AuditRun",
    "Budget",
    "CatalogueVersion",
    "ClientKey",
    "DecisionContext",
    "DeploymentHealth",
    "Experiment",
    "ExperimentVerdict",
    "Heartbeat",
    "IdempotencyRecord",
    "KeyCheck",
    "LanguageModel",
    "LearnerClock",
    "LearnerState",
    "LedgerEntry",
    "PolicyEvent",
    "PolicyReplay",
    "PolicyVersion",
    "Price",
    "Provider",
    "ProviderKey",
    "RequestBody",
    "RequestLog",
    "SignInTries",
    "Statement",
    "StatementClosed",
    "StoredResponse",
    "Strategy",
    "StrategyActivation",
    "Team",
]
