"""Routes of the native API. A trailing slash is optional."""

from __future__ import annotations

from typing import Any

from django.urls import URLPattern, re_path

from .analyze import AnalyzeView
from .batches import BatchesView, BatchFilesView, BatchResultsView, BatchView, CancelBatchView, RetryBatchView
from .experiments import ExperimentsView, ExperimentView, StartExperimentView, StopExperimentView
from .explain import ExplainView
from .generate import GenerateView
from .index import PREFIX, IndexView
from .keys import KeysStatusView, RefreshKeysView
from .models import ModelsView
from .policies import (
    ActivatePolicyView,
    ApprovePolicyView,
    PoliciesView,
    PolicyReplayView,
    PolicyView,
    ReplayPolicyView,
    RollbackPolicyView,
)
from .probe import TestView
from .results import ResultsView
from .score import FeedbackView, ScoreView
from .status import StatusView
from .strategy import SetStrategyView, StrategyView


def _route(path: str, view: Any, name: str) -> URLPattern:
    route: URLPattern = re_path(rf"^{PREFIX}{path}/?$", view.as_view(), name=name)
    return route


urlpatterns = [
    re_path(rf"^{PREFIX}$", IndexView.as_view(), name="native-index"),
    _route("status", StatusView, "native-status"),
    _route("models", ModelsView, "native-models"),
    _route("generate", GenerateView, "native-generate"),
    _route("analyze", AnalyzeView, "native-analyze"),
    _route("score", ScoreView, "native-score"),
    _route("feedback", FeedbackView, "native-feedback"),
    _route("explain", ExplainView, "native-explain"),
    _route("test", TestView, "native-test"),
    _route("strategy", StrategyView, "native-strategy"),
    _route("strategy/set", SetStrategyView, "native-strategy-set"),
    _route("experiments", ExperimentsView, "native-experiments"),
    _route(r"experiments/(?P<experiment>[0-9]+)", ExperimentView, "native-experiment"),
    _route(r"experiments/(?P<experiment>[0-9]+)/start", StartExperimentView, "native-experiment-start"),
    _route(r"experiments/(?P<experiment>[0-9]+)/stop", StopExperimentView, "native-experiment-stop"),
    _route("policies", PoliciesView, "native-policies"),
    _route("policies/rollback", RollbackPolicyView, "native-policies-rollback"),
    _route(r"policies/replays/(?P<replay>[0-9]+)", PolicyReplayView, "native-policy-replay-report"),
    _route(r"policies/(?P<version>[0-9]+)", PolicyView, "native-policy"),
    _route(r"policies/(?P<version>[0-9]+)/replay", ReplayPolicyView, "native-policy-replay"),
    _route(r"policies/(?P<version>[0-9]+)/approve", ApprovePolicyView, "native-policy-approve"),
    _route(r"policies/(?P<version>[0-9]+)/activate", ActivatePolicyView, "native-policy-activate"),
    _route("performance/results", ResultsView, "native-results"),
    _route("keys/status", KeysStatusView, "native-keys-status"),
    _route("batches", BatchesView, "native-batches"),
    _route("batches/(?P<id>[^/]+)", BatchView, "native-batch"),
    _route("batches/(?P<id>[^/]+)/results", BatchResultsView, "native-batch-results"),
    _route("batches/(?P<id>[^/]+)/files.zip", BatchFilesView, "native-batch-files"),
    _route("batches/(?P<id>[^/]+)/cancel", CancelBatchView, "native-batch-cancel"),
    _route("batches/(?P<id>[^/]+)/retry-failed", RetryBatchView, "native-batch-retry"),
    _route("keys/refresh", RefreshKeysView, "native-keys-refresh"),
]
