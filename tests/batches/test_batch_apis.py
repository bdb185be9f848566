"""The batch APIs of the providers as the gateway describes them, against the simulator that learnt them from the same documents."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from llm_gateway.simulator import ThreadedSimulator
from llm_gateway.wires._batch_apis import AnthropicBatches, BatchApi, GeminiBatches, Line, NotUnderstood, OpenAIBatches, Shard, Step

HEADERS = {"authorization": "Bearer sim-valid-1", "x-api-key": "sim-valid-1", "x-goog-api-key": "sim-valid-1", "anthropic-version": "1"}
APIS: dict[str, BatchApi] = {"openai": OpenAIBatches(), "anthropic": AnthropicBatches(), "gemini": GeminiBatches()}


def body(provider: str, number: int, model: str) -> bytes:
    if provider == "gemini":
        said: dict[str, Any] = {
            "contents": [{"role": "user", "parts": [{"text": f"say {number}"}]}],
            "generationConfig": {"maxOutputTokens": 8},
        }
        return json.dumps(said).encode()
    return json.dumps({"model": model, "max_tokens": 8, "messages": [{"role": "user", "content": f"say {number}"}]}).encode()


class Client:
    def __init__(self, simulator: ThreadedSimulator, provider: str) -> None:
        self.simulator, self.provider, self.api = simulator, provider, APIS[provider]
        self.http = httpx.Client(base_url=simulator.base_url(provider), verify=False)

    def ask(self, step: Step) -> httpx.Response:
        return self.http.request(
            step.method, step.path.lstrip("/"), content=step.body, headers={**HEADERS, "content-type": step.content_type}
        )

    def good(self, step: Step) -> bytes:
        answer = self.ask(step)
        assert answer.status_code == 200, answer.text
        return answer.content

    def shard(self, count: int = 4, model: str = "m") -> Shard:
        lines = tuple(Line(uuid.uuid4().hex, body(self.provider, n, model)) for n in range(count))
        return Shard(name=f"cogo-{uuid.uuid4().hex}", model=model, since=datetime.now(UTC), count=count, lines=lines)

    def sent(self, shard: Shard) -> tuple[str, str]:
        step = self.api.upload(shard)
        upload = self.api.uploaded(self.good(step)) if step is not None else ""
        return upload, self.api.created(self.good(self.api.create(shard, upload)))

    def told(self, remote: str, upload: str) -> Any:
        return self.api.told(self.good(self.api.poll(remote)), remote, upload)

    def read(self, told: Any) -> list[Any]:
        bodies = [told.inline] if told.inline else [self.good(step) for step in told.results]
        return [line for one in bodies for line in self.api.read(one)]

    def states(self, shard: Shard) -> list[tuple[int, str]]:
        """(place of the line, what became of it) in the order of the results."""
        upload, remote = self.sent(shard)
        told = self.told(remote, upload)
        assert told.state == "ended", told
        places = {line.name: at for at, line in enumerate(shard.lines)}
        return [(-1, "unreadable") if one is None else (places.get(one.name, -1), one.state) for one in self.read(told)]


@pytest.fixture(scope="module")
def simulator() -> Iterator[ThreadedSimulator]:
    with ThreadedSimulator(latency_ms=0, chunk_ms=0, seed=1) as found:
        yield found


@pytest.fixture(params=list(APIS))
def client(simulator: ThreadedSimulator, request: pytest.FixtureRequest) -> Iterator[Client]:
    simulator.control("reset")
    found = Client(simulator, request.param)
    yield found
    found.http.close()


def test_a_batch_runs_is_found_again_and_its_lines_are_told_whatever_their_order(client: Client) -> None:
    client.simulator.control("batches", polls=1, jobs=["shuffled"])
    shard = client.shard()
    assert client.api.find(client.good(client.api.listing()), shard) == ()
    upload, remote = client.sent(shard)
    assert client.api.find(client.good(client.api.listing()), shard) == (remote,)
    assert client.told(remote, upload).state == "running"
    told = client.told(remote, upload)
    lines = client.read(told)
    assert {(one.name, one.state, one.status) for one in lines} == {(line.name, "answered", 200) for line in shard.lines}
    assert [one.name for one in lines] != [line.name for line in shard.lines]
    assert b"usage" in lines[0].body.lower()
    for step in told.tidy:
        client.good(step)
    if client.provider != "openai":
        assert client.ask(client.api.poll(remote)).status_code == 404


def test_what_a_provider_does_to_a_batch_is_told_line_by_line(client: Client) -> None:
    cases = {
        "ok": [(0, "answered"), (1, "answered"), (2, "answered"), (3, "answered")],
        "missing:2": [(0, "answered"), (2, "answered")],
        "half": [(0, "answered"), (1, "answered")],
        "expired": [(0, "answered"), (1, "answered"), (2, "expired"), (3, "expired")],
        "stranger": [(0, "answered"), (1, "answered"), (2, "answered"), (3, "answered"), (-1, "answered")],
        "twice": [*[(n, "answered") for n in range(4)]] * 2,
    }
    for fault, wanted in cases.items():
        client.simulator.control("batches", jobs=[fault])
        assert client.states(client.shard()) == wanted, fault
    failing = client.states(client.shard(2, "fault:status:400"))
    assert failing == [(0, "failed"), (1, "failed")]
    client.simulator.control("batches", download=["cut"], poll=["ok", "cut"] if client.provider == "gemini" else [])
    if client.provider != "gemini":
        assert (-1, "unreadable") in client.states(client.shard())


def test_a_batch_that_is_refused_or_gone_or_created_with_an_error_is_known_as_that(client: Client) -> None:
    control, api = client.simulator.control, client.api
    control("batches", jobs=["invalid"])
    if client.provider == "anthropic":
        assert client.ask(api.create(client.shard(), "")).status_code == 400
    else:
        upload, remote = client.sent(client.shard())
        told = client.told(remote, upload)
        assert (told.state, bool(told.why)) == ("refused", True)
    control("batches", jobs=["gone"])
    assert client.ask(api.poll(client.sent(client.shard())[1])).status_code == 404
    control("batches", create=["late"])
    shard = client.shard(3)
    step = api.upload(shard)
    upload = api.uploaded(client.good(step)) if step else ""
    assert client.ask(api.create(shard, upload)).status_code >= 500
    assert len(api.find(client.good(api.listing()), shard)) == 1
    if not api.named:
        later = Shard(name=shard.name, model="m", since=datetime.now(UTC) + timedelta(minutes=5), count=3)
        assert api.find(client.good(api.listing()), later) == ()
    control("batches", create=["status:429"], polls=3)
    assert client.ask(api.create(shard, upload)).status_code == 429
    upload, remote = client.sent(client.shard())
    assert client.told(remote, upload).state == "running"
    client.good(api.cancel(remote))
    assert [one.state for one in client.read(client.told(remote, upload))][:2] == ["answered", "answered"]


def test_nonsense_is_never_taken_for_an_answer() -> None:
    shard = Shard(name="cogo-1", model="m", since=datetime.now(UTC), count=1)
    for api in APIS.values():
        for nonsense in (b"", b"<html>", b"[]", b'{"id": 7}', b'{"status": "new word", "processing_status": 1}', b"\xff", b"[" * 10_000):
            for work in (api.created, lambda one, api=api: api.told(one, "r", ""), lambda one, api=api: api.find(one, shard)):
                with pytest.raises(NotUnderstood):
                    work(nonsense)
        assert not [one for one in api.read(b'{"custom_id": 3}\n\n') if one is not None]


def test_a_batch_at_anthropic_is_found_by_moment_and_size() -> None:
    since = datetime(2026, 12, 1, 12, 0, tzinfo=UTC)

    def there(name: str, at: datetime, size: int) -> dict[str, Any]:
        counts = {"processing": size - 1, "succeeded": 1, "errored": 0, "canceled": 0, "expired": 0}
        return {"id": name, "created_at": at.isoformat(), "request_counts": counts}

    later = since + timedelta(seconds=5)
    listed = [there("smaller", later, 2), there("ours", later, 3), there("older", since - timedelta(hours=1), 3)]
    shard = Shard(name="cogo-1", model="m", since=since, count=3)
    assert AnthropicBatches().find(json.dumps({"data": listed}).encode(), shard) == ("ours",)
