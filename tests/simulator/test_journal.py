"""The journal: every request, what it was billed, when the peer left; never a key."""

from __future__ import annotations

import asyncio
import hashlib
import json
from pathlib import Path
from typing import Any

from llm_gateway.simulator import Simulator
from tests.simulator.wire import KEY, ask, everywhere, get


async def entry_of(sim: Simulator, at: int = -1) -> dict[str, Any]:
    """An entry, once it is finished."""
    for _ in range(200):
        if sim.journal.entries and sim.journal.entries[at]["outcome"]:
            break
        await asyncio.sleep(0.005)
    return sim.journal.entries[at]


async def test_a_whole_answer_is_billed_as_its_usage_says(sim: Simulator) -> None:
    seen = await ask(sim, "openai", "gpt-4o", "write a python function")
    entry = await entry_of(sim)
    usage = seen.json()["usage"]
    assert (entry["input_tokens"], entry["output_tokens"]) == (usage["prompt_tokens"], usage["completion_tokens"])
    assert entry["outcome"] == "ok"
    assert entry["peer_closed"] is None
    assert entry["bytes_sent"] == len(seen.raw)
    assert entry["id"] == seen.headers["x-cogo-sim-id"]
    assert entry["host"] == "127.0.0.1"
    assert {"authorization", "x-api-key"} <= set(entry["header_names"])


async def test_keys_are_digests_everywhere(sim: Simulator, tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    async with Simulator(latency_ms=0, chunk_ms=0, journal_path=path) as written:
        await everywhere(written, "sim-model")
        assert (await entry_of(written))["key_digest"] == hashlib.sha256(KEY.encode()).hexdigest()[:16]
        assert KEY.encode() not in (await get(written, "/_sim/journal")).body
    assert KEY not in path.read_text()


async def test_the_file_has_a_line_at_once_and_a_line_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    async with Simulator(latency_ms=0, chunk_ms=0, journal_path=path, keep_bodies=True) as sim:
        hanging = asyncio.ensure_future(ask(sim, "openai", "fault:silent", deadline=0.3))
        for _ in range(500):
            if sim.journal.entries:
                break
            await asyncio.sleep(0.01)
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        assert [line["event"] for line in lines] == ["received"]
        assert lines[0]["model"] == "fault:silent"
        assert json.loads(lines[0]["body"])["messages"]
        await hanging
        await entry_of(sim)
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line["event"] for line in lines] == ["received", "finished"]
    assert lines[1]["id"] == lines[0]["id"]
    assert lines[1]["peer_closed"]["wall"] >= lines[0]["time"]


async def test_a_caller_that_leaves_is_noted_and_billed_for_what_went_out() -> None:
    async with Simulator(latency_ms=0, chunk_ms=20) as sim:
        await ask(sim, "anthropic", "claude-sonnet-5", "write 300 words", stream=True, deadline=0.3)
        entry = await entry_of(sim)
    assert entry["outcome"] == "peer_closed"
    assert entry["peer_closed"]["how"] in ("fin", "reset", "closed")
    assert 0 < entry["output_tokens"] < 100
    assert entry["input_tokens"] > 0


async def test_refusals_are_not_billed(sim: Simulator) -> None:
    await ask(sim, "openai", "fault:status:500")
    entry = await entry_of(sim)
    assert (entry["outcome"], entry["status"], entry["output_tokens"]) == ("refused", 500, 0)


async def test_the_journal_can_be_asked_and_emptied(sim: Simulator) -> None:
    await everywhere(sim, "sim-model")
    only = (await get(sim, "/_sim/journal?provider=gemini&limit=1")).json()["entries"]
    assert [entry["provider"] for entry in only] == ["gemini"]
    assert "body" not in only[0]
