"""Who is let in, and in which order: the key's own limits, a complete body, a place. The hold comes after that, in the pipeline.

Nobody has a place while a body is on its way; a slow one is counted by :class:`Uploads`. Callers without a client key have places of
their own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import msgspec

from cogo.caller import Body, Receive
from cogo.places import Places
from cogo.streamed import Upload
from llm_gateway.core.catalog import Identity
from llm_gateway.core.errors import Overloaded, ShuttingDown, UnsupportedEncoding
from llm_gateway.wiring import gateway

from .encodings import unpacker
from .uploads import Uploads

# Without a client key a caller is anonymous until Django checks its session; forms are small.
MOST_FORM_BYTES = 4 << 20
# A waiting body costs memory and no work, so there may be more of them than places.
LEAST_UPLOADS = 512
# How many requests of anonymous callers are inside Django at once.
ANONYMOUS_PLACES = 32


class Who(msgspec.Struct, frozen=True, kw_only=True):
    """Who sends a request. ``identity`` is ``None`` without a client key; ``many``: the address speaks for many callers."""

    identity: Identity | None
    address: str
    many: bool = False


class Arrivals:
    def __init__(self, settings: Mapping[str, Any]) -> None:
        self.cap = int(settings["max_body_bytes"])
        self._body_s = float(settings["body_timeout_s"])
        most = int(settings["max_in_flight"])
        self.places = Places(most)
        self.anonymous = Places(ANONYMOUS_PLACES)
        self.uploads = Uploads(
            most=max(most, LEAST_UPLOADS), per_key=int(settings["uploads_per_key"]), per_address=int(settings["uploads_per_address"])
        )
        self._readers: set[Body | Upload] = set()
        self.draining = False

    def check_open(self) -> None:
        """Raises :class:`ShuttingDown`, or :class:`StoreUnavailable` before the gateway has started."""
        if self.draining:
            raise ShuttingDown("The gateway is shutting down; send the request again.", retry_after_s=2)
        gateway()

    def places_of(self, identity: Identity | None) -> Places:
        return self.anonymous if identity is None else self.places

    @contextmanager
    def body(self, receive: Receive, headers: Mapping[str, str], who: Who) -> Iterator[Body]:
        """The body of a request, unread. The drain gives it up if it is still being read then."""
        cap = self.cap if who.identity is not None else min(self.cap, MOST_FORM_BYTES)
        reader = Body(
            receive,
            cap,
            self._body_s,
            headers.get("content-length", ""),
            upload=lambda: self._upload(who),
            unpack=unpacker(headers.get("content-encoding", "")),
        )
        self._readers.add(reader)
        try:
            yield reader
        finally:
            self._readers.discard(reader)

    @contextmanager
    def upload(self, receive: Receive, headers: Mapping[str, str], who: Who, cap: int) -> Iterator[Upload]:
        """A large body that is handed on as it comes; it needs no place."""
        if headers.get("content-encoding", "identity") not in ("", "identity"):
            raise UnsupportedEncoding("Send an upload as it is, without `Content-Encoding`.")
        reader = Upload(receive, cap, self._body_s, headers.get("content-length", ""))
        self._readers.add(reader)
        try:
            with self._upload(who):
                yield reader
        finally:
            self._readers.discard(reader)

    def stop_readers(self) -> None:
        for reader in set(self._readers):
            reader.stop()

    @contextmanager
    def _upload(self, who: Who) -> Iterator[None]:
        """Around the wait for a slow body. Whoever would be refused anyway is refused before the body is read."""
        if self.places_of(who.identity).full:
            raise Overloaded("The gateway is full; try again shortly.", retry_after_s=1)
        if who.identity is not None:
            gateway().gate.look(who.identity, arriving=self.uploads.of(who.identity))
        with self.uploads.one(who.identity, who.address, many=who.many):
            yield
