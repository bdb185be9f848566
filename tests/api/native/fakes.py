"""A gateway whose pipeline says what the test wrote, and callers of the ASGI application."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import httpx
from django.core.handlers.asgi import ASGIHandler

from llm_gateway.core.catalog import (
    AliasInfo,
    Credential,
    Identity,
    Lifecycle,
    ModelInfo,
    ProviderInfo,
    Scope,
    Snapshot,
    StrategyInfo,
    Target,
)
from llm_gateway.core.chat import ChatRequest, ChatResponse, Choice, FinishReason, Text
from llm_gateway.core.errors import GatewayError, KeyRevoked, Unauthenticated
from llm_gateway.core.events import Event, Frame, TextDelta
from llm_gateway.core.keys import KeyState
from llm_gateway.core.money import Rate
from llm_gateway.core.secret import Secret
from llm_gateway.core.usage import Usage
from llm_gateway.engine.calls import AttemptRecord, Call, StreamAnswer, Summary, WholeAnswer, inbound_of

ALL = frozenset(Scope)
KEY, NARROW, REVOKED = "caller-one", "caller-narrow", "caller-revoked"


def identity(team_id: int = 1, scopes: frozenset[Scope] = ALL, models: frozenset[str] = frozenset(), key_id: int | None = 7) -> Identity:
    return Identity(client_key_id=key_id, public_id="a" * 12, name="tests", team_id=team_id, team="one", scopes=scopes, models=models)


RATE = Rate(price_id=1, effective_from=datetime(2026, 1, 1, tzinfo=UTC), input=250_000, output=1_500_000, cache_read=25_000)
PROVIDERS = {
    1: ProviderInfo(id=1, slug="acme", title="Acme", service="custom", wire="openai_chat", base_url="http://acme.test/v1", priority=10),
    2: ProviderInfo(
        id=2, slug="zenith", title="Zenith", service="custom", wire="openai_chat", base_url="http://zenith.test/v1", priority=20
    ),
}
MODELS = {
    "acme-large": ModelInfo(
        id=1, provider_id=1, name="acme-large", upstream_id="large-1", capabilities=frozenset({"json_schema", "tools"}),
        rates=(RATE,), context_window=100_000, position=10,
    ),
    "acme-old": ModelInfo(
        id=2, provider_id=1, name="acme-old", upstream_id="old-1", lifecycle=Lifecycle.RETIRED, successor="acme-large", position=20
    ),
    "zenith-mini": ModelInfo(
        id=3, provider_id=2, name="zenith-mini", upstream_id="mini", capabilities=frozenset({"tools"}), context_window=2048, position=5
    ),
}  # fmt: skip
SNAPSHOT = Snapshot(
    version=1,
    providers=PROVIDERS,
    credentials={
        1: (Credential(id=11, provider_id=1, name="default", secret=Secret(""), state=KeyState.VALID),),
        2: (Credential(id=22, provider_id=2, name="default", secret=Secret(""), state=KeyState.VALID),),
    },
    models=MODELS,
    aliases={"big": AliasInfo(name="big", models=("acme-large",)), "any": AliasInfo(name="any", models=("acme-large", "zenith-mini"))},
    strategies={
        "enterprise": StrategyInfo(name="enterprise", kind="enterprise", settings={}),
        "ab-testing": StrategyInfo(name="ab-testing", kind="ab-testing", settings={}),
    },
    active_strategy="enterprise",
    clients={},
)


def target(model: str = "acme-large") -> Target:
    info = MODELS[model]
    return Target(
        provider=PROVIDERS[info.provider_id],
        credential=SNAPSHOT.credentials[info.provider_id][0],
        model=info,
        upstream_id=info.upstream_id,
    )


def summary(call_id: UUID, served: Target, cost_nusd: int | None = 12_500) -> Summary:
    attempt = AttemptRecord(
        number=1, provider_id=served.provider.id, provider=served.provider.slug, credential_id=served.credential.id,
        model_id=served.model.id, model=served.model.name, upstream_id=served.upstream_id, outcome="ok",
        started_at=time.time(), status=200, latency_ms=40, ttft_ms=10, cost_nusd=cost_nusd,
    )  # fmt: skip
    return Summary(
        id=call_id, state="ok", target=served, served_model=served.upstream_id, strategy="enterprise", decision={"note": "by priority"},
        attempts=(attempt,), usage=Usage(input_tokens=10, output_tokens=5), cost_nusd=cost_nusd, latency_ms=42, ttft_ms=11,
        finish_reason="stop",
    )  # fmt: skip


class FakePipeline:
    """``answers``: what to say next, in order: a text, an error to raise, or a function of the call. A stream says a sequence of events."""

    def __init__(self) -> None:
        self.answers: list[Any] = []
        self.calls: list[Call] = []
        self.closed = asyncio.Event()
        self.served = target()
        self.cost_nusd: int | None = 12_500

    async def whole(self, call: Call) -> WholeAnswer:
        said = self._next(call)
        choice = Choice(parts=(Text(text=said),), finish=FinishReason.STOP)
        return WholeAnswer(summary=summary(call.id, self.served, self.cost_nusd), response=ChatResponse(choices=(choice,)))

    async def stream(self, call: Call) -> StreamAnswer:
        said = self._next(call)
        answer = StreamAnswer(call.id, self.served, self.served.upstream_id, False, 1, "enterprise")
        answer.frames = self._frames(answer, said)
        return answer

    def _next(self, call: Call) -> Any:
        self.calls.append(call)
        said = self.answers.pop(0)
        said = said(call) if callable(said) else said
        if isinstance(said, Exception):
            raise said
        return said

    async def _frames(self, answer: StreamAnswer, said: Sequence[Any]) -> AsyncIterator[list[Frame]]:
        try:
            for one in said:
                match one:
                    case str():
                        yield [Frame(b"", (TextDelta(one),))]
                    case Event():
                        yield [Frame(b"", (one,))]
                    case asyncio.Event():
                        await one.wait()
                    case Exception():
                        raise one
            answer.summary = summary(answer.id, answer.target, self.cost_nusd)
            yield []
        finally:
            self.closed.set()


class FakeGateway:
    def __init__(self) -> None:
        self.pipeline = FakePipeline()
        self.keys = {KEY: identity(), NARROW: identity(scopes=frozenset(), key_id=8)}
        self.rejected: list[Mapping[str, Any]] = []
        self.health: dict[tuple[int, str], dict[str, Any]] = {}
        self.current = SNAPSHOT

    @property
    def catalog(self) -> FakeGateway:
        return self

    def snapshot(self) -> Snapshot:
        return self.current

    def identify(self, presented_key: str) -> Identity:
        if presented_key == REVOKED:
            raise KeyRevoked("This client key was revoked.")
        if presented_key not in self.keys:
            raise Unauthenticated("The client key is not known.")
        return self.keys[presented_key]

    def staff_identity(self, user: Any) -> Identity:
        return identity(team_id=999, scopes=ALL if user.is_superuser else frozenset({Scope.READ}), key_id=None)

    def health_view(self) -> Mapping[tuple[int, str], Mapping[str, Any]]:
        return self.health

    async def reject(self, **said: Any) -> None:
        self.rejected.append(said)


class Caller:
    """HTTP against Django's ASGI handler, whole answers only (httpx collects what ASGI sends)."""

    def __init__(self, key: str | None = KEY) -> None:
        self.headers = {"authorization": f"Bearer {key}"} if key else {}

    async def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        transport = httpx.ASGITransport(app=ASGIHandler(), raise_app_exceptions=True)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            headers = {**self.headers, **options.pop("headers", {})}
            return await client.request(method, f"/api/ai-models/{path}", headers=headers, **options)

    async def post(self, path: str, json: Any = None, **options: Any) -> httpx.Response:
        return await self.request("POST", path, **({"json": json} if json is not None else {}), **options)

    async def get(self, path: str, **options: Any) -> httpx.Response:
        return await self.request("GET", path, **options)


class Wire:
    """One raw ASGI exchange, to see what is sent when, and to leave in the middle. ``ahead``: how much may be sent before it is read."""

    def __init__(self, path: str, body: bytes, key: str = KEY, ahead: int = 0) -> None:
        self.sent: asyncio.Queue[dict[str, Any]] = asyncio.Queue(ahead)
        self._left = asyncio.Event()
        self._body: list[dict[str, Any]] = [{"type": "http.request", "body": body, "more_body": False}]
        self._scope = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST", "scheme": "http",
            "path": f"/api/ai-models/{path}", "raw_path": b"", "query_string": b"", "root_path": "",
            "headers": [(b"host", b"localhost"), (b"content-type", b"application/json"), (b"authorization", f"Bearer {key}".encode())],
            "client": ("127.0.0.1", 1), "server": ("localhost", 80),
        }  # fmt: skip

    async def __aenter__(self) -> Wire:
        self._task = asyncio.ensure_future(ASGIHandler()(self._scope, self._receive, self.sent.put))
        return self

    async def __aexit__(self, *exc: object) -> None:
        self.leave()
        await asyncio.wait_for(self._task, 5)

    def leave(self) -> None:
        self._left.set()

    async def next(self) -> bytes:
        """The next piece of the body."""
        while True:
            message = await asyncio.wait_for(self.sent.get(), 5)
            if message["type"] == "http.response.body":
                return bytes(message["body"])

    async def _receive(self) -> dict[str, Any]:
        if self._body:
            return self._body.pop()
        await self._left.wait()
        return {"type": "http.disconnect"}


def events_of(text: str) -> list[tuple[str, Any]]:
    """(name, data) of every event in a finished stream."""
    import json

    found = []
    for block in text.split("\n\n"):
        lines = dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith(":") and ": " in line)
        if lines:
            found.append((lines["event"], json.loads(lines["data"])))
    return found


def raising(error: GatewayError) -> Callable[[Call], Any]:
    def answer(call: Call) -> Any:
        raise error

    return answer


def a_call() -> Call:
    chat = ChatRequest(model="", messages=())
    return Call(id=new_uuid(), kind="generate", identity=identity(), inbound=inbound_of(chat, size=0, needs=frozenset()))


def new_uuid() -> UUID:
    from llm_gateway.core.ids import uuid7

    return uuid7(time.time_ns() // 1_000_000, os.urandom(10))
