"""A caller whose connection breaks: what began with an ``Idempotency-Key`` is finished, paid once, and its answer waits for the caller."""

from __future__ import annotations

import time
from uuid import uuid4

import pytest

from tests.support.gateway import GatewayServer
from tests.support.raw import connected, generation, until
from tests.support.speaking import DIALECTS, Answer

WIRES = {
    "openai_chat": "chat",
    "openai_responses": "responses",
    "anthropic_messages": "claude",
    "gemini_generate": "gem",
    "native": "claude",
}
REPLAY = "x-cogo-idempotent-replay"


def begin_and_leave(gateway: GatewayServer, dialect: str, model: str, key: str, *, stream: bool, client: str = "") -> None:
    """Hang up once the provider was called; of a stream, once the first events are here."""
    before = gateway.mark
    data = generation(dialect, client or gateway.rows.key, model, stream=stream, headers={"idempotency-key": key})
    with connected(gateway.port, data) as peer:
        if stream:
            until(peer, b"data:")
        deadline = time.monotonic() + 10
        while not gateway.received(before):
            assert time.monotonic() < deadline
            time.sleep(0.005)


def come_back(gateway: GatewayServer, dialect: str, model: str, key: str, *, stream: bool, client: str | None = None) -> Answer:
    return gateway.client(dialect, client).ask(model, stream=stream, headers={"idempotency-key": key})


@pytest.mark.parametrize(
    ("dialect", "stream"),
    [
        pytest.param(
            dialect,
            stream,
            id=f"{dialect}-{'stream' if stream else 'whole'}",
            marks=[] if (dialect == "openai_chat") is stream else pytest.mark.slow,
        )
        for dialect in DIALECTS
        for stream in (False, True)
    ],
)
def test_the_execution_is_finished_and_its_answer_kept(gateway: GatewayServer, dialect: str, stream: bool) -> None:
    from llm_gateway.models import LedgerEntry

    key, before = str(uuid4()), gateway.mark
    model = f"{WIRES[dialect]}/fault:pause:250@2" if stream else f"{WIRES[dialect]}/fault:slow:250"
    begin_and_leave(gateway, dialect, model, key, stream=stream)
    twin = come_back(gateway, dialect, model, key, stream=stream)
    assert (twin.status, REPLAY in twin.headers) in ((409, False), (200, True))
    gateway.quiet()
    answer = come_back(gateway, dialect, model, key, stream=stream)
    assert (answer.status, answer.headers[REPLAY], answer.errors) == (200, "true", [])
    assert len(answer.text.split()) >= 10
    assert answer.terminals == (1 if stream else 0)
    assert len(gateway.received(before)) == 1, "sent once"
    from llm_gateway.models import RequestLog

    original = RequestLog.objects.get(pk=answer.headers["x-cogo-original-request"])
    assert (original.state, original.http_status, original.usage_source) == ("ok", 200, "reported")
    entry = LedgerEntry.objects.get(request=original)
    assert (entry.state, entry.amount_nusd) == ("posted", original.cost_nusd)
    assert original.cost_nusd > 0


@pytest.mark.parametrize("dialect", ["openai_chat", "native"])
@pytest.mark.parametrize("fault", ["slow:150+rst@2", "slow:150+status:500"], ids=["broken stream", "refused"])
def test_an_execution_that_fails_after_its_caller_left_is_repeated_as_it_failed(gateway: GatewayServer, dialect: str, fault: str) -> None:
    key, before = str(uuid4()), gateway.mark
    model = f"{WIRES[dialect]}/fault:{fault}"
    data = generation(dialect, gateway.rows.key, model, stream=True, headers={"idempotency-key": key})
    with connected(gateway.port, data):
        while not gateway.received(before):
            time.sleep(0.005)
    gateway.quiet()
    calls = len(gateway.received(before))
    answer = come_back(gateway, dialect, model, key, stream=True)
    assert answer.headers[REPLAY] == "true"
    assert len(answer.errors) == 1
    assert len(gateway.received(before)) == calls


@pytest.mark.parametrize("stream", [False, pytest.param(True, marks=pytest.mark.slow)], ids=["whole", "stream"])
@pytest.mark.parametrize("dialect", ["openai_chat", pytest.param("native", marks=pytest.mark.slow)])
def test_without_a_place_for_it_the_execution_ends_and_is_not_repeated(
    gateway: GatewayServer, dialect: str, stream: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gateway.gateway.detached, "_most", 0)
    key, before = str(uuid4()), gateway.mark
    model = f"{WIRES[dialect]}/fault:{'stall@2' if stream else 'silent'}"
    gateway.clocks("chat", "claude", first_event=20_000, idle=20_000)
    begin_and_leave(gateway, dialect, model, key, stream=stream)
    row = gateway.last_row()
    assert row.state == "client_cancelled"
    deadline = time.monotonic() + 10
    while (answer := come_back(gateway, dialect, model, key, stream=stream)).code == "idempotency_in_flight":
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert (answer.status, answer.code) == (409, "idempotency_unknown_outcome")
    assert len(gateway.received(before)) == 1, "never paid for twice"
    gateway.clocks("chat", "claude", first_event=None, idle=None)


@pytest.mark.parametrize("dialect", ["openai_chat", "native"])
def test_what_may_not_be_kept_ends_with_its_caller(gateway: GatewayServer, dialect: str) -> None:
    from llm_gateway.models import Team

    team, _ = Team.objects.get_or_create(name="Mute", slug="mute", bodies="off")
    client = gateway.issue(f"mute-{dialect}", team=team)
    key = str(uuid4())
    model = f"{WIRES[dialect]}/fault:silent"
    gateway.clocks("chat", "claude", first_event=20_000)
    begin_and_leave(gateway, dialect, model, key, stream=False, client=client)
    assert gateway.last_row().state == "client_cancelled"
    gateway.clocks("chat", "claude", first_event=None)


def test_an_analysis_and_its_repair_are_finished_too(gateway: GatewayServer) -> None:
    from llm_gateway.models import RequestLog
    from tests.support.raw import head
    from tests.support.speaking import auth

    key, before = str(uuid4()), gateway.mark
    headers = {**auth("native", gateway.rows.key), "idempotency-key": key}
    body = b'{"code": "x = 1", "model": "chat/fault:slow:200"}'
    with connected(gateway.port, head("POST", "/api/ai-models/analyze", headers, len(body)) + body):
        while not gateway.received(before):
            time.sleep(0.005)
    gateway.quiet()
    calls = len(gateway.received(before))
    answer = gateway.http.post("/api/ai-models/analyze", content=body, headers=headers)
    assert answer.headers[REPLAY] == "true"
    assert len(gateway.received(before)) == calls
    assert RequestLog.objects.get(pk=answer.headers["x-cogo-original-request"]).state == "ok"


def test_a_key_that_is_revoked_ends_what_its_caller_left(gateway: GatewayServer) -> None:
    from django.utils import timezone

    from llm_gateway.models import ClientKey

    client = gateway.issue("to-be-revoked")
    key = str(uuid4())
    gateway.clocks("chat", first_event=20_000, idle=20_000)
    begin_and_leave(gateway, "openai_chat", "chat/fault:stall@2", key, stream=True, client=client)
    assert gateway.on_loop(lambda: gateway.gateway.detached.alone) <= 1
    ClientKey.objects.filter(name="to-be-revoked").update(revoked_at=timezone.now())
    gateway.refresh()
    assert gateway.last_row().state == "partial"
    gateway.clocks("chat", first_event=None, idle=None)


def test_a_caller_that_stops_reading_gets_the_rest_when_it_comes_back(gateway: GatewayServer) -> None:
    key, before = str(uuid4()), gateway.mark
    model = "chat/fault:hugebody:2"
    data = generation("openai_chat", gateway.rows.key, model, stream=True, headers={"idempotency-key": key})
    with connected(gateway.port, data, receive_buffer=4096) as peer:
        until(peer, b"data:")
    gateway.quiet()
    answer = come_back(gateway, "openai_chat", model, key, stream=True)
    assert answer.headers[REPLAY] == "true"
    assert answer.terminals == 1
    assert len(gateway.received(before)) == 1
