"""Move what is encrypted at rest to the newest key, while the gateway runs.

Rotation: put a new key first in COGO_ENCRYPTION_KEYS on every machine, restart, run this, then take the old key out.
"""

from __future__ import annotations

import base64
import secrets
from collections.abc import Callable
from typing import Any

import msgspec
from django.db.models import Model, QuerySet

from llm_gateway.models import (
    AlertDestination,
    Batch,
    BatchResult,
    CachedAnswer,
    FileChunk,
    IdempotencyRecord,
    JudgeJob,
    ProviderKey,
    RequestBody,
    ScoreJob,
    SecondFactor,
    StoredResponse,
)
from llm_gateway.stores import answer_table, batch_results, files, idempotency, judging, responses, scores, vault

from . import _destinations, second_factor

CHUNK = 200


class Sealed(msgspec.Struct, frozen=True):
    """A column of ciphertexts and what each is bound to. A new encrypted column is one entry in :data:`COLUMNS`. ``bulky``: too many to
    open at every start; ``binary``: bytes, not text."""

    model: type[Model]
    field: str
    place: Callable[..., str]
    bulky: bool = False
    binary: bool = False

    def rows(self) -> QuerySet[Any]:
        """Those that have something sealed."""
        return self.model._default_manager.exclude(**{self.field: b"" if self.binary else ""})

    def opened(self, row: Model) -> str | bytes:
        """Raises :class:`vault.VaultError`."""
        place, sealed = self.place(row), getattr(row, self.field)
        return vault.open_bytes(bytes(sealed), place=place) if self.binary else vault.open_sealed(sealed, place=place).reveal()

    def sealed(self, row: Model, plain: str | bytes) -> str | bytes:
        place = self.place(row)
        return vault.seal_bytes(plain, place=place) if isinstance(plain, bytes) else vault.seal(plain, place=place)


def _text(field: str) -> Sealed:
    return Sealed(RequestBody, field, lambda body: f"requestbody:{body.pk.hex}:{field}", bulky=True)


COLUMNS = (
    Sealed(ProviderKey, "ciphertext", vault.place_of),
    Sealed(AlertDestination, "ciphertext", _destinations.place_of),
    Sealed(SecondFactor, "ciphertext", second_factor.place_of),
    _text("prompt"),
    _text("answer"),
    Sealed(StoredResponse, "ciphertext", responses.place_of, bulky=True),
    Sealed(IdempotencyRecord, "body", idempotency.place_of, bulky=True),
    Sealed(FileChunk, "data", files.place_of, bulky=True, binary=True),
    Sealed(BatchResult, "body", batch_results.place_of, bulky=True, binary=True),
    Sealed(Batch, "webhook_secret", lambda batch: f"batch:{batch.pk.hex}:webhook_secret", bulky=True),
    Sealed(CachedAnswer, "ciphertext", answer_table.place_of, bulky=True),
    Sealed(ScoreJob, "ciphertext", scores.place_of, bulky=True),
    Sealed(JudgeJob, "ciphertext", judging.place_of, bulky=True),
)


class Rotation(msgspec.Struct, frozen=True, kw_only=True):
    """``failed``: rows that no configured key opens, as ``table row: reason``; they are left as they are."""

    moved: int = 0
    current: int = 0
    failed: tuple[str, ...] = ()


def make_encryption_key() -> str:
    """An entry for COGO_ENCRYPTION_KEYS."""
    return f"{secrets.token_hex(4)}:{base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()}"


def rotate_encryption() -> Rotation:
    """Idempotent and safe beside writers: a row is replaced only while it still holds the ciphertext that was opened."""
    moved = current = 0
    failed: list[str] = []
    for column in COLUMNS:
        rest = column.rows().order_by("pk")
        last = None
        while rows := list((rest.filter(pk__gt=last) if last else rest)[:CHUNK]):
            last = rows[-1].pk
            for row in rows:
                ciphertext = getattr(row, column.field)
                if vault.is_current(ciphertext):
                    current += 1
                    continue
                try:
                    plain = column.opened(row)
                except vault.VaultError as error:
                    failed.append(_named(row, error))
                    continue
                fresh = column.sealed(row, plain)
                moved += column.model._default_manager.filter(pk=row.pk, **{column.field: ciphertext}).update(**{column.field: fresh})
    return Rotation(moved=moved, current=current, failed=tuple(failed))


def verify_encryption(bulky: bool = False) -> list[str]:
    """Rows that do not open with the configured keys, as ``table row: reason``; prompts and answers only when ``bulky``."""
    failed = []
    for column in COLUMNS:
        if column.bulky and not bulky:
            continue
        for row in column.rows().order_by("pk").iterator(CHUNK):
            try:
                column.opened(row)
            except vault.VaultError as error:
                failed.append(_named(row, error))
    return failed


def _named(row: Model, error: vault.VaultError) -> str:
    return f"{row._meta.verbose_name} {row}: {error}"
