"""What each provider's answer to the unbilled check says of a key (wire.md: "Key check")."""

from __future__ import annotations

import json
from typing import Any

import pytest

from llm_gateway.core.keys import KeyState, KeyVerdict
from llm_gateway.providers import services

S = KeyState
LIST = {"object": "list", "data": []}
HTML = b"<html><body>502 Bad Gateway</body></html>"
EDGE = b"upstream connect error or disconnect/reset before headers. reset reason: connection termination"


def judged(service: str, status: int, body: Any, probe: str = "models", wire: str = "openai_chat") -> KeyVerdict | None:
    found = services.get(service)
    probes = {p.name: p for p in found.probes(found.facts.base_url or "https://host.test/v1", wire)}
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return found.judge(probes[probe], status, {}, raw)


def openai(message: str, code: str | None = None, kind: str = "invalid_request_error") -> dict[str, Any]:
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


def anthropic(kind: str, message: str) -> dict[str, Any]:
    return {"type": "error", "error": {"type": kind, "message": message}, "request_id": "r"}


def gemini(code: int, status: str, message: str, reason: str | None = None) -> dict[str, Any]:
    details = [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason}] if reason else []
    return {"error": {"code": code, "message": message, "status": status, "details": details}}


def fireworks(code: str, message: str) -> dict[str, Any]:
    return {"error": {"message": message, "code": code, "type": "error"}, "request_id": "r"}


CASES: list[tuple[str, str, int, Any, KeyState | None]] = [
    ("openai", "models", 200, LIST, S.VALID),
    ("openai", "models", 401, openai("Incorrect API key provided", "invalid_api_key"), S.INVALID),
    ("openai", "models", 401, openai("You have insufficient permissions. Missing scopes: api.model.read"), S.VALID),
    ("openai", "models", 403, openai("You have insufficient permissions for this operation. Missing scopes: api.model.read"), S.VALID),
    ("openai", "models", 403, openai("Country not supported", "unsupported_country_region_territory"), S.NO_PERMISSION),
    ("openai", "models", 429, openai("You exceeded your current quota", "insufficient_quota", "insufficient_quota"), S.OUT_OF_CREDIT),
    ("openai", "models", 429, openai("Rate limit reached", "rate_limit_exceeded", "requests"), S.RATE_LIMITED),
    ("openai", "models", 500, openai("server_error"), None),
    ("openai", "models", 503, EDGE, None),
    ("openai", "models", 302, b"", None),
    ("openai", "models", 200, HTML, None),
    ("openai", "models", 403, HTML, None),
    ("openai", "models", 404, openai("nothing here"), None),
    ("anthropic", "models", 200, {"data": [], "has_more": False}, S.VALID),
    ("anthropic", "models", 401, anthropic("authentication_error", "invalid x-api-key"), S.INVALID),
    ("anthropic", "models", 403, anthropic("permission_error", "no permission"), S.NO_PERMISSION),
    ("anthropic", "models", 400, anthropic("invalid_request_error", "Your credit balance is too low to access"), S.OUT_OF_CREDIT),
    ("anthropic", "models", 400, anthropic("invalid_request_error", "limit: wrong"), None),
    ("anthropic", "models", 402, anthropic("billing_error", "unpaid"), S.OUT_OF_CREDIT),
    ("anthropic", "models", 429, anthropic("rate_limit_error", "slow down"), S.RATE_LIMITED),
    ("anthropic", "models", 529, anthropic("overloaded_error", "Overloaded"), S.VALID),
    ("anthropic", "models", 500, anthropic("api_error", "oops"), None),
    ("anthropic", "models", 503, EDGE, None),
    ("gemini", "models", 200, {"models": []}, S.VALID),
    (
        "gemini",
        "models",
        400,
        gemini(400, "INVALID_ARGUMENT", "API key not valid. Please pass a valid API key.", "API_KEY_INVALID"),
        S.INVALID,
    ),
    ("gemini", "models", 400, [gemini(400, "INVALID_ARGUMENT", "API key expired. Please renew", "API_KEY_INVALID")], S.INVALID),
    ("gemini", "models", 400, gemini(400, "FAILED_PRECONDITION", "User location is not supported for the API use."), S.NO_PERMISSION),
    ("gemini", "models", 400, gemini(400, "INVALID_ARGUMENT", "pageSize is wrong"), None),
    ("gemini", "models", 401, gemini(401, "UNAUTHENTICATED", "no"), S.INVALID),
    ("gemini", "models", 403, gemini(403, "PERMISSION_DENIED", "Generative Language API is off", "SERVICE_DISABLED"), S.NO_PERMISSION),
    ("gemini", "models", 403, gemini(403, "PERMISSION_DENIED", "Your API key was reported as leaked."), S.INVALID),
    ("gemini", "models", 429, gemini(429, "RESOURCE_EXHAUSTED", "quota"), S.RATE_LIMITED),
    ("gemini", "models", 503, gemini(503, "UNAVAILABLE", "overloaded"), None),
    ("fireworks", "models", 200, LIST, S.VALID),
    ("fireworks", "models", 500, fireworks("INTERNAL", "Error listing deployed models"), None),
    ("fireworks", "control", 200, {"models": []}, S.VALID),
    ("fireworks", "control", 401, fireworks("UNAUTHORIZED", "no"), S.INVALID),
    ("fireworks", "control", 403, fireworks("FORBIDDEN", "no"), S.INVALID),
    ("fireworks", "control", 500, fireworks("INTERNAL", "no"), None),
    ("fireworks", "models", 401, fireworks("UNAUTHORIZED", "The API key you provided is invalid."), S.INVALID),
    ("fireworks", "models", 403, fireworks("FORBIDDEN", "Authentication issues"), S.INVALID),
    ("fireworks", "models", 403, fireworks("FORBIDDEN", "No permission for the requested resource."), S.NO_PERMISSION),
    ("fireworks", "models", 402, fireworks("PAYMENT_REQUIRED", "not on a paid plan"), S.OUT_OF_CREDIT),
    ("fireworks", "models", 412, fireworks("PRECONDITION_FAILED", "Account x is suspended"), S.OUT_OF_CREDIT),
    ("fireworks", "models", 429, {"error": "Too Many Requests", "message": "slow down"}, S.RATE_LIMITED),
    ("fireworks", "models", 503, HTML, None),
    ("custom", "models", 200, LIST, S.VALID),
    ("custom", "models", 200, [], S.VALID),
    ("custom", "models", 200, HTML, None),
    ("custom", "models", 401, b"", S.INVALID),
    ("custom", "models", 400, gemini(400, "INVALID_ARGUMENT", "API key not valid.", "API_KEY_INVALID"), S.INVALID),
    ("custom", "models", 400, {"detail": "no"}, None),
    ("custom", "models", 402, {"error": {"message": "Insufficient Balance"}}, S.OUT_OF_CREDIT),
    ("custom", "models", 403, {"error": "forbidden"}, S.NO_PERMISSION),
    ("custom", "models", 403, HTML, None),
    ("custom", "models", 404, HTML, S.UNCHECKED),
    ("custom", "models", 405, b"", S.UNCHECKED),
    ("custom", "models", 429, {"error": {"code": "insufficient_quota"}}, S.OUT_OF_CREDIT),
    ("custom", "models", 429, {"error": "slow down"}, S.RATE_LIMITED),
    ("custom", "models", 502, HTML, None),
    ("custom", "models", 301, HTML, None),
]


@pytest.mark.parametrize(("service", "probe", "status", "body", "state"), CASES)
def test_an_answer_is_judged(service: str, probe: str, status: int, body: Any, state: KeyState | None) -> None:
    found = judged(service, status, body, probe)
    assert (found.state if found else None) == state
    if found:
        assert found.reason.endswith(".")
        assert str(status) in found.evidence


@pytest.mark.parametrize("service", list(services))
@pytest.mark.parametrize("status", [100, 204, 302, 418, 500, 502, 503, 504, 520])
@pytest.mark.parametrize("body", [b"", b"null", b"[]", b"{}", b'{"error":null}', b'{"error":{"message":7}}', b"\xff\xfe", HTML])
def test_a_sick_or_strange_answer_never_condemns_a_key(service: str, status: int, body: bytes) -> None:
    assert judged(service, status, body) is None


def test_a_key_echoed_by_a_provider_is_not_kept_as_evidence() -> None:
    echoed = "sk-" + "proj" + "Abc123" * 4
    found = judged("openai", 401, openai(f"Incorrect API key provided: {echoed}.", "invalid_api_key"))
    assert found is not None
    assert echoed not in found.evidence
    assert found.evidence == "HTTP 401: Incorrect API key provided: ***."


def urls(service: str, base: str, wire: str) -> list[str]:
    return [probe.url for probe in services.get(service).probes(base, wire)]


def test_probes_are_asked_below_the_base_url_of_the_row() -> None:
    assert urls("openai", "https://api.openai.com/v1/", "openai_chat") == ["https://api.openai.com/v1/models"]
    assert urls("anthropic", "https://api.anthropic.com", "anthropic_messages") == ["https://api.anthropic.com/v1/models?limit=1"]
    base = "https://generativelanguage.googleapis.com/v1beta"
    assert urls("gemini", base, "gemini_generate") == [f"{base}/models?pageSize=1"]


def test_fireworks_has_its_control_plane_beside_the_inference_path() -> None:
    base = "http://127.0.0.1:9/fireworks/inference/v1"
    control = "http://127.0.0.1:9/fireworks/v1/accounts/fireworks/models?pageSize=1"
    assert urls("fireworks", base, "openai_chat") == [f"{base}/models", control]
    assert urls("fireworks", "https://proxy.test/v1", "openai_chat") == ["https://proxy.test/v1/models"]


@pytest.mark.parametrize(
    ("base", "wire", "url"),
    [
        ("https://host.test/api/v1", "openai_chat", "https://host.test/api/v1/models"),
        ("https://host.test", "openai_responses", "https://host.test/models"),
        ("https://host.test", "anthropic_messages", "https://host.test/v1/models?limit=1"),
        ("https://host.test/v1", "anthropic_messages", "https://host.test/v1/models?limit=1"),
        ("https://host.test/v1beta", "gemini_generate", "https://host.test/v1beta/models?pageSize=1"),
    ],
)
def test_a_custom_host_is_asked_in_the_form_of_its_wire(base: str, wire: str, url: str) -> None:
    assert urls("custom", base, wire) == [url]
