"""Fake ports: an upstream that plays scripts, a journal and a health that keep count, a catalogue written by hand."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec
from typing_extensions import override

from llm_gateway.core.catalog import AliasInfo, Credential, Identity, ModelInfo, ProviderInfo, Scope, Snapshot, StrategyInfo, Target
from llm_gateway.core.errors import AttemptFailed, Failure, FailureClass, GatewayError
from llm_gateway.core.ids import uuid7
from llm_gateway.core.money import Rate
from llm_gateway.core.secret import Secret
from llm_gateway.engine.calls import Call
from llm_gateway.engine.gate import KeyGate
from llm_gateway.engine.health import DeploymentHealth
from llm_gateway.engine.pipeline import Pipeline
from llm_gateway.engine.ports import Opening, Rejection, Settlement
from llm_gateway.engine.tasks import TaskOwner
from llm_gateway.wires import dialects

EVENTS = "text/event-stream"
JSON = "application/json"


def chunk(text: str = "", finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": {"content": text} if text else {}, "finish_reason": finish}
    return b"data: " + json.dumps({"id": "c", "model": "m", "choices": [choice]}).encode() + b"\n\n"


USAGE = b'data: {"id":"c","model":"m","choices":[],"usage":{"prompt_tokens":7,"completion_tokens":3}}\n\n'
DONE = b"data: [DONE]\n\n"
STREAM = (chunk("one "), chunk("two "), chunk("three"), chunk(finish="stop"), USAGE, DONE)
WHOLE = json.dumps(
    {
        "id": "c",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "one two three"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 7, "completion_tokens": 3},
    }
).encode()


class Script:
    """``parts`` come one by one; an exception among them is raised there, a number is so many turns of the loop. ``refuse``: raised
    instead of a head, which comes after ``head`` turns."""

    def __init__(
        self,
        *parts: bytes | int | Exception,
        status: int = 200,
        kind: str = "",
        refuse: Failure | None = None,
        body: bytes = b"",
        head: int = 1,
    ) -> None:
        self.parts = parts or ((body,) if body else STREAM)
        self.status = status
        self.kind = kind or (JSON if body or status >= 400 else EVENTS)
        self.refuse = refuse
        self.head = head


def cut(kind: FailureClass = FailureClass.RESET) -> AttemptFailed:
    return AttemptFailed(Failure(kind=kind))


def refused(status: int) -> Script:
    return Script(status=status, body=b'{"error": {"message": "no"}}')


class FakeResponse:
    def __init__(self, script: Script, log: list[str]) -> None:
        self._script = script
        self._log = log
        self.status = script.status
        self.headers = {"content-type": script.kind}
        self.ended = False
        self.closed = False

    async def read(self) -> bytes:
        return b"".join([part async for part in self.chunks()])

    async def chunks(self) -> AsyncIterator[bytes]:
        for part in self._script.parts:
            for _ in range(part if isinstance(part, int) else 1):
                await asyncio.sleep(0)
                if self.closed:
                    raise cut()
            if isinstance(part, int):
                continue
            if isinstance(part, Exception):
                raise part
            yield part
        self.ended = True

    def close(self) -> None:
        self.closed = True


class FakeUpstream:
    def __init__(self, scripts: Iterable[Script], log: list[str]) -> None:
        self._scripts = list(scripts)
        self._log = log
        self.responses: list[FakeResponse] = []

    async def send(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes, *, connect_s: float, allow_private: bool
    ) -> FakeResponse:
        self._log.append("send")
        script = self._scripts.pop(0)
        for _ in range(script.head):
            await asyncio.sleep(0)
        if script.refuse is not None:
            raise AttemptFailed(script.refuse)
        response = FakeResponse(script, self._log)
        self.responses.append(response)
        return response


class FakeJournal:
    """``opened`` and ``settled`` count by request; a cancelled ``open`` counts as not opened, as the port says."""

    def __init__(self, log: list[str]) -> None:
        self._log = log
        self.opened: list[Opening] = []
        self.reserved: list[Target] = []
        self.settled: list[Settlement] = []
        self.rejected: list[Rejection] = []
        self.refuse_open: GatewayError | None = None
        self.refuse_reserve: GatewayError | None = None

    async def open(self, opening: Opening) -> None:
        await asyncio.sleep(0)
        if self.refuse_open:
            raise self.refuse_open
        self.opened.append(opening)
        self._log.append("open")

    async def reserve(self, opening: Opening, target: Target, hold_nusd: int) -> None:
        await asyncio.sleep(0)
        if self.refuse_reserve:
            raise self.refuse_reserve
        self.reserved.append(target)
        self._log.append("reserve")

    async def settle(self, settlement: Settlement) -> None:
        self.settled.append(settlement)  # what it was given it never loses, whoever waits
        await asyncio.sleep(0)
        self._log.append("settle")

    async def reject(self, rejection: Rejection) -> None:
        await asyncio.sleep(0)
        self.rejected.append(rejection)
        self._log.append("reject")


class CountingHealth(DeploymentHealth):
    """``out``: targets that were admitted and not yet reported."""

    def __init__(self) -> None:
        super().__init__()
        self.out: list[Target] = []
        self.faults: list[str] = []

    @override
    def admit(self, target: Target) -> str | None:
        why = super().admit(target)
        if why is None:
            self.out.append(target)
        return why

    @override
    def panic(self, target: Target) -> bool:
        allowed = super().panic(target)
        if allowed:
            self.out.append(target)
        return allowed

    def _end(self, target: Target) -> None:
        if not any(one is target for one in self.out):
            self.faults.append(f"{target.provider.slug} was reported without being admitted")
        self.out = [one for one in self.out if one is not target]

    @override
    def succeeded(self, target: Target, latency_ms: float, ttft_ms: float | None, cost_nusd: int | None) -> None:
        self._end(target)
        super().succeeded(target, latency_ms, ttft_ms, cost_nusd)

    @override
    def failed(self, target: Target, failure: Failure, waited_s: float = 0.0) -> None:
        self._end(target)
        self.out.append(target)  # the base class reports the release to itself
        super().failed(target, failure, waited_s)
        self.out = [one for one in self.out if one is not target]

    @override
    def released(self, target: Target) -> None:
        if any(one is target for one in self.out):
            self._end(target)
        super().released(target)


RATE = Rate(
    price_id=1, effective_from=datetime(2020, 1, 1, tzinfo=UTC), min_prompt_tokens=0, tier="standard", input=10**6, output=2 * 10**6
)
IDENTITY = Identity(
    client_key_id=1, public_id="p", name="tester", team_id=1, team="t", scopes=frozenset({Scope.GENERATE}), budgets=(1,), max_concurrency=50
)


class FakeCatalog:
    """Providers ``a``, ``b``, ``c`` with a model each, aliased as ``abc`` and ``acb``; ``c`` has a budget of its own."""

    def __init__(self, settings: Mapping[str, Any] | None = None) -> None:
        providers, credentials, models = {}, {}, {}
        for number, slug in enumerate("abc", 1):
            providers[number] = ProviderInfo(
                id=number,
                slug=slug,
                title=slug,
                service="custom",
                wire="openai_chat",
                base_url=f"http://{slug}.invalid/v1",
                priority=number,
            )
            credentials[number] = (Credential(id=number, provider_id=number, name="default", secret=Secret("")),)
            models[slug] = ModelInfo(id=number, provider_id=number, name=slug, upstream_id=slug, max_output_tokens=100, rates=(RATE,))
        self._snapshot = Snapshot(
            version=1,
            providers=providers,
            credentials=credentials,
            models=models,
            aliases={name: AliasInfo(name=name, models=tuple(name)) for name in ("abc", "acb")},
            strategies={"enterprise": StrategyInfo(name="enterprise", kind="enterprise", settings=settings or {})},
            active_strategy="enterprise",
            clients={IDENTITY.public_id: (b"", IDENTITY)},
            provider_budgets={3: (3,)},
        )

    def snapshot(self) -> Snapshot:
        return self._snapshot

    def client(self, **changes: Any) -> None:
        """A newer catalogue, in which the client key is as told."""
        clients = {IDENTITY.public_id: (b"", msgspec.structs.replace(IDENTITY, **changes))}
        self._snapshot = msgspec.structs.replace(self._snapshot, version=self._snapshot.version + 1, clients=clients)


class Rig:
    """A pipeline over fakes. ``log``: effects in their order; ``settings``: of the strategy in force."""

    def __init__(self, *scripts: Script, **settings: Any) -> None:
        self.log: list[str] = []
        self.journal = FakeJournal(self.log)
        self.health = CountingHealth()
        self.upstream = FakeUpstream(scripts, self.log)
        self.gate = KeyGate()
        self.owner = TaskOwner()
        self.catalog = FakeCatalog(settings)
        self.pipeline = Pipeline(
            catalog=self.catalog, journal=self.journal, health=self.health, upstream=self.upstream, gate=self.gate, owner=self.owner
        )

    def call(self, model: str = "abc", *, stream: bool = False, **more: Any) -> Call:
        body = json.dumps({"model": model, "messages": [{"role": "user", "content": "hello"}], "stream": stream}).encode()
        inbound = dialects.get("openai_chat").decode_request(body, {"kind": "chat"})
        return Call(id=uuid7(1, b"0123456789"), kind="chat", identity=IDENTITY, inbound=inbound, stream=stream, **more)

    async def whole(self, model: str = "abc", **more: Any) -> Any:
        return await self.pipeline.whole(self.call(model, **more))

    async def stream(self, model: str = "abc", **more: Any) -> bytes:
        """What a face does: send the head, iterate, close in any case."""
        answer = await self.pipeline.stream(self.call(model, stream=True, **more))
        got = b""
        try:
            await asyncio.sleep(0)  # the response's head goes out
            async for batch in answer.frames:
                self.log.append("frames")
                got += b"".join(frame.raw for frame in batch)
                await asyncio.sleep(0)
        finally:
            await answer.frames.aclose()
        return got

    async def balanced(self) -> None:
        """Every balance at zero, everything opened settled once, no upstream connection left behind."""
        await self.owner.settle(2)
        assert [o.call.id for o in self.journal.opened] == [s.id for s in self.journal.settled]
        assert self.health.out == []
        assert self.health.faults == []
        assert self.gate.in_flight == 0
        assert self.gate._running == {}
        assert self.pipeline.live == 0
        assert all(response.ended or response.closed for response in self.upstream.responses)
