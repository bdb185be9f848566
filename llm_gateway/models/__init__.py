"""ORM nouns, a file per subject. Thin: columns, constraints and what a row is called."""

from .access import ClientKey, Team
from .alerts import Alert
from .audit import AuditEntry
from .audits import AuditRun
from .cache import CachedAnswer, CachePurge, CacheRule
from .catalogue_version import CatalogueVersion
from .experiments import Experiment, ExperimentVerdict
from .health import DeploymentHealth, Heartbeat, KeyCheck
from .idempotency import IdempotencyRecord
from .logs import Attempt, RequestBody, RequestLog
from .money import Budget, LedgerEntry
from .people import INVITABLE, SUPERUSER, Invitation, OneTimePassword
from .policies import DecisionContext, LearnerClock, LearnerState, PolicyEvent, PolicyReplay, PolicyVersion
from .providers import Alias, AliasTarget, LanguageModel, Price, Provider, ProviderKey
from .quality import AnswerScore, Feedback, QualityRule, ScoreJob
from .responses import StoredResponse
from .routing import Strategy, StrategyActivation
from .sign_ins import SignInTries
from .statements import Statement, StatementClosed

__all__ = [
    "INVITABLE",
    "SUPERUSER",
    "Alert",
    "Alias",
    "AliasTarget",
    "AnswerScore",
    "Attempt",
    "AuditEntry",
    "AuditRun",
    "Budget",
    "CachePurge",
    "CacheRule",
    "CachedAnswer",
    "CatalogueVersion",
    "ClientKey",
    "DecisionContext",
    "DeploymentHealth",
    "Experiment",
    "ExperimentVerdict",
    "Feedback",
    "Heartbeat",
    "IdempotencyRecord",
    "Invitation",
    "KeyCheck",
    "LanguageModel",
    "LearnerClock",
    "LearnerState",
    "LedgerEntry",
    "OneTimePassword",
    "PolicyEvent",
    "PolicyReplay",
    "PolicyVersion",
    "Price",
    "Provider",
    "ProviderKey",
    "QualityRule",
    "RequestBody",
    "RequestLog",
    "ScoreJob",
    "SignInTries",
    "Statement",
    "StatementClosed",
    "StoredResponse",
    "Strategy",
    "StrategyActivation",
    "Team",
]
