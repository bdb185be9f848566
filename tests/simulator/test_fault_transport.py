"""Faults of the transport, seen at the socket: on every wire, streamed and not."""

from __future__ import annotations

import asyncio
import gzip
import re
import time
import zlib
from pathlib import Path

import httpx
import pytest

from llm_gateway.simulator import Simulator, faults
from tests.simulator.wire import HEADERS, WIRES, encoded, everywhere, exchange, request, text_of


def contents(wire: str, raw: bytes) -> int:
    """How many content events of text are in what came."""
    mark = {"gemini": b'"text":"', "anthropic": b'"text_delta"', "responses": b"event: response.output_text.delta"}
    if wire in mark:
        return raw.count(mark[wire])
    return raw.count(b'"delta":{"content":"')


async def protocol_error(sim: Simulator, wire: str, model: str, stream: bool) -> None:
    """httpx refuses to call this an answer."""
    path, body = request(wire, model, "hello", stream)
    async with httpx.AsyncClient(trust_env=False, verify=False) as client:
        with pytest.raises(httpx.RemoteProtocolError):
            await client.post(sim.url(path), json=body, headers=HEADERS)


async def test_refuse_closes_without_an_answer(sim: Simulator) -> None:
    for wire, _, seen in await everywhere(sim, "fault:refuse"):
        assert (seen.raw, seen.ended) == (b"", "fin"), wire


async def test_silent_never_answers(sim: Simulator) -> None:
    for wire, _, seen in await everywhere(sim, "fault:silent", deadline=0.2):
        assert (seen.raw, seen.ended) == (b"", "open"), wire


async def test_reset_before_headers(sim: Simulator) -> None:
    for wire, _, seen in await everywhere(sim, "openai/fault:rst@0"):
        assert (seen.raw, seen.ended) == (b"", "reset"), wire


async def test_stall_after_two_content_events_hangs(sim: Simulator) -> None:
    for wire, stream, seen in await everywhere(sim, "fault:stall@2", idle=0.3):
        assert seen.ended == "open", wire
        assert not seen.whole, wire
        assert seen.status == 200, wire
        assert contents(wire, seen.raw) == 2 or not stream, wire


async def test_stall_before_content_has_sent_its_headers(sim: Simulator) -> None:
    for wire, stream, seen in await everywhere(sim, "fault:stall@0", idle=0.3):
        assert seen.status == 200, wire
        assert contents(wire, seen.raw) == 0 or not stream, wire


async def test_reset_after_two_content_events(sim: Simulator) -> None:
    for wire, stream, seen in await everywhere(sim, "fault:rst@2"):
        assert seen.ended == "reset", wire
        assert seen.status == 200, wire
        assert contents(wire, seen.raw) == 2 or not stream, wire


async def test_fin_comes_inside_a_chunk(sim: Simulator) -> None:
    for wire, stream, seen in await everywhere(sim, "fault:fin@2"):
        assert seen.ended == "fin", wire
        assert not seen.whole, wire
        await protocol_error(sim, wire, "fault:fin@2", stream)


async def test_gzip_bomb_is_small_on_the_wire(sim: Simulator) -> None:
    for wire, _, seen in await everywhere(sim, "fault:gzipbomb:4"):
        assert seen.headers["content-encoding"] == "gzip", wire
        assert len(seen.body) < 8_000, wire
        opened = zlib.decompressobj(31)
        assert opened.decompress(seen.body) == bytes(4 << 20), wire
        assert opened.eof, wire


async def test_default_bomb_opens_to_a_gibibyte(sim: Simulator) -> None:
    path, body = request("openai", "fault:gzipbomb", "hello", True)
    seen = await exchange(sim, encoded("POST", path, body))
    assert seen.body.startswith(gzip.compress(b"")[:3])
    assert len(seen.body) < 1_500_000
    assert int.from_bytes(seen.body[-4:], "little") == 1 << 30


async def test_header_of_200_kilobytes(sim: Simulator) -> None:
    for wire, _, seen in await everywhere(sim, "fault:bighdr"):
        assert len(seen.headers["x-padding"]) == 200_000, wire


async def test_garbage_instead_of_a_status_line(sim: Simulator) -> None:
    for wire, stream, seen in await everywhere(sim, "fault:badstatus"):
        assert not seen.raw.startswith(b"HTTP/1.1"), wire
        await protocol_error(sim, wire, "fault:badstatus", stream)


async def test_drip_sends_single_bytes_and_no_event(sim: Simulator) -> None:
    for wire, _, seen in await everywhere(sim, "fault:drip:20", deadline=0.5):
        assert seen.ended == "open", wire
        assert len(seen.times) > 1, wire
        assert contents(wire, seen.raw) == 0, wire
        assert not seen.body.endswith(b"\n"), wire


async def test_heartbeat_sends_pings_only(sim: Simulator) -> None:
    for wire, stream, seen in await everywhere(sim, "fault:heartbeat:20", deadline=0.5):
        assert seen.ended == "open", wire
        assert contents(wire, seen.raw) == 0, wire
        ping = b"\n" if not stream else b"event: ping" if wire == "anthropic" else b": ping"
        assert seen.body.count(ping) > 1, wire


async def test_slow_waits_before_the_first_byte(sim: Simulator) -> None:
    started = time.monotonic()
    for wire, _, seen in await everywhere(sim, "fault:slow:150"):
        assert seen.times[0] - started >= 0.15, wire
        assert seen.whole, wire


async def test_split1_and_burst_change_packets_only(sim: Simulator) -> None:
    plain = {wire: text_of(wire, seen) for wire, _, seen in await everywhere(sim, "fault:ok", "say 10 words")}
    for kind in ("split1", "burst"):
        for wire, _, seen in await everywhere(sim, f"fault:{kind}", "say 10 words"):
            assert text_of(wire, seen) == plain[wire] != "", wire
            assert seen.whole, wire


async def test_faults_join_with_plus(sim: Simulator) -> None:
    started = time.monotonic()
    for wire, _, seen in await everywhere(sim, "fault:slow:100+status:503"):
        assert seen.status == 503, wire
        assert seen.times[0] - started >= 0.1, wire


async def test_a_chunk_that_is_none(sim: Simulator) -> None:
    for wire, stream, seen in await everywhere(sim, "fault:badchunk@1", idle=0.3):
        if stream:
            assert seen.raw.endswith(b"zz\r\nnot a chunk\r\n"), wire
            assert seen.ended == "fin", wire


async def test_a_pause_in_the_middle_ends_well(sim: Simulator) -> None:
    started = time.monotonic()
    for wire, stream, seen in await everywhere(sim, "fault:pause:200@2"):
        assert seen.whole, wire
        assert not stream or seen.times[-1] - started >= 0.2, wire
        assert text_of(wire, seen), wire


async def test_unasked_compression_is_readable(sim: Simulator) -> None:
    async with httpx.AsyncClient(trust_env=False, verify=False) as client:
        for wire in WIRES:
            for stream in (False, True):
                path, body = request(wire, "fault:gzip", "hello", stream)
                plain_path, plain_body = request(wire, "fault:ok", "hello", stream)
                squeezed = await client.post(sim.url(path), json=body, headers=HEADERS)
                plain = await client.post(sim.url(plain_path), json=plain_body, headers=HEADERS)
                assert squeezed.headers["content-encoding"] == "gzip"
                assert abs(len(squeezed.text) - len(plain.text)) < len(plain.text) / 4


def test_every_kind_of_fault_has_a_test_that_names_it() -> None:
    tests = "".join(path.read_text() for path in Path(__file__).parent.glob("test_*.py"))
    assert [kind for kind in faults.KINDS if not re.search(rf"""[":+(]{re.escape(kind)}[":@+,]""", tests)] == []


async def test_a_caller_that_leaves_ends_every_hang(sim: Simulator) -> None:
    for kind in ("silent", "stall@1", "drip:20", "heartbeat:20", "slow:60000"):
        await everywhere(sim, f"fault:{kind}", deadline=0.1)
    entries = sim.journal.entries
    assert len(entries) == 5 * 2 * len(WIRES)
    for _ in range(100):
        if all(entry["outcome"] for entry in entries):
            break
        await asyncio.sleep(0.01)
    assert all(entry["outcome"] and entry["peer_closed"] for entry in entries)
