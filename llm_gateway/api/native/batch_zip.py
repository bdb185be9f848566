"""The code blocks of a batch's answers as a zip, written while it is sent: nothing of it grows with the batch but its table of contents."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import AsyncIterator, Iterable
from typing import Any

from llm_gateway.core import json
from llm_gateway.models import Batch
from llm_gateway.stores import batch_results
from llm_gateway.wires._batch import Result

from .host import gateway
from .prompts import code_blocks

_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")
# Names that Windows keeps for devices, whatever their ending.
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\.|$)", re.IGNORECASE)
ENDINGS = {
    "python": "py", "py": "py", "javascript": "js", "js": "js", "typescript": "ts", "ts": "ts", "tsx": "tsx", "jsx": "jsx", "go": "go",
    "rust": "rs", "java": "java", "kotlin": "kt", "swift": "swift", "c": "c", "cpp": "cpp", "c++": "cpp", "csharp": "cs", "c#": "cs",
    "cs": "cs", "ruby": "rb", "php": "php", "bash": "sh", "sh": "sh", "shell": "sh", "sql": "sql", "html": "html", "css": "css",
    "json": "json", "yaml": "yaml", "yml": "yaml", "toml": "toml", "xml": "xml", "markdown": "md",
}  # fmt: skip


class Archive:
    """``add`` answers, ``taken`` what can be sent so far, ``end`` the rest."""

    def __init__(self) -> None:
        self._out = _Unseekable()
        self._zip = zipfile.ZipFile(self._out, "w", zipfile.ZIP_DEFLATED)
        self._names: set[str] = set()

    def add(self, result: Result) -> None:
        if result.state != "completed" or result.body is None:
            return
        blocks = code_blocks(text_of(json.lenient(result.body)))
        for number, block in enumerate(blocks, 1):
            part = "" if len(blocks) == 1 else f"-{number}"
            ending = ENDINGS.get(block.language or "", "txt")
            # A fixed date: the same answers make the same archive.
            entry = zipfile.ZipInfo(self._unique(safe(result.custom_id) + part, ending), (2026, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            self._zip.writestr(entry, block.code + "\n")

    def add_all(self, results: Iterable[Result]) -> None:
        for one in results:
            self.add(one)

    def taken(self) -> bytes:
        return self._out.taken()

    def end(self) -> bytes:
        self._zip.close()
        return self._out.taken()

    def _unique(self, base: str, ending: str) -> str:
        name, again = f"{base}.{ending}", 1
        while name.lower() in self._names:
            again += 1
            name = f"{base}_{again}.{ending}"
        self._names.add(name.lower())
        return name


async def zipped(batch: Batch) -> AsyncIterator[bytes]:
    archive, after = Archive(), 0
    while True:
        found = await gateway().threaded(batch_results.page, batch, after, ("completed",))
        if not found:
            yield archive.end()
            return
        after = found[-1].number
        await gateway().threaded(archive.add_all, found)
        yield archive.taken()


def safe(custom_id: str) -> str:
    """A name without folders, that no system takes for anything but a file."""
    flat = _UNSAFE.sub("_", custom_id).strip("._-")[:80] or "line"
    return f"_{flat}" if _RESERVED.match(flat) else flat


def text_of(body: Any) -> str:
    """What the model said, in any dialect's answer."""
    match body:
        case {"content": str(text)}:
            return text
        case {"choices": [{"message": {"content": str(text)}}, *_]}:
            return text
        case {"content": [*parts]} | {"candidates": [{"content": {"parts": [*parts]}}, *_]}:
            return "".join(part["text"] for part in parts if isinstance(part, dict) and isinstance(part.get("text"), str))
        case {"output": [*items]}:
            parts = [part for item in items if isinstance(item, dict) for part in item.get("content") or ()]
            return "".join(part["text"] for part in parts if isinstance(part, dict) and isinstance(part.get("text"), str))
    return ""


class _Unseekable(io.RawIOBase):
    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._parts.append(bytes(data))
        return len(data)

    def taken(self) -> bytes:
        found, self._parts = b"".join(self._parts), []
        return found
