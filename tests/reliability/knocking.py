"""A caller that costs next to nothing, for load: HTTP/1.1 written by hand over kept connections."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Mapping
from typing import Any

from typing_extensions import override

_LENGTH = re.compile(rb"\r\ncontent-length: (\d+)", re.IGNORECASE)


class Line(asyncio.Protocol):
    """One connection, one request at a time; an answer is (status, head)."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._got = b""
        self._ends: int | None = None
        self._chunked = False
        self._answer: asyncio.Future[tuple[int, bytes]] | None = None
        self.open = False

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self.open = True

    def ask(self, data: bytes) -> asyncio.Future[tuple[int, bytes]]:
        assert self._transport is not None
        self._got, self._ends, self._chunked = b"", None, False
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(data)
        return self._answer

    @override
    def data_received(self, data: bytes) -> None:
        self._got += data
        if self._ends is None and not self._chunked:
            at = self._got.find(b"\r\n\r\n")
            if at < 0:
                return
            length = _LENGTH.search(self._got, 0, at)
            self._chunked = length is None
            self._ends = None if length is None else at + 4 + int(length[1])
        whole = self._got.endswith(b"\r\n0\r\n\r\n") if self._chunked else len(self._got) >= (self._ends or 0)
        if whole and self._answer is not None and not self._answer.done():
            head = self._got.partition(b"\r\n\r\n")[0].lower()
            if b"connection: close" in head:
                self.close()
            self._answer.set_result((int(head[9:12]), head))

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self.open = False
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(ConnectionResetError("the gateway hung up"))

    def close(self) -> None:
        self.open = False
        if self._transport is not None:
            self._transport.close()


class Lines:
    """As many connections as there are requests at once."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._idle: list[Line] = []

    async def ask(self, path: str, body: Mapping[str, Any], headers: Mapping[str, str], timeout_s: float) -> tuple[int, bytes]:
        """(status, head in lower case); status 0 where there was no answer."""
        text = json.dumps(body).encode()
        fields = {"host": f"127.0.0.1:{self._port}", "content-type": "application/json", **headers, "content-length": str(len(text))}
        head = f"POST {path} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in fields.items()) + "\r\n"
        line = await self._line()
        try:
            async with asyncio.timeout(timeout_s):
                answer = await line.ask(head.encode() + text)
        except (OSError, TimeoutError):
            line.close()
            return 0, b""
        if line.open:
            self._idle.append(line)
        return answer

    async def _line(self) -> Line:
        while self._idle:
            line = self._idle.pop()
            if line.open:
                return line
        _, line = await asyncio.get_running_loop().create_connection(Line, "127.0.0.1", self._port)
        return line

    def close(self) -> None:
        for line in self._idle:
            line.close()
