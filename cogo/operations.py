"""Liveness, readiness and metrics, answered first and without session or database."""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

from prometheus_client import CONTENT_TYPE_LATEST

from llm_gateway.core import json
from llm_gateway.core.errors import GatewayError
from llm_gateway.telemetry import metrics
from llm_gateway.wiring import gateway

from .surroundings import Surroundings

Send = Callable[[dict[str, Any]], Awaitable[None]]
NOTE_S = 1.0
_CLOSED = (
    b"send the metrics token as a bearer token: COGO_METRICS_TOKEN, or what var/secrets/cogo_metrics_token holds.\n"
    b"COGO_METRICS_OPEN=true opens this page where nobody but your own network can reach it.\n"
)


class Draining(Protocol):
    @property
    def draining(self) -> bool: ...


class Operations:
    paths = frozenset({"/healthz", "/health", "/readyz", "/metrics"})

    def __init__(self, settings: Mapping[str, Any], door: Draining) -> None:
        self._token = str(settings["metrics_token"])
        self._open = bool(settings["metrics_open"])
        self._metrics_folder = str(settings["metrics_folder"])
        self._door = door
        self._surroundings = Surroundings()

    async def answer(self, scope: dict[str, Any], send: Send) -> None:
        match scope["path"]:
            case "/healthz" | "/health":
                await _send(send, 200, b"ok\n", b"text/plain")
            case "/readyz":
                why = self._unready()
                told = {"ready": why is None, "reason": why, "troubles": list(self._surroundings.troubles)}
                body = json.dumps({name: value for name, value in told.items() if value or name == "ready"})
                await _send(send, 200 if why is None else 503, body, b"application/json")
            case _:
                if not self._may_see_metrics(scope):
                    await _send(send, 401, _CLOSED, b"text/plain")
                    return
                self._note()
                beside = metrics.surroundings(self._surroundings.processes, self._surroundings.parts)
                await _send(send, 200, metrics.exposition(self._metrics_folder) + beside, CONTENT_TYPE_LATEST.encode())

    def _unready(self) -> str | None:
        if self._door.draining:
            return "shutting down"
        try:
            return gateway().ready
        except GatewayError as error:
            return error.message

    async def note_for_ever(self) -> None:
        """Another process may be the one that is asked; and what this one tells of the others is
        looked at all the time."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._surroundings.look_for_ever())
            while self._metrics_folder:
                self._note()
                await asyncio.sleep(NOTE_S)

    def _note(self) -> None:
        try:
            metrics.IN_FLIGHT.set(gateway().gate.in_flight)
            gateway().note_audits()
        except GatewayError:
            metrics.IN_FLIGHT.set(0)
        metrics.READY.set(self._unready() is None)

    def _may_see_metrics(self, scope: dict[str, Any]) -> bool:
        """A local address proves nothing: behind a proxy on this machine that adds no header, every
        caller looks local."""
        if not self._token:
            return self._open
        sent = [value for name, value in scope["headers"] if name == b"authorization"]
        if len(sent) != 1 or sent[0][:7].lower() != b"bearer ":
            return False
        return hmac.compare_digest(sent[0][7:].strip(), self._token.encode())


async def _send(send: Send, status: int, body: bytes, kind: bytes) -> None:
    headers = [(b"content-type", kind), (b"content-length", str(len(body)).encode()), (b"cache-control", b"no-store")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})
