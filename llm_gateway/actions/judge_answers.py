"""Judge answers that were set aside for it: claim, ask twice through the gateway's own pipeline, write down, delete.

Each asking is a request of the team's own key, with its hold, its row (``origin`` judge) and its entry in the ledger. Whatever goes wrong,
the answer's value is unknown; nothing is asked a third time.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any, Protocol
from uuid import UUID

import msgspec
from django.db import transaction
from django.db.models import F, Q
from django.utils import timezone

from llm_gateway.core.catalog import BodyLogging, Identity, Snapshot
from llm_gateway.core.chat import Text
from llm_gateway.core.errors import GatewayError
from llm_gateway.engine.calls import Call, Summary, WholeAnswer, inbound_of
from llm_gateway.engine.gate import revoked
from llm_gateway.engine.resolve import resolve
from llm_gateway.models import JudgeJob, Judgement, JudgeRule
from llm_gateway.models.judging import pays
from llm_gateway.policies.judging import VERSION, Judged, Sheet, agree, read, sheets
from llm_gateway.stores import vault
from llm_gateway.stores.judging import Sealed, opened

log = logging.getLogger("cogo.judge")
TOGETHER = 4
# Longer than two askings may take.
LEASE = timedelta(minutes=10)
ASK_S = 120.0
MOST_TRIES = 2
_STATES = Judgement.State


class _Pipeline(Protocol):
    async def whole(self, call: Call) -> WholeAnswer: ...


class _Catalog(Protocol):
    def snapshot(self) -> Snapshot: ...


class Judging(Protocol):
    """What of the gateway is needed."""

    @property
    def pipeline(self) -> _Pipeline: ...
    @property
    def catalog(self) -> _Catalog: ...
    @property
    def threaded(self) -> Callable[..., Awaitable[Any]]: ...
    def new_id(self) -> UUID: ...


class Claimed(msgspec.Struct, frozen=True, kw_only=True):
    """A job and the rule it is judged by. ``rule`` ``None``: there is none any more. ``paid``: its key has a hard budget."""

    job: Any
    rule: Any
    paid: bool


class _Stop(Exception):
    """Why nothing is known."""

    def __init__(self, state: str, reason: str, asked: tuple[UUID, ...] = ()) -> None:
        super().__init__(reason)
        self.state = state
        self.asked = asked


async def judge_waiting(gateway: Judging, now: datetime | None = None) -> int:
    """The oldest jobs that nobody holds, at most :data:`TOGETHER`. How many there were."""
    claimed: list[Claimed] = await gateway.threaded(claim, now or timezone.now())
    await asyncio.gather(*(_one(gateway, one) for one in claimed))
    return len(claimed)


def claim(now: datetime) -> list[Claimed]:
    over = JudgeJob.objects.filter(Q(expires_at__lt=now) | Q(tries__gte=MOST_TRIES, lease_until__lt=now))
    if over.exists():
        over.delete()
    free = Q(lease_until=None) | Q(lease_until__lt=now)
    seen = list(JudgeJob.objects.filter(free, tries__lt=MOST_TRIES).order_by("pk")[:TOGETHER])
    with transaction.atomic():
        # Whoever changes a row first has it.
        mine = [
            job
            for job in seen
            if JudgeJob.objects.filter(free, pk=job.pk, tries=job.tries).update(lease_until=now + LEASE, tries=F("tries") + 1)
        ]
    rules = {rule.team_id: rule for rule in JudgeRule.objects.filter(enabled=True, team_id__in=[job.team_id for job in mine])}
    found = []
    for job in mine:
        rule = rules.get(job.team_id)
        found.append(Claimed(job=job, rule=rule, paid=rule is not None and pays(rule.client_key_id)))
    return found


async def _one(gateway: Judging, claimed: Claimed) -> None:
    job = claimed.job
    try:
        sealed = opened(job)
    except (vault.VaultError, msgspec.MsgspecError) as error:
        log.warning("an answer could not be judged", extra={"request_id": str(job.request_id), "reason": str(error)[:200]})
        await gateway.threaded(JudgeJob.objects.filter(pk=job.pk).delete)
        return
    if claimed.rule is None:
        await gateway.threaded(JudgeJob.objects.filter(pk=job.pk).delete)
        return
    judge = str(claimed.rule.model)
    asked: tuple[UUID, ...] = ()
    try:
        judged, judge, asked = await _judged(gateway, claimed, sealed)
        row = _row(job, sealed, judge, asked, judged.state, judged)
    except _Stop as stop:
        row = _row(job, sealed, judge, stop.asked, stop.state, None, str(stop))
    await gateway.threaded(_keep, job, row)


async def _judged(gateway: Judging, claimed: Claimed, sealed: Sealed) -> tuple[Judged, str, tuple[UUID, ...]]:
    identity = _identity(gateway, claimed)
    snapshot = gateway.catalog.snapshot()
    try:
        targets = resolve(snapshot, identity, claimed.rule.model, None).targets
    except GatewayError as error:
        raise _Stop(_STATES.FAILED, error.code) from None
    if any(target.provider.slug == sealed.provider for target in targets):
        raise _Stop(_STATES.SAME_FAMILY, f"{claimed.rule.model} may be answered by {sealed.provider}, which wrote the answer.")
    both = sheets(
        claimed.rule.model, sealed.request, sealed.answer, claimed.job.request_id.hex, (secrets.token_hex(8), secrets.token_hex(8))
    )
    # A model of which nothing is known may be able to; one whose capabilities are known and lack it is asked in words alone.
    structured = all(not target.model.capabilities or "json_schema" in target.model.capabilities for target in targets)
    opinions: list[Any] = []
    asked: tuple[UUID, ...] = ()
    judge = ""
    for sheet in both:
        call = _call(gateway, identity, sheet, claimed.job.request_id, structured=structured)
        asked = (*asked, call.id)
        try:
            async with asyncio.timeout(ASK_S):
                answer = await gateway.pipeline.whole(call)
        except GatewayError as error:
            raise _Stop(_STATES.FAILED, error.code, asked) from None
        except TimeoutError:
            raise _Stop(_STATES.FAILED, "timeout", asked) from None
        judge = _who(answer.summary) or claimed.rule.model
        opinion = _opinion(answer, sheet)
        if opinion is None:
            # The second asking could say nothing more.
            return Judged(state="unreadable"), judge, asked
        opinions.append(opinion)
    return agree(opinions[0], opinions[1]), judge, asked


def _identity(gateway: Judging, claimed: Claimed) -> Identity:
    """The key's, whose texts are never kept: they are those of another request."""
    snapshot = gateway.catalog.snapshot()
    key_id = claimed.rule.client_key_id
    found = next((known for _, known in snapshot.clients.values() if known.client_key_id == key_id), None)
    if found is None or revoked(found, snapshot) or found.team_id != claimed.job.team_id:
        raise _Stop(_STATES.FAILED, "The judge's key is revoked, has expired or is of another team.")
    if not claimed.paid:
        raise _Stop(_STATES.FAILED, "The judge's key has no hard budget of its own.")
    return msgspec.structs.replace(found, bodies=BodyLogging.OFF)


def _call(gateway: Judging, identity: Identity, sheet: Sheet, about: UUID, *, structured: bool) -> Call:
    chat = sheet.chat if structured else msgspec.structs.replace(sheet.chat, response_format=None)
    return Call(
        id=gateway.new_id(),
        kind="chat",
        identity=identity,
        inbound=inbound_of(chat, size=sheet.size, needs=frozenset()),
        headers={"x-cogo-cache": "off"},
        metadata={"judged": str(about)},
        tag="judge",
        origin="judge",
    )


def _opinion(answer: WholeAnswer, sheet: Sheet) -> Any:
    response = answer.response
    if response is None or not response.choices:
        return None
    return read("".join(part.text for part in response.choices[0].parts if isinstance(part, Text)), sheet)


def _who(summary: Summary) -> str:
    target = summary.target
    return f"{target.provider.slug}/{target.upstream_id}" if target is not None else ""


def _row(
    job: JudgeJob, sealed: Sealed, judge: str, asked: tuple[UUID, ...], state: str, judged: Judged | None, reason: str = ""
) -> Judgement:
    return Judgement(
        request_id=job.request_id,
        version=VERSION,
        created_at=timezone.now(),
        team_id=job.team_id,
        model_id=sealed.model,
        provider_slug=sealed.provider,
        simulated=sealed.simulated,
        language=sealed.language,
        task_type=sealed.task_type,
        judge=judge[:260],
        state=state,
        value=judged.value if judged else None,
        asked=judged.asked if judged else 0,
        differed=judged.differed if judged else 0,
        findings=msgspec.to_builtins(judged.findings) if judged else [],
        answers=msgspec.to_builtins(judged.answers) if judged else {},
        first=asked[0] if asked else None,
        second=asked[1] if len(asked) > 1 else None,
        reason=reason[:200],
    )


def _keep(job: JudgeJob, row: Judgement) -> None:
    """The text goes, whatever was said. A judgement of before stays."""
    with transaction.atomic():
        Judgement.objects.bulk_create([row], ignore_conflicts=True)
        JudgeJob.objects.filter(pk=job.pk).delete()


__all__ = ["Judging", "claim", "judge_waiting"]
