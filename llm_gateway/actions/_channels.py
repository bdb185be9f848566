"""How alerts leave: mail and a signed webhook. Each delivery is one outside call; its caller bounds its time and may hang up on it."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import smtplib
import socket
from collections.abc import Awaitable, Callable
from typing import Any, Protocol
from urllib.parse import urlsplit

import msgspec
from django.conf import settings
from django.core.mail import EmailMessage, get_connection
from django.core.mail.backends.smtp import EmailBackend
from typing_extensions import override

from llm_gateway.engine.transport import HttpUpstream
from llm_gateway.stores.network import network

Post = Callable[[str, bytes, dict[str, str], bool], Awaitable[int]]
CONNECT_S = 5.0


class Letter(msgspec.Struct, frozen=True, kw_only=True):
    """All that a channel needs of an alert: threads that deliver touch no database. ``routes``: the channels that are to take it."""

    alert: int
    subject: str
    text: str
    to: tuple[str, ...]
    body: bytes
    stamp: str
    routes: frozenset[str] = frozenset()


class Channel(Protocol):
    name: str

    def has_work(self, letter: Letter) -> bool: ...
    def send(self, letter: Letter) -> None: ...
    def hang_up(self) -> None: ...


class Mail:
    """:meth:`hang_up` may come from another thread: a server that drips keeps nobody for ever."""

    name = "email"

    def __init__(self) -> None:
        self._server: smtplib.SMTP | None = None
        self._over = False

    def has_work(self, letter: Letter) -> bool:
        return bool(settings.COGO["mail"] and letter.to)

    def send(self, letter: Letter) -> None:
        connection = self._connection()
        try:
            EmailMessage(letter.subject, letter.text, None, list(letter.to), connection=connection).send()
        finally:
            # Django leaves a connection open whose sign-in failed.
            with contextlib.suppress(OSError):
                connection.close()

    def hang_up(self) -> None:
        self._over = True
        sock = getattr(self._server, "sock", None)
        if sock is not None:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def _connection(self) -> Any:
        chosen = get_connection()
        if type(chosen) is not EmailBackend:
            return chosen
        chosen.__class__ = _backend_for(self._met)
        return chosen

    def _met(self, server: smtplib.SMTP) -> None:
        if self._over:
            raise ConnectionAbortedError("the run is over")
        self._server = server


def _backend_for(met: Callable[[smtplib.SMTP], None]) -> type[EmailBackend]:
    """Django's backend, telling ``met`` of the connection before it waits for the server's first word."""

    class Plain(smtplib.SMTP):
        def _get_socket(self, *args: Any) -> Any:
            met(self)
            return super()._get_socket(*args)  # type: ignore[misc]

    class Sealed(smtplib.SMTP_SSL):
        def _get_socket(self, *args: Any) -> Any:
            met(self)
            return super()._get_socket(*args)  # type: ignore[misc]

    class Backend(EmailBackend):
        @property
        @override
        def connection_class(self) -> Any:
            return Sealed if self.use_ssl else Plain

    return Backend


class Webhook:
    """``post`` is the seam of tests. Without a secret a receiver could not tell our word from anybody's: the feature is off. ``url``,
    ``secret``, ``private``: a destination's own; by default those of the environment."""

    name = "webhook"

    def __init__(
        self, post: Post | None, clock_s: float, *, name: str = "", url: str = "", secret: str | None = None, private: bool | None = None
    ) -> None:
        self._post = post or _post
        self._clock_s = clock_s
        self.name = name or type(self).name
        self._url = url or settings.COGO["alert_webhook_url"]
        self.secret: str = settings.COGO["alert_webhook_secret"] if secret is None else secret
        self._private: bool = settings.COGO["alert_webhook_private"] if private is None else private

    def has_work(self, letter: Letter) -> bool:
        return bool(self._url and self.secret)

    def body(self, letter: Letter) -> bytes:
        return letter.body

    def headers(self, letter: Letter, body: bytes) -> dict[str, str]:
        digest = hmac.digest(self.secret.encode(), f"{letter.stamp}.".encode() + body, hashlib.sha256).hex()
        return {"content-type": "application/json", "x-cogo-signature": f"t={letter.stamp},v1={digest}"}

    def send(self, letter: Letter) -> None:
        if urlsplit(self._url).scheme != "https" and not self._private:
            raise ValueError("its address must begin with https")
        body = self.body(letter)
        status = asyncio.run(_within(self._post(self._url, body, self.headers(letter, body), self._private), self._clock_s))
        if not 200 <= status < 300:
            raise ValueError(f"it answered {status}")

    def hang_up(self) -> None:
        """Its own clock has run out by then; only a name that is still looked up is left to itself."""


async def _within(call: Awaitable[int], seconds: float) -> int:
    async with asyncio.timeout(seconds):
        return await call


async def _post(url: str, body: bytes, headers: dict[str, str], private: bool) -> int:
    """Through the one door: no redirects, no proxy but the one in the settings, no private address unless the operator admits them."""
    upstream = HttpUpstream(network())
    try:
        response = await upstream.send("POST", url, headers, body, connect_s=CONNECT_S, allow_private=private)
        response.close()
        return response.status
    finally:
        await upstream.close()
