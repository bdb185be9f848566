"""``multipart/form-data`` parsed while it arrives: keeps text fields and hands on one file's bytes.
RFC 7578, RFC 2046 5.1."""

from __future__ import annotations

import re
from collections.abc import Iterator

# Largest size of the fields and headers before the file.
MOST_OUTSIDE = 64 << 10
_DISPOSITION = re.compile(rb'(?:^|;)\s*(name|filename)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^;\s]+))', re.IGNORECASE)
_BOUNDARY = re.compile(r'(?:^|;)\s*boundary\s*=\s*(?:"([^"]+)"|([^;\s]+))', re.IGNORECASE)


class NotMultipart(ValueError):
    """The message is for the caller."""


def boundary_of(content_type: str) -> bytes:
    """Raises :class:`NotMultipart`."""
    match = _BOUNDARY.search(content_type) if content_type.lower().startswith("multipart/form-data") else None
    if match is None:
        raise NotMultipart("Send the file as multipart/form-data.")
    return (match[1] or match[2]).encode("latin-1")


class Multipart:
    """``feed`` yields pieces of the part named ``file``; ``fields`` has the others' text once they
    have passed. ``filename`` and ``media_type``: of the file, once its head has passed. ``done``
    after the closing boundary."""

    def __init__(self, boundary: bytes, file: str = "file") -> None:
        self.fields: dict[str, str] = {}
        self.filename = ""
        self.media_type = ""
        self.found = False
        self.done = False
        self._file = file
        self._mark = b"\r\n--" + boundary
        # The preamble before the first boundary is ignored.
        self._buffer = b"\r\n"
        self._name: str | None = None
        self._is_file = False
        self._head = False
        self._text = bytearray()
        self._outside = 0

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Raises :class:`NotMultipart`."""
        self._buffer += data
        while not self.done:
            if self._head:
                end = self._buffer.find(b"\r\n\r\n")
                if self._buffer.startswith(b"--"):
                    self.done = True
                    return
                if end < 0:
                    if len(self._buffer) > MOST_OUTSIDE:
                        raise NotMultipart("A part's head is too long.")
                    return
                self._begin(self._buffer[:end])
                self._buffer = self._buffer[end + 4 :]
            at = self._buffer.find(self._mark)
            if at < 0:
                keep = len(self._mark) - 1
                ready, self._buffer = self._buffer[:-keep], self._buffer[-keep:]
                yield from self._body(ready)
                return
            yield from self._body(self._buffer[:at])
            self._buffer = self._buffer[at + len(self._mark) :]
            self._end()

    def _begin(self, head: bytes) -> None:
        self._head = False
        self._outside += len(head)
        lines = dict(line.partition(b":")[::2] for line in head.split(b"\r\n") if b":" in line)
        named = {name.strip().lower(): value.strip() for name, value in lines.items()}
        parameters = {
            m[1].lower(): (m[2] if m[2] is not None else m[3]) for m in _DISPOSITION.finditer(named.get(b"content-disposition", b""))
        }
        self._name = parameters.get(b"name", b"").decode("utf-8", "replace")
        self._is_file = self._name == self._file
        if self._is_file:
            if self.found:
                raise NotMultipart(f"`{self._file}` was sent twice.")
            self.found = True
            self.filename = parameters.get(b"filename", b"").decode("utf-8", "replace")
            self.media_type = named.get(b"content-type", b"").decode("latin-1")

    def _body(self, data: bytes) -> Iterator[bytes]:
        if not data:
            return
        if self._is_file:
            yield data
        elif self._name is not None:
            self._outside += len(data)
            if self._outside > MOST_OUTSIDE:
                raise NotMultipart("The fields beside the file are too long.")
            self._text += data

    def _end(self) -> None:
        if self._name is not None and not self._is_file:
            self.fields[self._name] = self._text.decode("utf-8", "replace")
        self._text.clear()
        self._name, self._is_file, self._head = None, False, True
