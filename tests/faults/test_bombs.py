"""Answers made to exhaust us (T18): bounded memory, the right class, and the place is free again."""

from __future__ import annotations

import os
import signal

import httpx
import pytest

from tests.support.clock import Stopwatch
from tests.support.process import Process
from tests.support.rows import Rows
from tests.support.speaking import Speaker

BOUND_KB = 32 * 1024

# fault: (codes, bound)
BOMBS = {
    "gzipbomb:2048": ({"upstream_too_large"}, BOUND_KB),
    "bighdr": ({"upstream_bad_response"}, BOUND_KB),
    "drip:1": ({"deadline_exceeded"}, BOUND_KB),
    "heartbeat:1": ({"deadline_exceeded"}, BOUND_KB),
    "hugeevent": ({"upstream_bad_event"}, BOUND_KB),
}


@pytest.mark.slow
def test_bombs_do_not_grow_the_process(process: Process, standing_rows: Rows) -> None:
    with httpx.Client(base_url=f"http://127.0.0.1:{process.port}", timeout=20, trust_env=False) as http:
        speaker = Speaker(http, "openai_chat", standing_rows.key)
        for _ in range(20):
            assert speaker.ask("chat/fault:ok", stream=True).status == 200
        before = process.memory_kb()
        for fault, (codes, bound) in BOMBS.items():
            for stream in (False, True):
                if fault == "hugeevent" and not stream:
                    continue
                for slug in ("chat", "chat2"):
                    watch = Stopwatch()
                    answer = speaker.ask(f"{slug}/fault:{fault}", stream=stream, headers={"x-request-timeout-ms": "1500"})
                    assert answer.code in codes, (fault, stream, answer.body[:300])
                    assert watch.took_s < 4
            assert process.memory_kb("VmHWM") - before < bound, fault
        # Larger than any answer may be: held up to the cap, then dropped.
        answer = speaker.ask("chat/fault:hugebody:80")
        assert answer.code == "upstream_too_large", answer.body[:300]
        assert speaker.ask("chat/fault:ok").status == 200
    process.told(signal.SIGTERM)
    assert process.ended(4) == 0
    assert os.getpid()
