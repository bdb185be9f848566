"""Faults that change the reply: which status and body, which frames, how the frames are written. Pure."""

from __future__ import annotations

import time
import zlib
from collections.abc import Callable
from dataclasses import replace
from email.utils import formatdate

from llm_gateway.simulator.faults import Fault, Plan
from llm_gateway.simulator.reply import Frame, Problem, Reply

_HTML = b"<!DOCTYPE html><html><head><title>%s</title></head><body><center><h1>%s</h1></center><hr></body></html>\n"
_KIND_OF_STATUS = {
    400: "bad_request",
    401: "invalid_key",
    402: "billing",
    403: "no_permission",
    404: "unknown_model",
    408: "timeout",
    409: "conflict",
    413: "too_large",
    422: "bad_request",
    429: "rate_limited",
    503: "overloaded",
    504: "timeout",
    529: "overloaded",
}
BIG_HEADER = 200_000


def problem_of(plan: Plan, model: str, key: str) -> Problem | None:
    """The refusal a plan asks for (status, ctx, filter, echo-auth), or None."""
    if fault := plan.get("status"):
        return _status_problem(fault, model, key)
    if plan.get("ctx"):
        return Problem("context")
    if plan.get("filter"):
        return Problem("filtered", model=model)
    if fault := plan.get("echo-auth"):
        status = int(fault.number(401))
        kind = _KIND_OF_STATUS.get(status, "server")
        return Problem(kind, f"Authentication failed for credential {key}", status=status, key=key, model=model)
    return None


def _status_problem(fault: Fault, model: str, key: str) -> Problem:
    status = int(fault.number(500))
    kind = _KIND_OF_STATUS.get(status, "server")
    headers: list[tuple[str, str]] = []
    if "quota" in fault.args:
        return Problem("no_money", model=model, key=key)
    if (seconds := fault.option("ra")) is not None:
        headers.append(("retry-after", seconds))
    if (wait_ms := fault.option("ra-ms")) is not None:
        headers.append(("retry-after-ms", wait_ms))
    if (delta := fault.option("ra-date")) is not None:
        headers.append(("retry-after", formatdate(time.time() + float(delta), usegmt=True)))
    if (should := fault.option("should-retry")) is not None:
        headers.append(("x-should-retry", should))
    return Problem(kind, status=status, headers=tuple(headers), model=model, key=key)


def bend_reply(reply: Reply, plan: Plan, refuse: Callable[[Problem], Reply], host: str) -> Reply:
    """``reply`` under the reply faults of ``plan``; ``refuse`` renders the provider's error body."""
    if fault := plan.get("html200", "html502"):
        status = 200 if fault.kind == "html200" else 502
        title = b"Just a moment..." if status == 200 else b"502 Bad Gateway"
        return Reply(status=status, body=_HTML % (title, title), content_type="text/html; charset=utf-8")
    if fault := plan.get("redirect"):
        target = ("location", f"http://{host}/_sim/redirected")
        return Reply(status=int(fault.number(307)), body=b"", content_type="text/plain", headers=(target,))
    if plan.get("bighdr"):
        reply = replace(reply, headers=(*reply.headers, ("x-padding", "p" * BIG_HEADER)))
    trouble = Problem("server", "The server had an error while processing your request.")
    if fault := plan.get("err200"):
        if reply.frames is not None:
            first, *rest = reply.error_frames(_in_stream(fault))
            # In the array form an error follows other elements; alone it opens the array.
            first = replace(first, data=first.data.replace(b",\n", b"[", 1)) if first.data.startswith(b",") else first
            return replace(reply, frames=(first, *rest), billed=(0, 0))
        trouble.code = fault.args[0] if fault.args else None
        body = refuse(trouble)
        return replace(body, status=200, headers=reply.headers)
    if reply.frames is None:
        reply = _bend_body(reply, plan)
    else:
        reply = replace(reply, frames=_dress(_bend_frames(reply, plan, reply.frames), plan))
    return _squeezed(reply) if plan.get("gzip") else reply


def _squeezed(reply: Reply) -> Reply:
    """The reply as a host sends it that compresses without being asked; streams are flushed at every frame."""
    squeezer = zlib.compressobj(6, zlib.DEFLATED, 31)
    reply = replace(reply, headers=(*reply.headers, ("content-encoding", "gzip")))
    if reply.frames is None:
        return replace(reply, body=squeezer.compress(reply.body) + squeezer.flush())
    frames = [replace(one, data=squeezer.compress(one.data) + squeezer.flush(zlib.Z_SYNC_FLUSH)) for one in reply.frames]
    return replace(reply, frames=(*frames, Frame(squeezer.flush(), "terminal")))


def _bend_body(reply: Reply, plan: Plan) -> Reply:
    if plan.get("badjson", "badsse"):
        # Complete by length, wrong by grammar.
        return replace(reply, body=reply.body.replace(b":", b"=", 3))
    if plan.get("truncjson"):
        return replace(reply, body=reply.body[: max(1, len(reply.body) * 2 // 3)])
    if plan.get("err"):
        return replace(reply, body=reply.body[: len(reply.body) // 2])
    if plan.get("bom"):
        return replace(reply, body=b"\xef\xbb\xbf" + reply.body)
    return reply


def _in_stream(fault: Fault) -> Problem:
    """The error of ``err:<code>`` and ``err200:<code>``; without a code the wire's own."""
    return Problem("server", code=fault.args[0] if fault.args else None)


def content_cut(frames: tuple[Frame, ...], count: int) -> int:
    """The index right before content frame number ``count`` (0-based); the length when there are fewer."""
    seen = 0
    for index, frame in enumerate(frames):
        if frame.kind == "content":
            if seen == count:
                return index
            seen += 1
        elif frame.kind in ("finish", "usage", "terminal") and seen <= count:
            return index
    return len(frames)


def _bend_frames(reply: Reply, plan: Plan, frames: tuple[Frame, ...]) -> tuple[Frame, ...]:
    if fault := plan.get("noterm-finished"):
        return tuple(frame for frame in frames if frame.kind != "terminal")
    if fault := plan.get("noterm"):
        if fault.at is not None:
            return frames[: content_cut(frames, fault.at)]
        return tuple(frame for frame in frames if frame.kind not in ("finish", "usage", "terminal"))
    if fault := plan.get("badsse", "badjson"):
        index = content_cut(frames, fault.at or 0)
        if index < len(frames):
            broken = replace(frames[index], data=_broken(frames[index].data))
            return (*frames[:index], broken, *frames[index + 1 :])
    if plan.get("truncjson"):
        index = content_cut(frames, 10**9)
        kept = frames[: max(1, index)]
        return (*kept[:-1], replace(kept[-1], data=kept[-1].data[: len(kept[-1].data) * 2 // 3]))
    if fault := plan.get("err"):
        cut = content_cut(frames, fault.at or 0)
        return (*frames[:cut], *reply.error_frames(_in_stream(fault)))
    if plan.get("dupterm"):
        content = next((frame for frame in frames if frame.kind == "content"), frames[0])
        ends = tuple(frame for frame in frames if frame.kind in ("finish", "usage", "terminal"))
        return (*frames, *ends, replace(content, tokens=0), *ends)
    return frames


def _broken(data: bytes) -> bytes:
    """An event whose JSON is cut in the middle, still properly ended."""
    text = data.rstrip(b"\r\n")
    end = data[len(text) :] or b"\n"
    return text[: max(8, len(text) * 2 // 3)] + end


def _dress(frames: tuple[Frame, ...], plan: Plan) -> tuple[Frame, ...]:
    """Framing that every reader must accept: other line ends, comments, several data lines, a BOM."""
    if plan.get("crlf"):
        frames = tuple(replace(one, data=one.data.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")) for one in frames)
    if plan.get("cr"):
        frames = tuple(replace(one, data=one.data.replace(b"\r\n", b"\n").replace(b"\n", b"\r")) for one in frames)
    if plan.get("comments"):
        frames = tuple(replace(one, data=b": PROCESSING\n\n" + one.data) for one in frames)
    if plan.get("multiline"):
        # A line break between JSON tokens is white space, and readers join data lines with one.
        frames = tuple(replace(one, data=one.data.replace(b"data: {", b"data: {\ndata: ", 1)) for one in frames)
    if plan.get("nospace"):
        frames = tuple(replace(one, data=one.data.replace(b"data: ", b"data:", 1)) for one in frames)
    if plan.get("bom") and frames:
        frames = (replace(frames[0], data=b"\xef\xbb\xbf" + frames[0].data), *frames[1:])
    return frames
