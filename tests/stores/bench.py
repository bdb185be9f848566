"""A journal on the test database with made-up requests: no provider, no door. Money in nano-USD."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import Coroutine, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

import msgspec

from llm_gateway.core.catalog import Credential, Identity, ModelInfo, ProviderInfo, Target
from llm_gateway.core.ids import uuid7
from llm_gateway.core.secret import Secret
from llm_gateway.engine.calls import AttemptRecord, Call
from llm_gateway.engine.ports import Opening, Rejection, Settlement
from llm_gateway.stores.journal import DatabaseJournal
from llm_gateway.wires import Inbound

T = TypeVar("T")


class Bench:
    """Rows for one team, and what the engine would hand to the journal."""

    def __init__(self, folder: Path, worker: str = "w1", lease_s: float = 30.0) -> None:
        from llm_gateway.models import ClientKey, LanguageModel, Provider, Team

        self.folder = folder
        self.loop = asyncio.new_event_loop()
        self.team, _ = Team.objects.get_or_create(slug="payers", defaults={"name": "Payers"})
        self.key, _ = ClientKey.objects.get_or_create(
            team=self.team, name="caller", defaults={"public_id": "abc123abc123", "digest": b"x" * 32}
        )
        self.provider, _ = Provider.objects.get_or_create(
            slug="prov", defaults={"title": "Prov", "service": "custom", "wire": "openai_chat", "base_url": "http://127.0.0.1:9"}
        )
        self.model, _ = LanguageModel.objects.get_or_create(provider=self.provider, upstream_id="m", defaults={"name": "prov/m"})
        self.journal = self.new_journal(worker, lease_s)

    def new_journal(self, worker: str, lease_s: float = 30.0) -> DatabaseJournal:
        return DatabaseJournal(worker=worker, spool_folder=self.folder / "spool", lease_s=lease_s)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(work)

    def budget(self, name: str = "b", limit: int = 1000, **more: Any) -> Any:
        from llm_gateway.models import Budget

        return Budget.objects.create(name=name, limit_nusd=limit, **{"period": "total", **more})

    def target(self, budgets: tuple[int, ...] = ()) -> Target:
        return Target(
            provider=ProviderInfo(id=self.provider.pk, slug="prov", title="", service="custom", wire="openai_chat", base_url="http://x"),
            credential=Credential(id=1, provider_id=self.provider.pk, name="default", secret=Secret("")),
            model=ModelInfo(id=self.model.pk, provider_id=self.provider.pk, name="prov/m", upstream_id="m"),
            upstream_id="m",
            budgets=budgets,
        )

    def call(self, **more: Any) -> Call:
        identity = Identity(
            client_key_id=self.key.pk, public_id="", name="caller", team_id=self.team.pk, team="payers", scopes=frozenset()
        )  # fmt: skip
        inbound = Inbound(
            kind="chat", dialect="openai_chat", model="m", stream=False, include_usage=False, max_tokens=None, n=1, size=0,
            needs=frozenset(), body=b"", chat=lambda: None,  # type: ignore[arg-type,return-value]
        )  # fmt: skip
        new_id = uuid7(time.time_ns() // 1_000_000, os.urandom(10))
        return Call(**{"id": new_id, "kind": "chat", "identity": identity, "inbound": inbound, **more})

    def opening(self, hold: int = 100, budgets: tuple[Any, ...] = (), **more: Any) -> Opening:
        ids = tuple(b if isinstance(b, int) else b.pk for b in budgets)
        given = {"at": time.time(), "target": self.target(), "strategy": "named", "simulated": False, **more}
        return Opening(call=given.pop("call", None) or self.call(), hold_nusd=hold, budgets=ids, **given)

    def settlement(self, opening: Opening, cost: int | None = 60, state: str = "ok", charge: int | None = None, **more: Any) -> Settlement:
        attempt = AttemptRecord(
            number=1, provider_id=self.provider.pk, provider="prov", credential_id=1, model_id=self.model.pk, model="prov/m",
            upstream_id="m",
            outcome="ok", started_at=opening.at, billed="reported", cost_nusd=cost,
        )  # fmt: skip
        given = {
            "id": opening.call.id, "at": time.time(), "state": state, "opened": opening, "target": opening.target, "attempts": (attempt,),
            "usage": {"input_tokens": 1, "output_tokens": 2, "usage_source": "reported"}, "cost_nusd": cost,
            "charge_nusd": charge if charge is not None else cost or 0, "price_id": None, "latency_ms": 5, "ttft_ms": 1, "status": 200,
            "error_code": "", "finish_reason": "stop", "served_model": "m", "flags": "", "decision": {"order": ["prov/m"]},
        }  # fmt: skip
        return Settlement(**{**given, **more})

    def rejection(self, call: Call) -> Rejection:
        from llm_gateway.core.errors import InvalidRequest

        return Rejection(call=call, at=time.time(), error=InvalidRequest("no"))

    # What the tests look at.

    def row(self, one: Opening | UUID) -> Any:
        from llm_gateway.models import RequestLog

        return RequestLog.objects.filter(pk=one if isinstance(one, UUID) else one.call.id).first()

    def entries(self, one: Opening) -> list[tuple[str, str, int]]:
        from llm_gateway.models import LedgerEntry

        found = LedgerEntry.objects.filter(request_id=one.call.id).order_by("pk")
        return list(found.values_list("kind", "state", "amount_nusd"))

    def figures(self, budget: Any) -> tuple[int, int]:
        budget.refresh_from_db()
        return budget.posted_nusd, budget.held_nusd

    def expire(self, *openings: Opening) -> None:
        """Let the leases of these be long over, and their worker another."""
        from django.utils import timezone

        from llm_gateway.models import RequestLog

        ids = [o.call.id for o in openings]
        RequestLog.objects.filter(pk__in=ids).update(worker="dead", lease_until=timezone.now() - timedelta(minutes=1))

    def sound(self) -> None:
        from llm_gateway.actions.audit import audit

        broken = [msgspec.to_builtins(finding) for finding in audit(strict=True) if not finding.ok]
        assert not broken, broken

    @contextlib.contextmanager
    def running(self, journal: DatabaseJournal | None = None) -> Iterator[DatabaseJournal]:
        journal = journal or self.journal
        journal.start()
        try:
            yield journal
        finally:
            self.run(journal.stop())
