"""Only the operator decides where bytes go (T10): no URL form, redirect, name server, field or header leads anywhere else."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from llm_gateway.core.errors import AttemptFailed, FailureClass
from llm_gateway.engine import transport
from llm_gateway.engine.through_aiohttp import AiohttpUpstream
from llm_gateway.simulator.journal import digest
from tests.policies.test_addresses import NEVER, PRIVATE
from tests.support.clients import forget_names
from tests.support.gateway import GatewayServer
from tests.support.rows import KEY_OF
from tests.support.speaking import DIALECTS, auth, request
from tests.support.upstream import WIRES, upstream

from .listening import Listener, listening

PUBLIC = "93.184.216.34"
OWN = {"openai_chat": "chat", "openai_responses": "responses", "anthropic_messages": "claude", "gemini_generate": "gem", "native": "chat"}
FIELDS = (
    "base_url", "api_base", "api_key", "api_host", "host", "proxy", "proxies", "headers", "extra_headers", "extra_body", "extra_query",
    "organization", "project", "webhook", "webhook_url", "callback", "callback_url", "url", "endpoint", "base_model", "custom_llm_provider",
    "azure_endpoint", "api_version", "region", "aws_access_key_id", "vertex_project", "default_headers", "http_client", "transport",
    "litellm_params", "provider", "x-forwarded-host", "Authorization", "authorization", "timeout", "fallbacks", "mock_response",
)  # fmt: skip
SMUGGLED = {
    "x-forwarded-host": "{at}", "x-forwarded-for": "10.0.0.1", "x-forwarded-proto": "http", "forwarded": "host={at}",
    "x-original-url": "/x",
    "x-rewrite-url": "/x", "x-host": "{at}", "x-api-base": "http://{at}", "x-base-url": "http://{at}", "openai-organization": "org-mine",
    "openai-project": "p-mine", "x-cogo-provider": "http://{at}", "x-cogo-base-url": "http://{at}", "proxy-authorization": "Basic eDp5",
    "cookie": "a=b", "referer": "http://{at}/", "te": "trailers", "x-portkey-custom-host": "http://{at}", "x-target-url": "http://{at}",
    "x-envoy-original-dst-host": "{at}",
}  # fmt: skip


@pytest.fixture
def listener() -> Iterator[Listener]:
    with listening() as found:
        yield found


@pytest.fixture
def elsewhere(gateway: GatewayServer, listener: Listener) -> Iterator[Listener]:
    """After the test: nothing was led there, and what the simulator got came from us with our key."""
    since = gateway.mark
    yield listener
    assert listener.visits == []
    ours = {digest(KEY_OF.format(f"{slug}-default")) for slug in gateway.rows.providers}
    for entry in gateway.received(since):
        assert entry["host"] == f"127.0.0.1:{gateway.simulator.port}", entry
        assert entry["key_digest"] in ours, entry["path"]
        assert not set(entry["header_names"]) & set(SMUGGLED), entry["header_names"]


def shown(address: str) -> str:
    return f"[{address}]" if ":" in address else address


URLS = [
    *(f"https://{shown(address)}/v1" for address in (*NEVER, *PRIVATE)),
    "https://2130706433/", "https://0x7f000001/", "https://0177.0.0.1/", "https://127.1/", "https://127.0.0.1./", "https://localhost./",
    "https://①②⑦.⓪.⓪.①/", "https://x@127.0.0.1/", "https://api.example@127.0.0.1/", "https://127.0.0.1\\@api.example/", "http://api.example/",
    "https://api.example/%2e%2e/x", "file:///etc/passwd", "https://[fe80::1%25eth0]/", "gopher://127.0.0.1/", "https://api.example:0/",
]  # fmt: skip


@pytest.mark.parametrize("url", URLS)
def test_a_tricky_url_is_never_stored(gateway: GatewayServer, url: str) -> None:
    from llm_gateway.actions import ActionError
    from llm_gateway.actions.add_provider import add_provider
    from llm_gateway.models import Provider

    with pytest.raises(ActionError):
        add_provider("tricky", "openai_chat", url, key="x" * 20, resolver=lambda host, port: [PUBLIC])
    assert not Provider.objects.filter(slug="tricky").exists()


@pytest.mark.parametrize("answer", [["127.0.0.1"], [PUBLIC, "10.0.0.1"], ["::ffff:169.254.169.254"], ["64:ff9b::a9fe:a9fe"], []])
def test_a_name_that_leads_inside_is_never_stored(gateway: GatewayServer, answer: list[str]) -> None:
    from llm_gateway.actions import ActionError
    from llm_gateway.actions.add_provider import add_provider
    from llm_gateway.models import Provider

    with pytest.raises(ActionError):
        add_provider("tricky", "openai_chat", "https://inside.example/v1", key="x" * 20, resolver=lambda host, port: answer)
    assert not Provider.objects.filter(slug="tricky").exists()


@pytest.mark.parametrize("private", [False, True], ids=["closed", "admitted"])
def test_a_row_that_holds_such_an_address_anyhow_is_not_followed(gateway: GatewayServer, elsewhere: Listener, private: bool) -> None:
    """Whatever wrote the row: the address is judged again before it is connected to."""
    port = elsewhere.port
    hosts = (
        ["0.0.0.0", "[::]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]", "169.254.169.254"] if private else ["127.0.0.1", "[::ffff:127.0.0.1]"]
    )
    for number, host in enumerate(hosts):
        slug = f"inside-{private}-{number}".lower()
        gateway.rows.provider(slug, f"http://{host}:{port}/v1")
        type(gateway.rows.providers[slug]).objects.filter(slug=slug).update(allow_private=private)
        gateway.refresh()
        for stream in (False, True):
            answer = gateway.ask("openai_chat", f"{slug}/x", stream=stream)
            assert answer.status == 502, (host, answer.body)
            assert gateway.row(answer).attempts.get().error_class == "config", host


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_a_redirect_is_an_error(gateway: GatewayServer, elsewhere: Listener, status: int, stream: bool) -> None:
    with upstream() as state:
        state.serve(b"{}", status=status, location=f"{elsewhere.url}/v1/chat/completions")
        for wire, (slug, path) in WIRES.items():
            name = f"{slug}-{status}-{stream}".lower()
            gateway.rows.provider(name, state.url + path, wire=wire)
            gateway.refresh()
            answer = gateway.ask(wire, f"{name}/x", stream=stream)
            assert (answer.status, answer.code) == (502, "upstream_redirect"), answer.body
            assert elsewhere.url.encode() not in answer.body
        assert len(state.asked) == len(WIRES)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_no_field_of_a_request_names_a_place(gateway: GatewayServer, elsewhere: Listener, dialect: str) -> None:
    at = f"127.0.0.1:{elsewhere.port}"
    path, body = request(dialect, f"{OWN[dialect]}/fault:ok", "hello", False)
    answered = 0
    for field in FIELDS:
        for value in (f"http://{at}/v1", {"Authorization": "Bearer mine", "Host": at, "url": f"http://{at}/"}):
            nested = [
                {**body, field: value},
                {**body, "metadata": {field: value}},
                {**body, "extra_body": {field: value}},
                {**body, "generationConfig" if dialect == "gemini_generate" else "options": {field: value}},
            ]
            for sent in nested if field in FIELDS[:14] else nested[:1]:
                answer = gateway.client(dialect).send(path, sent, False)
                assert answer.status in (200, 400), (field, answer.status, answer.body[:300])
                answered += answer.status == 200
        gateway.client(dialect).send(f"{path}{'&' if '?' in path else '?'}{field}=http://{at}/", body, False)
    assert answered or dialect in ("native", "openai_responses", "gemini_generate"), "most formats carry unknown fields"


@pytest.mark.parametrize("dialect", DIALECTS)
def test_no_header_of_a_caller_reaches_the_provider(gateway: GatewayServer, elsewhere: Listener, dialect: str) -> None:
    at = f"127.0.0.1:{elsewhere.port}"
    headers = {name: value.format(at=at) for name, value in SMUGGLED.items()}
    if dialect == "native":
        headers.pop("cookie")
    before = gateway.mark
    assert gateway.client(dialect).ask(f"{OWN[dialect]}/fault:ok", headers=headers).status == 200
    path, body = request(dialect, f"{OWN[dialect]}/fault:ok", "hello", False)
    own_host = {**auth(dialect, gateway.rows.key), "host": at}
    gateway.http.post(path, content=json.dumps(body), headers=own_host)
    assert gateway.mark > before


def test_a_picture_in_a_prompt_is_not_fetched(gateway: GatewayServer, elsewhere: Listener) -> None:
    url = f"{elsewhere.url}/picture.png"
    text = {"type": "text", "text": "look"}
    contents: dict[str, dict[str, Any]] = {
        "openai_chat": {"messages": [{"role": "user", "content": [text, {"type": "image_url", "image_url": {"url": url}}]}]},
        "openai_responses": {"input": [{"role": "user", "content": [{"type": "input_image", "image_url": url, "detail": "auto"}]}]},
        "anthropic_messages": {"messages": [{"role": "user", "content": [text, {"type": "image", "source": {"type": "url", "url": url}}]}]},
        "gemini_generate": {"contents": [{"role": "user", "parts": [{"fileData": {"fileUri": url, "mimeType": "image/png"}}]}]},
    }
    for dialect, more in contents.items():
        for slug in ("chat", "responses", "claude", "gem"):
            for stream in (False, True):
                answer = gateway.ask(dialect, f"{slug}/fault:ok", stream=stream, **more)
                assert answer.status in (200, 400), (dialect, slug, answer.body[:300])


@pytest.mark.parametrize("make", [transport.HttpUpstream, AiohttpUpstream], ids=["own", "aiohttp"])
def test_a_name_that_changes_its_mind_is_not_followed(make: Any, listener: Listener, monkeypatch: pytest.MonkeyPatch) -> None:
    """Public when first asked, inside when asked again: each connection is judged by the addresses it is made to."""
    connected: list[str] = []
    answers = [[PUBLIC], ["127.0.0.1"], [PUBLIC, "127.0.0.1"], ["::ffff:127.0.0.1"]]

    async def getaddrinfo(loop: Any, host: Any, port: Any, **options: Any) -> Any:
        """A name server that says something else each time."""
        found = answers.pop(0) if len(answers) > 1 else answers[0]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, port or 0)) for one in found]

    async def sock_connect(loop: Any, sock: Any, address: Any) -> None:
        connected.append(address[0])
        raise OSError("nobody there")

    monkeypatch.setattr(asyncio.BaseEventLoop, "getaddrinfo", getaddrinfo)
    monkeypatch.setattr(asyncio.selector_events.BaseSelectorEventLoop, "sock_connect", sock_connect)
    url = f"https://rebind.example:{listener.port}/v1/chat/completions"

    async def ask(upstream: Any) -> FailureClass:
        with pytest.raises(AttemptFailed) as failed:
            await upstream.send("POST", url, {}, b"{}", connect_s=1, allow_private=False)
        return failed.value.failure.kind

    async def run() -> list[FailureClass]:
        upstream = make()
        kinds = []
        for _ in range(4):
            kinds.append(await ask(upstream))
            forget_names(upstream)
        await upstream.close()
        return kinds

    assert asyncio.run(run()) == [FailureClass.CONNECT_REFUSED, *[FailureClass.CONFIG] * 3]
    assert connected == [PUBLIC]
    assert listener.visits == []


def test_a_key_check_connects_to_the_address_that_was_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    """The name is looked up once: what a name server says later leads nowhere."""
    connected: list[str] = []

    async def getaddrinfo(loop: Any, host: Any, port: Any, **options: Any) -> Any:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, port or 0)) for one in (PUBLIC, "1.1.1.1")]

    async def connect_tcp(remote_host: str, remote_port: int, **options: Any) -> Any:
        connected.append(remote_host)
        raise OSError("nobody there")

    monkeypatch.setattr(asyncio.BaseEventLoop, "getaddrinfo", getaddrinfo)
    monkeypatch.setattr("anyio.connect_tcp", connect_tcp)
    with pytest.raises(AttemptFailed) as failed:
        asyncio.run(transport.probe("GET", "https://rebind.example/v1/models", {}, timeout_s=1, allow_private=False))
    assert failed.value.failure.kind is FailureClass.CONNECT_REFUSED
    assert connected == [PUBLIC, "1.1.1.1"]


def test_a_key_check_keeps_the_name_in_its_request(listener: Listener, monkeypatch: pytest.MonkeyPatch) -> None:
    async def getaddrinfo(loop: Any, host: Any, port: Any, **options: Any) -> Any:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port or 0))]

    monkeypatch.setattr(asyncio.BaseEventLoop, "getaddrinfo", getaddrinfo)
    url = f"http://named.example:{listener.port}/v1/models"
    answer = asyncio.run(transport.probe("GET", url, {"x-api-key": "ours"}, timeout_s=1, allow_private=True))
    assert answer.status == 200
    assert f"host: named.example:{listener.port}".encode() in listener.visits[0].lower()
