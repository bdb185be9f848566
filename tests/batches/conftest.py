"""A runner on the event loop of the test's gateway, and what tests say to batches."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.gateway import GatewayServer


class Lane:
    """Batches of ``gateway`` by plain HTTP. ``runner()`` executes them while it is entered."""

    def __init__(self, gateway: GatewayServer, key: str = "") -> None:
        self.gateway = gateway
        self.key = key or gateway.rows.key

    @property
    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key}"}

    def upload(self, lines: list[Any] | bytes, purpose: str = "batch") -> Any:
        data = lines if isinstance(lines, bytes) else b"\n".join(json.dumps(line).encode() for line in lines)
        return self.gateway.http.post(
            "/v1/files", headers=self._headers, data={"purpose": purpose}, files={"file": ("in.jsonl", data, "application/jsonl")}
        )

    def create(self, lines: list[Any] | bytes, endpoint: str = "/v1/chat/completions", headers: Any = None, **more: Any) -> Any:
        sent = self.upload(lines)
        assert sent.status_code == 200, sent.text
        body = {"input_file_id": sent.json()["id"], "endpoint": endpoint, "completion_window": "24h", **more}
        return self.gateway.http.post("/v1/batches", headers=self._headers | (headers or {}), json=body)

    def get(self, path: str, **more: Any) -> Any:
        return self.gateway.http.get(path, headers=self._headers, **more)

    def post(self, path: str, **more: Any) -> Any:
        return self.gateway.http.post(path, headers=self._headers, **more)

    def delete(self, path: str) -> Any:
        return self.gateway.http.delete(path, headers=self._headers)

    def ended(self, batch: str, within_s: float = 20) -> Any:
        until = time.monotonic() + within_s
        while True:
            found = self.get(f"/v1/batches/{batch}").json()
            if found["status"] in ("completed", "failed", "expired", "cancelled"):
                return found
            assert time.monotonic() < until, found
            time.sleep(0.02)

    def results(self, batch: Any, part: str = "output_file_id") -> list[Any]:
        if batch[part] is None:
            return []
        text = self.get(f"/v1/files/{batch[part]}/content").text
        return [json.loads(line) for line in text.splitlines()]

    @contextlib.contextmanager
    def runner(self, places: int = 16, lease_s: float = 60.0) -> Iterator[Any]:
        from llm_gateway.api.batches.executing import execute
        from llm_gateway.api.batches.resuming import resume_paused
        from llm_gateway.engine.batch_runner import BatchRunner
        from llm_gateway.engine.tasks import TaskOwner
        from llm_gateway.stores.batch_port import DatabaseBatchQueue

        found = self.gateway.gateway
        owner = self.gateway.on_loop(TaskOwner)
        queue = DatabaseBatchQueue("test", found.threaded, found.catalog, lease_s=lease_s)
        runner = self.gateway.on_loop(lambda: BatchRunner(queue, execute, owner, places=places, lease_s=lease_s))

        async def run() -> None:
            owner.start(resume_paused(found), "resume")
            await runner.run()
            await runner.finish(5.0)
            await owner.close()

        running = asyncio.run_coroutine_threadsafe(run(), self.gateway.loop)
        try:
            yield runner
        finally:
            self.gateway.loop.call_soon_threadsafe(runner.stop)
            running.result(20)


def chat(number: int, model: str = "chat/echo", **more: Any) -> dict[str, Any]:
    body = {"model": model, "max_tokens": 8, "messages": [{"role": "user", "content": f"say {number}"}], **more}
    return {"custom_id": f"c{number}", "method": "POST", "url": "/v1/chat/completions", "body": body}


@pytest.fixture
def lane(gateway: GatewayServer) -> Lane:
    return Lane(gateway)
