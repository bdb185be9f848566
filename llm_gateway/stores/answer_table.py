"""The shelf in the database: a sealed row for each answer, and in each process a list of what is there, so that a miss asks nobody."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Sequence
from datetime import UTC, datetime

from django.db import transaction

from llm_gateway.engine.ports import Slip
from llm_gateway.models import CachedAnswer

from . import vault
from .answers import Kept

# Answers that a process knows of; more of them are there, and are not found.
MOST_KNOWN = 200_000
READ_AT_ONCE = 5_000
# A transaction that began earlier may commit later: so many rows are looked at once more.
AGAIN = 200


def place_of(row: CachedAnswer) -> str:
    """What the ciphertext is bound to."""
    return f"cached_answer:{row.digest}:ciphertext"


class AnswerTable:
    """Implements ``Shelf``."""

    def __init__(self) -> None:
        self._known: dict[bytes, int] = {}
        self._last = 0
        self._loaded = False

    def may_have(self, key: bytes) -> bool:
        return key in self._known

    def get(self, key: bytes) -> bytes | None:
        row = CachedAnswer.objects.filter(digest=key.hex(), expires_at__gt=datetime.now(UTC)).first()
        if row is None:
            self._known.pop(key, None)
            return None
        try:
            sealed = vault.open_sealed(row.ciphertext, place=place_of(row)).reveal()
        except vault.VaultError:
            self._known.pop(key, None)
            return None
        return zlib.decompress(base64.b85decode(sealed))

    def put(self, kept: Sequence[Kept]) -> None:
        rows = {key.hex(): _row(key, data, slip) for key, data, slip in kept}
        with transaction.atomic():
            # A new row instead of a changed one: its new id is how other processes hear of it.
            CachedAnswer.objects.filter(digest__in=rows).delete()
            CachedAnswer.objects.bulk_create(rows.values(), ignore_conflicts=True)

    def refresh(self) -> Sequence[bytes]:
        if not self._loaded:
            newest = CachedAnswer.objects.order_by("-id").values_list("id", "digest")[:MOST_KNOWN]
            self._note(sorted(newest))
            self._loaded = True
            return ()
        changed: list[bytes] = []
        while True:
            after = max(0, self._last - AGAIN)
            rows = list(CachedAnswer.objects.filter(id__gt=after).order_by("id").values_list("id", "digest")[:READ_AT_ONCE])
            before = self._last
            changed += self._note(rows)
            if len(rows) < READ_AT_ONCE or self._last == before:
                return changed

    def _note(self, rows: Sequence[tuple[int, str]]) -> list[bytes]:
        changed = []
        for number, digest in rows:
            key = bytes.fromhex(digest)
            if (old := self._known.get(key)) != number:
                if old is not None:
                    changed.append(key)
                self._known[key] = number
            self._last = max(self._last, number)
        while len(self._known) > MOST_KNOWN:
            self._known.pop(next(iter(self._known)))
        return changed


def _row(key: bytes, data: bytes, slip: Slip) -> CachedAnswer:
    row = CachedAnswer(
        digest=key.hex(),
        team_id=slip.team_id,
        client_key_id=slip.client_key_id,
        request_id=slip.request_id,
        asked_model=slip.asked[:200],
        model_name=slip.model[:200],
        made_at=datetime.fromtimestamp(slip.made_at, UTC),
        expires_at=datetime.fromtimestamp(slip.expires_at, UTC),
        size=len(data),
    )
    row.ciphertext = vault.seal(base64.b85encode(zlib.compress(data, 3)).decode(), place=place_of(row))
    return row
