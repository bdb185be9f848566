from __future__ import annotations

import json

import pytest

from llm_gateway.core.catalog import Scope
from llm_gateway.core.errors import NoHealthyDeployment, RateLimited, UnsupportedParameter

from .fakes import Caller, FakeGateway, events_of, identity
from .test_analysis_reading import GOOD, TEXT

CODE = {"code": "def add(a, b):\n    return a - b", "analysisType": "debug", "language": "python", "model": "acme-large"}


async def test_it_answers_with_validated_findings(gateway: FakeGateway, caller: Caller) -> None:
    gateway.pipeline.answers = [TEXT]
    response = await caller.post("analyze", CODE)
    assert response.status_code == 200
    told = response.json()
    assert told["analysis"] == {**GOOD, "partial": False}
    assert (told["analysis_type"], told["repaired"], told["request_ids"]) == ("debug", False, [told["id"]])
    assert (told["model"], told["cost"], told["usage"]["input_tokens"]) == ("acme-large", {"amount": "0.0000125", "currency": "USD"}, 10)
    assert "content" not in told
    (call,) = gateway.pipeline.calls
    chat = call.inbound.chat()
    assert (call.kind, call.task_type, call.inbound.needs) == ("analyze", "debug", {"json_schema"})
    assert chat.response_format is not None
    assert chat.response_format.kind == "json_schema"
    assert "return a - b" in chat.messages[1].text


async def test_a_model_without_schemas_is_asked_in_words(gateway: FakeGateway, caller: Caller) -> None:
    gateway.pipeline.answers = [f"Here you are: {TEXT}"]
    told = (await caller.post("analyze", {**CODE, "model": "zenith-mini"})).json()
    (call,) = gateway.pipeline.calls
    assert call.inbound.chat().response_format is None
    assert call.inbound.needs == frozenset()
    assert (call.inbound.max_tokens or 0) < 2048
    assert told["analysis"]["score"] == 40


async def test_one_repair_is_tried_and_paid_for(gateway: FakeGateway, caller: Caller) -> None:
    gateway.pipeline.answers = ["I think the code is fine.", TEXT]
    response = await caller.post("analyze", CODE)
    told = response.json()
    assert (told["repaired"], told["analysis"]["score"]) == (True, 40)
    assert told["request_ids"] == [str(call.id) for call in gateway.pipeline.calls]
    assert len(set(told["request_ids"])) == 2
    assert told["id"] == response.headers["x-request-id"] == told["request_ids"][0]
    assert told["cost"]["amount"] == response.headers["x-cogo-cost"] == "0.000025"
    assert (told["usage"]["output_tokens"], len(told["attempts"]), response.headers["x-cogo-attempts"]) == (10, 2, "2")
    repair = gateway.pipeline.calls[1]
    turns = repair.inbound.chat().messages
    assert [turn.role for turn in turns] == ["system", "user", "assistant", "user"]
    assert turns[2].text == "I think the code is fine."
    assert "no JSON object" in turns[3].text
    assert repair.tag == "repair"


async def test_after_a_failed_repair_what_was_readable_is_told(gateway: FakeGateway, caller: Caller) -> None:
    gateway.pipeline.answers = [TEXT[:-3], RateLimited("later")]
    told = (await caller.post("analyze", CODE)).json()
    assert told["analysis"]["partial"] is True
    assert told["analysis"]["score"] == 40
    assert told["repaired"] is False


async def test_what_is_no_analysis_twice_is_an_error(gateway: FakeGateway, caller: Caller) -> None:
    gateway.pipeline.answers = ["No.", "No!"]
    response = await caller.post("analyze", CODE)
    told = response.json()["error"]
    assert (response.status_code, told["code"]) == (502, "invalid_model_output")
    assert told["details"]["request_ids"] == [str(call.id) for call in gateway.pipeline.calls]
    assert gateway.rejected == []


async def test_models_without_schemas_step_in_when_those_with_them_cannot(gateway: FakeGateway, caller: Caller) -> None:
    gateway.pipeline.answers = [NoHealthyDeployment("resting"), TEXT]
    told = (await caller.post("analyze", {**CODE, "model": "any"})).json()
    assert told["analysis"]["score"] == 40
    first, second = gateway.pipeline.calls
    assert (first.inbound.needs, second.inbound.needs) == ({"json_schema"}, frozenset())
    assert first.id != second.id


async def test_a_provider_that_refuses_schemas_is_asked_in_words(gateway: FakeGateway, caller: Caller) -> None:
    gateway.pipeline.answers = [UnsupportedParameter("no response_format here"), TEXT]
    assert (await caller.post("analyze", CODE)).status_code == 200


async def test_an_error_that_another_way_would_not_mend_is_told(gateway: FakeGateway, caller: Caller) -> None:
    gateway.pipeline.answers = [RateLimited("slow down", retry_after_s=3)]
    response = await caller.post("analyze", {**CODE, "model": "any"})
    assert (response.status_code, response.headers["retry-after"]) == (429, "3")


async def test_an_unknown_model_is_not_found_and_logged(gateway: FakeGateway, caller: Caller) -> None:
    response = await caller.post("analyze", {**CODE, "model": "nope"})
    assert (response.status_code, response.json()["error"]["code"]) == (404, "model_not_found")
    assert gateway.rejected[0]["model"] == "nope"


@pytest.mark.parametrize(
    "body", [{}, {"code": ""}, {"code": " "}, {"code": "x", "analysis_type": "vibes"}, {"code": "x", "metadata": {"k": "v" * 3000}}]
)
async def test_a_wrong_body_is_refused(gateway: FakeGateway, caller: Caller, body: object) -> None:
    response = await caller.post("analyze", body)
    assert (response.status_code, response.json()["error"]["code"]) == (400, "invalid_request")
    assert gateway.rejected[0]["kind"] == "analyze"


async def test_a_key_needs_the_scope(gateway: FakeGateway) -> None:
    gateway.keys["writer"] = identity(scopes=frozenset({Scope.GENERATE}))
    assert (await Caller("writer").post("analyze", CODE)).status_code == 403


async def test_a_stream_ends_with_the_validated_analysis(gateway: FakeGateway, caller: Caller) -> None:
    gateway.pipeline.answers = [[TEXT[:10], TEXT[10:]]]
    events = events_of((await caller.post("analyze", {**CODE, "stream": True})).text)
    assert [name for name, _ in events] == ["start", "delta", "delta", "done"]
    assert "".join(data["content"] for name, data in events if name == "delta") == TEXT
    assert events[-1][1]["analysis"] == {**GOOD, "partial": False}


async def test_a_stream_is_repaired_quietly(gateway: FakeGateway, caller: Caller) -> None:
    gateway.pipeline.answers = [["prose"], TEXT]
    events = events_of((await caller.post("analyze", {**CODE, "stream": True})).text)
    assert [name for name, _ in events] == ["start", "delta", "done"]
    assert events[-1][1]["repaired"] is True
    assert gateway.pipeline.calls[1].stream is False


async def test_a_stream_that_cannot_be_repaired_ends_with_the_error(gateway: FakeGateway, caller: Caller) -> None:
    gateway.pipeline.answers = [["prose"], "more prose"]
    events = events_of((await caller.post("analyze", {**CODE, "stream": True})).text)
    assert events[-1][0] == "error"
    assert events[-1][1]["error"]["code"] == "invalid_model_output"


def test_the_schema_that_is_asked_for_is_closed_and_complete() -> None:
    from llm_gateway.api.native.analysis_prompt import SCHEMA

    def walk(schema: dict[str, object]) -> None:
        if schema.get("type") == "object":
            assert schema["additionalProperties"] is False
            assert set(schema["required"]) == set(schema["properties"])  # type: ignore[call-overload]
        for inner in json.loads(json.dumps(list(schema.values()))):
            if isinstance(inner, dict):
                walk(inner)

    walk(SCHEMA)
