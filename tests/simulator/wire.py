"""Bare-socket requests to the simulator, for tests that must see bytes, resets and half-finished answers."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass, field
from typing import Any

from llm_gateway.simulator import Simulator

KEY = "sim-valid-key-1"
HEADERS = {
    "authorization": f"Bearer {KEY}",
    "x-api-key": KEY,
    "x-goog-api-key": KEY,
    "anthropic-version": "2023-06-01",
    "content-type": "application/json",
}
WIRES = ("openai", "responses", "anthropic", "gemini", "fireworks", "custom")


@dataclass
class Seen:
    """What one answer looked like. ``ended``: fin, reset, or open when it was still running at the deadline."""

    raw: bytes = b""
    ended: str = "open"
    times: list[float] = field(default_factory=list)

    @property
    def head(self) -> bytes:
        return self.raw.partition(b"\r\n\r\n")[0]

    @property
    def status(self) -> int:
        return int(self.head.split(b" ", 2)[1])

    @property
    def headers(self) -> dict[str, str]:
        pairs = (line.partition(b":") for line in self.head.split(b"\r\n")[1:])
        return {name.decode().lower(): value.strip().decode() for name, _, value in pairs}

    @property
    def body(self) -> bytes:
        """The body, chunks joined; of a broken last chunk what came of it."""
        rest = self.raw.partition(b"\r\n\r\n")[2]
        if self.headers.get("transfer-encoding") != "chunked":
            return rest
        out = b""
        while rest:
            size, _, rest = rest.partition(b"\r\n")
            length = int(size, 16)
            out, rest = out + rest[:length], rest[length + 2 :]
        return out

    @property
    def whole(self) -> bool:
        """Was the body ended as its framing says?"""
        if self.headers.get("transfer-encoding") == "chunked":
            return self.raw.endswith(b"0\r\n\r\n")
        return len(self.body) == int(self.headers.get("content-length", "-1"))

    def json(self) -> Any:
        return json.loads(self.body)

    def events(self) -> list[Any]:
        """The data of each SSE event, parsed where it is JSON."""
        found = []
        for block in self.body.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n\n"):
            lines = [line[5:].removeprefix(b" ") for line in block.split(b"\n") if line.startswith(b"data:")]
            if lines:
                data = b"\n".join(lines)
                found.append(data.decode() if data == b"[DONE]" else json.loads(data))
        return found


def request(wire: str, model: str, prompt: str, stream: bool, **extra: Any) -> tuple[str, dict[str, Any]]:
    """Path and body of a generation in ``wire``."""
    messages = [{"role": "user", "content": prompt}]
    if wire == "gemini":
        method = "streamGenerateContent?alt=sse" if stream else "generateContent"
        return f"/gemini/v1beta/models/{model}:{method}", {"contents": [{"role": "user", "parts": [{"text": prompt}]}], **extra}
    if wire == "anthropic":
        return "/anthropic/v1/messages", {"model": model, "max_tokens": 1000, "messages": messages, "stream": stream, **extra}
    if wire == "responses":
        return "/openai/v1/responses", {"model": model, "input": prompt, "stream": stream, **extra}
    body = {"model": model, "messages": messages, "stream": stream, **extra}
    if stream:
        body["stream_options"] = {"include_usage": True}
    base = {"openai": "/openai/v1", "fireworks": "/fireworks/inference/v1", "custom": "/custom/v1"}[wire]
    return f"{base}/chat/completions", body


def encoded(method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> bytes:
    """The request as bytes."""
    data = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [f"{method} {path} HTTP/1.1", "host: 127.0.0.1"]
    lines += [f"{name}: {value}" for name, value in (HEADERS if headers is None else headers).items()]
    lines.append(f"content-length: {len(data)}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + data


async def exchange(sim: Simulator, data: bytes, deadline: float = 20.0, idle: float = 20.0) -> Seen:
    """Sends ``data`` and reads until the answer is whole, the connection ends, the deadline passes, or the answer has begun
    and nothing more comes for ``idle`` seconds."""
    reader, writer = await asyncio.open_connection("127.0.0.1", sim.port)
    seen = Seen()
    until = time.monotonic() + deadline
    try:
        writer.write(data)
        while True:
            left = until - time.monotonic()
            try:
                got = await asyncio.wait_for(reader.read(262144), max(0.0, min(left, idle) if seen.raw else left))
            except TimeoutError:
                break
            if not got:
                seen.ended = "fin"
                break
            seen.raw += got
            seen.times.append(time.monotonic())
            if b"\r\n\r\n" in seen.raw and "connection: keep-alive" in seen.head.decode("latin-1") and seen.whole:
                break
    except ConnectionResetError:
        seen.ended = "reset"
    finally:
        writer.transport.abort()
        await asyncio.sleep(0)
    return seen


async def ask(sim: Simulator, wire: str, model: str, prompt: str = "hello there", stream: bool = False, **extra: Any) -> Seen:
    """One generation over bare sockets. ``deadline``, ``idle`` and ``headers`` are taken out of ``extra``."""
    deadline, idle, headers = extra.pop("deadline", 20.0), extra.pop("idle", 20.0), extra.pop("headers", None)
    path, body = request(wire, model, prompt, stream, **extra)
    return await exchange(sim, encoded("POST", path, body, headers), deadline, idle)


async def everywhere(sim: Simulator, model: str, prompt: str = "hello there", **extra: Any) -> list[tuple[str, bool, Seen]]:
    """The same generation on every wire, streamed and not, all at once: (wire, stream, what was seen)."""
    cases = [(wire, stream) for wire in WIRES for stream in (False, True)]
    seen = await asyncio.gather(*(ask(sim, wire, model, prompt, stream, **extra) for wire, stream in cases))
    return [(wire, stream, one) for (wire, stream), one in zip(cases, seen, strict=True)]


async def get(sim: Simulator, path: str, headers: dict[str, str] | None = None) -> Seen:
    """A GET over bare sockets."""
    return await exchange(sim, encoded("GET", path, None, headers))


async def post(sim: Simulator, path: str, body: Any) -> Any:
    """A POST, its JSON answer."""
    return (await exchange(sim, encoded("POST", path, body))).json()


def text_of(wire: str, seen: Seen) -> str:
    """The text of an unstreamed or streamed answer in ``wire``."""
    if seen.headers["content-type"].startswith("text/event-stream"):
        return "".join(_delta(wire, event) for event in seen.events() if isinstance(event, dict))
    body = seen.json()
    if wire == "gemini":
        return "".join(part.get("text", "") for part in body["candidates"][0]["content"].get("parts", []))
    if wire == "anthropic":
        return "".join(block.get("text", "") for block in body["content"])
    if wire == "responses":
        return "".join(part["text"] for item in body["output"] for part in item.get("content", []))
    return body["choices"][0]["message"]["content"] or ""


def _delta(wire: str, event: dict[str, Any]) -> str:
    if wire == "gemini":
        return "".join(part.get("text", "") for one in event.get("candidates", []) for part in one["content"].get("parts", []))
    if wire == "anthropic":
        return event.get("delta", {}).get("text", "")
    if wire == "responses":
        return event["delta"] if event["type"] == "response.output_text.delta" else ""
    return "".join(one["delta"].get("content") or "" for one in event.get("choices", []))
