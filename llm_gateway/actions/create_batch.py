"""Create a batch from a file that is stored already. The same ``Idempotency-Key`` gives the same batch back."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

import msgspec
from django.conf import settings
from django.db import IntegrityError, transaction

from llm_gateway.core import json
from llm_gateway.core.catalog import Identity, Snapshot
from llm_gateway.core.errors import IdempotencyMismatch, InvalidRequest, RateLimited
from llm_gateway.engine.fresh import new_id
from llm_gateway.models import Batch, StoredFile
from llm_gateway.policies.batches import (
    BACKLOG,
    ECONOMY,
    GATEWAY,
    LANE,
    MOST_METADATA,
    ON_BUDGET,
    PROVIDER,
    READ_AT_ONCE,
    RESULTS_KEPT,
    WEBHOOK,
    WEBHOOK_SECRET,
    WINDOW,
)
from llm_gateway.policies.idempotency import HEADER, checked_key
from llm_gateway.stores import batch_reading, vault


class AskedBatch(msgspec.Struct, frozen=True, kw_only=True):
    """``metadata``: as the caller sent it; its ``cogo_`` entries are settings and not kept as metadata. ``key``: an idempotency key.
    ``read_later``: a large file is left to a runner, whichever way it came."""

    dialect: str
    endpoint: str
    file: StoredFile
    model: str = ""
    title: str = ""
    metadata: Mapping[str, Any] | None = None
    key: str | None = None
    asked: bytes = b""
    window: timedelta = WINDOW
    read_later: bool = False


class Wishes(msgspec.Struct, frozen=True, kw_only=True):
    on_budget: str = "pause"
    economy: bool = False
    lane: str = ""
    webhook: str = ""
    webhook_secret: str = ""
    metadata: Mapping[str, str] = {}


def wishes_of(metadata: Any) -> Wishes:
    """Raises :class:`InvalidRequest` naming the entry."""
    if metadata is None:
        return Wishes()
    if not isinstance(metadata, Mapping) or len(metadata) > MOST_METADATA:
        raise InvalidRequest(f"`metadata` has to be an object with at most {MOST_METADATA} entries.", param="metadata")
    kept: dict[str, str] = {}
    own: dict[str, Any] = {}
    for name, value in metadata.items():
        if not isinstance(value, str) or len(name) > 64 or len(value) > 512 or "\x00" in name + value:
            raise InvalidRequest(f"`metadata.{name[:64]}` has to be a text of at most 512 characters.", param="metadata")
        match name:
            case _ if name == ON_BUDGET:
                own["on_budget"] = _one_of(name, value, ("pause", "fail"))
            case _ if name == ECONOMY:
                own["economy"] = _one_of(name, value, ("true", "false")) == "true"
            case _ if name == LANE:
                own["lane"] = _one_of(name, value, (GATEWAY, PROVIDER))
            case _ if name == WEBHOOK:
                if not value.startswith(("https://", "http://")):
                    raise InvalidRequest(f"`metadata.{name}` has to be a URL.", param="metadata")
                own["webhook"] = value
            case _ if name == WEBHOOK_SECRET:
                own["webhook_secret"] = value
            case _:
                kept[name] = value
    if own.get("webhook") and len(own.get("webhook_secret", "")) < 16:
        raise InvalidRequest(
            f"`metadata.{WEBHOOK}` needs `{WEBHOOK_SECRET}`, a text of 16 characters or more that signs it.", param="metadata"
        )
    return Wishes(metadata=kept, **own)


def _one_of(name: str, value: str, choices: tuple[str, ...]) -> str:
    if value not in choices:
        raise InvalidRequest(f"`metadata.{name}` is {' or '.join(choices)}.", param="metadata")
    return value


def create_batch(identity: Identity, asked: AskedBatch, snapshot: Snapshot, now: datetime) -> Batch:
    """Blocking. A small file is read in before this returns. Raises what the caller is told."""
    wishes = wishes_of(asked.metadata)
    key_digest, digest = _digests(identity, asked)
    if key_digest and (known := _known(identity, key_digest, digest)) is not None:
        return known
    if identity.client_key_id is None:
        raise InvalidRequest("A batch belongs to a client key; send one.")
    _check_backlog(identity)
    pk = new_id()
    at_once = asked.file.bytes <= READ_AT_ONCE or (asked.file.inline and not asked.read_later)
    batch = Batch(
        id=pk,
        team_id=identity.team_id,
        client_key_id=identity.client_key_id,
        dialect=asked.dialect,
        endpoint=asked.endpoint,
        model=asked.model[:200],
        title=asked.title.replace("\x00", "")[:200],
        on_budget=wishes.on_budget,
        economy=wishes.economy,
        lane=wishes.lane or settings.COGO_BATCH_LANE,
        lane_asked=bool(wishes.lane),
        input=asked.file,
        metadata=dict(wishes.metadata) if asked.metadata is not None else None,
        idempotency_key=key_digest,
        request_digest=digest if key_digest else "",
        webhook_url=wishes.webhook[:500],
        webhook_secret=vault.seal(wishes.webhook_secret, place=f"batch:{pk.hex}:webhook_secret") if wishes.webhook else "",
        created_at=now,
        ends_at=now + asked.window,
        expires_at=now + RESULTS_KEPT,
        # Whoever reads it in holds it; a web process that dies leaves it to a runner.
        runner="web" if at_once else "",
        lease_until=now + batch_reading.LEASE if at_once else None,
    )
    try:
        with transaction.atomic():
            batch.save(force_insert=True)
    except IntegrityError:
        again = _known(identity, key_digest, digest) if key_digest else None
        if again is None:
            raise
        return again
    if at_once:
        batch_reading.read_in(batch, snapshot, identity)
        batch.refresh_from_db()
    if asked.file.inline and batch.state == "failed":
        # Who sent the requests in the body is told in the answer; there is no batch to look at.
        batch.delete()
        raise _refusal(batch.faults)
    return batch


def _refusal(faults: list[dict[str, Any]]) -> InvalidRequest:
    first = faults[0]
    where = f"Request {first['line']}" if first["line"] else "The batch"
    field = f", `{first['field']}`" if first["field"] else ""
    more = f" {len(faults) - 1} more are wrong." if len(faults) > 1 else ""
    return InvalidRequest(f"{where}{field}: {first['message']}{more}", param=first["field"] or None, details={"faults": faults})


def _digests(identity: Identity, asked: AskedBatch) -> tuple[str, str]:
    if asked.key is None:
        return "", ""
    pepper = settings.COGO_KEY_PEPPER.encode()
    what = json.dumps([asked.dialect, asked.endpoint, asked.model]) + asked.asked
    return (
        hmac.digest(pepper, f"batch\0{identity.public_id}\0{checked_key(asked.key)}".encode(), sha256).hex(),
        hmac.digest(pepper, what, sha256).hex(),
    )


def known_batch(identity: Identity, asked: AskedBatch) -> Batch | None:
    """The batch that an idempotency key stands for already. Raises :class:`IdempotencyMismatch`."""
    key_digest, digest = _digests(identity, asked)
    return _known(identity, key_digest, digest) if key_digest else None


def _known(identity: Identity, key_digest: str, digest: str) -> Batch | None:
    found = Batch.objects.filter(client_key_id=identity.client_key_id, idempotency_key=key_digest).first()
    if found is not None and found.request_digest != digest:
        raise IdempotencyMismatch(
            "This idempotency key was used for another batch; send a new key with a new request.",
            details={"original_batch": str(found)},
            param=HEADER,
        )
    return found


def _check_backlog(identity: Identity) -> None:
    open_ones = Batch.objects.filter(client_key_id=identity.client_key_id, ended_at=None)
    waits = sum(queued + running for queued, running in open_ones.values_list("queued", "running"))
    if waits >= BACKLOG:
        raise RateLimited(
            f"{waits} requests of this key wait in batches already, and at most {BACKLOG} may; try again when some have ended.",
            retry_after_s=60,
        )
