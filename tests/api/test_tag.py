"""A caller's tag reaches the log row, in every dialect and whatever it holds."""

from __future__ import annotations

import pytest

from tests.support.gateway import GatewayServer
from tests.support.speaking import DIALECTS

from .test_idempotency import OWN


@pytest.mark.parametrize("dialect", DIALECTS)
def test_the_tag_of_a_request_is_kept(gateway: GatewayServer, dialect: str) -> None:
    from llm_gateway.models import RequestLog

    sent = "checkout " + "x" * 100
    answer = gateway.client(dialect).ask(OWN[dialect], headers={"x-cogo-tag": sent})
    gateway.quiet()
    assert answer.status == 200
    assert RequestLog.objects.get(pk=answer.request_id).tag == sent[:60]
