"""What the OpenAPI document says so that makers of clients in any language make usable ones."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from llm_gateway.api.schema import completed, with_optional_fields

pytestmark = pytest.mark.django_db


@pytest.fixture
def document(client: Any) -> dict[str, Any]:
    found: dict[str, Any] = client.get("/api/schema/", headers={"accept": "application/vnd.oai.openapi+json"}).json()
    return found


def inside(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
        for one in value.values():
            yield from inside(one)
    elif isinstance(value, list):
        for one in value:
            yield from inside(one)


def test_what_may_be_left_out_has_no_default_that_makes_it_look_required(document: dict[str, Any]) -> None:
    fields = document["components"]["schemas"]["GenerateRequest"]["properties"]
    assert not any("default" in field for field in fields.values())
    assert fields["stream"]["description"].endswith("Default: `false`.")
    for kind in ("AnalyzeRequest", "ChatCompletionRequest", "ChatMessage", "MessagesTurn"):
        assert not any("default" in field for field in document["components"]["schemas"][kind]["properties"].values()), kind


def test_an_object_without_named_fields_may_have_any(document: dict[str, Any]) -> None:
    for one in inside(document["components"]):
        if one.get("type") == "object" and not one.get("properties"):
            assert "additionalProperties" in one, one


def test_what_the_gateway_answers_keeps_its_defaults() -> None:
    body = {
        "properties": {"n": {"type": "integer", "default": 3}, "m": {"anyOf": [{"$ref": "#/components/schemas/Inner"}], "default": None}}
    }
    answer = {"properties": {"n": {"type": "integer", "default": 3}}}
    inner = {"properties": {"k": {"description": "How many.", "default": 1}, "again": {"$ref": "#/components/schemas/Body"}}}
    content = {"application/json": {"schema": {"$ref": "#/components/schemas/Body"}}}
    told = {"application/json": {"schema": {"$ref": "#/components/schemas/Answer"}}}
    operation = {"requestBody": {"content": content}, "responses": {"200": {"content": told}}}
    schemas = {"Body": body, "Answer": answer, "Inner": inner}
    found = with_optional_fields({"paths": {"/x": {"post": operation}}, "components": {"schemas": schemas}})["components"]["schemas"]
    assert found["Body"]["properties"]["n"] == {"type": "integer", "description": "Default: `3`."}
    assert "default" not in found["Body"]["properties"]["m"]
    assert found["Inner"]["properties"]["k"] == {"description": "How many. Default: `1`."}
    assert found["Answer"]["properties"]["n"]["default"] == 3


def test_a_closed_object_stays_closed() -> None:
    assert completed({"type": "object", "additionalProperties": False}) == {"type": "object", "additionalProperties": False}
    assert completed({"type": "object", "properties": {}})["additionalProperties"] == {}
