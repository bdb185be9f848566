"""Bad requests in each dialect: its own error shape, at once, and never a 5xx."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.clock import Stopwatch
from tests.support.gateway import GatewayServer
from tests.support.speaking import auth, request

GATEWAY = {"max_body_bytes": 200_000}
DIALECTS = ("openai_chat", "openai_responses", "anthropic_messages", "gemini_generate")
MODEL = "chat/m"


def deep(dialect: str, depth: int) -> bytes:
    return b'{"a":' * depth + b"1" + b"}" * depth


def field(dialect: str) -> str:
    return {"openai_responses": "input", "gemini_generate": "contents"}.get(dialect, "messages")


def good(dialect: str) -> dict[str, Any]:
    return request(dialect, MODEL, "hi", False)[1]


def with_value(dialect: str, text: bytes) -> bytes:
    return json.dumps(good(dialect)).encode()[:-1] + b',"extra":' + text + b"}"


CORPUS: dict[str, Any] = {
    "nothing": lambda d: b"",
    "no JSON": lambda d: b"hello",
    "a list": lambda d: b"[]",
    "a number": lambda d: b"1",
    "null": lambda d: b"null",
    "cut": lambda d: json.dumps(good(d)).encode()[:-3],
    "more after": lambda d: json.dumps(good(d)).encode() + b"{}",
    "depth in front": lambda d: b"[" * 50_000,
    "depth inside": lambda d: with_value(d, deep(d, 20_000)),
    "digits": lambda d: with_value(d, b"9" * 100_000),
    "NaN": lambda d: with_value(d, b"NaN"),
    "Infinity": lambda d: with_value(d, b"-Infinity"),
    "1e999": lambda d: with_value(d, b"1e999"),
    "lone surrogate": lambda d: with_value(d, b'"\\ud800"'),
    "bad UTF-8": lambda d: with_value(d, b'"\xff\xfe"'),
    "control character": lambda d: with_value(d, b'"\x01"'),
    "duplicate keys": lambda d: with_value(d, b'1,"extra":2'),
    "duplicate field": lambda d: json.dumps(good(d)).encode()[:-1] + f',"{field(d)}":[]}}'.encode(),
    "BOM and UTF-16": lambda d: json.dumps(good(d)).encode("utf-16"),
    "wrong type": lambda d: json.dumps(good(d) | {field(d): 7}).encode(),
    "wrong type inside": lambda d: json.dumps(good(d) | {field(d): [7]}).encode(),
    "missing": lambda d: json.dumps({name: value for name, value in good(d).items() if name not in (field(d), "model")}).encode(),
    "tools of nothing": lambda d: json.dumps(good(d) | {"tools": "all"}).encode(),
}  # fmt: skip


def check_shape(dialect: str, body: bytes, status: int) -> None:
    document = json.loads(body)
    error = document["error"]
    assert error["message"]
    match dialect:
        case "anthropic_messages":
            assert document["type"] == "error"
            assert document["request_id"]
            assert error["type"].endswith("_error") or error["type"] == "request_too_large"
        case "gemini_generate":
            assert error["code"] == status
            assert error["status"].isupper()
        case _:
            assert error.keys() == {"message", "type", "param", "code"}


@pytest.mark.parametrize("case", CORPUS)
@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_bad_body_gets_its_400_at_once(gateway_server: GatewayServer, dialect: str, case: str) -> None:
    body = CORPUS[case](dialect)
    path = request(dialect, MODEL, "hi", False)[0]
    headers = auth(dialect, gateway_server.rows.key)
    took = []
    for _ in range(3):
        watch = Stopwatch()
        answer = gateway_server.http.post(path, content=body, headers=headers)
        took.append(watch.took_s)
        assert answer.status_code == 400, answer.text[:300]
        check_shape(dialect, answer.content, 400)
        if min(took) < 0.05:
            break
    assert min(took) < 0.05


@pytest.mark.parametrize("dialect", DIALECTS)
def test_wrong_key_unknown_path_and_size(gateway_server: GatewayServer, dialect: str) -> None:
    http = gateway_server.http
    path, body = request(dialect, MODEL, "hi", False)
    key = gateway_server.rows.key
    unknown = {"gemini_generate": "/v1beta/nothing", "anthropic_messages": "/v1/messages/nothing"}.get(dialect, "/v1/nothing")
    for status, answer in (
        (401, http.post(path, json=body, headers=auth(dialect, "cogo_nobody_x"))),
        (401, http.post(path, json=body, headers={k: v for k, v in auth(dialect, key).items() if "key" not in k and k != "authorization"})),
        (404, http.post(unknown, json=body, headers=auth(dialect, key))),
        (405, http.put(path, json=body, headers=auth(dialect, key))),
        (413, http.post(path, content=b'{"a":"' + b"x" * 300_000 + b'"}', headers=auth(dialect, key))),
    ):
        assert answer.status_code == status, answer.text[:200]
        if not (status == 401 and dialect == "gemini_generate"):
            check_shape(dialect, answer.content, status)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


def _names(dialect: str) -> list[str]:
    common = ["model", "stream", "tools", "tool_choice", "temperature", "user", "metadata", "service_tier", "store"]
    own = {
        "openai_chat": ["messages", "max_tokens", "stop", "n", "response_format", "stream_options", "reasoning_effort", "logprobs"],
        "openai_responses": ["input", "instructions", "text", "reasoning", "previous_response_id", "background", "include"],
        "anthropic_messages": ["messages", "system", "max_tokens", "thinking", "output_config", "stop_sequences", "mcp_servers"],
        "gemini_generate": ["contents", "systemInstruction", "generationConfig", "toolConfig", "safetySettings", "cachedContent"],
    }[dialect]
    return common + own


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("target", ["chat/m", "anthropic/m", "gemini/m"])
@pytest.mark.parametrize("dialect", DIALECTS)
def test_no_body_makes_it_fail(gateway_server: GatewayServer, dialect: str, target: str) -> None:
    """Some 4,000 bodies: a good request with fields put in, taken out, replaced and mangled."""
    http = gateway_server.http
    headers = auth(dialect, gateway_server.rows.key)

    @settings(max_examples=340, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(
        changes=st.dictionaries(st.sampled_from(_names(dialect)), JSON, max_size=3),
        inside=st.lists(JSON, max_size=3),
        where=st.integers(0, 3),
        cut=st.none() | st.integers(0, 400),
    )
    def one(changes: dict[str, Any], inside: list[Any], where: int, cut: int | None) -> None:
        path, body = request(dialect, target, "hi", False)
        if where == 1:
            body[field(dialect)] = inside
        elif where == 2 and isinstance(body[field(dialect)], list):
            body[field(dialect)] = [{**body[field(dialect)][0], "content" if dialect != "gemini_generate" else "parts": inside}]
        elif where == 3 and isinstance(body[field(dialect)], list):
            body[field(dialect)] = [*body[field(dialect)], *inside]
        body |= {name: value for name, value in changes.items() if name != "model" or where == 0}
        data = json.dumps(body).encode("utf-8", "surrogatepass")
        answer = http.post(path, content=data if cut is None else data[:cut], headers=headers)
        assert answer.status_code < 500, (answer.status_code, answer.text[:300], data[:500])

    one()
    gateway_server.check()


ODD_NUMBERS = ("%C2%B2", "%D9%A3", "-1", "0", "1e3", "999999", "0" * 5000, "%00", "%EF%BF%BD", "")


@pytest.mark.parametrize("number", ODD_NUMBERS, ids=range(len(ODD_NUMBERS)))
def test_a_page_size_of_any_kind_gives_a_page(gateway: GatewayServer, number: str) -> None:
    key = gateway.rows.key
    stored = gateway.http.post("/v1/responses", json={"model": MODEL, "input": "hi"}, headers=auth("openai_responses", key)).json()["id"]
    for path, headers in (
        (f"/v1/models?limit={number}", auth("anthropic_messages", key)),
        (f"/v1beta/models?pageSize={number}", auth("gemini_generate", key)),
        (f"/v1/responses/{stored}/input_items?limit={number}", auth("openai_responses", key)),
    ):
        assert gateway.http.get(path, headers=headers).status_code == 200, path
