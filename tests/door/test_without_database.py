"""P6: the database is away when a process starts."""

from __future__ import annotations

import signal
from pathlib import Path

import httpx
import pytest

from tests.support.process import Process
from tests.support.rows import Rows
from tests.support.speaking import DIALECTS, Speaker


@pytest.mark.slow
def test_a_process_that_starts_without_its_database_says_so_and_lives(tmp_path: Path, standing_rows: Rows) -> None:
    process = Process(url=f"sqlite:///{tmp_path}/away/db.sqlite3", ready=503)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{process.port}", timeout=10, trust_env=False) as http:
            assert http.get("/healthz").status_code == 200
            for dialect in DIALECTS:
                answer = Speaker(http, dialect, standing_rows.key).ask("auto")
                assert answer.status == 503, (dialect, answer.body)
                assert str(answer.code).lower() == "store_unavailable", (dialect, answer.body)
                assert answer.headers["retry-after"]
                assert answer.headers["x-should-retry"] == "true"
    finally:
        process.told(signal.SIGTERM)
        assert process.ended(10) == 0
