"""What does not pass by itself invites nobody to try again, and says who has to do what."""

from __future__ import annotations

import threading

import pytest

from llm_gateway.stores import health
from tests.support.gateway import GatewayServer
from tests.support.speaking import DIALECTS, Answer


@pytest.fixture(scope="module", autouse=True)
def keyless(gateway_server: GatewayServer) -> None:
    """Three providers: without a key, with a key that is switched off, with keys that were refused."""
    from llm_gateway.models import ProviderKey

    rows = gateway_server.rows
    for slug in ("nokey", "keyoff", "keybad"):
        rows.provider(slug, "http://127.0.0.1:9/v1", keys=2)
        rows.model(slug, "m", name=f"m-{slug}")
    ProviderKey.objects.filter(provider__slug="nokey").delete()
    ProviderKey.objects.filter(provider__slug="keyoff").update(enabled=False)
    gateway_server.refresh()


def refused(gateway: GatewayServer) -> None:
    """As ``forget`` leaves it, all keys are valid."""
    from llm_gateway.models import ProviderKey

    keys = list(ProviderKey.objects.filter(provider__slug="keybad").order_by("id"))
    for key, state in zip(keys, ("invalid", "out_of_credit"), strict=True):
        ProviderKey.objects.filter(pk=key.pk).update(state=state)
    gateway.refresh()


def final(answer: Answer) -> bool:
    return answer.headers["x-should-retry"] == "false" and "retry-after" not in answer.headers and "retry-after-ms" not in answer.headers


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("slug", ["nokey", "keyoff", "keybad"])
def test_a_model_that_no_key_can_serve(gateway: GatewayServer, slug: str, dialect: str, stream: bool) -> None:
    refused(gateway)
    answer = gateway.ask(dialect, f"m-{slug}", stream=stream)
    assert (answer.status, answer.code) == (503, "no_healthy_deployment")
    assert final(answer)
    text = answer.body.decode()
    assert "operator" in text
    assert "Provider keys" in text
    assert gateway.row(answer).state == "failed"


def test_a_catalogue_read_before_the_refusal_was_written_forgives_nothing(gateway: GatewayServer, monkeypatch: pytest.MonkeyPatch) -> None:
    written, record = threading.Event(), health.record
    monkeypatch.setattr(health, "record", lambda *about: (written.wait(10), record(*about)))
    try:
        assert gateway.ask("openai_chat", "chat/fault:status:401").status == 502
        gateway.alias("a-newer-catalogue", ("chat", "y"))
        assert gateway.ask("openai_chat", "chat/fault:ok").status == 503
    finally:
        written.set()
    gateway.settle()
    gateway.alias("the-newest-catalogue", ("chat", "y"))
    assert gateway.ask("openai_chat", "chat/fault:ok").status == 503, "the row says it now"
    gateway.forget()
    assert gateway.ask("openai_chat", "chat/fault:ok").status == 200, "a good key is taken back"


def test_a_key_refused_a_moment_ago_is_no_rest(gateway: GatewayServer) -> None:
    assert gateway.ask("openai_chat", "chat/fault:status:401").status == 502
    answer = gateway.ask("openai_chat", "chat/fault:ok")
    assert (answer.status, final(answer)) == (503, True)
    told = gateway.http.post(
        "/api/ai-models/explain", json={"prompt": "x", "model": "chat/y"}, headers={"authorization": f"Bearer {gateway.rows.key}"}
    ).json()
    assert "until the gateway's operator acts" in told["error"]["message"]


def test_what_rests_passes_and_one_that_rests_is_enough(gateway: GatewayServer) -> None:
    alias = gateway.alias("rests", ("chat2", "fault:status:429:ra=30"), ("nokey", "m"))
    gateway.ask("openai_chat", alias)
    answer = gateway.ask("openai_chat", alias)
    assert (answer.status, answer.headers["x-should-retry"]) == (503, "true")
    assert 20 < int(answer.headers["retry-after"]) <= 30


def test_a_provider_or_model_that_is_switched_off_or_retired(gateway: GatewayServer) -> None:
    from llm_gateway.models import LanguageModel, Provider

    rows = gateway.rows
    rows.provider("switched", "http://127.0.0.1:9/v1")
    rows.model("switched", "s", name="m-switched")
    rows.model("chat", "old", name="m-old", lifecycle="retired")
    rows.model("chat", "off", name="m-off", enabled=False)
    Provider.objects.filter(slug="switched").update(enabled=False)
    gateway.refresh()
    for name in ("m-switched", "m-old", "m-off"):
        answer = gateway.ask("openai_chat", name)
        if name == "m-old":
            assert b"retired" in answer.body
        # Where some host takes any name, one that the catalogue no longer knows is that host's to judge.
        assert answer.status in (200, 404)
        assert answer.headers.get("x-should-retry", "false") == "false"
    LanguageModel.objects.filter(name__in=["m-old", "m-off"]).delete()


def test_an_unpriced_model(gateway: GatewayServer) -> None:
    gateway.rows.model("chat", "unpriced", name="m-unpriced", priced=False)
    gateway.refresh()
    answer = gateway.ask("openai_chat", "m-unpriced")
    assert (answer.status, answer.code, final(answer)) == (502, "config_error", True)


def test_a_prompt_no_window_takes_is_the_callers_to_shorten(gateway: GatewayServer) -> None:
    from llm_gateway.models import LanguageModel

    LanguageModel.objects.filter(auto=True).update(context_window=50)
    gateway.refresh()
    try:
        answer = gateway.ask("openai_chat", "auto", prompt="word " * 400)
        assert (answer.status, answer.code, final(answer)) == (400, "context_length_exceeded", True)
    finally:
        LanguageModel.objects.filter(auto=True).update(context_window=None)
        gateway.refresh()
