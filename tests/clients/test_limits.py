"""A caller's long names, odd schemas and odd pictures through the gateway to hosts that hold everybody to their limits."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from itertools import product
from typing import Any

import httpx
import pytest

from tests.square.speak import Wish, request
from tests.support.gateway import GatewayServer
from tests.support.reading import read

LONG = "mcp__enterprise-database-management__synchronize-all-customer-data-across-multiple-systems"
DIALECTS = ("openai_chat", "openai_responses", "anthropic_messages", "gemini_generate")
HOSTS = {
    "openai_chat": ("limit-chat", "openai", "gpt-4.1"),
    "openai_responses": ("limit-responses", "openai", "gpt-4.1"),
    "anthropic_messages": ("anthropic", "anthropic", "claude-haiku-4-5"),
    "gemini_generate": ("gemini", "gemini", "gemini-3.8-flash"),
}
PAIRS = [(dialect, wire) for dialect, wire in product(DIALECTS, HOSTS) if dialect != wire]
GIF = base64.b64encode(b"GIF89a" + b"\0" * 20).decode()
JPEG = base64.b64encode(b"\xff\xd8\xff\xe0" + b"\0" * 20).decode()
USER = json.dumps({"device_id": "d" * 64, "account_uuid": "a" * 36, "session_id": "s" * 36})


@pytest.fixture(scope="module")
def strict(gateway_server: GatewayServer) -> Iterator[GatewayServer]:
    for wire, (slug, service, model) in HOSTS.items():
        if slug not in gateway_server.rows.providers:
            gateway_server.rows.provider(slug, gateway_server.simulator.base_url(service), service=service, wire=wire)
        gateway_server.rows.model(slug, model, max_output_tokens=8000)
    gateway_server.refresh()
    yield gateway_server
    gateway_server.check()


def model_of(wire: str) -> str:
    slug, _, model = HOSTS[wire]
    return f"{slug}/{model}"


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize(("dialect", "wire"), PAIRS)
def test_a_long_tool_name_comes_back_whole_and_the_next_turn_is_taken(strict: GatewayServer, dialect: str, wire: str, stream: bool) -> None:
    wish = Wish(tools=(LONG, "f"), choice=f"={LONG}")
    path, body = request(dialect, model_of(wire), wish, stream)
    answer = strict.client(dialect).send(path, body, stream)
    assert answer.status == 200, answer.body
    said = read(answer)
    assert [call.name for call in said.calls] == [LONG]
    turns = (*wish.turns, ("assistant", [("own", said.turn)]), ("user", [("result", said.calls[0].id, LONG, '{"$ref":"#/x"}')]))
    path, body = request(dialect, model_of(wire), Wish(turns=turns, tools=(LONG, "f")), stream)
    answer = strict.client(dialect).send(path, body, stream)
    assert answer.status == 200, answer.body


ODD = {
    "type": "object",
    "properties": {
        "filter[id]": {"type": "string"},
        "$top": {"type": "integer"},
        "settings__" + "approved__" * 8: {"type": "string"},
        "plain": {"type": "object", "properties": {"@odata.type": {"type": "string"}}, "required": ["@odata.type"]},
    },
    "required": ["filter[id]", "$top", "settings__" + "approved__" * 8, "plain"],
}


def with_schema(body: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    """The request with this schema for every tool."""
    for tool in body["tools"]:
        for one in tool.get("functionDeclarations", [tool.get("function", tool)]):
            name = next(name for name in ("parameters", "input_schema", "parametersJsonSchema") if name in one)
            one[name] = schema
        tool.pop("strict", None)
    return body


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("dialect", [dialect for dialect in DIALECTS if dialect != "anthropic_messages"])
def test_odd_names_of_arguments_come_back_and_the_next_turn_is_taken(strict: GatewayServer, dialect: str, stream: bool) -> None:
    wish, model = Wish(tools=("f",), choice="=f"), model_of("anthropic_messages")
    path, body = request(dialect, model, wish, stream)
    answer = strict.client(dialect).send(path, with_schema(body, ODD), stream)
    assert answer.status == 200, answer.body
    (call,) = read(answer).calls
    arguments = json.loads(call.arguments) if isinstance(call.arguments, str) else call.arguments
    assert set(arguments) == set(ODD["properties"])
    assert set(arguments["plain"]) == {"@odata.type"}
    turns = (*wish.turns, ("assistant", [("own", read(answer).turn)]), ("user", [("result", call.id, "f", "{}")]))
    path, body = request(dialect, model, Wish(turns=turns, tools=("f",)), stream)
    mark = strict.mark
    assert strict.client(dialect).send(path, with_schema(body, ODD), stream).status == 200
    sent = json.loads(strict.received(mark)[-1]["body"])
    blocks = [block for message in sent["messages"] if isinstance(message["content"], list) for block in message["content"]]
    (told,) = [block["input"] for block in blocks if block["type"] == "tool_use"]
    assert set(told) == set(sent["tools"][0]["input_schema"]["properties"]), "the history speaks of the arguments as the schema does"


def test_claude_refuses_odd_names_of_arguments(strict: GatewayServer) -> None:
    """As the host does: on its own wire a request passes as it is."""
    path, body = request("anthropic_messages", model_of("anthropic_messages"), Wish(tools=("f",)), False)
    answer = strict.client("anthropic_messages").send(path, with_schema(body, ODD), False)
    assert answer.status == 400
    assert b"Property keys should match pattern" in answer.body


@pytest.mark.parametrize("wire", HOSTS)
def test_what_claude_code_sends_passes_everywhere(strict: GatewayServer, wire: str) -> None:
    body: dict[str, Any] = {
        "model": model_of(wire),
        "max_tokens": 1,
        "metadata": {"user_id": USER},
        "service_tier": "standard_only",
        "system": [{"type": "text", "text": "x-anthropic-billing-header: cch=36ee5;"}, {"type": "text", "text": "You are an agent."}],
        "tools": [{"name": "ping", "input_schema": {"$schema": "http://json-schema.org/draft-07/schema#", "type": "object"}}],
        "messages": [{"role": "user", "content": "hi"}],
    }
    answer = strict.client("anthropic_messages").send("/v1/messages", body, False)
    assert answer.status == 200, answer.body
    usage = answer.json["usage"]
    assert isinstance(usage["cache_read_input_tokens"], int)
    assert usage.get("service_tier") in ("standard", "priority", "batch", None)


@pytest.mark.parametrize("wire", [name for name in HOSTS if name != "openai_chat"])
def test_a_strict_schema_with_figures_and_a_mislabelled_picture_pass(strict: GatewayServer, wire: str) -> None:
    schema = {
        "type": "object",
        "properties": {"n": {"type": "integer", "minimum": 0, "maximum": 9}, "s": {"type": "string", "maxLength": 5}},
        "required": ["n", "s"],
        "additionalProperties": False,
    }
    picture = {"type": "image_url", "image_url": {"url": f"data:image/jpg;base64,{JPEG}"}}
    body = {
        "model": model_of(wire),
        "max_tokens": 300,
        "messages": [{"role": "user", "content": [{"type": "text", "text": "How many?"}, picture]}],
        "response_format": {"type": "json_schema", "json_schema": {"name": "n", "strict": True, "schema": schema}},
    }
    answer = strict.client("openai_chat").send("/v1/chat/completions", body, False)
    assert answer.status == 200, answer.body
    assert isinstance(json.loads(answer.json["choices"][0]["message"]["content"])["n"], int)
    assert answer.json.get("service_tier") in ("auto", "default", "flex", "scale", "priority", None)


def test_a_session_is_told_to_openais_prompt_cache(strict: GatewayServer) -> None:
    mark = strict.mark
    for _ in range(2):
        body = {"model": model_of("openai_responses"), "max_tokens": 50, "metadata": {"user_id": USER}}
        body["messages"] = [{"role": "user", "content": "hi"}]
        assert strict.client("anthropic_messages").send("/v1/messages", body, False).status == 200
    keys = {json.loads(entry["body"]).get("prompt_cache_key") for entry in strict.received(mark)}
    assert len(keys) == 1
    assert len(keys.pop()) == 64


HELLO = [{"role": "user", "content": "x"}]
CLAUDE: dict[str, Any] = {"model": "claude-haiku-4-5", "max_tokens": 9, "messages": HELLO}
GPT: dict[str, Any] = {"model": "gpt-4.1", "input": "x"}
FIGURES = {"type": "object", "additionalProperties": False, "properties": {"n": {"type": "integer", "minimum": 1}}}
MISLABELLED = {"type": "image", "source": {"type": "base64", "media_type": "image/jpg", "data": JPEG}}


def function(schema: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"type": "function", "name": "f", "parameters": schema}]


def content(part: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"role": "user", "parts": [part]}]


PATHS = {
    "chat": ("openai", "/v1/chat/completions"),
    "responses": ("openai", "/v1/responses"),
    "messages": ("anthropic", "/v1/messages"),
    "gemini": ("gemini", "/v1beta/models/gemini-3.8-flash:generateContent"),
}
REFUSED: list[tuple[str, dict[str, Any]]] = [
    ("chat", {"model": "gpt-4.1", "messages": HELLO, "user": "u" * 65}),
    ("chat", {"model": "gpt-4.1", "messages": HELLO, "service_tier": "standard"}),
    ("responses", GPT | {"max_output_tokens": 15}),
    ("responses", GPT | {"tools": function({"type": "object"})}),
    ("responses", GPT | {"tools": function({"type": "object", "properties": {}, "oneOf": []})}),
    ("messages", CLAUDE | {"metadata": {"user_id": "u" * 257}}),
    ("messages", CLAUDE | {"messages": [{"role": "user", "content": [MISLABELLED]}]}),
    ("messages", CLAUDE | {"output_config": {"format": {"type": "json_schema", "schema": FIGURES}}}),
    ("gemini", {"contents": content({"text": "x"}), "tools": [{"functionDeclarations": [{"name": LONG}]}]}),
    ("gemini", {"contents": content({"inlineData": {"mimeType": "image/gif", "data": GIF}})}),
    ("gemini", {"contents": content({"fileData": {"fileUri": "http://e.org/a.png"}})}),
]


@pytest.mark.parametrize(("kind", "body"), REFUSED)
def test_the_simulated_hosts_refuse_what_the_real_ones_refuse(strict: GatewayServer, kind: str, body: dict[str, Any]) -> None:
    service, path = PATHS[kind]
    base = strict.simulator.base_url(service)
    root = base.removesuffix("/v1beta").removesuffix("/v1")
    key = "sim-valid"
    headers = {"authorization": f"Bearer {key}", "x-api-key": key, "x-goog-api-key": key, "anthropic-version": "2023-06-01"}
    answer = httpx.post(root + path, json=body, headers=headers, trust_env=False)
    assert answer.status_code == 400, answer.text
