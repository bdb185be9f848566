"""What the tests of this room share: an upstream that serves given bytes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.gateway import GatewayServer
from tests.support.upstream import Upstream, connect, upstream


@pytest.fixture(scope="module")
def replaying(gateway_server: GatewayServer) -> Iterator[Upstream]:
    with upstream() as state:
        connect(gateway_server, state)
        yield state
