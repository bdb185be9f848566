"""Writing a reply to its peer, and breaking the transport on the way where the plan says so."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from email.utils import formatdate

from llm_gateway.simulator import bomb
from llm_gateway.simulator.faults import NO_FAULT, Plan
from llm_gateway.simulator.http11 import Request, reason_phrase
from llm_gateway.simulator.peer import Peer
from llm_gateway.simulator.reply import Frame, Headers, Reply
from llm_gateway.simulator.reply_faults import content_cut

Wrap = Callable[[bytes], bytes]
_BROKEN = ("badchunk", "stall", "rst", "fin", "gzipbomb", "badstatus", "drip", "heartbeat")
_RST_GRACE_S = 0.05


def chunk(data: bytes) -> bytes:
    """``data`` as one HTTP chunk."""
    return b"%x\r\n%b\r\n" % (len(data), data)


@dataclass(slots=True)
class Delivery:
    """One reply on its way. ``wait`` and ``between`` are seconds before the first byte and between content frames.

    After ``run``: ``tokens`` of output that went out, ``complete`` if all of it did, ``keep`` if the connection may live on.
    """

    peer: Peer
    request: Request
    reply: Reply
    extra: Headers = ()
    plan: Plan = NO_FAULT
    wait: float = 0.0
    between: float = 0.0
    tokens: int = 0
    complete: bool = False
    keep: bool = True

    async def run(self) -> None:
        """Delivers. Never raises for a peer that went away."""
        plan, reply = self.plan, self.reply
        wait = self.wait
        if plan and (fault := plan.get("slow")):
            wait += fault.number(1000) / 1000
        if reply.frames is None and reply.status == 200:
            # An unstreamed answer takes as long as its stream would.
            wait += self.between * min(400, reply.billed[1] / 5)
        if wait > 0 and not await self.peer.pause(wait):
            self.keep = False
            return
        endless = self.request.http10 and reply.frames is not None
        self.keep = self.request.keep_alive and not endless and not (plan and plan.get(*_BROKEN))
        if self.request.method == "HEAD":
            length = len(reply.body) if reply.frames is None else None
            self.complete = await self.peer.send(self.head(length))
        elif plan and (fault := plan.get("gzipbomb")):
            await bomb.send(self.peer, self.head(None, ("content-encoding", "gzip")), chunk, int(fault.number(1024)))
        elif reply.frames is None:
            await self._whole(reply.body)
        else:
            await self._stream(reply.frames)

    def head(self, length: int | None, *more: tuple[str, str]) -> bytes:
        """Status line and headers. ``length`` None: chunked, or for HTTP/1.0 until the connection ends."""
        reply = self.reply
        lines = [f"HTTP/1.1 {reply.status} {reason_phrase(reply.status)}", f"date: {formatdate(usegmt=True)}"]
        lines += [f"content-type: {reply.content_type}", "x-cogo-simulated: true"]
        lines += [f"{name}: {value}" for name, value in (*self.extra, *reply.headers, *more)]
        if length is not None:
            lines.append(f"content-length: {length}")
        elif not self.request.http10:
            lines.append("transfer-encoding: chunked")
        lines.append(f"connection: {'keep-alive' if self.keep else 'close'}")
        head = "\r\n".join(lines).encode("latin-1", "replace") + b"\r\n\r\n"
        if self.plan and self.plan.get("badstatus"):
            return b"H\x01TP/banana two-hundred maybe\r\n" + head.partition(b"\r\n")[2]
        return head

    async def _whole(self, body: bytes) -> None:
        if self.plan and self.plan.get("heartbeat", "drip"):
            self.keep = False
            if await self.peer.send(self.head(None)):
                await self._endless(b"\n")
            return
        data = self.head(len(body)) + body
        if self.plan and (broken := self.plan.get("stall", "rst", "fin")):
            await self.peer.send(data[: len(data) - len(body) + (0 if broken.at == 0 else len(body) // 2)])
            await self._break()
        elif self.plan and self.plan.get("split1"):
            self.complete = await self._byte_by_byte((data,))
        else:
            self.complete = await self.peer.send(data)
        self.tokens = self.reply.billed[1] if self.complete else 0

    async def _stream(self, frames: tuple[Frame, ...]) -> None:
        wrap: Wrap = bytes if self.request.http10 else chunk
        last = b"" if self.request.http10 else b"0\r\n\r\n"
        if not self.plan:
            await self._plain(frames, wrap, last)
        elif pause := self.plan.get("pause"):
            cut = content_cut(frames, pause.at or 0)
            await self._plain(frames[:cut], wrap, b"")
            if await self.peer.pause(pause.number(1000) / 1000):
                await self._plain(frames[cut:], wrap, last, first=b"")
        elif broken := self.plan.get("stall", "rst", "fin", "badchunk", "drip", "heartbeat"):
            cut = content_cut(frames, broken.at or 0)
            await self._plain(frames[:cut], wrap, b"")
            self.complete = False
            if broken.kind in ("drip", "heartbeat"):
                await self._endless(self.reply.ping)
                return
            if broken.kind == "fin":
                # The chunk announces more than ever comes.
                rest = frames[cut].data if cut < len(frames) else b"data: "
                await self.peer.send(b"%x\r\n%b" % (len(rest) + 64, rest[: len(rest) // 2]))
            elif broken.kind == "badchunk":
                await self.peer.send(b"zz\r\nnot a chunk\r\n")
            await self._break()
        elif self.plan.get("split1", "burst"):
            head = self.head(None)
            if self.plan.get("burst"):
                self.complete = await self.peer.send(head + wrap(b"".join(frame.data for frame in frames)) + last)
            else:
                parts = (wrap(frame.data[at : at + 1]) for frame in frames for at in range(len(frame.data)))
                self.complete = await self._byte_by_byte(itertools.chain((head,), parts, (last,)))
            self.tokens = self.reply.billed[1] if self.complete else 0
        else:
            await self._plain(frames, wrap, last)

    async def _plain(self, frames: tuple[Frame, ...], wrap: Wrap, last: bytes, first: bytes | None = None) -> None:
        """Frames one after the other; opening and closing frames travel with their neighbours."""
        waiting = self.head(None) if first is None else first
        for frame in frames:
            if frame.kind == "content" and self.between > 0:
                if waiting and not await self.peer.send(waiting):
                    return
                waiting = b""
                if not await self.peer.pause(self.between):
                    return
            waiting += wrap(frame.data)
            if frame.kind == "content" or len(waiting) > 65536:
                if not await self.peer.send(waiting):
                    return
                waiting = b""
                self.tokens += frame.tokens
        self.complete = await self.peer.send(waiting + last) if waiting or last else self.peer.here()

    async def _break(self) -> None:
        """Ends a cut delivery: hang until the peer goes, reset, or FIN."""
        if self.plan.get("stall"):
            await self.peer.hang()
        elif self.plan.get("rst"):
            # The kernel drops what was not yet read when the reset arrives: let the peer read first.
            await self.peer.pause(_RST_GRACE_S)
            self.peer.reset()
        else:
            await self.peer.close()

    async def _byte_by_byte(self, parts: Iterable[bytes]) -> bool:
        count = itertools.count()
        for part in parts:
            for at in range(len(part)):
                if not await self.peer.send(part[at : at + 1]):
                    return False
                if next(count) % 64 == 0:
                    await asyncio.sleep(0)
        return True

    async def _endless(self, ping: bytes) -> None:
        """Bytes for ever: whole pings (heartbeat), or single bytes that never end an event (drip)."""
        fault = self.plan.get("heartbeat", "drip")
        beat = fault is not None and fault.kind == "heartbeat"
        step = (fault.number(100 if beat else 200) if fault else 200) / 1000
        dripping = itertools.chain((bytes((char,)) for char in b'data: {"'), itertools.repeat(b"x"))
        while True:
            data = ping if beat else next(dripping)
            if not await self.peer.send(data if self.request.http10 else chunk(data)) or not await self.peer.pause(step):
                return
