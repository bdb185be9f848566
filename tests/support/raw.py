"""Bare sockets, for callers that misbehave."""

from __future__ import annotations

import contextlib
import json
import socket
import time
from collections.abc import Iterator
from typing import Any

from .speaking import auth, request


def head(method: str, path: str, headers: dict[str, str], length: int | None) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "host: 127.0.0.1", *(f"{name}: {value}" for name, value in headers.items())]
    lines.append("transfer-encoding: chunked" if length is None else f"content-length: {length}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n"


def generation(
    dialect: str,
    key: str,
    model: str,
    *,
    stream: bool = False,
    prompt: str = "say 10 words",
    headers: dict[str, str] | None = None,
    **more: Any,
) -> bytes:
    """A whole request as bytes."""
    path, body = request(dialect, model, prompt, stream, **more)
    data = json.dumps(body).encode()
    return head("POST", path, {**auth(dialect, key), **(headers or {})}, len(data)) + data


@contextlib.contextmanager
def connected(port: int, data: bytes = b"", *, receive_buffer: int | None = None) -> Iterator[socket.socket]:
    with socket.socket() as peer:
        if receive_buffer is not None:
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        peer.settimeout(20)
        peer.connect(("127.0.0.1", port))
        peer.sendall(data)
        yield peer


def until(peer: socket.socket, mark: bytes, seconds: float = 10) -> bytes:
    """What comes, up to and with ``mark``. Raises AssertionError when the connection or the time ends before."""
    got = b""
    deadline = time.monotonic() + seconds
    while mark not in got:
        peer.settimeout(max(0.01, deadline - time.monotonic()))
        part = peer.recv(65536)
        assert part, f"the connection ended without {mark!r}: {got[-300:]!r}"
        got += part
    return got


def rest(peer: socket.socket, seconds: float = 10) -> bytes:
    """Everything up to the end of the connection."""
    got = b""
    peer.settimeout(seconds)
    while part := peer.recv(65536):
        got += part
    return got


def status_of(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])
