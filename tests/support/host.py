"""A provider made of a bare socket: it answers every request with the very bytes a test gave it, in the very pieces."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterable


class Host:
    """``say`` sets what the next requests get: a body in pieces, cut off by closing (no length is announced), or chunked when ``whole``."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}/v1"
        self._pieces: list[bytes] = []
        self._whole = True
        threading.Thread(target=self._serve, name="host", daemon=True).start()

    def say(self, pieces: Iterable[bytes], *, whole: bool = True) -> None:
        self._pieces, self._whole = list(pieces), whole

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def _serve(self) -> None:
        while True:
            try:
                peer, _ = self._socket.accept()
            except OSError:
                return
            with peer:
                peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                try:
                    self._answer(peer)
                except OSError:
                    continue

    def _answer(self, peer: socket.socket) -> None:
        head = b""
        while b"\r\n\r\n" not in head:
            part = peer.recv(65536)
            if not part:
                return
            head += part
        head, _, body = head.partition(b"\r\n\r\n")
        length = next(int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        while len(body) < length:
            body += peer.recv(65536)
        framing = b"transfer-encoding: chunked\r\n" if self._whole else b""
        peer.sendall(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n" + framing + b"\r\n")
        for piece in self._pieces:
            peer.sendall(b"%x\r\n%b\r\n" % (len(piece), piece) if self._whole else piece)
        if self._whole:
            peer.sendall(b"0\r\n\r\n")
