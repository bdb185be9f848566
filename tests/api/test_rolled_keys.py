"""A rolled key: two texts, one key, until the old one dies."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

from django.utils import timezone

from llm_gateway.actions.roll_client_key import end_replaced_key, roll_client_key
from tests.support.gateway import GatewayServer
from tests.support.raw import connected, generation, until


def _row(name: str) -> Any:
    from llm_gateway.models import ClientKey

    return ClientKey.objects.get(name=name)


def test_both_texts_are_one_key_until_the_old_one_is_ended(gateway: GatewayServer) -> None:
    from llm_gateway.models import Budget, ReplacedKey, RequestLog

    old = gateway.issue("rolled", budget_usd=Decimal(1), period="total", max_concurrency=1)
    row = _row("rolled")
    new = roll_client_key(row, keep_until=timezone.now() + timedelta(hours=1), expected=row.public_id)
    gateway.refresh()
    answers = [gateway.ask("openai_chat", "chat/x", key=text) for text in (old, new)]
    assert [a.status for a in answers] == [200, 200]
    rows = [gateway.row(a) for a in answers]
    assert {r.client_key_id for r in rows} == {row.pk}
    assert Budget.objects.get(client_key=row).posted_nusd == sum(r.cost_nusd for r in rows) > 0
    with connected(gateway.port, generation("openai_chat", old, "chat/fault:stall@3", stream=True)) as peer:
        until(peer, b"data:")
        busy = gateway.ask("openai_chat", "chat/x", key=new)
        assert (busy.status, busy.code) == (429, "rate_limited"), "limits count both as one"
        assert end_replaced_key(ReplacedKey.objects.get(client_key=row))
        until(peer, b"key_revoked")
    gateway.quiet()
    assert RequestLog.objects.filter(client_key=row, state="partial", error_code="key_revoked").exists()
    gateway.refresh()
    assert gateway.ask("openai_chat", "chat/x", key=old).status == 401
    assert gateway.ask("openai_chat", "chat/x", key=new).status == 200


def test_an_old_text_dies_at_its_hour_and_with_the_key(gateway: GatewayServer) -> None:
    from llm_gateway.models import ClientKey, ReplacedKey

    first = gateway.issue("rolled twice")
    row = _row("rolled twice")
    second = roll_client_key(row, keep_until=timezone.now() + timedelta(hours=1))
    third = roll_client_key(row, keep_until=timezone.now() + timedelta(hours=2))
    oldest = ReplacedKey.objects.filter(client_key=row).order_by("replaced_at")[0]
    ReplacedKey.objects.filter(pk=oldest.pk).update(
        replaced_at=timezone.now() - timedelta(hours=2), dies_at=timezone.now() - timedelta(seconds=1)
    )
    gateway.refresh()
    assert [gateway.ask("native", "chat/x", key=text).status for text in (first, second, third)] == [401, 200, 200]
    ClientKey.objects.filter(pk=row.pk).update(revoked_at=timezone.now())
    gateway.refresh()
    assert [gateway.ask("native", "chat/x", key=text).status for text in (first, second, third)] == [401, 401, 401]
