"""What ``/v1/responses`` remembers: written beside the answer's way, read by the key that asked, gone when it expires.

An answer waits for nothing here: until it is written it is found in memory; what cannot be written is logged and not found later.
"""

from __future__ import annotations

import asyncio
import base64
import logging
import zlib
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
from django.db.models import QuerySet

from llm_gateway.core import json
from llm_gateway.core.catalog import BodyLogging, Identity
from llm_gateway.engine.tasks import TaskOwner
from llm_gateway.models import StoredResponse

from . import vault

log = logging.getLogger("cogo.responses")

LARGEST = 16 * 1024 * 1024
MOST_WAITING = 256
# Another worker may be about to write what this one is asked for.
LOOK_AGAIN_S = 0.2

Threaded = Callable[..., Awaitable[Any]]


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """``response``: the answer's JSON object. ``input``: the JSON array of all items before it, those of earlier turns included.
    ``credential_id``: the provider key at which the provider itself remembers it, ``None`` where it does not."""

    id: str
    response: msgspec.Raw
    input: msgspec.Raw
    credential_id: int | None = None


_kept = msgspec.json.Decoder(Kept)


class ResponseStore:
    """``threaded`` runs blocking database work; ``ttl_h`` 0: nothing is kept."""

    def __init__(self, owner: TaskOwner, threaded: Threaded, ttl_h: int) -> None:
        self._owner = owner
        self._threaded = threaded
        self._ttl = timedelta(hours=ttl_h)
        self._waiting: dict[tuple[int, str], Kept] = {}
        # The response that answered a request, of those that wait.
        self._ids: dict[tuple[int, str], str] = {}
        self._writing: dict[tuple[int, str], asyncio.Task[Any]] = {}

    def keeps(self, identity: Identity) -> bool:
        """A team that turned texts off has nothing kept, whatever its callers ask for."""
        return bool(self._ttl) and identity.client_key_id is not None and identity.bodies is not BodyLogging.OFF

    def save(self, identity: Identity, kept: Kept, request_id: UUID) -> None:
        """Begin to write; returns at once. ``request_id``: whom it was the answer to, so that it goes when its subject does."""
        size = len(kept.response) + len(kept.input)
        if identity.client_key_id is None or len(kept.id) > 200 or size > LARGEST or len(self._waiting) >= MOST_WAITING:
            log.warning("a response is not kept", extra={"response": kept.id[:200], "bytes": size, "waiting": len(self._waiting)})
            return
        key = (identity.client_key_id, kept.id)
        self._waiting[key] = kept
        self._ids[identity.client_key_id, str(request_id)] = kept.id
        self._writing[key] = self._owner.start(self._write(identity, kept, request_id), "keep a response")

    async def load(self, identity: Identity, response_id: str) -> Kept | None:
        """What this key was answered under this id."""
        if identity.client_key_id is None or len(response_id) > 200:
            return None
        waiting = self._waiting.get((identity.client_key_id, response_id))
        if waiting is not None:
            return waiting
        found = await self._threaded(_read, identity, response_id)
        if found is None:
            await asyncio.sleep(LOOK_AGAIN_S)
            found = await self._threaded(_read, identity, response_id)
        return found  # type: ignore[no-any-return]

    async def load_answer(self, identity: Identity, request_id: str) -> Kept | None:
        """What this key was answered to a request, whatever id the response has."""
        if identity.client_key_id is None:
            return None
        try:
            request = UUID(request_id)
        except ValueError:
            return None
        waiting = self._waiting.get((identity.client_key_id, self._ids.get((identity.client_key_id, str(request)), "")))
        if waiting is not None:
            return waiting
        found = await self._threaded(_read_answer, identity, request)
        if found is None:
            await asyncio.sleep(LOOK_AGAIN_S)
            found = await self._threaded(_read_answer, identity, request)
        return found  # type: ignore[no-any-return]

    async def delete(self, identity: Identity, response_id: str) -> bool:
        """Whether there was such a response."""
        if identity.client_key_id is None or await self.load(identity, response_id) is None:
            return False
        if (writing := self._writing.get((identity.client_key_id, response_id))) is not None:
            await asyncio.wait({writing})
        await self._threaded(_delete, identity, response_id)
        return True

    async def _write(self, identity: Identity, kept: Kept, request_id: UUID) -> None:
        assert identity.client_key_id is not None
        try:
            await self._threaded(_write, identity, kept, request_id, self._ttl)
        except Exception as error:
            log.warning("a response is not kept", extra={"response": kept.id, "reason": f"{type(error).__name__}: {error}"[:300]})
        finally:
            self._waiting.pop((identity.client_key_id, kept.id), None)
            self._writing.pop((identity.client_key_id, kept.id), None)
            self._ids.pop((identity.client_key_id, str(request_id)), None)


def place_of(row: StoredResponse) -> str:
    """What the ciphertext is bound to."""
    return f"stored_response:{row.client_key_id}/{row.response_id}:ciphertext"


def _write(identity: Identity, kept: Kept, request_id: UUID, ttl: timedelta) -> None:
    now = datetime.now(UTC)
    assert identity.client_key_id is not None  # only programs keep responses
    row = StoredResponse(
        team_id=identity.team_id,
        client_key_id=identity.client_key_id,
        response_id=kept.id,
        request_id=request_id,
        credential_id=kept.credential_id,
        created_at=now,
        expires_at=now + ttl,
    )
    packed = base64.b85encode(zlib.compress(json.dumps(kept), 3)).decode()
    row.ciphertext = vault.seal(packed, place=place_of(row))
    StoredResponse.objects.bulk_create(
        [row],
        update_conflicts=True,
        unique_fields=["client_key", "response_id"],
        update_fields=["request_id", "credential_id", "created_at", "expires_at", "ciphertext"],
    )


def _read(identity: Identity, response_id: str) -> Kept | None:
    return _opened(_rows(identity).filter(response_id=response_id, expires_at__gt=datetime.now(UTC)).first())


def _read_answer(identity: Identity, request_id: UUID) -> Kept | None:
    return _opened(_rows(identity).filter(request_id=request_id, expires_at__gt=datetime.now(UTC)).first())


def _opened(row: StoredResponse | None) -> Kept | None:
    if row is None:
        return None
    try:
        packed = vault.open_sealed(row.ciphertext, place=place_of(row)).reveal()
    except vault.VaultError as error:
        log.warning("a kept response cannot be read", extra={"response": row.response_id, "reason": str(error)})
        return None
    return _kept.decode(zlib.decompress(base64.b85decode(packed)))


def _delete(identity: Identity, response_id: str) -> None:
    _rows(identity).filter(response_id=response_id).delete()


def _rows(identity: Identity) -> QuerySet[StoredResponse]:
    return StoredResponse.objects.filter(team_id=identity.team_id, client_key_id=identity.client_key_id)
