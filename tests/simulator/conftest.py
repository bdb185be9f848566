"""A simulator per test, and a client made of bare sockets that sees what really came over the wire."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from llm_gateway.simulator import Simulator


@pytest.fixture
async def sim() -> AsyncIterator[Simulator]:
    async with Simulator(latency_ms=0, chunk_ms=0, seed=1) as simulator:
        yield simulator
