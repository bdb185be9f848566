"""Generate, whole and streamed, for a caller with a key. No test here may touch the database."""

from __future__ import annotations

import asyncio
import json

import pytest

from llm_gateway.api.native import sse
from llm_gateway.core.catalog import Scope
from llm_gateway.core.errors import ModelNotFound, RateLimited
from llm_gateway.core.events import ThinkingDelta

from .fakes import Caller, FakeGateway, Wire, a_call, events_of, identity

ANSWER = "Here:\n```python\nprint(1)\n```\n"


async def test_it_answers_with_every_field_of_the_contract(gateway: FakeGateway, caller: Caller) -> None:
    gateway.pipeline.answers = [ANSWER]
    response = await caller.post("generate", {"prompt": "print one", "language": "python"})
    assert response.status_code == 200
    told = response.json()
    assert told["content"] == ANSWER
    assert told["code_blocks"] == [{"language": "python", "code": "print(1)"}]
    assert (told["model"], told["provider"], told["strategy"], told["finish_reason"]) == ("acme-large", "acme", "enterprise", "stop")
    assert told["usage"] == {
        "input_tokens": 10,
        "output_tokens": 5,
        "cache_read_tokens": None,
        "cache_write_tokens": None,
        "reasoning_tokens": None,
        "source": "reported",
    }
    assert told["cost"] == {"amount": "0.0000125", "currency": "USD"}
    assert (told["latency_ms"], told["ttft_ms"], told["decision"]) == (42, 11, {"note": "by priority"})
    assert told["attempts"] == [
        {"provider": "acme", "model": "acme-large", "outcome": "ok", "status": 200, "latency_ms": 40, "error": None}
    ]
    assert response.headers["x-request-id"] == told["id"] == str(gateway.pipeline.calls[0].id)
    assert response.headers["x-cogo-model"] == "acme-large"
    assert response.headers["x-cogo-provider"] == "acme"
    assert response.headers["x-cogo-attempts"] == "1"
    assert response.headers["x-cogo-cost"] == "0.0000125"
    assert "x-cogo-simulated" not in response.headers


async def test_an_unknown_cost_is_null_and_never_zero(gateway: FakeGateway, caller: Caller) -> None:
    gateway.pipeline.answers = ["x"]
    gateway.pipeline.cost_nusd = None
    response = await caller.post("generate", {"prompt": "x"})
    assert response.json()["cost"] is None
    assert response.headers["x-cogo-cost"] == "unknown"


async def test_the_call_carries_what_the_caller_said_and_none_of_its_secrets(gateway: FakeGateway, caller: Caller) -> None:
    gateway.pipeline.answers = ["x"]
    body = {
        "prompt": "do it", "model": "big", "strategy": "ab-testing", "system": "Be brief.", "language": "go",
        "framework": "gin", "context": {"files": ["a.go"]}, "taskType": "refactor", "maxTokens": 50, "temperature": 0.5,
        "metadata": {"ticket": 7}, "stream": None,
    }  # fmt: skip
    await caller.post("generate/", body, headers={"x-request-timeout-ms": "1500"})
    (call,) = gateway.pipeline.calls
    chat = call.inbound.chat()
    assert (call.kind, call.strategy, call.task_type, call.language, call.framework) == ("generate", "ab-testing", "refactor", "go", "gin")
    assert (call.metadata, call.deadline_s, call.stream, call.raw) == ({"ticket": 7}, 1.5, False, False)
    assert (chat.model, chat.max_tokens, chat.temperature) == ("big", 50, 0.5)
    assert chat.messages[0].text.startswith("Be brief.\nLanguage: go.\nFramework: gin.\nTask: Refactor")
    assert '{"files":["a.go"]}' in chat.messages[0].text
    assert chat.messages[1].text == "do it"
    assert call.inbound.size == len(chat.messages[0].text) + len("do it")
    assert "authorization" not in call.headers


async def test_a_body_without_its_length_is_read_all_the_same(gateway: FakeGateway, caller: Caller) -> None:
    gateway.pipeline.answers = ["x"]

    async def chunks():  # type: ignore[no-untyped-def]
        yield b'{"prompt":'
        yield b' "in pieces"}'

    response = await caller.request("POST", "generate", content=chunks(), headers={"content-type": "application/json"})
    assert response.status_code == 200
    assert gateway.pipeline.calls[0].inbound.chat().messages[1].text == "in pieces"


REFUSED = [
    ({"model": "x"}, "prompt", "missing"),
    ({"prompt": ""}, "prompt", "length"),
    ({"prompt": "  "}, "prompt", "blank"),
    ({"prompt": 5}, "prompt", "Expected `str`"),
    ({"prompt": "x", "max_tokens": "many"}, "max_tokens", "Expected `int"),
    ({"prompt": "x", "max_tokens": 1_000_000_000}, "max_tokens", "<= 1000000"),
    ({"prompt": "x", "max_tokens": 0}, "max_tokens", ">= 1"),
    ({"prompt": "x", "temperature": 9}, "temperature", "<= 2"),
    ({"prompt": "x", "stream": "yes"}, "stream", "Expected `bool`"),
    ({"prompt": "x", "base_url": "http://127.0.0.1"}, "base_url", "unknown field"),
    ({"prompt": "x", "api_key": "y"}, "api_key", "unknown field"),
    ({"prompt": "x", "n": 128}, "n", "unknown field"),
    ({"prompt": "x", "metadata": {"k": "v" * 3000}}, "metadata", "2048"),
    ({"prompt": "x", "maxTokens": 1, "max_tokens": 2}, "max_tokens", "same field"),
]


@pytest.mark.parametrize(("body", "field", "words"), REFUSED)
async def test_a_wrong_field_is_named(gateway: FakeGateway, caller: Caller, body: object, field: str, words: str) -> None:
    response = await caller.post("generate", body)
    told = response.json()["error"]
    assert response.status_code == 400
    assert (told["code"], told["type"], told["retryable"]) == ("invalid_request", "invalid_request_error", False)
    assert told["details"]["param"] == field
    assert words in told["message"]
    assert response.headers["x-should-retry"] == "false"
    assert told["request_id"] == response.headers["x-request-id"]
    (row,) = gateway.rejected
    assert (row["kind"], row["dialect"], str(row["request_id"])) == ("generate", "native", told["request_id"])
    assert gateway.pipeline.calls == []


BAD_JSON = [
    b"", b"{", b"nonsense", b'{"prompt": NaN}', b'{"prompt": "a", "prompt": "b"}',
    b'{"prompt": "\\ud800"}', b'{"prompt": "\xff"}',
    b'{"context": ' + b"[" * 100 + b"]" * 100 + b"}", b'{"context": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    b'{"max_tokens": ' + b"9" * 5000 + b"}",
    '{"prompt": "x"}'.encode("utf-16"),
]  # fmt: skip


@pytest.mark.parametrize("body", BAD_JSON, ids=lambda body: repr(body[:24]))
async def test_hostile_json_is_refused_at_once(gateway: FakeGateway, caller: Caller, body: bytes) -> None:
    response = await caller.request("POST", "generate", content=body, headers={"content-type": "application/json"})
    assert (response.status_code, response.json()["error"]["code"]) == (400, "invalid_json")
    assert len(gateway.rejected) == 1


@pytest.mark.parametrize("body", [b"[]", b'"x"', b"7", b"null"])
async def test_a_body_that_is_no_object_is_refused(caller: Caller, body: bytes) -> None:
    response = await caller.request("POST", "generate", content=body, headers={"content-type": "application/json"})
    assert (response.status_code, response.json()["error"]["code"]) == (400, "invalid_request")


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""])
async def test_a_program_sends_json_and_nothing_else(caller: Caller, content_type: str) -> None:
    response = await caller.request("POST", "generate", content=b"prompt=x", headers={"content-type": content_type})
    told = response.json()["error"]
    assert (response.status_code, told["code"], told["details"]["param"]) == (400, "invalid_request", "content-type")


async def test_a_body_above_the_cap_is_refused(gateway: FakeGateway, caller: Caller, settings) -> None:  # type: ignore[no-untyped-def]
    settings.COGO = {**settings.COGO, "max_body_bytes": 100}
    response = await caller.post("generate", {"prompt": "x" * 200})
    assert (response.status_code, response.json()["error"]["code"]) == (413, "request_too_large")


async def test_a_body_above_djangos_own_cap_gets_the_same_answer(caller: Caller, settings) -> None:  # type: ignore[no-untyped-def]
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 100
    response = await caller.post("generate", {"prompt": "x" * 200})
    assert (response.status_code, response.json()["error"]["code"]) == (413, "request_too_large")


@pytest.mark.parametrize("deadline", ["0", "-1", "soon", "1e3", "99999999999"])
async def test_a_deadline_that_is_none_is_refused(caller: Caller, deadline: str) -> None:
    response = await caller.post("generate", {"prompt": "x"}, headers={"x-request-timeout-ms": deadline})
    assert (response.status_code, response.json()["error"]["code"]) == (400, "invalid_request")


async def test_what_the_pipeline_refuses_is_told_and_not_logged_twice(gateway: FakeGateway, caller: Caller) -> None:
    gateway.pipeline.answers = [
        ModelNotFound("The model `nope` does not exist.", param="model"),
        RateLimited("Slow down.", retry_after_s=1.2),
    ]
    missing = await caller.post("generate", {"prompt": "x", "model": "nope"})
    assert (missing.status_code, missing.json()["error"]["code"]) == (404, "model_not_found")
    limited = await caller.post("generate", {"prompt": "x"})
    assert (limited.status_code, limited.headers["retry-after"], limited.json()["error"]["retryable"]) == (429, "2", True)
    assert limited.headers["x-should-retry"] == "true"
    assert gateway.rejected == []


async def test_a_bug_is_told_without_its_trace(gateway: FakeGateway, caller: Caller, caplog: pytest.LogCaptureFixture) -> None:
    gateway.pipeline.answers = [ZeroDivisionError("the inner workings")]
    response = await caller.post("generate", {"prompt": "x"})
    assert (response.status_code, response.json()["error"]["code"]) == (500, "internal_error")
    assert "inner workings" not in response.text
    assert "a view failed" in caplog.text


async def test_a_stream_tells_start_delta_done(gateway: FakeGateway, caller: Caller) -> None:
    gateway.pipeline.answers = [["```py\n", ThinkingDelta("hm"), "x = 1\n```"]]
    response = await caller.post("generate", {"prompt": "x", "stream": True}, headers={"accept": "text/event-stream"})
    assert response.headers["content-type"].startswith("text/event-stream")
    assert response.headers["x-request-id"] == str(gateway.pipeline.calls[0].id)
    events = events_of(response.text)
    assert [name for name, _ in events] == ["start", "delta", "thinking", "delta", "done"]
    assert events[0][1] == {"id": response.headers["x-request-id"], "model": "acme-large", "provider": "acme", "strategy": "enterprise"}
    assert events[2][1] == {"content": "hm"}
    done = events[-1][1]
    assert done["code_blocks"] == [{"language": "py", "code": "x = 1"}]
    assert "content" not in done
    assert done["cost"]["amount"] == "0.0000125"


async def test_a_stream_that_breaks_ends_with_an_error_and_no_done(gateway: FakeGateway, caller: Caller) -> None:
    gateway.pipeline.answers = [["half", RateLimited("gone")]]
    events = events_of((await caller.post("generate", {"prompt": "x", "stream": True})).text)
    assert [name for name, _ in events] == ["start", "delta", "error"]
    assert events[-1][1]["error"]["code"] == "rate_limited"


async def test_a_bug_in_a_stream_is_an_error_event_too(gateway: FakeGateway, caller: Caller, caplog: pytest.LogCaptureFixture) -> None:
    gateway.pipeline.answers = [["half", ZeroDivisionError("inner")]]
    response = await caller.post("generate", {"prompt": "x", "stream": True})
    assert events_of(response.text)[-1][1]["error"]["code"] == "internal_error"
    assert "inner" not in response.text
    assert "a stream failed" in caplog.text


async def test_an_error_before_the_first_content_has_its_own_status(gateway: FakeGateway, caller: Caller) -> None:
    gateway.pipeline.answers = [RateLimited("later")]
    response = await caller.post("generate", {"prompt": "x", "stream": True})
    assert response.status_code == 429


async def test_deltas_leave_as_they_come(gateway: FakeGateway) -> None:
    pause = asyncio.Event()
    gateway.pipeline.answers = [["one", pause, "two"]]
    async with Wire("generate", json.dumps({"prompt": "x", "stream": True}).encode()) as wire:
        first = await wire.next()
        assert b"event: start" in first
        assert b'"one"' in first
        assert not pause.is_set()
        pause.set()
        assert b'"two"' in await wire.next()


async def test_a_silent_stream_is_kept_alive(gateway: FakeGateway, settings) -> None:  # type: ignore[no-untyped-def]
    settings.COGO = {**settings.COGO, "heartbeat_s": 0.02}
    gateway.pipeline.answers = [["one", asyncio.Event()]]
    async with Wire("generate", json.dumps({"prompt": "x", "stream": True}).encode()) as wire:
        await wire.next()
        assert (await wire.next()).startswith(b":")


async def test_a_caller_who_leaves_ends_the_upstream(gateway: FakeGateway) -> None:
    gateway.pipeline.answers = [["one", asyncio.Event()]]
    async with Wire("generate", json.dumps({"prompt": "x", "stream": True}).encode()) as wire:
        await wire.next()
        assert not gateway.pipeline.closed.is_set()
        wire.leave()
        await asyncio.wait_for(gateway.pipeline.closed.wait(), 1)


async def test_a_caller_who_leaves_between_two_pieces_ends_the_upstream_too(gateway: FakeGateway) -> None:
    gateway.pipeline.answers = [["one"] * 1000]
    async with Wire("generate", json.dumps({"prompt": "x", "stream": True}).encode(), ahead=1) as wire:
        await wire.next()
        assert not gateway.pipeline.closed.is_set()
        wire.leave()
        await asyncio.wait_for(gateway.pipeline.closed.wait(), 1)


async def test_a_response_that_is_never_read_ends_the_upstream(gateway: FakeGateway) -> None:
    gateway.pipeline.answers = [["one"]]
    answer = await gateway.pipeline.stream(a_call())
    opened = sse.Opened(answer)
    closed = asyncio.Event()

    class Frames:
        async def aclose(self) -> None:
            closed.set()

    answer.frames = Frames()  # type: ignore[assignment]
    response = sse.EventStream(sse.relayed(opened, {}, []), answer.id, {})
    del opened, response
    await asyncio.wait_for(closed.wait(), 1)


async def test_a_key_without_the_scope_is_refused_and_logged(gateway: FakeGateway) -> None:
    gateway.keys["reader"] = identity(scopes=frozenset({Scope.READ}))
    response = await Caller("reader").post("generate", {"prompt": "x"})
    told = response.json()["error"]
    assert (response.status_code, told["code"]) == (403, "permission_denied")
    assert "`generate`" in told["message"]
    assert len(gateway.rejected) == 1


async def test_a_reply_that_is_read_is_answered_in_json_whatever_is_accepted(gateway: FakeGateway, caller: Caller) -> None:
    gateway.pipeline.answers = ["x"]
    response = await caller.post("generate", {"prompt": "x"}, headers={"accept": "text/html"})
    assert response.headers["content-type"] == "application/json"
