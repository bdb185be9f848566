"""Settlements that could not be committed, kept in an fsynced file until the database is back."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from .plain import Ended, durable, revived

try:
    import fcntl
except ImportError:  # no such locks on Windows, where one process runs
    fcntl = None  # type: ignore[assignment]

log = logging.getLogger("cogo.journal")


class Spool:
    """One append-only file per process in a folder that the processes of a machine share.

    Files are appended to and taken under one lock, so that nothing is written to a file that is being replayed. Replaying twice is
    harmless: a hold resolves once. Texts in it are sealed already.
    """

    def __init__(self, folder: Path, worker: str) -> None:
        self._folder = folder
        self._path = folder / f"{worker}.jsonl"
        self._worker = worker
        self._taken = 0
        self._counted: dict[Path, tuple[tuple[int, int], int]] = {}

    def counts(self) -> tuple[int, int]:
        """(settlements that wait, settlements set aside) of every process of this machine, living or dead."""
        found = {True: 0, False: 0}
        known, self._counted = self._counted, {}
        for path in self._files(".jsonl", ".replay", ".bad"):
            try:
                status = path.stat()
                version = (status.st_size, status.st_mtime_ns)
                lines = known[path][1] if path in known and known[path][0] == version else path.read_bytes().count(b"\n")
            except FileNotFoundError:
                continue
            self._counted[path] = (version, lines)
            found[path.suffix == ".bad"] += lines
        return found[False], found[True]

    def _files(self, *suffixes: str) -> list[Path]:
        try:
            return [path for path in self._folder.iterdir() if path.suffix in suffixes]
        except FileNotFoundError:
            return []

    @property
    def pending(self) -> bool:
        """Whether any process of this machine, living or dead, has left something."""
        return bool(self._files(".jsonl", ".replay"))

    def keep(self, settlements: Sequence[Ended], *, bad: bool = False) -> None:
        """On disk when it returns. ``bad``: what no database would take; kept for a person, never replayed."""
        self._append([msgspec.json.encode(durable(settlement)) for settlement in settlements], bad=bad)

    def _append(self, lines: Sequence[bytes], *, bad: bool) -> None:
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = self._path.with_suffix(".bad") if bad else self._path
        with self._locked():
            new = not path.exists()
            with path.open("ab") as file:
                file.writelines(line + b"\n" for line in lines)
                file.flush()
                os.fsync(file.fileno())
            if new:
                self._sync_folder()

    def take(self) -> Iterator[tuple[Path, list[Ended]]]:
        """(file, its settlements); the caller deletes the file once they are committed."""
        with self._locked():
            for path in self._folder.glob("*.jsonl"):
                self._taken += 1
                path.rename(path.with_name(f"{path.stem}.{self._worker}.{self._taken}.replay"))
        for path in sorted(self._folder.glob("*.replay")):
            try:
                lines = path.read_bytes().splitlines()
            except FileNotFoundError:
                continue  # another process was faster
            found = []
            for line in lines:
                try:
                    found.append(revived(msgspec.json.decode(line, type=dict[str, Any])))
                except msgspec.DecodeError:
                    # The process died while it wrote: nobody was told that this line was kept, and the reaper closes its request.
                    log.warning("a half-written settlement was left out", extra={"file": path.name})
                except (LookupError, TypeError, AttributeError):
                    log.error("a settlement that this version cannot read was set aside", extra={"file": path.name})
                    self._append([line], bad=True)
            yield path, found

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with (self._folder / "lock").open("a") as file:
            if fcntl is not None:
                fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def _sync_folder(self) -> None:
        with contextlib.suppress(OSError):
            handle = os.open(self._folder, os.O_RDONLY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)
