"""The ASGI application: who answers which path.

Operations and the compatible APIs are answered here as bare ASGI, static files by their own app, everything else by Django. A request that
fails here never reaches a view.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from cogo.caller import Receive, Send
from cogo.operations import Operations
from cogo.places import Places
from llm_gateway.api.compat import routes
from llm_gateway.engine.tasks import TaskOwner
from llm_gateway.wires import dialects
from llm_gateway.wiring import shutdown, startup

from .arrivals import Arrivals
from .behind import App, Behind
from .callers import Callers
from .compat import Compat
from .drain import Drain

log = logging.getLogger("cogo.door")

Scope = dict[str, Any]
COMPAT = ("/v1/", "/v1beta/", "/upload/v1/", "/upload/v1beta/")


class Door:
    """``settings`` is the gateway's own part of the Django settings."""

    def __init__(self, django: App, static: App, settings: Mapping[str, Any]) -> None:
        self._static = static
        self._owner = TaskOwner()
        self._operations = Operations(settings, self)
        self.arrivals = Arrivals(settings)
        callers = Callers(settings["trusted_proxies"])
        self._drain = Drain(self.arrivals, float(settings["drain_s"]))
        self.compat = Compat(self.arrivals, callers, self._drain, self._owner, settings)
        self._behind = Behind(django, self.arrivals, callers)

    @property
    def places(self) -> Places:
        return self.arrivals.places

    @property
    def draining(self) -> bool:
        return self.arrivals.draining

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        kind = scope["type"]
        if kind == "http":
            path: str = scope["path"]
            compatible = compatible_path(scope["method"], path)
            if compatible is not None:
                await self.compat.answer(scope, compatible, receive, send)
            elif path.startswith("/static/"):
                await self._static(scope, receive, send)
            elif path in self._operations.paths:
                await self._operations.answer(scope, send)
            else:
                await self._behind.answer(scope, receive, send)
        elif kind == "lifespan":
            await self._lifespan(receive, send)

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        try:
            # Now, not in the first request, in which the event loop would stand still for their import.
            routes.load()
            tuple(dialects)
            await startup()
            self._owner.start(self.places.measure(), "measure the loop's lag")
            self._owner.start(self._operations.note_for_ever(), "note gauges for who asks another process")
            self._drain.hear_signals()
        except Exception as error:
            log.exception("the gateway did not start")
            await send({"type": "lifespan.startup.failed", "message": f"{type(error).__name__}: {error}"[:300]})
            return
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await shutdown(self._drain.left_s())
        await self._owner.close()
        await send({"type": "lifespan.shutdown.complete"})


def compatible_path(method: str, path: str) -> str | None:
    """The path of a compatible API, as its routes spell it; ``None`` for all others.

    A base URL without ``/v1``, or with one more, is the usual slip in a client's configuration. Its meaning is clear, so it is served."""
    if path.startswith(COMPAT):
        again = path.removeprefix("/v1")
        return again if again.startswith(COMPAT) else path
    if path in ("/v1", "/v1beta"):
        return path
    with_version = f"/v1{path}"
    return with_version if path.startswith(BARE) and routes.find(method, with_version, {})[1] else None


# First words of the compatible paths that nothing else has.
BARE = (
    "/chat/",
    "/files",
    "/batches",
    "/models",
    "/responses",
    "/messages",
    "/embeddings",
    "/completions",
    "/moderations",
    "/rerank",
    "/audio/",
)
