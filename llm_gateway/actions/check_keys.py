"""Ask the providers whether our keys work: real calls that are not billed, several at a time, by the schedule each key in one process only.

A verdict is written only where the key and its state are still what they were when it was claimed, so that a key replaced or refused in the
meantime is not put right by an old answer. An answer that says nothing of the key (the provider cannot be reached, or has no model list)
does not bring back a key that was refused; but one of which nothing else was heard for a quarter of an hour may be tried by a request,
which will tell: a check that cannot be made must not keep a key out for ever.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Protocol

import msgspec
from asgiref.sync import sync_to_async
from django.db import transaction
from django.db.models import F, Q
from django.utils import timezone

from llm_gateway.core.errors import AttemptFailed, Failure, FailureClass
from llm_gateway.core.keys import KeyState, KeyVerdict
from llm_gateway.core.redact import redact
from llm_gateway.core.secret import Secret
from llm_gateway.models import DeploymentHealth, KeyCheck, ProviderKey
from llm_gateway.providers import services
from llm_gateway.stores import vault

# The schedule's rounds, on the clock.
EVERY = timedelta(minutes=5)
# A key checked this shortly ago (by hand, on save) is left out of a round, unless it is out of routing and wants to come back.
RECENT = timedelta(minutes=2)
CLAIM = timedelta(seconds=90)
TIMEOUT_S = 15.0
# All calls about one key; with the spread below the cluster's timeout for a task.
KEY_TIMEOUT_S = 40.0
# Of one round: bounds its time and its connections.
AT_ONCE = 256
_REFUSED = tuple(state.value for state in KeyState if not state.routable)
# What says nothing of the key itself.
_SILENT = (KeyState.UNREACHABLE, KeyState.UNCHECKED)
# No unbilled call shows the credit: what real requests were told holds for this long against a mere list of models.
CREDIT_MEMORY = timedelta(minutes=10)
# How long checks may say nothing of a refused key before a request may try it.
SILENCE = timedelta(minutes=15)

_F = FailureClass
_FAULTS = {
    _F.DNS: "its host name cannot be resolved",
    _F.CONNECT_REFUSED: "it refused the connection",
    _F.CONNECT_TIMEOUT: "it did not accept a connection in time",
    _F.TTFB_TIMEOUT: "it did not answer in time",
    _F.TLS: "no trusted TLS connection is possible; for a certificate of your own set COGO_CA_BUNDLE",
    _F.REDIRECT: "it redirects; correct its base URL",
}


class Answer(Protocol):
    """What a probe brings back; header names are lower-case."""

    @property
    def status(self) -> int: ...
    @property
    def headers(self) -> Mapping[str, str]: ...
    @property
    def body(self) -> bytes: ...


class ProbeCall(Protocol):
    async def __call__(self, method: str, url: str, headers: Mapping[str, str], *, timeout_s: float, allow_private: bool) -> Answer: ...


class KeyResult(msgspec.Struct, frozen=True, kw_only=True):
    """One key that was checked. ``before`` and ``state`` are its stored states; ``applied`` is false when the key changed meanwhile."""

    id: int
    provider: str
    name: str
    before: KeyState
    state: KeyState
    reason: str
    evidence: str
    latency_ms: int | None
    checked_at: datetime
    applied: bool = True


class _Job(msgspec.Struct, frozen=True, kw_only=True):
    key: Any
    secret: Secret
    claim: datetime
    verdict: KeyVerdict | None = None


def check_keys(
    keys: Iterable[ProviderKey | int] | None = None,
    trigger: str = "schedule",
    now: datetime | None = None,
    probe: ProbeCall | None = None,
    spread_s: float = 0.0,
) -> list[KeyResult]:
    """Check ``keys`` (by default every enabled one that is due) and store what came out.

    ``trigger``: ``schedule``, ``save`` or ``demand``. The schedule leaves out what another process is checking; who asks gets an
    answer. ``spread_s``: each probe waits a random part of it first.
    Not for use inside an event loop: there :func:`acheck_keys`.
    """
    jobs = _claim(keys, trigger, now or timezone.now())
    return _record(asyncio.run(_ask_all(jobs, probe or _transport(), spread_s)), trigger) if jobs else []


async def acheck_keys(
    keys: Iterable[ProviderKey | int] | None = None, trigger: str = "demand", now: datetime | None = None, probe: ProbeCall | None = None
) -> list[KeyResult]:
    """The same inside an event loop."""
    jobs = await sync_to_async(_claim)(keys, trigger, now or timezone.now())
    answers = await _ask_all(jobs, probe or _transport(), 0.0)
    return await sync_to_async(_record)(answers, trigger)


def _transport() -> ProbeCall:
    from llm_gateway.engine.transport import probe
    from llm_gateway.stores.network import network

    return partial(probe, network=network())


def _claim(keys: Iterable[ProviderKey | int] | None, trigger: str, now: datetime) -> list[_Job]:
    rows = ProviderKey.objects.select_related("provider").order_by("pk")
    if keys is None:
        rows = rows.filter(enabled=True, provider__enabled=True)
        if trigger == "schedule":
            due = rows.filter(Q(checked_at=None) | Q(checked_at__lte=now - RECENT) | Q(state__in=_REFUSED))
            rows = due.order_by(F("checked_at").asc(nulls_first=True), "pk")[:AT_ONCE]
    else:
        rows = rows.filter(pk__in=[key if isinstance(key, int) else key.pk for key in keys])
    jobs = []
    for key in rows:
        free = Q(checking_until=None) | Q(checking_until__lt=now) if trigger == "schedule" else Q()
        if ProviderKey.objects.filter(free, pk=key.pk).update(checking_until=now + CLAIM):
            jobs.append(_job(key, now + CLAIM))
    return jobs


def _job(key: ProviderKey, claim: datetime) -> _Job:
    try:
        secret = vault.open_sealed(key.ciphertext, place=vault.place_of(key)) if key.ciphertext else Secret("")
    except vault.VaultError as error:
        return _Job(key=key, secret=Secret(""), claim=claim, verdict=KeyVerdict(KeyState.INVALID, f"The key cannot be decrypted: {error}."))
    if key.provider.service not in services:
        verdict = KeyVerdict(KeyState.UNCHECKED, f"No adapter named {key.provider.service} is installed.")
        return _Job(key=key, secret=secret, claim=claim, verdict=verdict)
    return _Job(key=key, secret=secret, claim=claim)


async def _ask_all(jobs: Sequence[_Job], probe: ProbeCall, spread_s: float) -> list[tuple[_Job, KeyVerdict, int | None]]:
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(job: _Job) -> tuple[_Job, KeyVerdict, int | None]:
        if job.verdict is not None:
            return job, job.verdict, None
        if spread_s:
            await asyncio.sleep(random.uniform(0, spread_s))  # noqa: S311  # spreads load, guards nothing
        async with gate:
            began = time.monotonic()
            verdict = await _ask(job, probe)
            return job, verdict, round((time.monotonic() - began) * 1000)

    return list(await asyncio.gather(*(one(job) for job in jobs)))


async def _ask(job: _Job, probe: ProbeCall) -> KeyVerdict:
    """The first conclusive answer; a fault of our own adapter is a verdict too, never an end of the whole round."""
    provider = job.key.provider
    service = services.get(provider.service)
    last = KeyVerdict(KeyState.UNCHECKED, "This host offers no unbilled call that would tell; a real request will.")
    try:
        async with asyncio.timeout(KEY_TIMEOUT_S):
            headers = service.headers(provider.wire, job.secret, {})
            for call in service.probes(provider.base_url, provider.wire):
                try:
                    answer = await probe(call.method, call.url, headers, timeout_s=TIMEOUT_S, allow_private=provider.allow_private)
                except AttemptFailed as error:
                    last = _unreachable(error.failure)
                    continue
                verdict = service.judge(call, answer.status, answer.headers, answer.body)
                if verdict is not None:
                    return verdict
                text = answer.body[:300].decode("utf-8", "replace")
                last = KeyVerdict(KeyState.UNREACHABLE, f"The provider's answer says nothing of the key: HTTP {answer.status}.", text)
    except TimeoutError:
        return _unreachable(Failure(kind=_F.TTFB_TIMEOUT))
    except Exception as error:
        return KeyVerdict(KeyState.UNREACHABLE, f"The check itself failed ({type(error).__name__}); the key was not judged.")
    return last


def _unreachable(failure: Failure) -> KeyVerdict:
    detail = failure.message if failure.kind is _F.CONFIG else _FAULTS.get(failure.kind, "the connection broke")
    return KeyVerdict(KeyState.UNREACHABLE, f"The provider could not be asked: {detail}.", failure.kind.value)


def _record(answers: Sequence[tuple[_Job, KeyVerdict, int | None]], trigger: str) -> list[KeyResult]:
    now = timezone.now()
    return [_store(job, verdict, latency, trigger=trigger, now=now) for job, verdict, latency in answers]


def next_round(now: datetime, state: KeyState) -> datetime:
    """The round of the schedule that asks about a key again that is in ``state`` and was checked at ``now``."""
    after = now + (RECENT if state.routable else timedelta(seconds=1))
    return after + (-(after - datetime.min.replace(tzinfo=after.tzinfo)) % EVERY)


@transaction.atomic
def _store(job: _Job, verdict: KeyVerdict, latency_ms: int | None, *, trigger: str, now: datetime) -> KeyResult:
    key = job.key
    before = KeyState(key.state)
    secret = job.secret.reveal()
    state, reason = _settled(before, verdict, trigger)
    if not state.routable and verdict.state in _SILENT and _silent_since(key) <= now - SILENCE:
        state, reason = verdict.state, f"It was refused, and no check has told anything since; a request may try it. {verdict.reason}"
    if (
        before is KeyState.OUT_OF_CREDIT
        and state is KeyState.VALID
        and trigger == "schedule"
        and _refused_payment(key, now - CREDIT_MEMORY)
    ):
        state, reason = before, "Requests were refused for want of credit just now; the key itself works and is tried again soon."
    reason, evidence = redact(reason, secret, limit=300), redact(verdict.evidence, secret, limit=600)
    due = next_round(now, state)
    changes: dict[str, Any] = {"reason": reason, "evidence": evidence, "checked_at": now, "next_check_at": due, "checking_until": None}
    if state is not before:
        changes["state"] = state.value  # not volatile: every worker learns of it
    same = ProviderKey.objects.filter(pk=key.pk, ciphertext=key.ciphertext, state=before.value)
    applied = bool(same.update(**changes))
    if applied:
        KeyCheck.objects.create(
            provider_key_id=key.pk,
            at=now,
            state=verdict.state.value,
            reason=reason,
            evidence=evidence,
            latency_ms=latency_ms,
            trigger=trigger,
        )
        if state.routable and not before.routable:
            DeploymentHealth.objects.filter(provider_key_id=key.pk).delete()
    else:
        ProviderKey.objects.filter(pk=key.pk, checking_until=job.claim).update(checking_until=None)
        state = KeyState(ProviderKey.objects.filter(pk=key.pk).values_list("state", flat=True).first() or before)
    return KeyResult(
        id=key.pk,
        provider=key.provider.slug,
        name=key.name,
        before=before,
        state=state,
        reason=reason,
        evidence=evidence,
        latency_ms=latency_ms,
        checked_at=now,
        applied=applied,
    )


def _settled(before: KeyState, verdict: KeyVerdict, trigger: str) -> tuple[KeyState, str]:
    if verdict.state not in _SILENT or before.routable:
        return verdict.state, verdict.reason
    if verdict.state is KeyState.UNCHECKED and trigger != "schedule":
        return verdict.state, verdict.reason
    return before, f"Still {before.value.replace('_', ' ')} as far as known. {verdict.reason}"


def _silent_since(key: ProviderKey) -> datetime:
    """The first of the checks in a row that said nothing of the key; far in the future when the last one said something."""
    found = datetime.max.replace(tzinfo=UTC)
    rows = KeyCheck.objects.filter(provider_key_id=key.pk).order_by("-at", "-pk").values_list("at", "state")
    for at, state in rows[:200]:
        if state not in _SILENT:
            break
        found = at
    return found


def _refused_payment(key: ProviderKey, since: datetime) -> bool:
    return KeyCheck.objects.filter(provider_key_id=key.pk, at__gte=since, trigger="traffic", state=KeyState.OUT_OF_CREDIT).exists()
