"""The OpenAPI document: whole enough for makers of clients, and with every route that is served."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client

from llm_gateway.api.compat import routes
from llm_gateway.api.compat._described import ROUTES
from llm_gateway.api.docs import SchemaView


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return dict(Client().get("/api/schema/", HTTP_ACCEPT="application/vnd.oai.openapi+json").json())


def nodes(value: Any, at: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    if isinstance(value, dict):
        yield at, value
        for name, inner in value.items():
            yield from nodes(inner, f"{at}/{name}")
    elif isinstance(value, list):
        for position, inner in enumerate(value):
            yield from nodes(inner, f"{at}/{position}")


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            if method in ("get", "post", "put", "patch", "delete"):
                yield method, path, operation


def test_every_list_says_what_it_holds(document: dict[str, Any]) -> None:
    assert [at for at, node in nodes(document) if node.get("type") == "array" and "items" not in node and "prefixItems" not in node] == []


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    for at, node in nodes(document):
        if isinstance(reference := node.get("$ref"), str):
            found: Any = document
            for step in reference.removeprefix("#/").split("/"):
                assert step in found, f"{at}: {reference}"
                found = found[step]


def test_every_choice_has_a_type(document: dict[str, Any]) -> None:
    assert [at for at, node in nodes(document["components"]) if isinstance(node.get("enum"), list) and "type" not in node] == []


def test_every_operation_has_a_name_of_its_own_a_summary_an_answer_and_errors(document: dict[str, Any]) -> None:
    seen = set()
    for method, path, operation in operations(document):
        assert operation["operationId"] not in seen
        seen.add(operation["operationId"])
        assert operation.get("summary"), path
        answers = operation["responses"]
        assert any(status.startswith("2") for status in answers), (method, path)
        assert "401" in answers, (method, path)
        assert all(answer["description"] for answer in answers.values())
        named = set(re.findall(r"\{(\w+)\}", path))
        declared = {one["name"] for one in operation.get("parameters", ()) if one["in"] == "path"}
        assert named == declared, path


def test_every_compatible_route_is_described_and_nothing_else(document: dict[str, Any]) -> None:
    described = {(method, re.sub(r"\{\w+\}", "x", path)) for method, path in ROUTES}
    for method, path in described:
        assert routes.find(method, path, {})[0] is not None, (method, path)
    for route in routes:
        if route.endpoint.__module__.endswith(("elsewhere",)):
            continue  # it says that nothing is there
        if "v1beta/openai" in route.pattern.pattern or route.endpoint.__name__ == "unknown_verb":
            continue  # the same endpoints under Google's prefix
        fits = [path for method, path in described if method == route.method and route.pattern.fullmatch(path)]
        assert fits, route.pattern.pattern
    assert {path for _, path in ROUTES} <= document["paths"].keys()


def test_the_page_names_the_compatible_routes(document: dict[str, Any]) -> None:
    tags = {tag for _, _, operation in operations(document) for tag in operation["tags"]}
    assert tags >= {"ai-models", "openai-compatible", "anthropic-compatible", "gemini-compatible"}
    assert document["paths"]["/v1/chat/completions"]["post"]["security"] == [{"clientKey": []}]
    assert "clientKey" in document["components"]["securitySchemes"]


@pytest.mark.parametrize("accept", ["application/json", "application/vnd.oai.openapi", "application/vnd.oai.openapi+json"])
def test_it_is_made_once_for_each_form(accept: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Any stranger may ask for it, so it must not cost the relay a quarter of a second each time."""
    first = Client().get("/api/schema/", HTTP_ACCEPT=accept)
    monkeypatch.setattr(SchemaView, "generator_class", None)
    again = Client().get("/api/schema/", HTTP_ACCEPT=accept)
    assert (first.status_code, again.status_code) == (200, 200)
    assert again.content == first.content
    assert again.headers["Content-Type"] == first.headers["Content-Type"]
    assert again.headers["Content-Disposition"] == first.headers["Content-Disposition"]
