"""``policies``: versions of what routes, from draft over replay and approval to force, and back."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Annotated, Any, TypeVar

import msgspec
from asgiref.sync import sync_to_async
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.timezone import is_naive, make_aware
from msgspec import Meta
from rest_framework.request import Request
from rest_framework.response import Response

from llm_gateway.core.errors import InvalidRequest, NotFound
from llm_gateway.core.roles import APPROVES
from llm_gateway.models import Heartbeat, PolicyEvent, PolicyReplay, PolicyVersion

from .auth import HasScope
from .contract import Body, Name, Word
from .openapi import documented
from .shapes import Shape
from .views import AsyncAPIView

T = TypeVar("T")
LISTED = 200


class DraftPolicyRequest(Body, frozen=True, kw_only=True):
    """A version that may take force later. Without `settings`: as the strategy is now."""

    strategy: Annotated[Word, Meta(description="Of which strategy.", examples=["weighted"])] | None = None
    alias: Annotated[Name, Meta(description="Or of which alias; its settings are `{models: […]}`.")] | None = None
    kind: Annotated[Word, Meta(description="Another kind than the strategy has now.")] | None = None
    settings: dict[str, Any] | None = None
    note: Annotated[str, Meta(max_length=300)] = ""
    guards: (
        Annotated[dict[str, Any], Meta(description="success_points, p95_factor, cost_factor, min_requests; null switches one off.")] | None
    ) = None


class ReplayPolicyRequest(Body, frozen=True, kw_only=True, rename={"since": "from", "until": "to"}):
    """Over which part of the log; without a choice over the newest 10,000 decisions."""

    since: Annotated[str, Meta(max_length=40, description="From this ISO 8601 time on.")] | None = None
    until: Annotated[str, Meta(max_length=40, description="Before this ISO 8601 time.")] | None = None
    last: Annotated[int, Meta(ge=1, le=50_000, description="So many decisions.")] | None = None


class ApprovePolicyRequest(Body, frozen=True, kw_only=True):
    """Say that it may take force."""

    note: Annotated[str, Meta(max_length=300)] = ""


class ActivatePolicyRequest(Body, frozen=True, kw_only=True):
    """Put it in force, for all or for a share of the callers, who stay the same."""

    revision: Annotated[int, Meta(description="The `revision` that the list showed; 409 when something was switched since.")]
    canary_share: Annotated[float, Meta(gt=0, lt=1)] | None = None
    confirm: Annotated[
        bool, Meta(description="Although its replay is old, the catalogue changed since, or it does not surely do well enough unguarded.")
    ] = False


class RollbackPolicyRequest(Body, frozen=True, kw_only=True):
    """End the canary, or go back to what was in force before, or to a version."""

    to: Annotated[int, Meta(ge=1)] | None = None


class PolicyBody(Shape, frozen=True, kw_only=True):
    """``canary_share``: the share it decides for while on trial, with what its guards have seen in ``watch``."""

    version: int
    state: str
    strategy: str | None
    alias: str | None
    kind: str
    settings: dict[str, Any]
    guards: dict[str, Any]
    note: str
    parent: int | None
    author: str
    created_at: datetime
    approved_by: str
    activated_at: datetime | None
    canary_share: float | None
    watch: dict[str, Any] | None


class Policies(Shape, frozen=True, kw_only=True):
    """Newest first, at most 200. ``revision``: of what is active now; an activation names it."""

    active: int | None
    canary: int | None
    revision: int
    policies: list[PolicyBody]


class PolicyWritten(Shape, frozen=True, kw_only=True):
    version: int
    state: str
    revision: int
    canary_share: float | None = None


class ReplayBody(Shape, frozen=True, kw_only=True):
    """``report`` once it is done: rows, not_replayable, moved_share, flows, refused, cost, estimates (or null and why), flips."""

    id: int
    version: int
    state: str
    created_at: datetime
    finished_at: datetime | None
    error: str
    report: dict[str, Any] | None


class PoliciesView(AsyncAPIView):
    """Versions of what routes; POST writes a draft."""

    body = DraftPolicyRequest
    example = {"strategy": "performance-based", "settings": {"exploration": 0.1}, "note": "look more often"}  # noqa: RUF012
    form_fields = ("strategy", "kind", "note")

    def get_permissions(self) -> list[Any]:
        return [HasScope("manage" if self.request.method == "POST" else "read")()]

    @documented("policies", "Policy versions", answer=Policies)
    async def get(self, request: Request) -> Policies:
        return await in_thread(_list)

    @documented("policy_draft", "Write a policy version", body=DraftPolicyRequest, answer=PolicyWritten, example=example)
    async def post(self, request: Request) -> PolicyWritten:
        from llm_gateway.actions.draft_policy import draft_policy

        asked = await self.read(DraftPolicyRequest)
        user, via = who(self)

        def write() -> PolicyWritten:
            return _written(
                draft_policy(
                    strategy=asked.strategy or "", alias=asked.alias or "", kind=asked.kind, settings=asked.settings,
                    guards=asked.guards, note=asked.note, user=user, via=via,
                )
            )  # fmt: skip

        return await in_thread(write)


class PolicyView(AsyncAPIView):
    """One version."""

    permission_classes = (HasScope("read"),)

    @documented("policy", "One policy version", answer=PolicyBody)
    async def get(self, request: Request, version: str) -> PolicyBody:
        return await in_thread(lambda: _body(_one(version)))


class ReplayPolicyView(AsyncAPIView):
    """Replay a version over the log. Nobody is called and nothing is spent."""

    permission_classes = (HasScope("manage"),)
    body = ReplayPolicyRequest
    example = {"last": 10_000}  # noqa: RUF012

    @documented("policy_replay", "Replay a policy version", body=ReplayPolicyRequest, answer=ReplayBody, example=example)
    async def post(self, request: Request, version: str) -> Response:
        asked = await self.read(ReplayPolicyRequest)
        since, until = moment(asked.since, "from"), moment(asked.until, "to")
        user, _ = who(self)
        started = await in_thread(lambda: begin_replay(_one(version), since, until, asked.last, user))
        return Response(msgspec.to_builtins(started), status=202)


class PolicyReplayView(AsyncAPIView):
    """A replay and, once it is done, its report."""

    permission_classes = (HasScope("read"),)

    @documented("policy_replay_report", "The report of a replay", answer=ReplayBody)
    async def get(self, request: Request, replay: str) -> ReplayBody:
        def read() -> ReplayBody:
            row = PolicyReplay.objects.select_related("version").filter(pk=number(replay)).first()
            if row is None:
                raise NotFound("There is no such replay.")
            return _replay(row)

        return await in_thread(read)


class ApprovePolicyView(AsyncAPIView):
    """Say that a version may take force."""

    permission_classes = (HasScope("manage", APPROVES),)
    body = ApprovePolicyRequest
    example = {"note": "the replay moves 4 % and saves money"}  # noqa: RUF012

    @documented("policy_approve", "Approve a policy version", body=ApprovePolicyRequest, answer=PolicyWritten, example=example)
    async def post(self, request: Request, version: str) -> PolicyWritten:
        from llm_gateway.actions.approve_policy import approve_policy

        asked = await self.read(ApprovePolicyRequest)
        user, via = who(self)
        return await in_thread(lambda: _written(approve_policy(_one(version), user=user, via=via, note=asked.note)))


class ActivatePolicyView(AsyncAPIView):
    """Put a version in force; every worker follows within 2 seconds."""

    permission_classes = (HasScope("manage"),)
    body = ActivatePolicyRequest
    example = {"revision": 1, "canary_share": 0.1}  # noqa: RUF012

    @documented("policy_activate", "Activate a policy version", body=ActivatePolicyRequest, answer=PolicyWritten, example=example)
    async def post(self, request: Request, version: str) -> PolicyWritten:
        from llm_gateway.actions.activate_policy import activate_policy

        asked = await self.read(ActivatePolicyRequest)
        user, via = who(self)

        def activate() -> PolicyWritten:
            return _written(
                activate_policy(
                    _one(version), revision=asked.revision, canary_share=asked.canary_share, confirm=asked.confirm, user=user, via=via
                )
            )

        return await in_thread(activate)


class RollbackPolicyView(AsyncAPIView):
    """Take back what was put in force."""

    permission_classes = (HasScope("manage"),)
    body = RollbackPolicyRequest
    example = {}  # noqa: RUF012

    @documented("policy_rollback", "Roll back", body=RollbackPolicyRequest, answer=PolicyWritten)
    async def post(self, request: Request) -> PolicyWritten:
        from llm_gateway.actions.rollback_policy import rollback_policy

        asked = await self.read(RollbackPolicyRequest)
        user, via = who(self)
        return await in_thread(lambda: _written(rollback_policy(asked.to, user=user, via=via)))


def who(view: AsyncAPIView) -> tuple[Any, str]:
    """(the member of staff or ``None``, by which way)"""
    return (view.request.user, "browsable API") if view.user_id else (None, f"client key {view.identity.name}")


def begin_replay(version: PolicyVersion, since: datetime | None, until: datetime | None, last: int | None, user: Any) -> ReplayBody:
    """Through the task cluster when it lives, else at once."""
    from llm_gateway.actions.replay_policy import run_replay, start_replay

    row = start_replay(version, since=since, until=until, last=last, user=user)
    if _cluster_alive():
        from django_q.tasks import async_task

        async_task("llm_gateway.tasks.replay_policy", row.pk)
    else:
        row = run_replay(row.pk)
    return _replay(row)


def _cluster_alive() -> bool:
    return Heartbeat.objects.filter(name="tasks", at__gte=timezone.now() - timedelta(minutes=3)).exists()


async def in_thread(work: Callable[[], T]) -> T:
    """``work`` in a thread; what an action refuses is the caller's mistake."""
    try:
        return await sync_to_async(work)()
    except ValueError as error:
        raise InvalidRequest(str(error)) from None


def _one(version: str) -> PolicyVersion:
    row = PolicyVersion.objects.select_related("strategy", "author", "approved_by").filter(number=number(version)).first()
    if row is None:
        raise NotFound("There is no such policy version.")
    return row


def number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 9 else 0


def moment(text: str | None, name: str) -> datetime | None:
    if text is None:
        return None
    try:
        found = parse_datetime(text)
    except ValueError:
        found = None
    if found is None:
        raise InvalidRequest(f"`{name}` is no time; write it as 2026-11-30T12:00:00Z.", param=name)
    return make_aware(found) if is_naive(found) else found


def _list() -> Policies:
    rows = list(PolicyVersion.objects.select_related("strategy", "author", "approved_by")[:LISTED])
    active = PolicyVersion.objects.filter(state="active", alias="").values_list("number", "canary_share")
    return Policies(
        active=next((number for number, share in active if share is None), None),
        canary=next((number for number, share in active if share is not None), None),
        revision=PolicyEvent.revision(),
        policies=[_body(row) for row in rows],
    )


def _body(row: PolicyVersion) -> PolicyBody:
    return PolicyBody(
        version=row.number, state=row.state, strategy=row.strategy.name if row.strategy else None, alias=row.alias or None, kind=row.kind,
        settings=row.settings, guards=row.guards, note=row.note, parent=row.parent, author=str(row.author) if row.author else row.via,
        created_at=row.created_at, approved_by=str(row.approved_by) if row.approved_by else row.approved_via, activated_at=row.activated_at,
        canary_share=row.canary_share, watch=row.watch,
    )  # fmt: skip


def _written(row: PolicyVersion) -> PolicyWritten:
    return PolicyWritten(version=row.number, state=row.state, revision=PolicyEvent.revision(), canary_share=row.canary_share)


def _replay(row: PolicyReplay) -> ReplayBody:
    return ReplayBody(
        id=row.pk, version=row.version.number, state=row.state, created_at=row.created_at, finished_at=row.finished_at, error=row.error,
        report=row.report,
    )  # fmt: skip
