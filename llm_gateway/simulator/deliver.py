"""Writing a reply to its peer, and breaking the transport on the way where the plan says so."""

from __future__ import annotations

import asyncio
import itertools
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from email.utils import formatdate

from .faults import Plan
from .http11 import Request, reason_phrase
from .peer import Peer
from .reply import Frame, Headers, Reply
from .reply_faults import content_cut

Wrap = Callable[[bytes], bytes]
_MIB = 1 << 20
_BROKEN = ("stall", "rst", "fin", "gzipbomb", "badstatus", "drip", "heartbeat", "truncjson")


@dataclass(slots=True)
class Sent:
    """What became of one delivery: output tokens that went out, whether all did, whether the connection may be kept."""

    tokens: int = 0
    complete: bool = False
    keep: bool = True


def head(reply: Reply, extra: Headers, request: Request, length: int | None, keep: bool) -> bytes:
    """Status line and headers. ``length`` None: chunked, or until the end of the connection for HTTP/1.0."""
    lines = [f"HTTP/1.1 {reply.status} {reason_phrase(reply.status)}", f"date: {formatdate(usegmt=True)}"]
    lines += [f"content-type: {reply.content_type}", "x-cogo-simulated: true"]
    lines += [f"{name}: {value}" for name, value in (*extra, *reply.headers)]
    if length is not None:
        lines.append(f"content-length: {length}")
    elif not request.http10:
        lines.append("transfer-encoding: chunked")
    lines.append(f"connection: {'keep-alive' if keep else 'close'}")
    return "\r\n".join(lines).encode("latin-1", "replace") + b"\r\n\r\n"


def chunk(data: bytes) -> bytes:
    """``data`` as one HTTP chunk."""
    return b"%x\r\n%b\r\n" % (len(data), data)


async def deliver(
    peer: Peer, request: Request, reply: Reply, extra: Headers, plan: Plan, pace: tuple[float, float]
) -> Sent:
    """Sends ``reply`` at ``pace`` (seconds before the first byte, between frames) under the transport faults of ``plan``."""
    sent = Sent()
    wait, between = pace
    if plan and (fault := plan.get("slow")):
        wait += fault.number(1000) / 1000
    if reply.frames is None and reply.status == 200 and reply.billed[1]:
        wait += between * min(400, reply.billed[1] / 5)
    if wait > 0 and not await peer.pause(wait):
        sent.keep = False
        return sent
    sent.keep = request.keep_alive and not (plan and plan.get(*_BROKEN))
    if request.method == "HEAD":
        length = len(reply.body) if reply.frames is None else None
        sent.complete = await peer.send(head(reply, extra, request, length, sent.keep))
        return sent
    if plan and plan.get("gzipbomb"):
        await _gzip_bomb(peer, request, reply, extra, int((plan.get("gzipbomb") or plan.faults[0]).number(1024)))
        return sent
    if reply.frames is None:
        await _whole(peer, request, reply, extra, plan, sent)
    else:
        await _frames(peer, request, reply, extra, plan, between, sent)
    return sent


async def _whole(peer: Peer, request: Request, reply: Reply, extra: Headers, plan: Plan, sent: Sent) -> None:
    body = reply.body
    if plan.get("heartbeat", "drip"):
        await _endless(peer, head(reply, extra, request, None, False), plan, b"\n", request)
        return
    first = head(reply, extra, request, len(body), sent.keep)
    if plan.get("badstatus"):
        first = _garbled(first)
    if broken := plan.get("stall", "rst", "fin"):
        await peer.send(first + (b"" if broken.at == 0 else body[: len(body) // 2]))
        await _break(peer, plan)
        return
    if plan.get("split1"):
        sent.complete = await _byte_by_byte(peer, (first + body,))
    else:
        sent.complete = await peer.send(first + body)
    if sent.complete:
        sent.tokens = reply.billed[1]


async def _frames(
    peer: Peer, request: Request, reply: Reply, extra: Headers, plan: Plan, between: float, sent: Sent
) -> None:
    frames = reply.frames or ()
    if request.http10:
        sent.keep = False
    first = head(reply, extra, request, None, sent.keep)
    wrap: Wrap = bytes if request.http10 else chunk
    last = b"" if request.http10 else b"0\r\n\r\n"
    if not plan:
        await _plain(peer, first, frames, between, sent, wrap, last)
        return
    if plan.get("badstatus"):
        first = _garbled(first)
    broken = plan.get("stall", "rst", "fin", "drip", "heartbeat")
    if broken is not None:
        cut = content_cut(frames, broken.at or 0)
        rest = frames[cut].data if cut < len(frames) else b"data: "
        await _plain(peer, first, frames[:cut], between, sent, wrap, b"")
        sent.complete = False
        if broken.kind in ("drip", "heartbeat"):
            await _endless(peer, b"", plan, reply.ping, request)
        elif broken.kind == "fin":
            # The chunk announces more than ever comes.
            await peer.send(b"%x\r\n%b" % (len(rest) + 64, rest[: len(rest) // 2]))
            await peer.close()
        else:
            await _break(peer, plan)
        return
    if plan.get("split1"):
        parts = (first, *(wrap(frame.data[at : at + 1]) for frame in frames for at in range(len(frame.data))), last)
        sent.complete = await _byte_by_byte(peer, parts)
        sent.tokens = reply.billed[1] if sent.complete else 0
        return
    if plan.get("burst"):
        sent.complete = await peer.send(first + wrap(b"".join(frame.data for frame in frames)) + last)
        sent.tokens = reply.billed[1] if sent.complete else 0
        return
    await _plain(peer, first, frames, between, sent, wrap, last)


async def _plain(
    peer: Peer, first: bytes, frames: tuple[Frame, ...], between: float, sent: Sent, wrap: Wrap, last: bytes
) -> None:
    """Frames one after the other; opening and closing frames are not waited for."""
    waiting = first
    for frame in frames:
        if frame.kind == "content" and between > 0:
            if waiting and not await peer.send(waiting):
                return
            waiting = b""
            if not await peer.pause(between):
                return
        waiting += wrap(frame.data)
        if frame.kind == "content" or len(waiting) > 65536:
            if not await peer.send(waiting):
                return
            waiting = b""
            sent.tokens += frame.tokens
    sent.complete = await peer.send(waiting + last) if waiting or last else peer.here()


def _garbled(first: bytes) -> bytes:
    return b"H\x01TP/banana two-hundred maybe\r\n" + first.partition(b"\r\n")[2]


async def _break(peer: Peer, plan: Plan) -> None:
    """Ends a cut delivery: hang until the peer goes, reset, or FIN."""
    if plan.get("stall"):
        await peer.gone
    elif plan.get("rst"):
        await _flushed(peer)
        peer.reset()
    else:
        await peer.close()


async def _flushed(peer: Peer) -> None:
    """Gives the kernel and the peer a moment, or the reset would overtake what was sent."""
    await peer.pause(0.05)


async def _byte_by_byte(peer: Peer, parts: Iterator[bytes] | tuple[bytes, ...]) -> bool:
    count = itertools.count()
    for part in parts:
        for at in range(len(part)):
            if not await peer.send(part[at : at + 1]):
                return False
            if next(count) % 64 == 0:
                await asyncio.sleep(0)
    return True


async def _endless(peer: Peer, first: bytes, plan: Plan, ping: bytes, request: Request) -> None:
    """Bytes for ever: whole pings (heartbeat), or single bytes that never end an event (drip)."""
    fault = plan.get("heartbeat", "drip")
    beat = fault is not None and fault.kind == "heartbeat"
    step = (fault.number(100 if beat else 200) if fault else 200) / 1000
    dripping = itertools.chain((bytes((char,)) for char in b'data: {"'), itertools.repeat(b"x"))
    if first and not await peer.send(first):
        return
    while True:
        data = ping if beat else next(dripping)
        if not await peer.send(data if request.http10 else chunk(data)) or not await peer.pause(step):
            return


async def _gzip_bomb(peer: Peer, request: Request, reply: Reply, extra: Headers, megabytes: int) -> None:
    """A gzip stream of zeros, correct to its checksum. A full flush makes every block's bytes the same."""
    squeezer = zlib.compressobj(9, zlib.DEFLATED, -15)
    zeros = bytes(_MIB)
    block = chunk(squeezer.compress(zeros) + squeezer.flush(zlib.Z_FULL_FLUSH))
    first = head(reply, (*extra, ("content-encoding", "gzip")), request, None, False)
    if not await peer.send(first + chunk(b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff")):
        return
    for _ in range(megabytes):
        if not await peer.send(block):
            return

    def checksum() -> int:
        check = 0
        for _ in range(megabytes):
            check = zlib.crc32(zeros, check)
        return check

    check = await asyncio.to_thread(checksum)
    size = (megabytes * _MIB) & 0xFFFFFFFF
    tail = b"\x03\x00" + check.to_bytes(4, "little") + size.to_bytes(4, "little")
    await peer.send(chunk(tail) + b"0\r\n\r\n")
