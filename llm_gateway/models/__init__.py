"""ORM nouns, a file per subject. Thin: columns, constraints and what a row is called."""

from .access import ClientKey, ReplacedKey, Team
from .alerts import Alert, AlertDestination, AlertRule
from .audit import AuditEntry
from .audits import AuditRun
from .batch_shards import BatchShard
from .batches import Batch, BatchLine, BatchResult, FileChunk, StoredFile
from .cache import CachedAnswer, CacheMeasure, CachePurge, CacheRule
from .catalogue_version import CatalogueVersion
from .experiments import Experiment, ExperimentHistory, ExperimentVerdict
from .health import DeploymentHealth, Heartbeat, KeyCheck
from .idempotency import IdempotencyRecord
from .identities import ExternalIdentity, RecoveryCode, SecondFactor, SignInLink, SpentState
from .judging import JudgeJob, Judgement, JudgeRule
from .logs import Attempt, RequestBody, RequestLog
from .money import Budget, LedgerEntry
from .people import INVITABLE, SUPERUSER, Invitation, OneTimePassword
from .policies import DecisionContext, LearnedDay, LearnerClock, LearnerState, PolicyEvent, PolicyReplay, PolicyVersion
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
    "AlertDestination",
    "AlertRule",
    "Alias",
    "AliasTarget",
    "AnswerScore",
    "Attempt",
    "AuditEntry",
    "AuditRun",
    "Batch",
    "BatchLine",
    "BatchResult",
    "BatchShard",
    "Budget",
    "CacheMeasure",
    "CachePurge",
    "CacheRule",
    "CachedAnswer",
    "CatalogueVersion",
    "ClientKey",
    "DecisionContext",
    "DeploymentHealth",
    "Experiment",
    "ExperimentHistory",
    "ExperimentVerdict",
    "ExternalIdentity",
    "Feedback",
    "FileChunk",
    "Heartbeat",
    "IdempotencyRecord",
    "Invitation",
    "JudgeJob",
    "JudgeRule",
    "Judgement",
    "KeyCheck",
    "LanguageModel",
    "LearnedDay",
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
    "RecoveryCode",
    "ReplacedKey",
    "RequestBody",
    "RequestLog",
    "ScoreJob",
    "SecondFactor",
    "SignInLink",
    "SignInTries",
    "SpentState",
    "Statement",
    "StatementClosed",
    "StoredFile",
    "StoredResponse",
    "Strategy",
    "StrategyActivation",
    "Team",
]
