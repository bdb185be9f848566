"""A provider that costs next to nothing: ``python -m tests.benchmarks.upstream --fd N`` answers every POST on a listening socket in the
chat format, at once. A model named ``bench-CHUNKS-MS`` streams so many chunks, one each so many milliseconds, when a stream is asked."""

from __future__ import annotations

import argparse
import asyncio
import re
import socket
from typing import cast

import httptools
import uvloop
from typing_extensions import override

_ID = b'"id":"chatcmpl-Bench0000000000000000000000","created":1760000000,"model":"bench-model"'
_WORDS = b"the quick brown fox jumps over the lazy dog and goes on to the next one " * 6
_ANSWER = (
    b"{" + _ID + b',"object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":"' + _WORDS.strip()
    + b'","refusal":null,"annotations":[]},"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":23,"completion_tokens":84,'
    b'"total_tokens":107,"prompt_tokens_details":{"cached_tokens":0,"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":0,'
    b'"audio_tokens":0}},"service_tier":"default","system_fingerprint":"fp_bench"}'
)  # fmt: skip
_WHOLE = (
    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nx-request-id: req_bench\r\ncontent-length: %d\r\n\r\n" % len(_ANSWER) + _ANSWER
)
_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nx-request-id: req_bench\r\ntransfer-encoding: chunked\r\n\r\n"
_STREAM = re.compile(rb'"stream"\s*:\s*true')
_MODEL = re.compile(rb"bench-(\d+)-(\d+)")


def _chunk(inner: bytes) -> bytes:
    event = b"data: {" + _ID + b',"object":"chat.completion.chunk","system_fingerprint":"fp_bench",' + inner + b"}\n\n"
    return b"%x\r\n%b\r\n" % (len(event), event)


_PIECE = _chunk(b'"choices":[{"index":0,"delta":{"content":" some words"},"logprobs":null,"finish_reason":null}]')
_END = (
    _chunk(b'"choices":[{"index":0,"delta":{},"logprobs":null,"finish_reason":"stop"}]')
    + _chunk(b'"choices":[],"usage":{"prompt_tokens":23,"completion_tokens":84,"total_tokens":107}')
    + b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n"
)


class Answering(asyncio.Protocol):
    """One connection."""

    def __init__(self) -> None:
        self._parser = httptools.HttpRequestParser(self)
        self._body = b""
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's is one without descending from it.
        self._transport = cast(asyncio.Transport, transport)

    @override
    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        if self._timer is not None:
            self._timer.cancel()

    # What the parser calls.

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        body, self._body = self._body, b""
        assert self._transport is not None
        if not _STREAM.search(body):
            self._transport.write(_WHOLE)
            return
        wish = _MODEL.search(body)
        count, every_ms = (int(wish[1]), int(wish[2])) if wish else (5, 1)
        self._transport.write(_HEAD)
        self._piece(count, every_ms / 1000, self._loop.time())

    def _piece(self, left: int, every_s: float, due: float) -> None:
        if self._transport is None:
            return
        if not left:
            self._transport.write(_END)
            return
        self._transport.write(_PIECE)
        # From when it was due, not from now: a late one does not slow down those after it.
        self._timer = self._loop.call_at(due + every_s, self._piece, left - 1, every_s, due + every_s)


async def _serve(listening: socket.socket) -> None:
    server = await asyncio.get_running_loop().create_server(Answering, sock=listening, backlog=4096)
    await server.serve_forever()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--fd", type=int, required=True)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(socket.socket(fileno=parser.parse_args().fd)))


if __name__ == "__main__":
    main()
