"""T15: one execution per ``Idempotency-Key``, in every dialect, streaming or not (reliability.md C5 to C8)."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pytest

from tests.support.gateway import GatewayServer
from tests.support.speaking import DIALECTS, Answer

OWN = {
    "openai_chat": "chat/any",
    "openai_responses": "responses/any",
    "anthropic_messages": "claude/any",
    "gemini_generate": "gem/any",
    "native": "claude/any",
}
REPLAY = "x-cogo-idempotent-replay"


def ask(gateway: GatewayServer, key: str, *, dialect: str = "openai_chat", model: str = "", stream: bool = False, **more: Any) -> Answer:
    headers = {"idempotency-key": key, **more.pop("headers", {})}
    return gateway.client(dialect, more.pop("client", None)).ask(model or OWN[dialect], stream=stream, headers=headers, **more)


def patiently(gateway: GatewayServer, key: str, dialect: str, model: str) -> Answer:
    """As an SDK asks: a gateway that says it is full is asked again."""
    while (answer := ask(gateway, key, dialect=dialect, model=model)).status == 503:
        time.sleep(0.1)
    return answer


def record(gateway: GatewayServer, answer: Answer) -> Any:
    from llm_gateway.models import IdempotencyRecord

    return IdempotencyRecord.objects.filter(request_id=answer.request_id).first()


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_duplicate_gets_the_first_answer_and_costs_nothing(gateway: GatewayServer, dialect: str, stream: bool) -> None:
    from llm_gateway.models import Budget, LedgerEntry

    key, before = str(uuid4()), gateway.mark
    first = ask(gateway, key, dialect=dialect, stream=stream)
    spent = list(Budget.objects.values_list("posted_nusd", "held_nusd"))
    entries = LedgerEntry.objects.count()
    second = ask(gateway, key, dialect=dialect, stream=stream)
    assert (first.status, second.status, second.body) == (200, 200, first.body)
    assert first.text.strip()
    assert REPLAY not in first.headers
    assert (second.headers[REPLAY], Decimal(second.headers["x-cogo-cost"])) == ("true", 0)
    assert second.headers["content-type"] == first.headers["content-type"]
    assert len(gateway.received(before)) == 1
    assert (list(Budget.objects.values_list("posted_nusd", "held_nusd")), LedgerEntry.objects.count()) == (spent, entries)
    row = gateway.row(second)
    assert second.request_id != first.request_id
    assert (row.state, row.cost_nusd, row.attempt_count, row.http_status, row.stream) == ("replayed", 0, 0, 200, stream)
    assert row.metadata == {"replay_of": str(first.request_id)}
    assert second.headers["x-cogo-original-request"] == first.headers["x-request-id"]
    if stream:
        assert second.terminals == 1
    if dialect != "gemini_generate":
        assert row.asked_model == OWN[dialect]


@pytest.mark.parametrize("dialect", ["openai_chat", "native"])
def test_of_twenty_twins_at_once_one_is_sent(gateway: GatewayServer, dialect: str) -> None:
    key, before = str(uuid4()), gateway.mark
    slow = f"{OWN[dialect].partition('/')[0]}/fault:slow:500"
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _: patiently(gateway, key, dialect, slow), range(20)))
    statuses = sorted(answer.status for answer in answers)
    assert (statuses.count(200), statuses.count(409)) == (1, 19), [answer.body for answer in answers]
    assert len(gateway.received(before)) == 1
    for answer in answers:
        if answer.status == 409:
            assert (answer.code, answer.headers["retry-after"]) == ("idempotency_in_flight", "1")
            assert answer.headers.get("x-should-retry", "true") == "true"
            assert gateway.row(answer).state == "rejected"
    assert ask(gateway, key, dialect=dialect, model=slow).headers[REPLAY] == "true"


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("dialect", ["openai_chat", "anthropic_messages", "native"])
def test_a_failure_of_execution_is_repeated(gateway: GatewayServer, dialect: str, stream: bool) -> None:
    key, before = str(uuid4()), gateway.mark
    model = f"{OWN[dialect].partition('/')[0]}/fault:status:500"
    first = ask(gateway, key, dialect=dialect, model=model, stream=stream)
    calls = len(gateway.received(before))
    second = ask(gateway, key, dialect=dialect, model=model, stream=stream)
    assert (first.status, second.status, second.body) == (502, 502, first.body)
    assert second.headers[REPLAY] == "true"
    assert second.headers["x-should-retry"] == "false"
    assert len(gateway.received(before)) == calls > 0
    row = gateway.row(second)
    assert (row.state, row.http_status, row.cost_nusd) == ("replayed", 502, 0)


@pytest.mark.parametrize("dialect", ["openai_chat", "native"])
def test_a_stream_that_broke_is_repeated_as_it_broke(gateway: GatewayServer, dialect: str) -> None:
    key, model = str(uuid4()), f"{OWN[dialect].partition('/')[0]}/fault:rst@2"
    first = ask(gateway, key, dialect=dialect, model=model, stream=True)
    second = ask(gateway, key, dialect=dialect, model=model, stream=True)
    assert second.headers[REPLAY] == "true"
    assert second.body == first.body
    assert len(second.errors) == 1
    assert second.terminals == 0


@pytest.mark.parametrize("dialect", ["openai_chat", "native"])
def test_what_was_refused_before_it_was_sent_may_be_sent(gateway: GatewayServer, dialect: str) -> None:
    from llm_gateway.models import Budget

    key, before = str(uuid4()), gateway.mark
    poor = gateway.issue(f"poor-{dialect}", budget_usd=Decimal("0.000001"), period="total")
    refused = ask(gateway, key, dialect=dialect, client=poor)
    assert (refused.status, refused.code) == (402, "request_exceeds_budget")
    assert record(gateway, refused) is None
    Budget.objects.filter(name__contains=f"poor-{dialect}").update(limit_nusd=10**9)
    gateway.refresh()
    answer = ask(gateway, key, dialect=dialect, client=poor)
    assert (answer.status, REPLAY in answer.headers, len(gateway.received(before))) == (200, False, 1)


def test_what_invites_to_try_again_may_be_tried_again(gateway: GatewayServer) -> None:
    key = str(uuid4())
    refused = ask(gateway, key, model="chat/fault:status:429:ra=7")
    assert (refused.status, refused.headers["x-should-retry"]) == (429, "true")
    assert record(gateway, refused) is None


@pytest.mark.parametrize("dialect", DIALECTS)
def test_another_body_or_model_is_refused(gateway: GatewayServer, dialect: str) -> None:
    key = str(uuid4())
    ask(gateway, key, dialect=dialect)
    before = gateway.mark
    for other in (
        ask(gateway, key, dialect=dialect, prompt="something else"),
        ask(gateway, key, dialect=dialect, model=OWN[dialect] + "2"),
        ask(gateway, key, dialect=dialect, stream=True),
    ):
        assert (other.status, str(other.code).lower()) == (422, "idempotency_mismatch")
        assert other.headers["x-should-retry"] == "false"
        row = gateway.row(other)
        assert (row.state, row.error_code, row.cost_nusd) == ("rejected", "idempotency_mismatch", 0)
    assert len(gateway.received(before)) == 0


def test_another_tenant_and_another_key_have_their_own_execution(gateway: GatewayServer) -> None:
    from llm_gateway.models import Team

    key, before = str(uuid4()), gateway.mark
    other = gateway.issue("stranger", team=Team.objects.create(name="Strangers", slug="strangers"))
    sibling = gateway.issue("sibling")
    answers = [ask(gateway, key), ask(gateway, key, client=other), ask(gateway, key, client=sibling)]
    assert [REPLAY in answer.headers for answer in answers] == [False] * 3
    assert len(gateway.received(before)) == 3
    assert len({answer.request_id for answer in answers}) == 3


@pytest.mark.parametrize("dialect", ["openai_chat", "native"])
def test_a_twin_of_a_running_stream_waits_and_then_replays(gateway: GatewayServer, dialect: str) -> None:
    key, before = str(uuid4()), gateway.mark
    model = f"{OWN[dialect].partition('/')[0]}/fault:slow:300"
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(ask, gateway, key, dialect=dialect, model=model, stream=True)
        while not gateway.received(before):
            time.sleep(0.005)
        twin = ask(gateway, key, dialect=dialect, model=model, stream=True)
        first = running.result()
    assert (twin.status, twin.code) == (409, "idempotency_in_flight")
    again = ask(gateway, key, dialect=dialect, model=model, stream=True)
    assert (again.headers[REPLAY], again.body, len(gateway.received(before))) == ("true", first.body, 1)


def test_what_runs_longer_than_its_lease_is_still_running(gateway: GatewayServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gateway.gateway.idempotency, "_lease_s", 0.6)
    key, before = str(uuid4()), gateway.mark
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(ask, gateway, key, model="chat/fault:slow:1800")
        time.sleep(1.4)
        assert ask(gateway, key, model="chat/fault:slow:1800").code == "idempotency_in_flight"
        assert running.result().status == 200
    assert len(gateway.received(before)) == 1


@pytest.mark.parametrize("dialect", ["openai_chat", "native"])
def test_after_a_crash_nothing_is_sent_twice_unless_the_caller_says_so(gateway: GatewayServer, dialect: str) -> None:
    from django.utils import timezone

    from llm_gateway.models import IdempotencyRecord, RequestLog

    key = str(uuid4())
    first = ask(gateway, key, dialect=dialect)
    # As a process leaves it that dies in the middle: the record runs, its lease and that of its row are over.
    past = timezone.now() - timedelta(seconds=1)
    IdempotencyRecord.objects.filter(request_id=first.request_id).update(state="running", lease_until=past)
    RequestLog.objects.filter(pk=first.request_id).update(state="orphaned")
    before = gateway.mark
    told = ask(gateway, key, dialect=dialect)
    assert (told.status, told.code, told.headers["x-should-retry"]) == (409, "idempotency_unknown_outcome", "false")
    assert first.headers["x-request-id"] in told.body.decode()
    assert len(gateway.received(before)) == 0
    again = ask(gateway, key, dialect=dialect, headers={"x-cogo-reexecute": "true"})
    assert (again.status, REPLAY in again.headers, len(gateway.received(before))) == (200, False, 1)
    assert ask(gateway, key, dialect=dialect).headers[REPLAY] == "true"
    RequestLog.objects.filter(pk=first.request_id).update(state="ok")


def test_a_crash_before_anything_was_sent_hinders_nobody(gateway: GatewayServer) -> None:
    from django.utils import timezone

    from llm_gateway.models import IdempotencyRecord

    key = str(uuid4())
    first = ask(gateway, key)
    past = timezone.now() - timedelta(seconds=1)
    IdempotencyRecord.objects.filter(request_id=first.request_id).update(state="running", lease_until=past, request_id=UUID(int=7))
    answer = ask(gateway, key)
    assert (answer.status, REPLAY in answer.headers) == (200, False)


def test_an_expired_key_is_a_new_one_and_is_purged(gateway: GatewayServer) -> None:
    from django.utils import timezone

    from llm_gateway.models import IdempotencyRecord
    from llm_gateway.tasks import purge_idempotency

    key = str(uuid4())
    first = ask(gateway, key)
    kept = record(gateway, first)
    assert kept.expires_at - kept.created_at == timedelta(hours=24)
    IdempotencyRecord.objects.filter(pk=kept.pk).update(expires_at=timezone.now())
    assert REPLAY not in ask(gateway, key, prompt="another request").headers
    IdempotencyRecord.objects.filter(pk=kept.pk).update(expires_at=timezone.now())
    assert purge_idempotency() == {"deleted": 1}


def test_what_is_stored_is_encrypted_and_its_key_is_a_digest(gateway: GatewayServer) -> None:
    key = str(uuid4())
    first = ask(gateway, key)
    kept = record(gateway, first)
    assert kept.body.startswith("v1.")
    everything = json.dumps([kept.key_hash, kept.body_hash, kept.headers, kept.body])
    assert key not in everything
    assert first.text[:40] not in everything


def test_an_answer_that_is_too_large_to_keep_is_not_executed_again(gateway: GatewayServer, monkeypatch: pytest.MonkeyPatch) -> None:
    from llm_gateway.api import idempotent

    monkeypatch.setattr(idempotent, "LARGEST_ANSWER", 100)
    for stream in (False, True):
        key, before = str(uuid4()), gateway.mark
        assert ask(gateway, key, stream=stream).status == 200
        told = ask(gateway, key, stream=stream)
        assert (told.status, told.code, len(gateway.received(before))) == (409, "idempotency_unknown_outcome", 1)


def test_a_team_without_texts_has_none_kept(gateway: GatewayServer) -> None:
    from llm_gateway.models import Team

    silent = gateway.issue("silent", team=Team.objects.create(name="Silent", slug="silent", bodies="off"))
    key, before = str(uuid4()), gateway.mark
    first = ask(gateway, key, client=silent)
    assert record(gateway, first).body == ""
    assert ask(gateway, key, client=silent).code == "idempotency_unknown_outcome"
    assert len(gateway.received(before)) == 1


@pytest.mark.parametrize("dialect", ["openai_chat", "native"])
@pytest.mark.parametrize("key", ["", "x" * 256])
def test_a_key_that_is_none_is_refused(gateway: GatewayServer, dialect: str, key: str) -> None:
    answer = ask(gateway, key, dialect=dialect)
    assert (answer.status, answer.code) == (400, "invalid_request")


def test_without_the_header_nothing_is_looked_up(gateway: GatewayServer, monkeypatch: pytest.MonkeyPatch) -> None:
    from llm_gateway.stores.idempotency import IdempotencyStore

    monkeypatch.setattr(IdempotencyStore, "claim", None)
    assert gateway.ask("openai_chat", "chat/any").status == 200
    assert gateway.ask("native", "chat/any").status == 200


def test_embeddings_and_analyses_are_repeated_too(gateway: GatewayServer) -> None:
    from tests.support.speaking import auth

    for path, body in (
        ("/v1/embeddings", {"model": "chat/embed", "input": "hello"}),
        ("/api/ai-models/analyze", {"code": "x = 1", "model": "chat/any"}),
    ):
        headers = {**auth("openai_chat", gateway.rows.key), "idempotency-key": str(uuid4())}
        first = gateway.http.post(path, json=body, headers=headers)
        before = gateway.mark
        second = gateway.http.post(path, json=body, headers=headers)
        assert first.status_code < 500
        assert (second.status_code, second.content, len(gateway.received(before))) == (first.status_code, first.content, 0), path
        assert second.headers[REPLAY] == "true"
