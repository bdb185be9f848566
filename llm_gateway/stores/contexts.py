"""What decisions have in common, in the database: written once, read by replays and by the page of a request."""

from __future__ import annotations

import logging
import zlib
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

import msgspec
from django.db import Error as DatabaseError
from django.utils import timezone

from llm_gateway.core.catalog import Snapshot
from llm_gateway.core.secret import Secret
from llm_gateway.engine.contexts import Contexts, Frozen, Pending, read_statistics
from llm_gateway.models import DecisionContext

log = logging.getLogger("cogo.decisions")
# The window that can be replayed.
WINDOW = timedelta(days=14)
AT_ONCE = 200

# (key id, model id) of each candidate; (what, why) of what was left out before.
Listed = tuple[list[tuple[int, int]], list[tuple[str, str]]]


def write_contexts(contexts: Contexts) -> int:
    """Write down what decisions named for the first time. A database that is away leaves them to the next decision that needs them."""
    taken: list[Pending] = []
    while contexts.pending and len(taken) < AT_ONCE:
        taken.append(contexts.pending.popleft())
    if not taken:
        return 0
    now = timezone.now()
    try:
        rows = [DecisionContext(key=one.key, kind=one.kind, at=now, body=_body(one)) for one in taken]
        DecisionContext.objects.bulk_create(rows, update_conflicts=True, update_fields=["at"], unique_fields=["key"])
    except DatabaseError as error:
        log.warning("what decisions have in common was not written", extra={"reason": type(error).__name__, "count": len(taken)})
        for one in taken:
            contexts.again(one)
        return 0
    return len(taken)


def _body(pending: Pending) -> bytes:
    content = pending.content
    if isinstance(content, Snapshot):
        content = msgspec.json.encode(without_secrets(content), enc_hook=_nothing)
    return zlib.compress(content, 6)


def without_secrets(snapshot: Snapshot) -> Snapshot:
    """What a strategy may have seen of it: no key, no caller, no address of a host."""
    return msgspec.structs.replace(
        snapshot,
        clients={},
        settings={},
        providers={
            key: msgspec.structs.replace(provider, base_url="", habits=(), connect_timeout_ms=None)
            for key, provider in snapshot.providers.items()
        },
        credentials={
            key: tuple(msgspec.structs.replace(one, secret=Secret("")) for one in many) for key, many in snapshot.credentials.items()
        },
    )


def _nothing(value: Any) -> Any:
    if isinstance(value, Secret):
        return ""
    raise TypeError(f"{type(value).__name__} has no place in a catalogue copy")


def _secret(kind: type, value: Any) -> Any:
    if kind is Secret:
        return Secret("")
    raise TypeError(f"{kind.__name__} has no place in a catalogue copy")


_snapshots = msgspec.json.Decoder(Snapshot, dec_hook=_secret)
_lists = msgspec.json.Decoder(Listed)


class ContextReader:
    """Reads each context once, the newest :data:`KEPT` of each kind. ``None``: it is not there (any more)."""

    KEPT = 2000

    def __init__(self) -> None:
        self._read: dict[str, Any] = {}

    def prefetch(self, keys: Iterable[str]) -> None:
        """Read what of ``keys`` was not read yet in one query for each 500."""
        missing = [key for key in dict.fromkeys(keys) if key and key not in self._read]
        if len(self._read) + len(missing) > self.KEPT:
            # Statistics come and go; the others are few and long.
            self._read = {key: value for key, value in self._read.items() if not key.startswith("s")}
        for start in range(0, len(missing), 500):
            part = missing[start : start + 500]
            self._read.update(dict.fromkeys(part))
            for key, kind, body in DecisionContext.objects.filter(key__in=part).values_list("key", "kind", "body"):
                self._read[key] = _parsed(kind, zlib.decompress(bytes(body)))

    def _one(self, key: str) -> Any:
        if key not in self._read:
            self.prefetch([key])
        return self._read.get(key)

    def catalogue(self, version: int) -> Snapshot | None:
        found: Snapshot | None = self._one(f"v{version}")
        return found

    def statistics(self, key: str) -> Frozen | None:
        found: Frozen | None = self._one(key) if key else Frozen("", {})
        return found

    def candidates(self, key: str) -> Listed | None:
        found: Listed | None = self._one(key)
        return found


def _parsed(kind: str, body: bytes) -> Any:
    if kind == "catalogue":
        return _snapshots.decode(body)
    return read_statistics(body) if kind == "statistics" else _lists.decode(body)
