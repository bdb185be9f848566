"""What a process of its own says, keeps in memory and writes to its disk (T8, T9)."""

from __future__ import annotations

import signal
import threading
from typing import Any

import pytest

from tests.support.process import Process
from tests.support.raw import head
from tests.support.rows import Rows
from tests.support.speaking import DIALECTS, Speaker

from .test_before_identity import PATHS, flood
from .test_secrets_stay import FAULTS, Canaries

pytestmark = pytest.mark.slow


def test_a_real_process_writes_no_secret_to_its_output(standing_rows: Rows, monkeypatch: pytest.MonkeyPatch) -> None:
    import httpx

    monkeypatch.setenv("COGO_LOG_LEVEL", "DEBUG")
    monkeypatch.setenv("LOG_LEVEL", "DEBUG")
    canaries = Canaries()
    canaries.client = standing_rows.issue("canary-process")
    for slug in standing_rows.providers:
        standing_rows.provider_key(slug, "default", canaries.known)
    process = Process()
    with httpx.Client(base_url=f"http://127.0.0.1:{process.port}", timeout=20, trust_env=False) as http:
        for dialect in DIALECTS:
            for fault in FAULTS:
                Speaker(http, dialect, canaries.client).ask(f"chat/fault:{fault}", canaries.prompt, stream=fault.endswith("@2"))
            Speaker(http, dialect, canaries.client + "0").ask("chat/x", canaries.prompt)
    process.told(signal.SIGTERM)
    _, said = process.process.communicate(timeout=10)
    assert not canaries.found(said), said[-2000:]


def test_floods_from_strangers_leave_memory_and_disk_as_they_were(
    standing_rows: Rows, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    process = Process()
    try:
        start = head("POST", PATHS["openai_chat"], {"content-type": "application/json"}, None)
        flood(process.port, start)
        before = process.memory_kb()
        for _ in range(5):
            floods = [threading.Thread(target=flood, args=(process.port, start), daemon=True) for _ in range(8)]
            for one in floods:
                one.start()
            for one in floods:
                one.join(20)
        assert process.memory_kb("VmHWM") - before < 10 * 1024
        assert not list(tmp_path.iterdir())
    finally:
        process.told(15)
        process.ended(8)
