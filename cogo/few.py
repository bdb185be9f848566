"""The console gets a few places of a worker, signing in gets two of its own: pages are for people, and a flood of them is none. What waits
for an identity provider has places of its own as well, so that a slow one holds up no page and no password.

Who waits costs nothing. A place is held until the answer begins, so that nobody keeps one by reading slowly.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

Scope = dict[str, Any]
App = Callable[[Scope, Any, Any], Awaitable[None]]

PAGES = 4
SIGN_INS = 2
SIGN_ONS = 8
WAITING = 200
WAIT_S = 20.0
# Programs call this; the door counts them.
NATIVE = "/api/ai-models/"
SIGN_ON = "/admin/sso/"
_BUSY = (
    b"<!doctype html><html lang=en><title>Busy</title><h1>The console is busy</h1>"
    b"<p>Too many people ask at once; try again in a moment.</p>"
)


class Few:
    def __init__(self, app: App, *, pages: int = PAGES, sign_ins: int = SIGN_INS, waiting: int = WAITING, wait_s: float = WAIT_S) -> None:
        self._app = app
        self._pages, self._sign_ins = asyncio.Semaphore(pages), asyncio.Semaphore(sign_ins)
        self._sign_ons = asyncio.Semaphore(SIGN_ONS)
        self._most, self._wait_s = waiting, wait_s
        self._waiting = 0

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        path: str = scope.get("path", "")
        if scope["type"] != "http" or path.startswith(NATIVE):
            await self._app(scope, receive, send)
            return
        if path.startswith(SIGN_ON):
            places = self._sign_ons
        else:
            places = self._sign_ins if scope["method"] == "POST" and path.endswith("/login/") else self._pages
        if not await self._take(places):
            await _busy(send)
            return
        held = True

        def leave() -> None:
            nonlocal held
            if held:
                held = False
                places.release()

        async def sending(message: Any) -> None:
            if message["type"] == "http.response.start":
                leave()
            await send(message)

        try:
            await self._app(scope, receive, sending)
        finally:
            leave()

    async def _take(self, places: asyncio.Semaphore) -> bool:
        if self._waiting >= self._most:
            return False
        self._waiting += 1
        try:
            async with asyncio.timeout(self._wait_s):
                await places.acquire()
        except TimeoutError:
            return False
        finally:
            self._waiting -= 1
        return True


async def _busy(send: Any) -> None:
    headers = [(b"content-type", b"text/html; charset=utf-8"), (b"content-length", str(len(_BUSY)).encode()), (b"retry-after", b"5")]
    await send({"type": "http.response.start", "status": 503, "headers": headers})
    await send({"type": "http.response.body", "body": _BUSY})
