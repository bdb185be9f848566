"""A provider that serves what it is told, byte for byte, and remembers what it was asked."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Asked:
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Upstream:
    """Answers every POST with ``status``, ``headers`` and ``body``, or with the body that ``reply`` makes of what was asked."""

    port: int = 0
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b"{}"
    asked: list[Asked] = field(default_factory=list)
    reply: Callable[[Asked], bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def serve(self, body: bytes, *, status: int = 200, kind: str = "application/json", **headers: str) -> None:
        self.status, self.body = status, body
        self.headers = {"content-type": kind, **{name.replace("_", "-"): value for name, value in headers.items()}}

    def stream(self, body: bytes) -> None:
        self.serve(body, kind="text/event-stream")


@contextmanager
def upstream() -> Iterator[Upstream]:
    state = Upstream()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:  # the library's name
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            state.asked.append(Asked(self.path, {name.lower(): value for name, value in self.headers.items()}, body))
            told = state.body if state.reply is None else state.reply(state.asked[-1])
            self.send_response(state.status)
            for name, value in state.headers.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(told)))
            self.end_headers()
            self.wfile.write(told)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    state.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


# A format's providers, all of them the upstream: slug, wire, path of its base URL.
WIRES = {
    "openai_chat": ("up-chat", "/v1"),
    "openai_responses": ("up-responses", "/v1"),
    "anthropic_messages": ("up-claude", ""),
    "gemini_generate": ("up-gem", "/v1beta"),
}


def connect(gateway: Any, state: Upstream) -> None:
    """Rows for the upstream at a running gateway: ``SLUG/any-model``."""
    for wire, (slug, path) in WIRES.items():
        if slug not in gateway.rows.providers:
            gateway.rows.provider(slug, state.url + path, wire=wire)
    gateway.refresh()
