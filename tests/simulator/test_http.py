"""The server as an HTTP/1.1 server: framing it must read, and mistakes it must survive."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from llm_gateway.simulator import Simulator, server
from tests.simulator.wire import HEADERS, ask, encoded, everywhere, exchange, get, request, text_of
from tests.support.clock import Stopwatch

PATH, BODY = request("openai", "gpt-4o", "hello", False)


def head(*lines: str) -> bytes:
    common = (f"{name}: {value}" for name, value in HEADERS.items())
    return "\r\n".join([f"POST {PATH} HTTP/1.1", "host: x", *common, *lines, "", ""]).encode()


async def test_two_requests_sent_at_once_are_answered_in_order(sim: Simulator) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", sim.port)
    writer.write(encoded("GET", "/openai/v1/models/gpt-4o") + encoded("GET", "/openai/v1/models/gpt-5"))
    answers = []
    for _ in range(2):
        top = await reader.readuntil(b"\r\n\r\n")
        length = int(top.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        answers.append(json.loads(await reader.readexactly(length))["id"])
    writer.close()
    assert answers == ["gpt-4o", "gpt-5"]


async def test_expect_100_is_answered_before_the_body(sim: Simulator) -> None:
    data = json.dumps(BODY).encode()
    reader, writer = await asyncio.open_connection("127.0.0.1", sim.port)
    writer.write(head("expect: 100-continue", f"content-length: {len(data)}"))
    assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    writer.write(data)
    assert (await reader.readuntil(b"\r\n")) == b"HTTP/1.1 200 OK\r\n"
    writer.transport.abort()


async def test_chunked_bodies_are_read(sim: Simulator) -> None:
    data = json.dumps(BODY).encode()
    chunks = b"".join(b"%x;ext=1\r\n%b\r\n" % (len(data[at : at + 7]), data[at : at + 7]) for at in range(0, len(data), 7))
    seen = await exchange(sim, head("transfer-encoding: chunked") + chunks + b"0\r\ntrailer: x\r\n\r\n")
    assert seen.status == 200


async def test_head_has_headers_and_no_body(sim: Simulator) -> None:
    seen = await exchange(sim, encoded("HEAD", "/openai/v1/models"), idle=0.2)
    assert seen.status == 200
    assert seen.body == b""
    assert int(seen.headers["content-length"]) > 100
    missing = await exchange(sim, encoded("HEAD", "/anthropic"), idle=0.2)
    assert (missing.status, missing.body) == (404, b"")


async def test_http10_streams_until_the_connection_ends(sim: Simulator) -> None:
    data = json.dumps({**BODY, "stream": True}).encode()
    raw = head(f"content-length: {len(data)}").replace(b"HTTP/1.1", b"HTTP/1.0") + data
    seen = await exchange(sim, raw)
    assert seen.ended == "fin"
    assert "transfer-encoding" not in seen.headers
    assert seen.body.endswith(b"data: [DONE]\n\n")


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b"BREW /pot HTTP/1.1\r\n\r\n", 501),
        (b"nonsense\r\n\r\n", 400),
        (b"GET no-slash HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nbad header\r\n\r\n", 400),
        (head("content-length: -5"), 400),
        (head("content-length: 99999999999"), 413),
        (head("transfer-encoding: chunked") + b"zz\r\n", 400),
        (head("transfer-encoding: gzip"), 400),
        (b"GET / HTTP/1.1\r\nx: " + b"y" * 600_000, 431),
    ],
)
async def test_malformed_requests_get_an_answer_and_a_closed_connection(sim: Simulator, raw: bytes, status: int) -> None:
    seen = await exchange(sim, raw)
    assert seen.status == status
    assert seen.ended in ("fin", "reset")
    assert (await get(sim, "/_sim/healthz")).status == 200


async def test_too_large_bodies_are_refused_in_the_providers_words(sim: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "BODY_LIMIT", 1000)
    seen = await ask(sim, "anthropic", "claude-sonnet-5", "x" * 2000)
    assert (seen.status, seen.json()["error"]["type"]) == (413, "request_too_large")


async def test_half_a_request_is_dropped_without_harm(sim: Simulator) -> None:
    for raw in (b"GET /openai", head("content-length: 500") + b"{"):
        _, writer = await asyncio.open_connection("127.0.0.1", sim.port)
        writer.write(raw)
        await writer.drain()
        writer.close()
    assert (await get(sim, "/_sim/healthz")).json() == {"ok": True}


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/openai/v1/nothing", "error"),
        ("/anthropic/v1/nothing", "error"),
        ("/gemini/v1beta/nothing", "error"),
        ("/fireworks/inference/v1/nothing", "error"),
        ("/custom/v1/nothing", "detail"),
        ("/nobody/v1", "error"),
    ],
)
async def test_unknown_paths_are_404_in_the_providers_shape(sim: Simulator, path: str, field: str) -> None:
    seen = await get(sim, path)
    assert seen.status == 404
    assert field in seen.json()


@pytest.mark.parametrize("broken", [b"{", b"[]", b"\xff\xfe", b""])
async def test_broken_json_is_refused_in_the_providers_shape(sim: Simulator, broken: bytes) -> None:
    for wire, status in {"openai": 400, "anthropic": 400, "gemini": 400, "fireworks": 400, "custom": 422}.items():
        path, _ = request(wire, "sim-model", "x", False)
        seen = await exchange(sim, encoded("POST", path, broken))
        assert seen.status == status
        assert {"error", "detail"} & set(seen.json())


@pytest.mark.parametrize(
    "wrong",
    [
        {"messages": None, "input": None, "contents": None},
        {"messages": [], "input": [3], "contents": []},
        {"messages": ["x"], "input": [[]], "contents": ["x"]},
        {"messages": [{"role": 3}], "input": {"a": 1}, "contents": [{"parts": "x"}]},
        {"tools": "x", "stop": 4, "stop_sequences": 4, "tool_choice": 5, "text": 3, "reasoning": "x", "thinking": "x"},
        {"max_tokens": "many", "max_output_tokens": "many", "max_completion_tokens": True, "generationConfig": {"maxOutputTokens": "x"}},
        {"response_format": "json", "output_config": 3, "generationConfig": 3, "stream_options": 3, "metadata": 3},
        {"messages": [{"role": "user", "content": [3, None, {"type": "text"}]}], "toolConfig": "x", "systemInstruction": 3, "system": 3},
        {"tools": [3, {"type": "function"}, {"functionDeclarations": [3]}], "cache_control": 3},
    ],
)
async def test_no_request_makes_it_fail(sim: Simulator, wrong: dict[str, Any]) -> None:
    for wire, _, seen in await everywhere(sim, "sim-model", **wrong):
        assert seen.status < 500, (wire, seen.body)


async def test_a_connection_is_kept_over_many_answers(sim: Simulator) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", sim.port)
    path, body = request("openai", "gpt-4o", "hello", True)
    for _ in range(5):
        writer.write(encoded("POST", path, body))
        assert (await reader.readuntil(b"0\r\n\r\n")).startswith(b"HTTP/1.1 200 OK")
    writer.close()


async def test_stopping_ends_hanging_connections_at_once() -> None:
    sim = Simulator(latency_ms=0, chunk_ms=0)
    await sim.start()
    hanging = [asyncio.ensure_future(ask(sim, "openai", f"fault:{kind}", stream=True, deadline=5)) for kind in ("silent", "stall@1")]
    await asyncio.sleep(0.1)
    async with asyncio.timeout(1):
        await sim.stop()
        seen = await asyncio.gather(*hanging)
    assert all(one.ended != "open" for one in seen)


async def test_latency_is_kept_and_a_whole_answer_takes_as_long_as_its_stream() -> None:
    async with Simulator(latency_ms=60, chunk_ms=5) as sim:
        for stream in (False, True):
            watch = Stopwatch()
            seen = await ask(sim, "openai", "gpt-4o", "say 20 words", stream=stream)
            assert text_of("openai", seen)
            assert watch.wall_s >= 0.06
            assert watch.took_s < 5
