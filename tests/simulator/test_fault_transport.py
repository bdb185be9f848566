"""Faults of the transport, seen at the socket: on every wire, streamed and not."""

from __future__ import annotations

import gzip
import json
import time
import zlib

import httpx
import pytest

from llm_gateway.simulator import Simulator
from tests.simulator.wire import HEADERS, WIRES, ask, encoded, exchange, request, text_of

pytestmark = pytest.mark.parametrize("wire", WIRES)
both = pytest.mark.parametrize("stream", [False, True])


def contents(wire: str, raw: bytes) -> int:
    """How many content events of text are in what came."""
    mark = {
        "gemini": b'"text":"',
        "anthropic": b'"text_delta"',
        "responses": b"event: response.output_text.delta",
    }.get(wire, b'"delta":{"content":"')
    return raw.count(mark) - (raw.count(b'"delta":{"content":""') if wire in ("openai", "fireworks", "custom") else 0)


@both
async def test_refuse_closes_without_an_answer(sim: Simulator, wire: str, stream: bool) -> None:
    seen = await ask(sim, wire, "fault:refuse", stream=stream)
    assert (seen.raw, seen.ended) == (b"", "fin")


@both
async def test_silent_never_answers(sim: Simulator, wire: str, stream: bool) -> None:
    seen = await ask(sim, wire, "fault:silent", stream=stream, deadline=0.15)
    assert (seen.raw, seen.ended) == (b"", "open")


@both
async def test_reset_before_headers(sim: Simulator, wire: str, stream: bool) -> None:
    seen = await ask(sim, wire, "openai/fault:rst@0", stream=stream)
    assert (seen.raw, seen.ended) == (b"", "reset")


@both
async def test_stall_after_two_content_events_hangs(sim: Simulator, wire: str, stream: bool) -> None:
    seen = await ask(sim, wire, "fault:stall@2", stream=stream, deadline=0.2)
    assert seen.ended == "open"
    assert not seen.whole
    assert seen.status == 200
    if stream:
        assert contents(wire, seen.raw) == 2


@both
async def test_reset_after_two_content_events(sim: Simulator, wire: str, stream: bool) -> None:
    seen = await ask(sim, wire, "fault:rst@2", stream=stream)
    assert seen.ended == "reset"
    assert seen.status == 200
    if stream:
        assert contents(wire, seen.raw) == 2


@both
async def test_fin_comes_inside_a_chunk(sim: Simulator, wire: str, stream: bool) -> None:
    seen = await ask(sim, wire, "fault:fin@2", stream=stream)
    assert seen.ended == "fin"
    assert not seen.whole
    path, body = request(wire, "fault:fin@2", "hello", stream)
    async with httpx.AsyncClient() as client:
        with pytest.raises(httpx.RemoteProtocolError):
            await client.post(sim.url(path), json=body, headers=HEADERS)


@both
async def test_gzip_bomb_is_small_on_the_wire(sim: Simulator, wire: str, stream: bool) -> None:
    seen = await ask(sim, wire, "fault:gzipbomb:64", stream=stream)
    assert seen.headers["content-encoding"] == "gzip"
    assert len(seen.body) < 200_000
    opened = zlib.decompressobj(31)
    total = 0
    data = seen.body
    while data:
        total += len(opened.decompress(data, 1 << 20))
        data = opened.unconsumed_tail
    assert total == 64 << 20
    assert opened.eof


@both
async def test_header_of_200_kilobytes(sim: Simulator, wire: str, stream: bool) -> None:
    seen = await ask(sim, wire, "fault:bighdr", stream=stream)
    assert len(seen.headers["x-padding"]) == 200_000


@both
async def test_garbage_instead_of_a_status_line(sim: Simulator, wire: str, stream: bool) -> None:
    seen = await ask(sim, wire, "fault:badstatus", stream=stream)
    assert not seen.raw.startswith(b"HTTP/1.1")
    path, body = request(wire, "fault:badstatus", "hello", stream)
    async with httpx.AsyncClient() as client:
        with pytest.raises(httpx.RemoteProtocolError):
            await client.post(sim.url(path), json=body, headers=HEADERS)


@both
async def test_drip_sends_single_bytes_and_no_event(sim: Simulator, wire: str, stream: bool) -> None:
    seen = await ask(sim, wire, "fault:drip:20", stream=stream, deadline=0.3)
    assert seen.ended == "open"
    assert len(seen.times) > 4
    assert contents(wire, seen.raw) == 0
    assert b"\n\n" not in seen.body.rpartition(b'data: {"x')[2]


@both
async def test_heartbeat_sends_pings_only(sim: Simulator, wire: str, stream: bool) -> None:
    seen = await ask(sim, wire, "fault:heartbeat:20", stream=stream, deadline=0.3)
    assert seen.ended == "open"
    assert contents(wire, seen.raw) == 0
    ping = {"anthropic": b"event: ping"}.get(wire, b": ping") if stream else b"\n"
    assert seen.body.count(ping) > 4


@both
async def test_slow_waits_before_the_first_byte(sim: Simulator, wire: str, stream: bool) -> None:
    started = time.monotonic()
    seen = await ask(sim, wire, "fault:slow:150", stream=stream)
    assert seen.times[0] - started >= 0.15
    assert seen.whole


@both
async def test_split1_and_burst_change_packets_only(sim: Simulator, wire: str, stream: bool) -> None:
    plain = text_of(wire, await ask(sim, wire, "fault:ok", "say 10 words", stream=stream))
    assert plain
    for kind in ("split1", "burst"):
        seen = await ask(sim, wire, f"fault:{kind}", "say 10 words", stream=stream, deadline=5)
        assert text_of(wire, seen) == plain
        assert seen.whole


@both
async def test_faults_join_with_plus(sim: Simulator, wire: str, stream: bool) -> None:
    started = time.monotonic()
    seen = await ask(sim, wire, "fault:slow:100+status:503", stream=stream)
    assert seen.status == 503
    assert seen.times[0] - started >= 0.1


async def test_default_bomb_is_a_gibibyte_and_a_real_gzip_head(sim: Simulator, wire: str) -> None:
    path, body = request(wire, "fault:gzipbomb", "hello", True)
    seen = await exchange(sim, encoded("POST", path, body), deadline=0.5, limit=20_000)
    first = seen.raw.partition(b"\r\n\r\n")[2].partition(b"\r\n")[2]
    assert first.startswith(gzip.compress(b"")[:3])
    assert json.loads(encoded("POST", path, body).partition(b"\r\n\r\n")[2])
