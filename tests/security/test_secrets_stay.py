"""No secret in anything the gateway leaves behind (T9): the provider echoes our key, layers fail, then every artefact is searched."""

from __future__ import annotations

import json
import logging
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.gateway import GatewayServer
from tests.support.speaking import DIALECTS, Answer, auth, request
from tests.support.upstream import WIRES, Upstream, upstream

from .artefacts import Lines, database, files, pages

FAULTS = (
    "ok",
    "echo-auth",
    "echo-auth:400",
    "echo-auth:403",
    "echo-auth:429",
    "echo-auth:500",
    "status:402",
    "badjson",
    "rst@2",
    "err@2",
    "err200",
)
# What is searched for: any piece of a secret that is this long.
PIECE = 16
_REQUESTS = "/admin/llm_gateway/requestlog/"


class Canaries:
    """Made at run time. ``known``: of a shape any scanner knows; ``odd``: of none, so that only its owner can take it out of a text."""

    def __init__(self) -> None:
        self.known = "sk" + "-proj-" + secrets.token_hex(24)
        self.odd = secrets.token_hex(24)
        self.prompt = "prompt " + secrets.token_hex(16)
        self.client = ""

    def found(self, text: str) -> list[str]:
        pieces = {
            "provider key": self.known[8:],
            "odd provider key": self.odd,
            "prompt": self.prompt.removeprefix("prompt "),
            "client key": self.client.split("_")[2] if self.client else "",
            **{name: os.environ.get(name) or _own(name) for name in ("SECRET_KEY", "COGO_ENCRYPTION_KEYS", "COGO_KEY_PEPPER")},
        }
        return [name for name, value in pieces.items() if value and any(value[at : at + PIECE] in text for at in (0, len(value) - PIECE))]


def _own(name: str) -> str:
    from django.conf import settings

    value = getattr(settings, name, "")
    return str(value).rpartition(":")[2] if value else ""


@pytest.fixture(scope="module")
def canaries(gateway_server: GatewayServer) -> Canaries:
    made = Canaries()
    made.client = gateway_server.issue("canary")
    for slug in gateway_server.rows.providers:
        gateway_server.rows.provider_key(slug, "default", made.odd if slug.startswith("hasty") else made.known)
    gateway_server.refresh()
    return made


@pytest.fixture
def lines() -> Iterator[Lines]:
    handler = Lines()
    loggers = [logging.getLogger(), logging.getLogger("cogo")]
    for one in loggers:
        one.addHandler(handler)
    yield handler
    for one in loggers:
        one.removeHandler(handler)


def ask(gateway: GatewayServer, canaries: Canaries, dialect: str, model: str, stream: bool) -> Answer:
    answer = gateway.client(dialect, canaries.client).ask(model, canaries.prompt, stream=stream, headers={"x-request-timeout-ms": "500"})
    hits = [hit for hit in canaries.found(f"{answer.headers} {answer.body.decode('utf-8', 'replace')}") if hit != "prompt"]
    assert not hits, (dialect, model, hits, answer.body[:500])
    return answer


def renew(gateway: GatewayServer) -> None:
    """A key that was refused is tried again: the next fault is to be met, too."""
    gateway.quiet()
    gateway.forget()


def echoes(state: Upstream, secret: str, statuses: tuple[int, ...]) -> Iterator[None]:
    """Every place of an answer a provider can put our key into."""
    told = json.dumps({"error": {"message": f"bad key {secret}", "code": secret, "type": secret, "param": secret}}).encode()
    far = json.dumps({"error": {"message": "x" * 470 + secret, "type": "invalid_request_error"}}).encode()
    page = b"<html>" + b" " * 480 + secret.encode() + b"</html>"
    for status in statuses:
        for body in (told, far):
            state.serve(body, status=status, x_request_id=f"{secret}", retry_after=secret)
            yield
    for status in (200, 502):
        state.serve(page, status=status, kind="text/html", request_id=secret)
        yield
    state.serve(b"{}", kind=f"text/{secret}")
    yield
    state.serve(b"{}", content_encoding=secret)
    yield
    state.serve(f"not json {secret}".encode())
    yield
    state.serve(b"{}", status=307, location=f"http://{secret}.example/{secret}")
    yield
    state.stream(f'event: error\ndata: {{"type":"error","error":{{"type":"{secret}","message":"{secret}"}}}}\n\n'.encode())
    yield
    state.stream(f'data: {{"choices":[{{"delta":{{"content":"x"}}}}]}}\n\ndata: {{"broken {secret}\n\n'.encode())
    yield


def search(gateway: GatewayServer, canaries: Canaries, lines: Lines, client: Any = None) -> list[tuple[str, str, list[str]]]:
    from django.conf import settings
    from django.core import mail

    gateway.quiet()
    key = auth("openai_chat", canaries.client)
    found: list[tuple[str, str]] = [*database(), *(pages(client) if client else ())]
    found += [("log", line) for line in lines.lines]
    found += [("mail", f"{message.subject} {message.body}") for message in getattr(mail, "outbox", ())]
    token = {"authorization": f"Bearer {settings.COGO['metrics_token']}"}
    for path in (
        "/metrics",
        "/readyz",
        "/healthz",
        "/v1/models",
        "/api/ai-models/keys/status",
        "/api/ai-models/reports/cost",
        "/api/ai-models",
    ):
        answer = gateway.http.get(path, headers={**(key if path != "/metrics" else token), "accept": "application/json"})
        found.append((path, f"{answer.headers} {answer.text}"))
    found += files(Path(str(settings.VAR_DIR)), without=("secrets/", "test.sqlite3", "db.sqlite3"))
    assert len(found) > 100
    return [(place, text[:200], hits) for place, text in found if (hits := canaries.found(text))]


@pytest.fixture
def client(gateway: GatewayServer) -> Iterator[Any]:
    from django.contrib.auth.models import User
    from django.test import Client

    user = User.objects.create_superuser(f"sweeper-{secrets.token_hex(3)}", password=None)
    client = Client()
    client.force_login(user)
    yield client
    user.delete()


def test_a_provider_that_echoes_our_key_is_not_repeated(gateway: GatewayServer, canaries: Canaries, lines: Lines) -> None:
    for dialect in DIALECTS:
        for fault in FAULTS:
            for slug in ("chat", "hasty-chat", "claude", "gem")[:: 1 if dialect == "openai_chat" else 2]:
                ask(gateway, canaries, dialect, f"{slug}/fault:{fault}", stream=fault.endswith("@2"))
        renew(gateway)
    hits = search(gateway, canaries, lines)
    assert not hits, hits


@pytest.mark.slow
@pytest.mark.parametrize("statuses", [(400,), (401, 403, 404, 409, 413, 422, 429, 500, 503)])
def test_nor_is_one_that_puts_it_anywhere_else(gateway: GatewayServer, canaries: Canaries, lines: Lines, statuses: tuple[int, ...]) -> None:
    with upstream() as state:
        for number, (wire, (slug, path)) in enumerate(WIRES.items()):
            secret = canaries.odd if number % 2 else canaries.known
            name = f"{slug}-echo-{statuses[0]}"
            gateway.rows.provider(name, state.url + path, wire=wire, ignore_health=True)
            gateway.rows.provider_key(name, "default", secret)
            gateway.refresh()
            for _ in echoes(state, secret, statuses):
                for stream in (False, True):
                    ask(gateway, canaries, wire, f"{name}/x", stream)
            renew(gateway)
    hits = search(gateway, canaries, lines)
    assert not hits, hits


def test_key_checks_and_their_tasks_repeat_nothing(gateway: GatewayServer, canaries: Canaries, lines: Lines) -> None:
    from django_q.tasks import async_task

    from llm_gateway.models import ProviderKey

    for verdict in ("invalid", "noperm", "limited"):
        gateway.verdict(canaries.known, verdict)
        ids = list(
            ProviderKey.objects.filter(provider__slug__in=("chat", "claude", "gem", "openai", "fireworks")).values_list("pk", flat=True)
        )
        async_task("llm_gateway.tasks.check_keys", ids, "manual", sync=True)
    gateway.verdict(canaries.known, "valid")
    hits = search(gateway, canaries, lines)
    assert not hits, hits


@pytest.mark.parametrize("layer", ["transport", "journal", "health", "endpoint"])
def test_a_layer_that_fails_says_nothing_secret(
    gateway: GatewayServer, canaries: Canaries, lines: Lines, layer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Libraries put what they were given into their exceptions; here they do so on purpose."""
    found = gateway.gateway

    def broken(*args: Any, **options: Any) -> Any:
        raise RuntimeError(f"cannot do this with Authorization: Bearer {canaries.known} of {canaries.client} ({len(args)})")

    where = {"transport": (found.upstream, "send"), "journal": (found.pipeline.journal, "open"), "health": (found.pipeline.health, "admit")}
    with monkeypatch.context() as patch:
        if layer == "endpoint":
            patch.setattr("llm_gateway.core.json.loads", broken)
        else:
            patch.setattr(type(where[layer][0]), where[layer][1], broken)
        for dialect in DIALECTS:
            for stream in (False, True):
                answer = ask(gateway, canaries, dialect, "chat/fault:ok", stream)
                assert answer.status >= 500 or answer.errors, (dialect, answer.body)
    gateway.quiet()
    assert lines.lines, "somebody is told that a layer failed"
    hits = search(gateway, canaries, lines)
    assert not hits, hits


def test_texts_that_are_kept_are_kept_sealed(gateway: GatewayServer, canaries: Canaries, lines: Lines) -> None:
    from llm_gateway.models import RequestBody, Team

    Team.objects.update(bodies="full")
    gateway.refresh()
    for dialect in DIALECTS:
        for stream in (False, True):
            headers = {"idempotency-key": secrets.token_hex(8)}
            path, body = request(dialect, "chat/fault:ok", canaries.prompt, stream)
            assert gateway.client(dialect, canaries.client).send(path, body, stream, headers).status == 200
    gateway.quiet()
    assert RequestBody.objects.exists()
    Team.objects.update(bodies="off")
    hits = search(gateway, canaries, lines)
    assert not hits, hits


def test_pages_exports_and_all_the_rest_show_none_of_it(gateway: GatewayServer, canaries: Canaries, lines: Lines, client: Any) -> None:
    """After everything above. A text that is kept is shown to who may see texts, on the page of its request, and nowhere else."""
    hits = [hit for hit in search(gateway, canaries, lines, client) if not (hit[0].startswith(_REQUESTS) and hit[2] == ["prompt"])]
    assert not hits, hits
