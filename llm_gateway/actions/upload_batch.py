"""An upload becomes a batch in two steps: look at it (every fault by its line, what it would cost), then start it. Blocking.

What was looked at is kept as a file of the client key, unlisted, for two hours or until it is started.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import chain, islice
from typing import Any
from uuid import UUID

import msgspec
from django.db import IntegrityError

from llm_gateway.core import json
from llm_gateway.core.catalog import Identity, Scope, Snapshot
from llm_gateway.core.errors import Conflict, InvalidRequest, KeyRevoked, NotFound, PermissionDenied
from llm_gateway.engine.gate import revoked
from llm_gateway.models import Batch, StoredFile
from llm_gateway.policies.batches import (
    CHUNK_BYTES,
    ECONOMY,
    FILES_KEPT,
    LONGEST_LINE,
    MOST_FAULTS,
    MOST_LINES,
    ON_BUDGET,
    UPLOADS_KEPT,
)
from llm_gateway.policies.callers import admits
from llm_gateway.stores import files
from llm_gateway.stores.batch_reading import Prices
from llm_gateway.stores.catalog import load_snapshot
from llm_gateway.wires._batch import FORMATS, Fault, Item
from llm_gateway.wires._batch.table import Kind, Upload, json_lines, kind_of, table

from .create_batch import AskedBatch, create_batch

SHOWN = 5
SHOWN_CHARS = 600
_NATIVE = Kind(dialect="native", endpoint="generate", takes_model=True)


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """``prompt``: with ``{column}``s, for a table; ``defaults``: fields of native requests that name none; ``model``: where lines may lack
    one."""

    is_table: bool
    prompt: str = ""
    model: str = "auto"
    defaults: dict[str, Any] = {}
    economy: bool = False


class FaultAt(msgspec.Struct, frozen=True, kw_only=True):
    """``line``: of the upload; ``None``: the whole of it."""

    line: int | None
    field: str
    message: str


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    line: int
    custom_id: str
    model: str
    text: str


class Checked(msgspec.Struct, frozen=True, kw_only=True):
    """``file``: what can be started; ``None`` where there are faults. ``expected`` and ``worst`` are nano-USD, ``None``: no price is known.
    ``models``: how many requests name each."""

    kind: Kind
    file: UUID | None
    total: int
    faults: list[FaultAt]
    shown: list[Shown]
    expected: int | None
    worst: int | None
    models: dict[str, int]


def snapshot_now() -> Snapshot:
    """For processes that keep none."""
    return load_snapshot()


def identity_of(snapshot: Snapshot, public_id: str, address: str = "") -> Identity:
    """Whose rights and budgets hold. ``address``: of who starts it. Raises what a caller with that key would be told."""
    found = snapshot.clients.get(public_id)
    if found is None:
        raise NotFound("There is no such client key.", param="key")
    identity = found[1]
    if revoked(identity, snapshot):
        raise KeyRevoked("This client key was revoked or has expired; choose another.", param="key")
    if Scope.GENERATE not in identity.scopes:
        raise PermissionDenied("This key lacks the scope `generate`; choose another.", param="key")
    if address and identity.addresses and not admits(identity.addresses, address):
        raise PermissionDenied("This key may not be used from your address.", param="key")
    return identity


def begin(identity: Identity, name: str, now: datetime) -> StoredFile:
    """An upload that comes in parts."""
    return files.begin(identity, now, name=name, purpose="batch", inline=True, keep=UPLOADS_KEPT)


def append(file_id: UUID, at: int, data: bytes) -> int:
    """How much of the upload there is now. ``at``: where ``data`` belongs, a multiple of 256 KiB; a part that is there already stays as
    it is. Raises :class:`NotFound`, :class:`Conflict`, :class:`BodyTooLarge`."""
    file = StoredFile.objects.filter(pk=file_id, inline=True, state="uploading").first()
    if file is None:
        raise NotFound("The upload is gone: it is kept for two hours. Choose the file again.")
    if at < file.bytes:
        return file.bytes
    if at != file.bytes or at % CHUNK_BYTES:
        raise Conflict(f"The upload has {file.bytes} bytes, so no part begins at {at}.")
    writer = files.FileWriter(file, at=at)
    writer.add(data)
    try:
        writer.pause()
    except IntegrityError:
        raise Conflict("The same part comes twice at once; choose the file again.") from None
    return file.bytes


def keep(identity: Identity, name: str, pieces: Iterable[bytes], now: datetime) -> StoredFile:
    """An upload that comes at once."""
    return files.write_whole(begin(identity, name, now), pieces)


def pieces_of(file: UUID) -> Iterator[bytes]:
    """Of an upload. Raises :class:`NotFound`."""
    try:
        yield from files.chunks(file)
    except files.FileGone:
        raise NotFound("The upload is gone: it is kept for two hours. Choose the file again.") from None


def is_table(name: str) -> bool:
    """By the file's ending; what is neither is taken for JSONL, and its first line says when it is not."""
    return name.lower().endswith((".csv", ".tsv", ".tab"))


def check(identity: Identity, name: str, pieces: Iterable[bytes], wanted: Wanted, snapshot: Snapshot, now: datetime) -> Checked:
    """Reads all of it and stores it as lines of a batch; with faults nothing is stored. Raises :class:`BodyTooLarge` where it, or the
    team's quota, is too small."""
    faults: list[FaultAt] = []
    prices = Prices(snapshot, identity, "flex" if wanted.economy else "standard")
    reading = _Reading(wanted, prices, faults)
    file = files.begin(identity, now, name=name, purpose="batch", media_type="application/jsonl", inline=True, keep=UPLOADS_KEPT)
    try:
        files.write_whole(file, reading.lines(pieces))
        if not faults and not reading.total:
            faults.append(FaultAt(line=None, field="", message="The file has no requests."))
    except Fault as fault:
        # What is wrong with the whole, found when the writer asked for more: nothing of it is left.
        faults.append(FaultAt(line=None, field=fault.field, message=fault.message))
    if faults:
        files.delete(file)
    return Checked(
        kind=reading.kind,
        file=None if faults else file.pk,
        total=reading.total,
        faults=faults[:MOST_FAULTS],
        shown=reading.shown,
        expected=prices.expected,
        worst=prices.worst,
        models=reading.models,
    )


class _Reading:
    def __init__(self, wanted: Wanted, prices: Prices, faults: list[FaultAt]) -> None:
        self._wanted, self._prices, self._faults = wanted, prices, faults
        self._seen: set[str] = set()
        self.kind = _NATIVE
        self.total = 0
        self.shown: list[Shown] = []
        self.models: dict[str, int] = {}

    def lines(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        """Good lines, each with its end; of bad ones the faults, until there are too many."""
        for one in self._uploads(pieces):
            try:
                if isinstance(one.text, Fault):
                    raise one.text
                item = self._read(one.text)
            except Fault as fault:
                self._faults.append(FaultAt(line=one.number, field=fault.field, message=fault.message))
                if len(self._faults) >= MOST_FAULTS:
                    return
                continue
            self._count(one.number, item)
            if not self._faults:
                yield one.text + b"\n"

    def _uploads(self, pieces: Iterable[bytes]) -> Iterator[Upload]:
        wanted = self._wanted
        defaults = {"model": wanted.model, **wanted.defaults}
        if wanted.is_table:
            yield from table(pieces, wanted.prompt.strip() and wanted.prompt, defaults)
            return
        found = enumerate((text for _, text in files.lines(pieces)), 1)
        for number, first in found:
            if first.strip():
                self.kind = kind_of(first)
                yield from json_lines(chain([(number, first)], found), self.kind, defaults)
                return

    def _read(self, text: bytes) -> Item:
        if len(text) > LONGEST_LINE:
            raise Fault("", f"The line is longer than {LONGEST_LINE >> 20} MB.")
        if self.total >= MOST_LINES:
            raise Fault("", f"A batch has at most {MOST_LINES:,} requests; split the file.")
        item = FORMATS[self.kind.dialect].read(text, self.kind.endpoint)
        if item.custom_id in self._seen:
            raise Fault("custom_id", f"`{item.custom_id[:60]}` names an earlier request, too; each needs its own.")
        self._seen.add(item.custom_id)
        return item

    def _count(self, number: int, item: Item) -> None:
        model = item.model or self._wanted.model
        self.total += 1
        self.models[model] = self.models.get(model, 0) + 1
        self._prices.add(item, model)
        if len(self.shown) < SHOWN:
            text = said(item)
            cut = text[:SHOWN_CHARS] + (" …" if len(text) > SHOWN_CHARS else "")
            self.shown.append(Shown(line=number, custom_id=item.custom_id, model=model, text=cut))


def said(item: Item) -> str:
    """What a request says, for a look at it: its prompt where it has one, else its JSON."""
    found = json.lenient(item.body)
    if isinstance(found, dict):
        for name in ("prompt", "code", "input"):
            if isinstance(found.get(name), str):
                return str(found[name])
        messages = found.get("messages")
        if isinstance(messages, list):
            texts = [one.get("content") for one in islice(messages, 50) if isinstance(one, dict)]
            if texts and all(isinstance(text, str) for text in texts):
                return "\n".join(map(str, texts))
    return item.body[: SHOWN_CHARS * 4].decode(errors="replace")


class Start(msgspec.Struct, frozen=True, kw_only=True):
    """What was looked at, to be started."""

    file: UUID
    kind: Kind
    model: str
    title: str
    on_budget: str
    economy: bool


def start(identity: Identity, wanted: Start, snapshot: Snapshot, now: datetime) -> Batch:
    """Once per file: asked again it is the same batch. Raises :class:`NotFound` when the file is gone."""
    file = StoredFile.objects.filter(pk=wanted.file, client_key_id=identity.client_key_id, state="ready").first()
    if file is None:
        raise NotFound("What you looked at is gone: it is kept for two hours. Upload the file again.")
    metadata = {ON_BUDGET: wanted.on_budget, ECONOMY: "true" if wanted.economy else "false"}
    asked = AskedBatch(
        dialect=wanted.kind.dialect,
        endpoint=wanted.kind.endpoint,
        file=file,
        model=wanted.model if wanted.kind.dialect == "gemini" else "",
        title=wanted.title,
        metadata=metadata,
        key=f"upload-{wanted.file.hex}",
        asked=wanted.file.bytes,
        read_later=True,
    )
    batch = create_batch(identity, asked, snapshot, now)
    StoredFile.objects.filter(pk=file.pk).update(expires_at=now + FILES_KEPT)
    return batch


def discard(file: UUID) -> None:
    """An upload, or what was looked at, that is not wanted any more; what a batch reads stays."""
    found = StoredFile.objects.filter(pk=file, inline=True, batches=None).first()
    if found is not None:
        files.delete(found)


def raise_first(checked: Checked) -> None:
    """Raises :class:`InvalidRequest` with the faults, a line each; nothing where there are none."""
    if not checked.faults:
        return
    told = [f"line {one.line}: " * (one.line is not None) + one.message for one in checked.faults[:20]]
    more = len(checked.faults) - len(told)
    raise InvalidRequest("\n".join(["The file cannot be a batch:", *told, *([f"… and {more} more."] if more else [])]))
