"""Sample requests that fill the demonstration's pages: one every few seconds, never two at once."""

from __future__ import annotations

import http.client
import itertools
import json
import os
import random
import threading
from pathlib import Path
from types import TracebackType
from typing import Any, Self

PAUSE_S = (2.0, 5.0)
# One batch, at the beginning: it runs while somebody looks.
_BATCH: dict[str, Any] = {
    "prompt": "Write a {language} function {name}.",
    "rows": [{"name": name} for name in ("slugify", "chunked", "retry", "debounce", "flatten", "group_by", "parse_date", "dedupe") * 4],
    "defaults": {"language": "python", "model": "auto", "max_tokens": 400},
}
_TASKS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("generate", {"prompt": "Write a Python function that validates an e-mail address.", "language": "python"}),
    ("generate", {"prompt": "A React hook that debounces a value.", "language": "typescript", "stream": True}),
    ("generate", {"prompt": "SQL for the ten best customers of last month.", "language": "sql", "model": "claude"}),
    ("analyze", {"code": "def total(items):\n    return sum(i.price for i in items)\n", "analysis_type": "quality", "language": "python"}),
    ("generate", {"prompt": "Explain this regular expression: ^\\d{4}-\\d{2}$", "strategy": "performance-based"}),
    ("analyze", {"code": "query = 'select * from users where id = ' + user_id", "analysis_type": "security"}),
    ("generate", {"prompt": "A Dockerfile for a small Django application.", "model": "gpt-4o", "max_tokens": 800}),
    ("generate", {"prompt": "Unit tests for a shopping cart.", "language": "python", "max_tokens": 6000}),
)


class SampleTraffic:
    """``with SampleTraffic(port, key):`` — a thread that calls the gateway on loopback until the
    block ends."""

    def __init__(self, host: str, port: int, key: str, *, pause_s: tuple[float, float] = PAUSE_S, seed: int = 1) -> None:
        self._address = (host, port)
        self._headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json", "User-Agent": "cogo-sample-traffic"}
        self._pause_s = pause_s
        self._draw = random.Random(seed)  # noqa: S311  # variety, not secrecy
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sample-traffic", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Ask it to end; the gateway's own stop cuts a request under way."""
        self._stop.set()

    def _run(self) -> None:
        self._send("/api/ai-models/batches", _BATCH)
        for path, body in itertools.cycle(_TASKS):
            if self._stop.wait(self._draw.uniform(*self._pause_s)):
                return
            self._send(f"/api/ai-models/{path}", body)

    def _send(self, path: str, body: dict[str, Any]) -> None:
        connection = http.client.HTTPConnection(*self._address, timeout=60)
        try:
            connection.request("POST", path, json.dumps(body), self._headers)
            connection.getresponse().read()
        except (OSError, http.client.HTTPException):
            pass  # the gateway is starting, stopping or refusing: its own log says which
        finally:
            connection.close()


def client_key(var: Path) -> str:
    """The demonstration's own client key, the same at every start; its text lies beside the other
    secrets of that folder."""
    from llm_gateway.actions.bootstrap import TEAM
    from llm_gateway.actions.create_client_key import create_client_key, ensure_team, generate_client_key

    file = var / "secrets" / "sample_client_key"
    if not file.exists():
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as out:
            out.write(generate_client_key())
    return create_client_key("sample traffic", ensure_team(TEAM), preset=file.read_text().strip())[1]
