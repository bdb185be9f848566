"""Settlements that could not be committed, kept in an fsynced file until the database is back."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec


class Spool:
    """One append-only file per process; :meth:`take` also finds what dead processes left. Replaying twice is harmless: a hold resolves once."""

    def __init__(self, folder: Path, worker: str) -> None:
        self._folder = folder
        self._path = folder / f"{worker}.jsonl"
        self.pending = any(folder.glob("*.jsonl")) if folder.exists() else False

    def keep(self, settlements: list[Mapping[str, Any]]) -> None:
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with self._path.open("ab") as file:
            for settlement in settlements:
                file.write(msgspec.json.encode(settlement) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        self.pending = True

    def take(self) -> Iterator[tuple[Path, list[dict[str, Any]]]]:
        """(file, its settlements); the caller deletes the file once they are committed. A half-written last line is left out."""
        for path in sorted(self._folder.glob("*.jsonl")):
            found = []
            for line in path.read_bytes().splitlines():
                try:
                    found.append(msgspec.json.decode(line, type=dict[str, Any]))
                except msgspec.DecodeError:
                    continue
            yield path, found
        self.pending = False
