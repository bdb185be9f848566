"""One rule for refusals: the door, the compatible endpoints, DRF and Django's own handlers answer alike."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest

from llm_gateway.api import refusal
from llm_gateway.api.compat import routes
from llm_gateway.core.errors import BudgetExhausted, GatewayError, MethodNotAllowed, RateLimited, Unauthenticated
from tests.support.gateway import GatewayServer

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
NATIVE = "/api/ai-models/"
ONE, OTHER = "cogo_not_a_key_of_ours", "cogo_another_one"
# (headers, status, code, message)
REFUSALS: dict[str, tuple[dict[str, str], int, str, str]] = {
    "no key": ({}, 401, "invalid_api_key", refusal.NO_KEY),
    "an unknown key": ({"authorization": f"Bearer {ONE}"}, 401, "invalid_api_key", ""),
    "two keys": ({"authorization": f"Bearer {ONE}", "x-api-key": OTHER}, 400, "invalid_request", refusal.TWO_KEYS),
}


def paths() -> Iterator[str]:
    from analytics.api_urls import urlpatterns as reports
    from llm_gateway.api.native.urls import urlpatterns as native

    seen = {re.sub(r"\(\?.*?\)|\[\^[^\]]*\]\+|\.\+", "m", route.pattern.pattern) for route in routes}
    yield from sorted(path for path in seen if re.fullmatch(r"[\w/:.~-]+", path))
    mounted = [("/", native), (f"{NATIVE}performance/", reports)]
    found = {
        f"{prefix}{route.pattern.regex.pattern.lstrip('^').rstrip('$').removesuffix('/?')}" for prefix, group in mounted for route in group
    }
    yield from sorted(path for path in found if re.fullmatch(r"[\w/-]+", path))


def message_of(body: dict[str, Any]) -> str:
    return str(body["error"]["message"])


@pytest.mark.parametrize("case", REFUSALS)
def test_every_route_and_method_refuses_alike(gateway: GatewayServer, case: str) -> None:
    headers, status, code, message = REFUSALS[case]
    looked_at, messages = 0, set()
    for path in paths():
        for method in METHODS:
            answer = gateway.http.request(method, path, headers=headers)
            where = f"{method} {path}"
            if answer.status_code == 405:
                assert not path.startswith(NATIVE), f"{where}: a caller is told of methods before it is known"
                assert "allow" in answer.headers, where
                continue
            assert answer.status_code == status, f"{where}: {answer.text[:200]}"
            assert answer.headers["x-request-id"] == answer.headers["request-id"], where
            assert UUID(answer.headers["x-request-id"]).version == 7, where
            assert answer.headers["x-should-retry"] == "false", where
            assert answer.headers.get("www-authenticate") == (refusal.REALM if status == 401 else None), where
            assert "retry-after" not in answer.headers, where
            assert answer.headers["content-type"].startswith("application/json"), where
            looked_at += 1
            if method == "HEAD":
                continue
            messages.add(message_of(answer.json()))
            if path.startswith(NATIVE):
                error = answer.json()["error"]
                assert (error["code"], error["retryable"]) == (code, False), where
                assert error["request_id"] == answer.headers["x-request-id"], where
    assert looked_at > 150
    assert messages == {message} if message else len(messages) == 1


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (RateLimited("Wait.", retry_after_s=1.2), {"retry-after": "2", "retry-after-ms": "1200", "x-should-retry": "true"}),
        (RateLimited("Wait."), {"retry-after": "1", "x-should-retry": "true"}),
        (BudgetExhausted("Used up.", retry_after_s=86_400.0), {"x-should-retry": "false"}),
        (BudgetExhausted("Used up.", retry_after_s=12.0), {"retry-after": "12", "retry-after-ms": "12000", "x-should-retry": "false"}),
        (Unauthenticated("Who?"), {"www-authenticate": refusal.REALM, "x-should-retry": "false"}),
        (MethodNotAllowed("Use GET.", details={"allow": ["GET"]}), {"allow": "GET", "x-should-retry": "false"}),
    ],
)
def test_headers_say_whether_and_when_to_try_again(error: GatewayError, expected: dict[str, str]) -> None:
    told = refusal.headers(error, "id")
    assert {name: value for name, value in told.items() if not name.endswith("request-id")} == expected
