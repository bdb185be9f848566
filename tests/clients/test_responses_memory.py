"""What ``/v1/responses`` remembers: whose it is, how long, on which wire, and that an answer never waits for it."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.support.gateway import GatewayServer
from tests.support.reading import read
from tests.support.speaking import Answer
from tests.support.upstream import Upstream

WIRES = ("chat", "anthropic", "gemini", "responses")


def ask(gateway: GatewayServer, model: str, words: Any, *, stream: bool = False, key: str | None = None, **more: Any) -> Answer:
    body = {"model": model, "input": words, "stream": stream, "max_output_tokens": 100, **more}
    return gateway.client("openai_responses", key).send("/v1/responses", body, stream)


def object_of(answer: Answer) -> dict[str, Any]:
    if not answer.stream:
        return dict(answer.json)
    return dict(next(data["response"] for name, data in answer.events if name == "response.completed"))


def get(gateway: GatewayServer, path: str, method: str = "GET", key: str | None = None) -> Any:
    headers = {"authorization": f"Bearer {key or gateway.rows.key}"}
    return gateway.http.request(method, f"/v1/responses/{path}", headers=headers)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("second", WIRES)
@pytest.mark.parametrize("first", WIRES)
def test_a_conversation_goes_on_by_id_on_any_wire(gateway: GatewayServer, first: str, second: str, stream: bool) -> None:
    gateway.simulator.control("script", steps=[{"text": "Blue it is."}, {"text": "You said blue."}])
    one = object_of(ask(gateway, f"{first}/m", "My-colour-is-blue.", stream=stream))
    mark = gateway.mark
    two = object_of(ask(gateway, f"{second}/m", "What did I say?", stream=stream, previous_response_id=one["id"]))
    sent = gateway.received(mark)[0]["body"]
    if first == second == "responses":
        assert f'"previous_response_id":"{one["id"]}"' in sent.replace(": ", ":")  # the provider remembers by itself
    else:
        assert sent.index("My-colour-is-blue.") < sent.index("Blue it is.") < sent.index("What did I say?")
        assert one["id"] not in sent
    if second != "responses" or first == second:  # what passes through is the provider's own word
        assert two["previous_response_id"] == one["id"]
    assert two["store"] is True


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("second", WIRES)
@pytest.mark.parametrize("first", ["chat", "anthropic", "gemini"])
def test_items_are_sent_again_by_their_ids(gateway: GatewayServer, first: str, second: str, stream: bool) -> None:
    """As the AI SDK does: text, thoughts and calls of earlier answers by id, results in words."""
    cities = [{"tool": "get_weather", "arguments": {"city": city}} for city in ("Rome", "Oslo")]
    gateway.simulator.control("script", steps=[{"tools": cities, "text": "I will look.", "thinking": "Where?"}, {"text": "Rain."}])
    tools = [{"type": "function", "name": "get_weather", "parameters": {"type": "object", "properties": {}}}]
    output = object_of(ask(gateway, f"{first}/m", "Weather?", stream=stream, tools=tools))["output"]
    said: list[Any] = [{"role": "user", "content": "Weather?"}]
    for item in output:
        said.append({"type": "item_reference", "id": item["id"]})
        if item["type"] == "function_call":
            said.append({"type": "function_call_output", "call_id": item["call_id"], "output": "rain"})
    mark = gateway.mark
    two = object_of(ask(gateway, f"{second}/m", said, stream=stream, tools=tools))
    assert two["output"][-1]["content"][0]["text"] == "Rain."
    sent = gateway.received(mark)[0]["body"]
    assert "item_reference" not in sent
    assert sent.index("I will look.") < sent.index("Rome") < sent.index("Oslo")
    third = [*said, {"type": "item_reference", "id": two["output"][-1]["id"]}, {"role": "user", "content": "Sure?"}]
    if second != "responses":  # there the id is the provider's own
        assert ask(gateway, "chat/m", third, tools=tools).status == 200


GEMINI_CALLS = [
    {"functionCall": {"name": "get_weather", "args": {"city": "Rome"}}, "thoughtSignature": "c2lnbmVk"},
    {"functionCall": {"name": "get_weather", "args": {"city": "Oslo"}}},
]


@pytest.mark.parametrize("own_id", ["resp-17", "respAbc", "r1", ""])
@pytest.mark.parametrize("stream", [False, True])
def test_items_are_found_again_whatever_id_the_provider_gave_its_answer(
    gateway: GatewayServer, replaying: Upstream, stream: bool, own_id: str
) -> None:
    """The AI SDK sends thoughts and calls by reference; an answer may be kept under its provider's own id."""
    parts = [{"text": "Where?", "thought": True}, *GEMINI_CALLS]
    usage = {"promptTokenCount": 3, "candidatesTokenCount": 4, "totalTokenCount": 7}
    candidate = {"content": {"role": "model", "parts": parts}, "finishReason": "STOP", "index": 0}
    body = json.dumps({"candidates": [candidate], "usageMetadata": usage, "responseId": own_id, "modelVersion": "m"}).encode()
    replaying.stream(b"data: " + body + b"\n\n") if stream else replaying.serve(body)
    tools = [{"type": "function", "name": "get_weather", "parameters": {"type": "object", "properties": {}}}]
    output = object_of(ask(gateway, "up-gem/m", "Weather?", stream=stream, tools=tools))["output"]
    assert [item["type"] for item in output if item["type"] != "reasoning"] == ["function_call", "function_call"]
    said: list[Any] = [{"role": "user", "content": "Weather?"}]
    for item in output:
        said.append({"type": "item_reference", "id": item["id"]})
        if item["type"] == "function_call":
            said.append({"type": "function_call_output", "call_id": item["call_id"], "output": "rain"})
    for wire in WIRES:
        mark = gateway.mark
        second = ask(gateway, f"{wire}/m", said, stream=stream, tools=tools)
        assert second.status == 200, second.body
        sent = gateway.received(mark)[0]["body"]
        assert sent.index("Rome") < sent.index("Oslo")
        assert "rs_cogo_" not in sent


@pytest.mark.parametrize("wire", WIRES)
def test_a_thought_that_was_not_stored_does_not_end_the_conversation(gateway: GatewayServer, wire: str) -> None:
    gateway.simulator.control("script", steps=[{"text": "I will look.", "thinking": "Where?"}])
    output = object_of(ask(gateway, "gemini/m", "Weather?", store=False, reasoning={"effort": "low", "summary": "auto"}))["output"]
    thoughts = [{"type": "item_reference", "id": item["id"]} for item in output if item["type"] == "reasoning"]
    thoughts = thoughts or [{"type": "item_reference", "id": "rs_cogo_00000000-0000-4000-8000-000000000000_0"}]
    history = [{"role": "user", "content": "a"}, *thoughts, {"role": "assistant", "content": "b"}, {"role": "user", "content": "c"}]
    answer = ask(gateway, f"{wire}/m", history)
    assert answer.status == 200, answer.body


def test_a_reference_that_leads_nowhere_is_told_by_its_place(gateway: GatewayServer) -> None:
    item = ask(gateway, "chat/m", "hi").json["output"][0]
    other = gateway.issue("other-for-items")
    forged = item["id"].rsplit("_", 1)[0] + "_7"
    for reference, key in ((item["id"], other), (forged, None)):
        refused = ask(gateway, "chat/m", [{"role": "user", "content": "a"}, {"type": "item_reference", "id": reference}], key=key)
        assert refused.status == 400
        assert (refused.json["error"]["type"], refused.json["error"]["param"]) == ("invalid_request_error", "input[1].id")
    mark = gateway.mark
    own = {"type": "item_reference", "id": "msg_68a"}
    ask(gateway, "responses/m", [{"role": "user", "content": "a"}, own])
    assert "msg_68a" in gateway.received(mark)[0]["body"]  # the provider's own affair
    mark = gateway.mark
    assert ask(gateway, "chat/m", [own, {"role": "user", "content": "a"}]).status == 200
    assert "item_reference" in gateway.received(mark)[0]["body"]  # elsewhere it can only be told that something stood there


def test_tool_calls_and_their_thoughts_are_remembered(gateway: GatewayServer) -> None:
    gateway.rows.model("anthropic", "claude-haiku-4-5", max_output_tokens=8000)
    gateway.refresh()
    steps = [{"tool": "get_weather", "arguments": {"city": "Rome"}, "thinking": "Where is it?"}, {"text": "Rain."}]
    gateway.simulator.control("script", steps=steps)
    tools = [{"type": "function", "name": "get_weather", "parameters": {"type": "object", "properties": {}}}]
    more: dict[str, Any] = {"tools": tools, "reasoning": {"effort": "low"}, "max_output_tokens": 4000}
    one = ask(gateway, "anthropic/claude-haiku-4-5", "Rome?", **more)
    call = read(one).calls[0]
    mark = gateway.mark
    result = [{"type": "function_call_output", "call_id": call.id, "output": "rain"}]
    two = ask(gateway, "anthropic/claude-haiku-4-5", result, previous_response_id=one.json["id"], **more)
    assert read(two).text == "Rain."
    sent = json.loads(gateway.received(mark)[0]["body"])
    kinds = [block["type"] for message in sent["messages"][1:] for block in message["content"]]
    assert kinds == ["thinking", "tool_use", "tool_result"]


def test_what_is_kept_can_be_read_listed_and_deleted(gateway: GatewayServer) -> None:
    one = ask(gateway, "chat/m", "first").json
    two = ask(gateway, "chat/m", [{"role": "user", "content": "second"}], previous_response_id=one["id"]).json
    gateway.settle()
    assert get(gateway, two["id"]).json() == two
    listed = get(gateway, f"{two['id']}/input_items?order=asc").json()
    said = [item["content"][0]["text"] for item in listed["data"]]
    assert (said[0], said[-1], len(said)) == ("first", "second", 3)
    assert listed["first_id"] == listed["data"][0]["id"]
    page = get(gateway, f"{two['id']}/input_items?order=asc&limit=1&after={listed['first_id']}").json()
    assert (page["data"], page["has_more"]) == (listed["data"][1:2], True)
    assert get(gateway, two["id"], "DELETE").json() == {"id": two["id"], "object": "response", "deleted": True}
    for method, path in (("GET", two["id"]), ("DELETE", two["id"]), ("GET", f"{two['id']}/input_items")):
        gone = get(gateway, path, method)
        assert gone.status_code == 404
        assert gone.json()["error"]["code"] == "not_found"
    assert ask(gateway, "chat/m", "third", previous_response_id=one["id"]).status == 200


def test_nobody_else_can_go_on(gateway: GatewayServer) -> None:
    one = ask(gateway, "chat/m", "mine").json
    gateway.settle()
    other = gateway.issue("of the same team")
    refused = ask(gateway, "chat/m", "yours?", previous_response_id=one["id"], key=other)
    assert refused.status == 400
    assert refused.json["error"]["code"] == "previous_response_not_found"
    assert refused.json["error"]["param"] == "previous_response_id"
    assert get(gateway, one["id"], key=other).status_code == 404
    assert get(gateway, one["id"], "DELETE", key=other).status_code == 404
    assert get(gateway, one["id"]).status_code == 200


def test_what_is_not_to_be_stored_is_not(gateway: GatewayServer) -> None:
    from llm_gateway.models import StoredResponse

    before = StoredResponse.objects.count()
    one = ask(gateway, "chat/m", "forget me", store=False).json
    failed = ask(gateway, "chat/fault:status:500", "x")
    broken = ask(gateway, "chat/fault:err@2", "x", stream=True)
    gateway.settle()
    assert (failed.status, len(broken.errors)) == (502, 1)
    assert StoredResponse.objects.count() == before
    assert one["store"] is False
    assert get(gateway, one["id"]).status_code == 404
    assert ask(gateway, "chat/m", "go on", previous_response_id=one["id"]).code == "previous_response_not_found"


def test_it_is_encrypted_expires_and_is_purged(gateway: GatewayServer) -> None:
    from llm_gateway.actions.rotate_encryption import verify_encryption
    from llm_gateway.models import StoredResponse
    from llm_gateway.tasks import purge_responses

    one = ask(gateway, "chat/m", "A secret: square-root.").json
    gateway.settle()
    row = StoredResponse.objects.get(response_id=one["id"])
    assert row.ciphertext.startswith("v1.")
    assert "square-root" not in row.ciphertext
    assert row.expires_at - row.created_at == timedelta(hours=72)
    assert not verify_encryption()
    StoredResponse.objects.filter(pk=row.pk).update(expires_at=datetime.now(UTC))
    assert get(gateway, one["id"]).status_code == 404
    assert purge_responses()["deleted"] >= 1
    assert not StoredResponse.objects.filter(pk=row.pk).exists()


def test_a_store_that_is_away_costs_only_the_memory(gateway: GatewayServer, monkeypatch: pytest.MonkeyPatch) -> None:
    from llm_gateway.stores import responses

    def away(*_: Any) -> None:
        raise OSError("the disk is full")

    monkeypatch.setattr(responses, "_write", away)
    one = ask(gateway, "chat/m", "hello")
    assert one.status == 200
    gateway.settle()
    assert get(gateway, one.json["id"]).status_code == 404


@pytest.mark.parametrize(
    ("more", "param"),
    [
        ({"background": True}, "background"),
        ({"previous_response_id": 7}, "previous_response_id"),
        ({"previous_response_id": "resp_no"}, "previous_response_id"),
    ],
)
def test_what_cannot_be_is_refused(gateway: GatewayServer, more: dict[str, Any], param: str) -> None:
    answer = ask(gateway, "chat/m", "x", **more)
    assert (answer.status, answer.json["error"]["param"]) == (400, param)


def test_input_tokens_are_counted_with_what_came_before(gateway: GatewayServer) -> None:
    one = ask(gateway, "chat/m", "word " * 300).json
    body = {"model": "anthropic/m", "input": "and?"}

    def count(**more: Any) -> Any:
        headers = {"authorization": f"Bearer {gateway.rows.key}"}
        return gateway.http.post("/v1/responses/input_tokens", json={**body, **more}, headers=headers)

    alone, after = count(), count(previous_response_id=one["id"])
    assert alone.headers["x-cogo-usage-source"] == after.headers["x-cogo-usage-source"] == "reported"
    assert alone.json()["object"] == "response.input_tokens"
    assert after.json()["input_tokens"] > alone.json()["input_tokens"] + 200
