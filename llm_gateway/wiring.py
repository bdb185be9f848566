"""The composition root: what a process starts, and what faces find by :func:`gateway`."""

from __future__ import annotations

import asyncio
import hmac
import logging
import math
import os
import secrets
import threading
import time
from collections.abc import Callable, Coroutine, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

import msgspec
from asgiref.sync import sync_to_async
from django.conf import settings
from django.db import connections

from llm_gateway.core.catalog import Identity, Scope, Snapshot, Target
from llm_gateway.core.errors import CallerLeft, Failure, FailureClass, GatewayError, KeyRevoked, StoreUnavailable, Unauthenticated
from llm_gateway.core.keys import public_id_of
from llm_gateway.core.roles import scopes_of
from llm_gateway.engine.asked import Asking
from llm_gateway.engine.cached import CachedPipeline
from llm_gateway.engine.calls import Call
from llm_gateway.engine.explain import Explanation, explain, with_refusal
from llm_gateway.engine.fresh import fresh_draw, new_id
from llm_gateway.engine.gate import KeyGate
from llm_gateway.engine.health import DeploymentHealth
from llm_gateway.engine.tasks import Detached, TaskOwner
from llm_gateway.engine.transport import HttpUpstream
from llm_gateway.policies.health import Effect
from llm_gateway.probes import Scoring
from llm_gateway.stores import audits, contexts, vault
from llm_gateway.stores import health as health_store
from llm_gateway.stores.answers import AnswerStore, shelf
from llm_gateway.stores.catalog import SnapshotCatalog
from llm_gateway.stores.holds import Foreseen, foresee
from llm_gateway.stores.idempotency import IdempotencyStore
from llm_gateway.stores.journal import DatabaseJournal
from llm_gateway.stores.network import network
from llm_gateway.stores.responses import ResponseStore
from llm_gateway.stores.scores import ScoreBook, qualities
from llm_gateway.telemetry import metrics
from llm_gateway.telemetry.loop_watch import LoopWatch
from llm_gateway.telemetry.observer import MetricsObserver
from llm_gateway.wires import Inbound

log = logging.getLogger("cogo.wiring")
T = TypeVar("T")

REFRESH_S = 1.0
# How late the metrics may learn of a new audit.
AUDITS_S = 10.0
# How late strategies may learn of new scores.
QUALITY_S = 60.0
KNOWN_KEYS = 10_000
GATEWAY_TEAM = "gateway"
SPENDING = frozenset({Scope.GENERATE, Scope.ANALYZE})

_current: Gateway | None = None


def gateway() -> Gateway:
    """The gateway of this process. Raises :class:`StoreUnavailable` before :func:`startup`."""
    if _current is None:
        raise StoreUnavailable("The gateway has not started in this process; run it with 'python manage.py serve'.", retry_after_s=1)
    return _current


async def startup() -> Gateway:
    """Start this process's gateway on the running event loop; a second call returns the same one."""
    global _current  # noqa: PLW0603  # one gateway per process is the point
    if _current is None:
        found = Gateway()
        await found.start()
        _current = found
    return _current


async def shutdown(drain_s: float = 0.0) -> None:
    """Let answers run for ``drain_s``, then end them; settle everything; stop."""
    global _current
    found, _current = _current, None
    if found is not None:
        await found.stop(drain_s)


class _OwnTeam(msgspec.Struct, frozen=True):
    """The team that pays for what staff send from the browser."""

    id: int = 0
    enabled: bool = True
    budgets: tuple[int, ...] = ()


class Gateway:
    """One process's catalogue, journal, health and pipeline."""

    def __init__(self) -> None:
        self.worker = f"{os.uname().nodename[:20]}-{os.getpid()}-{secrets.token_hex(3)}"
        self.owner = TaskOwner()
        self.watch = LoopWatch()
        self.health = DeploymentHealth(self._on_effect)
        self.catalog = SnapshotCatalog(self._on_snapshot)
        self.journal = DatabaseJournal(worker=self.worker, spool_folder=Path(settings.VAR_DIR) / "spool", lease_s=settings.COGO["lease_s"])
        self.gate = KeyGate(settings.COGO_WORKERS)
        self.upstream = HttpUpstream(network())
        self.scores = ScoreBook(self._threaded, lambda by, number: metrics.SCORES_DROPPED.labels(by).inc(number))
        self.scoring = Scoring()
        self.answers = AnswerStore(self.owner, self._threaded, shelf())
        self.pipeline = CachedPipeline(
            answers=self.answers,
            asking=Asking(vault.cache_secret()),
            catalog=self.catalog,
            journal=self.journal,
            health=self.health,
            upstream=self.upstream,
            gate=self.gate,
            owner=self.owner,
            observers=(MetricsObserver(), self.scores),
        )
        self.responses = ResponseStore(self.owner, self._threaded, settings.COGO["responses_ttl_h"])
        self.idempotency = IdempotencyStore(
            self.owner, self._threaded, hours=settings.COGO["idempotency_h"], lease_s=settings.COGO["lease_s"]
        )
        self.detached = Detached(self.owner, settings.COGO["max_detached"])
        self._identities: dict[str, Identity] = {}
        self._refreshing: asyncio.Task[Any] | None = None
        self._stopped = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._team = _OwnTeam()
        self._audited = audits.Audited()
        self._look_at_audits = self._look_at_scores = 0.0
        self._known_rests: list[tuple[tuple[int, str], str, str, int | None]] = []
        # One reader of the catalogue at a time: an older reading never takes the place of a newer one.
        self._reading = threading.Lock()
        self._read_from = 0.0
        # By provider key: when what traffic taught of it was written, in monotonic seconds; infinite while it is being written.
        self._written: dict[int, float] = {}

    async def start(self) -> None:
        self.watch.start()
        self.journal.start()
        await self._threaded(self._refresh)
        self._refreshing = self.owner.start(self._refresh_for_ever(), "refresh the catalogue")
        self.scores.start()

    async def stop(self, drain_s: float) -> None:
        until = time.monotonic() + drain_s
        while self._busy and time.monotonic() < until:  # noqa: ASYNC110  # a set that empties has no event to wait for
            await asyncio.sleep(0.05)
        if self._busy:
            self.pipeline.end_streams(Failure(kind=FailureClass.RESET, code="server_shutting_down", message="the gateway is shutting down"))
            for _ in range(40):
                if not self._busy:
                    break
                await asyncio.sleep(0.05)
        self._stopped.set()
        if self._refreshing is not None:
            self._refreshing.cancel()
        await self.owner.settle(2.0)
        await self.owner.close()
        await self.scores.stop()
        await asyncio.to_thread(self.scoring.close)
        await self.journal.stop()
        await self._threaded(contexts.write_contexts, self.health.contexts)
        await self.upstream.close()
        self.watch.stop()

    @property
    def _busy(self) -> bool:
        """Whether an answer is still on its way, to a caller or into the record of one that left."""
        return self.pipeline.live > 0 or len(self.detached) > 0

    def identify(self, presented: str) -> Identity:
        """Who holds this client key. No I/O. Raises :class:`Unauthenticated` or :class:`KeyRevoked`."""
        known = self._identities.get(presented)
        if known is None:
            known = self._look_up(presented)
            if len(self._identities) >= KNOWN_KEYS:
                self._identities.clear()
            self._identities[presented] = known
        if known.revoked or (known.expires_at is not None and known.expires_at <= datetime.now(UTC)):
            raise KeyRevoked("This client key was revoked or has expired; ask the gateway's operator for a new one.")
        return known

    def staff_identity(self, user: Any) -> Identity:
        """The identity of a signed-in member of staff: scopes as the table of roles gives them, on the gateway's own team, whose budgets
        bind what the browser spends. A team that is switched off spends nothing."""
        scopes = scopes_of(user.has_perm)
        if not self._team.enabled:
            scopes -= SPENDING
        return Identity(
            client_key_id=None,
            public_id="",
            name=str(user.get_username()),
            team_id=self._team.id,
            team=GATEWAY_TEAM,
            scopes=scopes,
            budgets=(*self._team.budgets, *self.catalog.snapshot().gateway_budgets),
        )

    async def reject(
        self,
        *,
        kind: str,
        dialect: str,
        identity: Identity,
        error: GatewayError,
        model: str = "",
        request_id: UUID | None = None,
        user_id: int | None = None,
        address: str = "",
    ) -> None:
        """Log a request that a face refused after it knew who called."""
        call = self.bare_call(
            kind=kind, dialect=dialect, identity=identity, model=model, request_id=request_id, user_id=user_id, address=address
        )
        await self.pipeline.reject(call, error, state="client_cancelled" if isinstance(error, CallerLeft) else "rejected")

    async def explain(self, call: Call) -> tuple[Explanation, list[Foreseen]]:
        """What ``call`` would do now at this worker, and what its budgets would say. Nothing is sent and nothing is logged."""
        found = explain(call, self.catalog.snapshot(), self.health, datetime.now(UTC), fresh_draw())
        budgets = await self._threaded(foresee, found.budgets, found.hold_nusd, datetime.now(UTC)) if found.budgets else []
        return with_refusal(found, next((budget.refusal for budget in budgets if budget.refusal is not None), None)), budgets

    def from_thread(self, work: Coroutine[Any, Any, T]) -> T:
        """The result of ``work``, run on the gateway's own loop; for code that runs in another thread."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def replayed(self, call: Call, original: UUID, status: int) -> None:
        """Log that ``call`` was answered with what the request ``original`` had been answered. Raises the store's errors."""
        error = _Repeated(status) if status >= 400 else None
        linked = msgspec.structs.replace(call, metadata={"replay_of": str(original)})
        await self.pipeline.note(linked, error=error, state="replayed")

    def bare_call(
        self,
        *,
        kind: str,
        dialect: str,
        identity: Identity,
        model: str = "",
        request_id: UUID | None = None,
        user_id: int | None = None,
        stream: bool = False,
        address: str = "",
    ) -> Call:
        """A request that never reaches a provider, for its log row."""
        inbound = Inbound(
            kind=kind, dialect=dialect, model=model, stream=stream, include_usage=False, max_tokens=None, n=1, size=0,
            needs=frozenset(), body=b"", chat=_no_chat,
        )  # fmt: skip
        return Call(
            id=request_id or self.new_id(), kind=kind, identity=identity, inbound=inbound, stream=stream, user_id=user_id, address=address
        )

    new_id = staticmethod(new_id)

    def health_view(self) -> Mapping[tuple[int, str], Mapping[str, Any]]:
        return self.health.view()

    def note_audits(self) -> None:
        """Bring the figures of the newest audits, as this process knows them, to the metrics."""
        now = datetime.now(UTC)
        metrics.note_audits(self._audited.findings, {kind: (now - at).total_seconds() for kind, at in self._audited.ran.items()})

    @property
    def ready(self) -> str | None:
        """``None`` when requests can be served, else why not."""
        if not self.catalog.healthy:
            return "the database cannot be read"
        if not self.journal.healthy:
            return "the journal cannot write"
        return None

    def _look_up(self, presented: str) -> Identity:
        public_id = public_id_of(presented)
        found = self.catalog.snapshot().clients.get(public_id) if public_id else None
        # An unknown id costs the same digest as a known one.
        digest = vault.digest(presented)
        if found is None or not hmac.compare_digest(found[0], digest):
            raise Unauthenticated("The client key is missing or not known to this gateway; ask its operator for one.")
        return found[1]

    def _on_snapshot(self, snapshot: Snapshot) -> None:
        """Called in the refreshing thread; what the event loop reads is changed on the event loop."""
        from llm_gateway.models import Budget, Team

        self.scores.load_rules()
        team, _ = Team.objects.get_or_create(slug=GATEWAY_TEAM, defaults={"name": "Gateway"})
        budgets = tuple(Budget.objects.filter(enabled=True, team=team, end_user="").order_by("id").values_list("pk", flat=True))
        own = _OwnTeam(id=team.pk, enabled=team.enabled, budgets=budgets)
        routable = [c.id for keys in snapshot.credentials.values() for c in keys if c.state.routable]
        read_from = self._read_from

        def apply() -> None:
            self._team = own
            self._identities = {}
            # A catalogue that was read before a refusal of the key was written says nothing of it.
            self.health.keys_now_routable([one for one in routable if self._written.get(one, 0.0) < read_from])

        self._loop.call_soon_threadsafe(apply)

    def _on_effect(self, target: Target, effect: Effect, failure: Failure | None) -> None:
        if effect.alarm and failure is not None:
            log.error(
                "a provider needs the operator",
                extra={"provider": target.provider.slug, "model": target.upstream_id, "reason": effect.reason, "class": failure.kind.value},
            )
        if effect.kind != "failure":
            if effect.scope == "key":
                self._written[target.credential.id] = math.inf
            self.owner.start(self._share(target, effect, failure), "share a cooldown")

    async def _share(self, target: Target, effect: Effect, failure: Failure | None) -> None:
        try:
            await self._threaded(health_store.record, target, effect, failure)
        finally:
            if effect.scope == "key":
                self._written[target.credential.id] = time.monotonic()

    async def _refresh_for_ever(self) -> None:
        while not self._stopped.is_set():
            await asyncio.sleep(REFRESH_S)
            await self._threaded(self._refresh)
            if ended := self.pipeline.end_revoked():
                log.info("answers of revoked keys were ended", extra={"count": ended})

    def _refresh(self) -> None:
        with self._reading:
            self._read()

    def _read(self) -> None:
        self._read_from = time.monotonic()
        try:
            self.catalog.refresh()
            now = datetime.now(UTC)
            rows = health_store.resting(now)
            contexts.write_contexts(self.health.contexts)
            renewed = self.answers.refresh()
            self._look_at_quality()
            if time.monotonic() >= self._look_at_audits:
                self._audited = audits.newest()
                self._look_at_audits = time.monotonic() + AUDITS_S
        except Exception as error:
            # The loop must go on; the next round may succeed.
            log.warning("the catalogue was not refreshed", extra={"reason": f"{type(error).__name__}: {error}"[:200]})
            return
        if renewed:
            self._loop.call_soon_threadsafe(self.answers.forget, renewed)
        known = [(*row[:3], None if row[3] is None else round(now.timestamp() + row[3])) for row in rows]
        if known != self._known_rests:
            self._known_rests = known
            self._loop.call_soon_threadsafe(self.health.restore, rows)

    def _look_at_quality(self) -> None:
        """What a strategy that weighs quality is told of each model."""
        weighed = any(strategy.settings.get("quality_weight") for strategy in self.catalog.snapshot().strategies.values())
        if not weighed:
            self.health.qualities = {}
        elif time.monotonic() >= self._look_at_scores:
            self.health.qualities = qualities(datetime.now(UTC))
            self._look_at_scores = time.monotonic() + QUALITY_S

    async def _threaded(self, work: Callable[..., Any], *args: Any) -> Any:
        """Run blocking database work in a thread and give its connection back."""

        def run() -> Any:
            try:
                return work(*args)
            finally:
                for connection in connections.all(initialized_only=True):
                    connection.close_if_unusable_or_obsolete()

        return await sync_to_async(run, thread_sensitive=False)()

    threaded = _threaded


class _Repeated(GatewayError):
    """Only for the log: the status of an error that is told once more."""

    code = ""

    def __init__(self, status: int) -> None:
        super().__init__()
        self.status = status  # type: ignore[misc]  # one class speaks for many


def _no_chat() -> Any:
    raise StoreUnavailable("a refused request has no conversation")
