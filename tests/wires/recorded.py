"""Recorded provider traffic that lies beside the project: read in place, nothing is copied.

A test module that uses it puts ``pytestmark = recorded.mark`` at its top and parametrises over :func:`load`; without the folder the
module is skipped.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest

_REPOSITORY = Path(__file__).resolve().parents[2]
FOLDER = (_REPOSITORY / os.environ.get("COGO_RECORDED_TRAFFIC", "../shared/recorded")).resolve()

if not FOLDER.is_dir():
    # Whoever imports this is skipped as a whole, and the summary says it in one line for all of them.
    pytest.skip(f"no recorded traffic at {FOLDER}; set COGO_RECORDED_TRAFFIC", allow_module_level=True)

mark = pytest.mark.recorded


@dataclass(frozen=True)
class Recorded:
    """One exchange. ``request_body`` is decoded JSON or ``None``; ``headers`` are the answer's, names in lower case; ``error_of``
    is the kind of endpoint that an ``error`` came from."""

    file: Path
    provider: str
    kind: str
    host: str
    path: str
    request_body: Any
    status: int
    headers: dict[str, str]
    body_bytes: bytes
    error_of: str | None
    fidelity: str

    @property
    def of(self) -> str:
        """The endpoint's kind, for an answer and an error alike, without ``-stream``."""
        return (self.error_of or self.kind).removesuffix("-stream")

    def __str__(self) -> str:
        return f"{self.provider}/{self.kind}/{self.file.stem}"


@cache
def load(provider: str, kind: str) -> list[Recorded]:
    """Every exchange of a provider and kind (the names of the two folder levels), in file order; empty when there is none."""
    return [_read(file) for file in sorted((FOLDER / provider / kind).glob("*.json"))]


def _read(file: Path) -> Recorded:
    document = json.loads(file.read_bytes())
    request, response = document["request"], document["response"]
    return Recorded(
        file=file,
        provider=document["provider"],
        kind=document["kind"],
        host=document["host"],
        path=request["path"],
        request_body=request["body"],
        status=response["status"],
        headers={name.lower(): value for name, value in response["headers"].items()},
        body_bytes=(response["body_text"] or "").encode(),
        error_of=document.get("error_of"),
        fidelity=document["fidelity"],
    )
