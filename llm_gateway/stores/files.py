"""Files in sealed pieces of 256 KiB, the same on SQLite and PostgreSQL. Blocking; nothing here holds more than one piece and one line."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from uuid import UUID

from django.db import models

from llm_gateway.core.catalog import Identity
from llm_gateway.core.errors import BodyTooLarge, InvalidRequest
from llm_gateway.engine.fresh import new_id
from llm_gateway.models import Batch, FileChunk, StoredFile
from llm_gateway.policies.batches import CHUNK_BYTES, FILES_KEPT, LARGEST_FILE, LONGEST_LINE, TEAM_QUOTA

from . import vault

BOM = b"\xef\xbb\xbf"
# Pieces that a reader keeps opened: a runner's lines lie beside each other.
_KEPT_OPEN = 8


def place_of(chunk: FileChunk) -> str:
    return _place(chunk.file_id, chunk.number)


def _place(file: UUID, number: int) -> str:
    return f"filechunk:{file.hex}:{number}"


def begin(
    identity: Identity, now: datetime, *, name: str, purpose: str, media_type: str = "", inline: bool = False, keep: timedelta = FILES_KEPT
) -> StoredFile:
    """A file that is still to come. Raises :class:`BodyTooLarge` where the team's quota is used up."""
    if identity.client_key_id is None:
        raise InvalidRequest("Files belong to a client key; send one.")
    check_quota(identity.team_id, 0)
    return StoredFile.objects.create(
        id=new_id(),
        team_id=identity.team_id,
        client_key_id=identity.client_key_id,
        name=name.replace("\x00", "")[:200],
        media_type=media_type[:100],
        purpose=purpose,
        inline=inline,
        created_at=now,
        expires_at=now + keep,
    )


def check_quota(team_id: int, more: int) -> None:
    used = StoredFile.objects.filter(team_id=team_id, batch=None).aggregate(sum=models.Sum("bytes"))["sum"] or 0
    if used + more > TEAM_QUOTA:
        raise BodyTooLarge(f"The files of your team take {used >> 20} MB of the {TEAM_QUOTA >> 20} MB it may keep; delete some first.")


class FileWriter:
    """Takes bytes as they come and stores whole pieces: ``size`` is what came so far."""

    def __init__(self, file: StoredFile, largest: int = LARGEST_FILE, *, at: int = 0) -> None:
        """``at``: what is stored already, whole pieces."""
        self.file = file
        self.size = at
        self._largest = largest
        self._rest = bytearray()
        self._number = at // CHUNK_BYTES

    @property
    def full(self) -> bool:
        """Whether there is enough for :meth:`store`."""
        return len(self._rest) >= CHUNK_BYTES

    def add(self, data: bytes) -> None:
        """Raises :class:`BodyTooLarge`."""
        self.size += len(data)
        if self.size > self._largest:
            raise BodyTooLarge(f"The file is larger than {self._largest >> 20} MB; split it.")
        self._rest += data

    def store(self, *, last: bool = False) -> None:
        """Blocking."""
        while len(self._rest) >= CHUNK_BYTES or (last and self._rest):
            piece = bytes(self._rest[:CHUNK_BYTES])
            del self._rest[:CHUNK_BYTES]
            sealed = vault.seal_bytes(piece, place=_place(self.file.pk, self._number))
            FileChunk.objects.bulk_create([FileChunk(file_id=self.file.pk, number=self._number, data=sealed)])
            self._number += 1

    def finish(self) -> StoredFile:
        """Blocking. Raises :class:`BodyTooLarge` where the team has no room for it; then nothing is left."""
        self.store(last=True)
        try:
            check_quota(self.file.team_id, self.size)
        except BodyTooLarge:
            self.give_up()
            raise
        StoredFile.objects.filter(pk=self.file.pk).update(state="ready", bytes=self.size, expires_at=self.file.expires_at)
        self.file.state, self.file.bytes = "ready", self.size
        return self.file

    def pause(self) -> None:
        """Blocking: what came so far is stored, and more may come at another time."""
        self.store(last=True)
        StoredFile.objects.filter(pk=self.file.pk).update(bytes=self.size)
        self.file.bytes = self.size

    def give_up(self) -> None:
        StoredFile.objects.filter(pk=self.file.pk).delete()


def write_whole(file: StoredFile, pieces: Iterable[bytes], largest: int = LARGEST_FILE) -> StoredFile:
    """Blocking."""
    writer = FileWriter(file, largest)
    try:
        for one in pieces:
            writer.add(one)
            if writer.full:
                writer.store()
        return writer.finish()
    except BaseException:
        writer.give_up()
        raise


def of_key(identity: Identity) -> models.QuerySet[StoredFile]:
    return StoredFile.objects.filter(team_id=identity.team_id, client_key_id=identity.client_key_id, state="ready", inline=False)


def find(identity: Identity, file_id: UUID, now: datetime) -> StoredFile | None:
    return of_key(identity).filter(pk=file_id, expires_at__gt=now).first()


def chunks(file_id: UUID) -> Iterator[bytes]:
    """The opened pieces in order; each is read by itself."""
    for number in range(_count(file_id)):
        yield piece(file_id, number)


def piece(file_id: UUID, number: int) -> bytes:
    """Raises :class:`FileGone`."""
    data = FileChunk.objects.filter(file_id=file_id, number=number).values_list("data", flat=True).first()
    if data is None:
        raise FileGone
    return vault.open_bytes(bytes(data), place=_place(file_id, number))


class FileGone(Exception):
    """The pieces of the file are deleted."""


def _count(file_id: UUID) -> int:
    return FileChunk.objects.filter(file_id=file_id).count()


class Reader:
    """Reads parts of files; the pieces read last stay opened."""

    def __init__(self) -> None:
        self._open: OrderedDict[tuple[UUID, int], bytes] = OrderedDict()

    def read(self, file_id: UUID, offset: int, length: int) -> bytes:
        """Raises :class:`FileGone`."""
        first, last = offset // CHUNK_BYTES, (offset + max(length, 1) - 1) // CHUNK_BYTES
        parts = [self._piece(file_id, number) for number in range(first, last + 1)]
        whole = parts[0] if len(parts) == 1 else b"".join(parts)
        start = offset - first * CHUNK_BYTES
        return whole[start : start + length]

    def _piece(self, file_id: UUID, number: int) -> bytes:
        known = self._open.get((file_id, number))
        if known is None:
            known = self._open[file_id, number] = piece(file_id, number)
            if len(self._open) > _KEPT_OPEN:
                self._open.popitem(last=False)
        else:
            self._open.move_to_end((file_id, number))
        return known


def lines(pieces: Iterable[bytes], longest: int = LONGEST_LINE) -> Iterator[tuple[int, bytes]]:
    """(offset, line) of each line, without its end; a byte-order mark and CRLF are taken off, an empty rest after the last end is none. A
    line longer than ``longest`` comes cut."""
    rest = b""
    at = 0
    first = True
    skipped = 0
    for piece in pieces:
        data = rest + piece if rest else piece
        if first and data.startswith(BOM):
            data, at = data[len(BOM) :], len(BOM)
        first = False
        *whole, tail = data.split(b"\n")
        for line in whole:
            yield at, line.removesuffix(b"\r")
            at += len(line) + 1 + skipped
            skipped = 0
        if len(tail) > longest:
            skipped += len(tail) - longest - 1
            tail = tail[: longest + 1]
        rest = tail
    if rest:
        yield at, rest.removesuffix(b"\r")


def blank(file_id: UUID, offset: int, length: int) -> None:
    """Spaces in the place of a part, so that every other line stays where it is."""
    for number in range(offset // CHUNK_BYTES, (offset + max(length, 1) - 1) // CHUNK_BYTES + 1):
        try:
            plain = bytearray(piece(file_id, number))
        except FileGone:
            return
        start = max(0, offset - number * CHUNK_BYTES)
        end = min(len(plain), offset + length - number * CHUNK_BYTES)
        plain[start:end] = b" " * (end - start)
        sealed = vault.seal_bytes(bytes(plain), place=_place(file_id, number))
        FileChunk.objects.filter(file_id=file_id, number=number).update(data=sealed)


def delete(file: StoredFile) -> None:
    """For its owner it is gone at once; what a batch that has not ended still reads stays until then."""
    if file.batch_id is not None:
        from .batch_results import forget

        forget(file)
    elif Batch.objects.filter(input=file, ended_at=None).exists():
        StoredFile.objects.filter(pk=file.pk).update(state="deleted")
    else:
        StoredFile.objects.filter(pk=file.pk).delete()
