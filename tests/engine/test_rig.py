"""The test gateway itself: every dialect reaches every wire through a real socket."""

from __future__ import annotations

import pytest

from tests.support.gateway import GatewayServer
from tests.support.speaking import DIALECTS


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("dialect", DIALECTS)
def test_every_dialect_is_answered_through_every_wire(gateway: GatewayServer, dialect: str, stream: bool) -> None:
    for slug in ("chat", "responses", "claude", "gem"):
        answer = gateway.ask(dialect, f"{slug}/fault:ok", stream=stream)
        assert answer.status == 200, (slug, answer.body)
        assert answer.text.strip(), (slug, answer.body)
        assert not answer.errors, (slug, answer.body)
        assert answer.terminals == (1 if stream else 0), (slug, answer.body)
        row = gateway.row(answer)
        assert (row.state, row.attempt_count, row.usage_source) == ("ok", 1, "reported"), slug
        assert row.cost_nusd, slug
        assert row.cost_nusd > 0, slug
