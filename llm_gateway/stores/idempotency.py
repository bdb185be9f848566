"""Idempotency records: claimed by one insert or one conditional update, finished by whoever holds the claim.

A claim lives by a lease that this process renews while it executes; a process that dies lets it run out.
"""

from __future__ import annotations

import asyncio
import base64
import logging
import time
import zlib
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any
from uuid import UUID

import msgspec
from django.db import Error as DatabaseError
from django.db import IntegrityError, transaction

from llm_gateway.core.catalog import Identity
from llm_gateway.core.errors import StoreBusy
from llm_gateway.engine.tasks import TaskOwner
from llm_gateway.models import Attempt, IdempotencyRecord, RequestLog
from llm_gateway.policies.idempotency import ENDED, Known, Verdict, kept, verdict

from . import vault
from .outage import store_error

log = logging.getLogger("cogo.idempotency")

Threaded = Callable[..., Awaitable[Any]]
# No execution lasts longer; a claim that was forgotten is let go.
LONGEST_RUN_S = 3600.0
# How long the settlement of an execution that was broken off may take before its log row is asked.
BROKEN_OFF_S = 2.0
_RACES = 5


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """Who asks for what under which key. ``user_id``: staff in the browser. ``again``: execute although the outcome of the first execution
    is unknown."""

    identity: Identity
    key: str
    route: str
    body: bytes
    request_id: UUID
    model: str = ""
    user_id: int | None = None
    again: bool = False


class Stored(msgspec.Struct, frozen=True, kw_only=True):
    """An answer as its caller got it."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """What the key says. ``original``: the execution that holds or held it; ``stored`` where the verdict is ``replay``."""

    verdict: Verdict
    original: UUID
    model: str = ""
    stored: Stored | None = None


class IdempotencyStore:
    """``threaded`` runs blocking database work; ``lease_s``: how long a claim outlives its process."""

    def __init__(self, owner: TaskOwner, threaded: Threaded, *, hours: int, lease_s: float) -> None:
        self._owner = owner
        self._threaded = threaded
        self._ttl = timedelta(hours=hours)
        self._lease_s = lease_s
        self._held: dict[UUID, float] = {}
        self._timer: asyncio.TimerHandle | None = None

    async def claim(self, wanted: Wanted) -> Standing:
        """``take``: the claim is the caller's, who ends it with :meth:`finish` or :meth:`break_off`. Raises the store's errors."""
        try:
            found: Standing = await self._threaded(_claim, wanted, self._ttl, timedelta(seconds=self._lease_s))
        except DatabaseError as error:
            raise store_error(error) from error
        if found.verdict == "take":
            self._held[wanted.request_id] = time.monotonic()
            self._tick()
        return found

    async def finish(self, request_id: UUID, answer: Stored | None, *, retryable: bool = False, calls: Sequence[UUID] = ()) -> None:
        """The execution ended with ``answer`` (``None``: it is not kept). ``calls``: the requests it took, its own included, by which an
        error is known to be one of execution. Never raises: the caller has its answer; the lease runs out by itself."""
        self._let_go(request_id)
        await self._ended(_finish, request_id, answer, retryable, tuple(calls))

    def break_off(self, request_id: UUID) -> None:
        """The execution ended without an answer: once its log row is settled, that row says what becomes of whoever comes next."""
        if request_id in self._held:
            self._let_go(request_id)
            self._owner.start(self._ended(_break_off, request_id), "break off an idempotency key")

    async def _ended(self, work: Callable[..., None], *args: Any) -> None:
        try:
            await self._threaded(work, *args)
        except Exception as error:
            log.warning("an idempotency record was not ended", extra={"reason": f"{type(error).__name__}: {error}"[:300]})

    def _let_go(self, request_id: UUID) -> None:
        self._held.pop(request_id, None)
        if not self._held and self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _tick(self) -> None:
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._lease_s / 3, self._renew)

    def _renew(self) -> None:
        self._timer = None
        edge = time.monotonic() - LONGEST_RUN_S
        self._held = {request_id: since for request_id, since in self._held.items() if since > edge}
        if self._held:
            self._owner.start(self._ended(_renew, list(self._held), timedelta(seconds=self._lease_s)), "renew idempotency keys")
            self._tick()


def place_of(row: IdempotencyRecord) -> str:
    """What the ciphertext is bound to."""
    return f"idempotency:{row.team_id}:{row.key_hash}:body"


def _claim(wanted: Wanted, ttl: timedelta, lease: timedelta) -> Standing:
    identity = wanted.identity
    who = f"key:{identity.client_key_id}" if identity.client_key_id is not None else f"user:{wanted.user_id}"
    key_hash = vault.digest(f"idempotency\0{identity.team_id}\0{who}\0{wanted.key}").hex()
    body_hash = vault.digest(f"idempotency-body\0{wanted.route}\0{sha256(wanted.body).hexdigest()}").hex()
    mine = Standing(verdict="take", original=wanted.request_id)
    for _ in range(_RACES):
        now = datetime.now(UTC)
        held = {
            "body_hash": body_hash, "request_id": wanted.request_id, "state": "running", "asked_model": wanted.model[:200], "status": None,
            "headers": [], "body": "", "created_at": now, "lease_until": now + lease, "expires_at": now + ttl,
        }  # fmt: skip
        row = IdempotencyRecord.objects.filter(team_id=identity.team_id, key_hash=key_hash).first()
        if row is None:
            try:
                with transaction.atomic():
                    IdempotencyRecord.objects.create(team_id=identity.team_id, key_hash=key_hash, **held)
            except IntegrityError:
                continue  # a twin was faster
            return mine
        found = verdict(_known(row), body_hash, now, again=wanted.again)
        if found != "take":
            stored = _stored(row) if found == "replay" else None
            if found == "replay" and stored is None:
                found = "unknown"
            return Standing(verdict=found, original=row.request_id, model=row.asked_model, stored=stored)
        if IdempotencyRecord.objects.filter(pk=row.pk, request_id=row.request_id, state=row.state).update(**held):
            return mine
    raise StoreBusy("Too many requests with this idempotency key at once; try again shortly.", retry_after_s=1)


def _known(row: IdempotencyRecord) -> Known:
    original, sent = None, False
    if row.state == "running":
        original = RequestLog.objects.filter(pk=row.request_id).values_list("state", flat=True).first()
        sent = original in ENDED and Attempt.objects.filter(request_id=row.request_id).exists()
    return Known(
        state=row.state,
        body_hash=row.body_hash,
        request_id=row.request_id,
        lease_until=row.lease_until,
        expires_at=row.expires_at,
        original=original,
        sent=sent,
    )


def _stored(row: IdempotencyRecord) -> Stored | None:
    try:
        packed = vault.open_sealed(row.body, place=place_of(row)).reveal()
    except vault.VaultError as error:
        log.warning("a kept answer cannot be read", extra={"request_id": str(row.request_id), "reason": str(error)})
        return None
    headers = tuple((str(name), str(value)) for name, value in row.headers)
    return Stored(status=row.status or 200, headers=headers, body=zlib.decompress(base64.b85decode(packed)))


def _finish(request_id: UUID, answer: Stored | None, retryable: bool, calls: tuple[UUID, ...]) -> None:
    row = IdempotencyRecord.objects.filter(request_id=request_id, state="running").first()
    if row is None:
        return
    mine = IdempotencyRecord.objects.filter(pk=row.pk, request_id=request_id, state="running")
    if answer is None:
        mine.update(state="unknown")
        return
    attempts = Attempt.objects.filter(request_id__in=calls or (request_id,))
    sent = answer.status < 400 or attempts.exists()
    if not kept(answer.status, retryable, sent):
        if answer.status >= 400 and retryable and attempts.exclude(billed="void").exists():
            # It invites to try again, and has been paid for: that is the caller's to decide.
            mine.update(state="unknown")
        else:
            mine.delete()
        return
    packed = base64.b85encode(zlib.compress(answer.body, 1)).decode()
    mine.update(
        state="finished",
        status=answer.status,
        headers=[list(pair) for pair in answer.headers],
        body=vault.seal(packed, place=place_of(row)),
    )


def _break_off(request_id: UUID) -> None:
    soon = datetime.now(UTC) + timedelta(seconds=BROKEN_OFF_S)
    IdempotencyRecord.objects.filter(request_id=request_id, state="running", lease_until__gt=soon).update(lease_until=soon)


def _renew(request_ids: list[UUID], lease: timedelta) -> None:
    IdempotencyRecord.objects.filter(request_id__in=request_ids, state="running").update(lease_until=datetime.now(UTC) + lease)
