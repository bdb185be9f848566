"""Faults in what is said: statuses, bodies, frames, usage. On every wire where the fault exists."""

from __future__ import annotations

import json
from email.utils import parsedate_to_datetime
from typing import Any

import pytest

from llm_gateway.simulator import Simulator
from tests.simulator.wire import KEY, WIRES, Seen, ask, encoded, everywhere, exchange, text_of

every_wire = pytest.mark.parametrize("wire", WIRES)
both = pytest.mark.parametrize("stream", [False, True])
TERMINAL = {
    "openai": b"data: [DONE]",
    "fireworks": b"data: [DONE]",
    "custom": b"data: [DONE]",
    "responses": b"event: response.completed",
    "anthropic": b"event: message_stop",
    "gemini": b'"finishReason":"STOP"',
}
FINISH = {
    "openai": b'"finish_reason":"stop"',
    "fireworks": b'"finish_reason":"stop"',
    "custom": b'"finish_reason":"stop"',
    "responses": b"event: response.output_item.done",
    "anthropic": b"event: message_delta",
    "gemini": b'"finishReason":"STOP"',
}


def unreadable(seen: Seen) -> int:
    """How many SSE data lines are no JSON."""
    bad = 0
    for line in seen.body.split(b"\n"):
        if line.startswith(b"data:") and b"[DONE]" not in line:
            try:
                json.loads(line[5:])
            except ValueError:
                bad += 1
    return bad


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 408, 409, 413, 422, 429, 500, 502, 503, 504, 529])
async def test_status_comes_with_the_providers_error_shape(sim: Simulator, status: int) -> None:
    for wire, _, seen in await everywhere(sim, f"fault:status:{status}"):
        assert seen.status == status
        body = seen.json()
        if wire == "anthropic":
            assert body["type"] == "error"
            assert body["error"]["type"].endswith(("_error", "too_large"))
        elif wire == "gemini":
            assert body["error"]["code"] == status
        elif wire == "custom":
            assert {"message", "error", "detail"} & set(body)
        else:
            assert body["error"]["message"]


async def test_overloaded_anthropic_is_529(sim: Simulator) -> None:
    seen = await ask(sim, "anthropic", "fault:status:529")
    assert seen.json()["error"] == {"type": "overloaded_error", "message": "Overloaded"}
    assert seen.headers["x-should-retry"] == "true"


async def test_429_is_a_rate_or_a_quota(sim: Simulator) -> None:
    rate = await ask(sim, "openai", "fault:status:429")
    quota = await ask(sim, "openai", "fault:status:429:quota")
    assert (rate.json()["error"]["type"], quota.json()["error"]["type"]) == ("requests", "insufficient_quota")
    assert "PerDay" in (await ask(sim, "gemini", "fault:status:429:quota")).json()["error"]["details"][0]["violations"][0]["quotaId"]


async def test_retry_after_in_all_its_forms(sim: Simulator) -> None:
    assert (await ask(sim, "openai", "fault:status:429:ra=7")).headers["retry-after"] == "7"
    assert (await ask(sim, "openai", "fault:status:503:ra=soon")).headers["retry-after"] == "soon"
    assert (await ask(sim, "openai", "fault:status:429:ra-ms=250")).headers["retry-after-ms"] == "250"
    seen = await ask(sim, "anthropic", "fault:status:429:ra-date=-30")
    asked, given = parsedate_to_datetime(seen.headers["date"]), parsedate_to_datetime(seen.headers["retry-after"])
    assert 28 <= (asked - given).total_seconds() <= 32
    google = await ask(sim, "gemini", "fault:status:429:ra=9")
    assert google.json()["error"]["details"][-1]["retryDelay"] == "9s"


async def test_context_exceeded_is_a_400(sim: Simulator) -> None:
    for wire, _, seen in await everywhere(sim, "fault:ctx"):
        assert seen.status == 400, wire
        assert b"context" in seen.body or b"too long" in seen.body or b"input token count" in seen.body, wire


@both
async def test_filter_before_content(sim: Simulator, stream: bool) -> None:
    assert (await ask(sim, "openai", "fault:filter", stream=stream)).json()["error"]["code"] == "content_policy_violation"
    assert (await ask(sim, "responses", "fault:filter", stream=stream)).json()["error"]["code"] == "invalid_prompt"
    assert (await ask(sim, "custom", "fault:filter", stream=stream)).json()["code"] == "content_filter"
    assert (await ask(sim, "anthropic", "fault:filter", stream=stream)).status == 400
    google = await ask(sim, "gemini", "fault:filter", stream=stream)
    body = google.events()[0] if stream else google.json()
    assert google.status == 200
    assert body["promptFeedback"]["blockReason"] == "PROHIBITED_CONTENT"


async def test_filter_inside_the_answer(sim: Simulator) -> None:
    mark = {"anthropic": b'"refusal"', "gemini": b'"SAFETY"', "responses": b'"reason":"content_filter"'}
    for wire, _, seen in await everywhere(sim, "fault:filter-out@2"):
        assert mark.get(wire, b'"finish_reason":"content_filter"') in seen.body, wire
        assert 0 < len(text_of(wire, seen)) <= 40, wire


@every_wire
async def test_error_in_a_200(sim: Simulator, wire: str) -> None:
    whole = await ask(sim, wire, "fault:err200")
    assert whole.status == 200
    assert "error" in whole.json() or whole.json()["object"] == "error"
    streamed = await ask(sim, wire, "fault:err200", stream=True)
    assert streamed.status == 200
    assert b'"error"' in streamed.body[:200]
    assert TERMINAL[wire] not in streamed.body


@every_wire
async def test_error_after_three_content_events(sim: Simulator, wire: str) -> None:
    clean = await ask(sim, wire, "fault:ok", stream=True)
    seen = await ask(sim, wire, "fault:err@3", stream=True)
    if wire == "gemini":
        assert seen.body.rpartition(b"\r\n\r\n")[2].startswith(b'{"error"')
        return
    said = text_of(wire, seen)
    assert said
    assert text_of(wire, clean).startswith(said)
    assert b'"error"' in seen.body
    assert TERMINAL[wire] not in seen.body


@every_wire
async def test_bodies_that_are_no_json(sim: Simulator, wire: str) -> None:
    for kind in ("badjson", "truncjson"):
        seen = await ask(sim, wire, f"fault:{kind}")
        assert seen.status == 200
        assert seen.whole
        with pytest.raises(ValueError, match=r"."):
            seen.json()


@every_wire
async def test_one_content_event_is_malformed(sim: Simulator, wire: str) -> None:
    seen = await ask(sim, wire, "fault:badsse@2", stream=True)
    assert unreadable(seen) == 1
    assert seen.whole


@every_wire
async def test_a_stream_ends_inside_its_last_content_event(sim: Simulator, wire: str) -> None:
    seen = await ask(sim, wire, "fault:truncjson", stream=True)
    assert seen.whole
    assert unreadable(seen) == 1
    assert TERMINAL[wire] not in seen.body


@every_wire
async def test_streams_end_without_a_terminal(sim: Simulator, wire: str) -> None:
    bare = await ask(sim, wire, "fault:noterm", stream=True)
    assert bare.whole
    assert TERMINAL[wire] not in bare.body
    early = await ask(sim, wire, "fault:noterm@2", stream=True)
    assert early.whole
    assert FINISH[wire] not in early.body
    assert 0 < len(text_of(wire, early)) < len(text_of(wire, bare))
    finished = await ask(sim, wire, "fault:noterm-finished", stream=True)
    assert FINISH[wire] in finished.body
    if wire != "gemini":
        assert TERMINAL[wire] not in finished.body


@every_wire
async def test_terminals_come_twice_with_data_between(sim: Simulator, wire: str) -> None:
    seen = await ask(sim, wire, "fault:dupterm", stream=True)
    assert seen.body.count(TERMINAL[wire]) == 3


async def test_html_instead_of_an_answer(sim: Simulator) -> None:
    for kind, status in (("html200", 200), ("html502", 502)):
        for wire, _, seen in await everywhere(sim, f"fault:{kind}"):
            assert (seen.status, seen.headers["content-type"]) == (status, "text/html; charset=utf-8"), wire
            assert seen.body.startswith(b"<!DOCTYPE html>"), wire


@every_wire
async def test_redirect_points_back_here(sim: Simulator, wire: str) -> None:
    seen = await ask(sim, wire, "fault:redirect")
    assert seen.status == 307
    assert seen.headers["location"].endswith("/_sim/redirected")


async def test_empty_answers(sim: Simulator) -> None:
    for wire, stream, seen in await everywhere(sim, "fault:empty"):
        assert seen.status == 200, wire
        field = {"anthropic": "content", "gemini": "candidates", "responses": "output"}.get(wire, "choices")
        assert stream or not seen.json().get(field), wire
    for wire, _, seen in await everywhere(sim, "fault:empty:text"):
        assert text_of(wire, seen) == "", wire


@pytest.mark.parametrize("bend", ["none", "zero", "huge", "negative", "string"])
async def test_usage_lies(sim: Simulator, bend: str) -> None:
    for wire, stream, seen in await everywhere(sim, f"fault:usage:{bend}"):
        found = _usages(seen.events() if stream else seen.json())
        if bend == "none":
            assert found == [], wire
            continue
        field = {"anthropic": "output_tokens", "responses": "output_tokens", "gemini": "totalTokenCount"}.get(wire, "completion_tokens")
        value = found[-1][field]
        assert {
            "zero": value == 0,
            "huge": isinstance(value, int) and value >= 10**12,
            "negative": isinstance(value, int) and value < 0,
            "string": isinstance(value, str),
        }[bend], wire


def _usages(value: Any) -> list[Any]:
    if isinstance(value, list):
        return [found for item in value for found in _usages(item)]
    if not isinstance(value, dict):
        return []
    here = [item for name, item in value.items() if name in ("usage", "usageMetadata") and item]
    return here + [found for name, item in value.items() if name not in ("usage", "usageMetadata") for found in _usages(item)]


@every_wire
async def test_events_and_bodies_of_any_size(sim: Simulator, wire: str) -> None:
    event = await ask(sim, wire, "fault:hugeevent", stream=True)
    assert max(len(line) for line in event.body.split(b"\n")) > 2_000_000
    body = await ask(sim, wire, "fault:hugebody:3")
    assert len(body.body) > 3_000_000
    assert len(text_of(wire, body)) == 3_000_000


@every_wire
async def test_odd_characters_and_line_ends_leave_the_text_alone(sim: Simulator, wire: str) -> None:
    odd = await ask(sim, wire, "fault:u2028", stream=True)
    assert "\u2028" in text_of(wire, odd)
    assert "\u0085" in text_of(wire, odd)
    assert "\ufeff" in text_of(wire, odd)
    assert "\u2028".encode() in odd.body
    plain = text_of(wire, await ask(sim, wire, "fault:ok", stream=True))
    for kind in ("crlf", "cr", "comments", "nospace", "multiline"):
        seen = await ask(sim, wire, f"fault:{kind}", stream=True)
        assert text_of(wire, seen) == plain, kind
    assert b"\n" not in (await ask(sim, wire, "fault:cr", stream=True)).body
    assert b"\n" not in (await ask(sim, wire, "fault:crlf", stream=True)).body.replace(b"\r\n", b"")
    assert (await ask(sim, wire, "fault:bom", stream=True)).body.startswith(b"\xef\xbb\xbf")
    assert b": PROCESSING" in (await ask(sim, wire, "fault:comments", stream=True)).body


async def test_the_key_is_echoed_in_an_error(sim: Simulator) -> None:
    for status in (401, 400):
        for wire, _, seen in await everywhere(sim, f"fault:echo-auth:{status}"):
            assert seen.status == status, wire
            assert KEY.encode() in seen.body, wire


@every_wire
async def test_an_unknown_fault_says_so(sim: Simulator, wire: str) -> None:
    seen = await ask(sim, wire, "fault:banana")
    assert 400 <= seen.status < 500
    assert b"unknown fault" in seen.body


@every_wire
async def test_faults_work_for_embeddings_and_counts_too(sim: Simulator, wire: str) -> None:
    path, body = {
        "anthropic": ("/anthropic/v1/messages/count_tokens", {"messages": [{"role": "user", "content": "hi"}]}),
        "gemini": ("/gemini/v1beta/models/fault:status:503:countTokens", {"contents": [{"parts": [{"text": "hi"}]}]}),
        "responses": ("/openai/v1/responses/input_tokens", {"input": "hi"}),
        "fireworks": ("/fireworks/inference/v1/embeddings", {"input": "hi"}),
    }.get(wire, (f"/{wire}/v1/embeddings", {"input": "hi"}))
    seen = await exchange(sim, encoded("POST", path, {"model": "fault:status:503", **body}))
    assert seen.status == 503
