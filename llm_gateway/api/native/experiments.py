"""``experiments``: plan, start, look, stop."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from msgspec import Meta
from rest_framework.request import Request

from llm_gateway.core.errors import NotFound
from llm_gateway.models import Experiment

from .auth import HasScope
from .contract import Body, Word
from .openapi import documented
from .policies import in_thread, moment, number, who
from .shapes import Shape
from .views import AsyncAPIView


class PlanExperimentRequest(Body, frozen=True, kw_only=True):
    """Which arm of an A/B strategy does better. Nothing is dealt before it is started."""

    name: Annotated[str, Meta(min_length=1, max_length=100)]
    strategy: Annotated[Word, Meta(description="A strategy of the kind ab-testing; its arms are the arms.", examples=["ab-testing"])]
    unit: Annotated[str, Meta(description="What stays with its arm: user, conversation or key.", examples=["user"])]
    metric: Annotated[str, Meta(description="success, cost, latency, quality or feedback.", examples=["success"])]
    hypothesis: Annotated[str, Meta(max_length=500)] = ""
    guardrails: Annotated[list[Word], Meta(max_length=10, description="Metrics that must not get worse.")] | None = None
    minimal_effect: Annotated[float, Meta(gt=0, description="A smaller difference is none: a share, USD or milliseconds.")] | None = None
    ends_at: Annotated[str, Meta(max_length=40, description="ISO 8601.")] | None = None
    stops_itself: Annotated[bool, Meta(description="Stop at the first verdict.")] = False


class ExperimentBody(Shape, frozen=True, kw_only=True):
    """``verdict``: collecting, better, worse, equivalent, undecided or invalid, with one sentence. ``figures``: arms, intervals that hold
    at every look, and the probability that the arms' sizes are chance."""

    id: int
    name: str
    hypothesis: str
    strategy: str
    unit: str
    metric: str
    guardrails: list[str]
    minimal_effect: float | None
    ends_at: datetime | None
    state: str
    arms: dict[str, float]
    version: int | None
    verdict: str
    sentence: str
    figures: dict[str, Any] | None
    started_at: datetime | None
    stopped_at: datetime | None
    looked_at: datetime | None


class Experiments(Shape, frozen=True, kw_only=True):
    """Newest first, at most 200."""

    experiments: list[ExperimentBody]


class ExperimentsView(AsyncAPIView):
    """Experiments; POST plans one."""

    body = PlanExperimentRequest
    example = {"name": "openai or anthropic", "strategy": "ab-testing", "unit": "user", "metric": "success"}  # noqa: RUF012
    form_fields = ("name", "strategy", "unit", "metric", "hypothesis")

    def get_permissions(self) -> list[Any]:
        return [HasScope("manage" if self.request.method == "POST" else "read")()]

    @documented("experiments", "Experiments", answer=Experiments)
    async def get(self, request: Request) -> Experiments:
        def read() -> Experiments:
            return Experiments(experiments=[_body(row) for row in Experiment.objects.select_related("strategy")[:200]])

        return await in_thread(read)

    @documented("experiment_plan", "Plan an experiment", body=PlanExperimentRequest, answer=ExperimentBody, example=example)
    async def post(self, request: Request) -> ExperimentBody:
        from llm_gateway.actions.plan_experiment import plan_experiment

        asked = await self.read(PlanExperimentRequest)
        ends_at = moment(asked.ends_at, "ends_at")
        user, via = who(self)

        def plan() -> ExperimentBody:
            return _body(
                plan_experiment(
                    name=asked.name, strategy=asked.strategy, unit=asked.unit, metric=asked.metric, hypothesis=asked.hypothesis,
                    guardrails=asked.guardrails or (), minimal_effect=asked.minimal_effect, ends_at=ends_at,
                    stops_itself=asked.stops_itself,
                    user=user, via=via,
                )
            )  # fmt: skip

        return await in_thread(plan)


class ExperimentView(AsyncAPIView):
    """One experiment, with what it says so far."""

    permission_classes = (HasScope("read"),)

    @documented("experiment", "One experiment", answer=ExperimentBody)
    async def get(self, request: Request, experiment: str) -> ExperimentBody:
        return await in_thread(lambda: _body(_one(experiment)))


class NoBody(Body, frozen=True, kw_only=True):
    """Nothing has to be said."""


class StartExperimentView(AsyncAPIView):
    """Freeze the plan, deal the callers anew, and put the strategy in force."""

    permission_classes = (HasScope("manage"),)
    body = NoBody

    @documented("experiment_start", "Start an experiment", body=NoBody, answer=ExperimentBody)
    async def post(self, request: Request, experiment: str) -> ExperimentBody:
        from llm_gateway.actions.plan_experiment import start_experiment

        user, via = who(self)
        return await in_thread(lambda: _body(start_experiment(_one(experiment), user=user, via=via)))


class StopExperimentView(AsyncAPIView):
    """A last look, then the end; the strategy stays in force."""

    permission_classes = (HasScope("manage"),)
    body = NoBody

    @documented("experiment_stop", "Stop an experiment", body=NoBody, answer=ExperimentBody)
    async def post(self, request: Request, experiment: str) -> ExperimentBody:
        from llm_gateway.actions.plan_experiment import stop_experiment

        user, via = who(self)
        return await in_thread(lambda: _body(stop_experiment(_one(experiment), user=user, via=via)))


def _one(experiment: str) -> Experiment:
    row = Experiment.objects.select_related("strategy").filter(pk=number(experiment)).first()
    if row is None:
        raise NotFound("There is no such experiment.")
    return row


def _body(row: Experiment) -> ExperimentBody:
    return ExperimentBody(
        id=row.pk, name=row.name, hypothesis=row.hypothesis, strategy=row.strategy.name, unit=row.unit, metric=row.metric,
        guardrails=row.guardrails, minimal_effect=row.minimal_effect, ends_at=row.ends_at, state=row.state, arms=dict(row.arms),
        version=row.version or None, verdict=row.verdict, sentence=row.sentence, figures=row.figures, started_at=row.started_at,
        stopped_at=row.stopped_at, looked_at=row.looked_at,
    )  # fmt: skip
