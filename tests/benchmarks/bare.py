"""The same job without a gateway: ``python -m tests.benchmarks.bare --fd N --upstream URL`` reads a request, sends it on with the gateway's
own client and answers, on the gateway's own server. No identity, no log, no money, no look into either body."""

from __future__ import annotations

import argparse
import os
import socket
from collections.abc import Awaitable, Callable
from typing import Any

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


class Echo:
    """The ASGI application."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._upstream: Any = None

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
            return
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        headers = {"content-type": "application/json", "authorization": "Bearer of-nobody"}
        answer = await self._upstream.send("POST", self._url, headers, body, connect_s=10.0, allow_private=True)
        kind = answer.headers.get("content-type", "").encode()
        if kind.startswith(b"text/event-stream"):
            await send({"type": "http.response.start", "status": answer.status, "headers": [(b"content-type", kind)]})
            async for part in answer.chunks():
                await send({"type": "http.response.body", "body": part, "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})
            return
        whole = await answer.read()
        fields = [(b"content-type", kind), (b"content-length", str(len(whole)).encode())]
        await send({"type": "http.response.start", "status": answer.status, "headers": fields})
        await send({"type": "http.response.body", "body": whole, "more_body": False})

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        from llm_gateway.engine.transport import HttpUpstream

        await receive()
        self._upstream = HttpUpstream()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self._upstream.close()
        await send({"type": "lifespan.shutdown.complete"})


def main() -> None:
    from cogo import web

    parser = argparse.ArgumentParser()
    parser.add_argument("--fd", type=int, required=True)
    parser.add_argument("--upstream", required=True)
    options = parser.parse_args()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "cogo.settings")
    config = web.config(grace_s=1)
    config.app = Echo(options.upstream)
    with socket.socket(fileno=options.fd) as listening:
        web.Server(config).run(sockets=[listening])


if __name__ == "__main__":
    main()
