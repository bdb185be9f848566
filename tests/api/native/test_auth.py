from __future__ import annotations

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth import get_user_model
from django.test import AsyncClient, Client

from llm_gateway.api.native import host
from llm_gateway.core.errors import StoreUnavailable

from .fakes import KEY, NARROW, REVOKED, Caller, FakeGateway

ENDPOINTS = [
    ("GET", ""), ("GET", "status"), ("GET", "models"), ("POST", "generate"), ("POST", "analyze"), ("GET", "test"), ("POST", "test"),
    ("GET", "strategy"), ("POST", "strategy/set"), ("GET", "performance/results"), ("GET", "keys/status"), ("POST", "keys/refresh"),
]  # fmt: skip
SCOPED = [endpoint for endpoint in ENDPOINTS if endpoint[1]]


@pytest.mark.parametrize(("method", "path"), ENDPOINTS)
async def test_nobody_comes_in_without_a_key(gateway: FakeGateway, method: str, path: str) -> None:
    response = await Caller(None).request(method, path)
    told = response.json()["error"]
    assert (response.status_code, told["code"], told["type"]) == (401, "invalid_api_key", "authentication_error")
    assert response.headers["www-authenticate"].startswith("Bearer")
    assert response.headers["x-request-id"] == told["request_id"]
    assert gateway.rejected == []


@pytest.mark.parametrize(("method", "path"), ENDPOINTS)
@pytest.mark.parametrize(("key", "code"), [("nobody's", "invalid_api_key"), (REVOKED, "key_revoked"), ("' OR 1=1 --", "invalid_api_key")])
async def test_a_key_that_does_not_open_is_refused_everywhere(method: str, path: str, key: str, code: str) -> None:
    response = await Caller(key).request(method, path)
    assert (response.status_code, response.json()["error"]["code"]) == (401, code)


@pytest.mark.parametrize(("method", "path"), SCOPED)
async def test_every_endpoint_asks_for_a_scope(method: str, path: str) -> None:
    response = await Caller(NARROW).request(method, path, **({"json": {}} if method == "POST" else {}))
    assert (response.status_code, response.json()["error"]["code"]) == (403, "permission_denied")


@pytest.mark.parametrize("header", ["x-api-key", "x-goog-api-key"])
async def test_a_key_may_come_as_x_api_key(gateway: FakeGateway, header: str) -> None:
    """Wherever the door looks for one: two readers of a request must not differ about who sends it."""
    response = await Caller(None).get("models", headers={header: KEY})
    assert response.status_code == 200


async def test_a_slash_at_the_end_changes_nothing(caller: Caller) -> None:
    assert (await caller.get("models")).json() == (await caller.get("models/")).json()


async def test_a_method_that_is_not_taken_says_which_is(gateway: FakeGateway, caller: Caller) -> None:
    response = await caller.get("generate")
    assert (response.status_code, response.json()["error"]["code"]) == (405, "method_not_allowed")
    assert "POST" in response.headers["allow"]
    assert gateway.rejected == []


async def test_before_the_gateway_has_started_everything_is_unavailable() -> None:
    class Nothing:
        def identify(self, presented_key: str) -> None:
            raise StoreUnavailable("The gateway has not started.", retry_after_s=1)

    with host.hosted(Nothing()):  # type: ignore[arg-type]
        response = await Caller().get("models")
    assert (response.status_code, response.json()["error"]["code"], response.headers["retry-after"]) == (503, "store_unavailable", "1")


@pytest.fixture
def staff(transactional_db: None) -> AsyncClient:
    user = get_user_model().objects.create_superuser("boss", "b@example.org", "a long passphrase")
    client = AsyncClient(enforce_csrf_checks=True)
    client.force_login(user)
    return client


BODIES = {
    "generate": {"prompt": "x"}, "analyze": {"code": "x"}, "test": {"models": ["big"]}, "strategy/set": {"strategy": "enterprise"},
    "keys/refresh": {},
}  # fmt: skip


@pytest.mark.parametrize("path", sorted(BODIES))
def test_a_session_without_its_csrf_token_may_not_post(staff: AsyncClient, gateway: FakeGateway, path: str) -> None:
    post = async_to_sync(staff.post)
    response = post(f"/api/ai-models/{path}", BODIES[path], content_type="application/json")
    told = response.json()["error"]
    assert (response.status_code, told["code"]) == (403, "permission_denied")
    assert "CSRF" in told["message"]
    assert gateway.pipeline.calls == []


def test_a_session_with_its_csrf_token_may(staff: AsyncClient, gateway: FakeGateway) -> None:
    gateway.pipeline.answers = ["x"]
    staff.cookies["csrftoken"] = "c" * 32
    response = async_to_sync(staff.post)(
        "/api/ai-models/generate", {"prompt": "x"}, content_type="application/json", headers={"x-csrftoken": "c" * 32}
    )
    assert response.status_code == 200, response.content
    call = gateway.pipeline.calls[0]
    assert call.identity.client_key_id is None
    assert isinstance(call.user_id, int)


def test_a_key_beside_a_session_is_what_counts(staff: AsyncClient, gateway: FakeGateway) -> None:
    gateway.pipeline.answers = ["x"]
    post = async_to_sync(staff.post)
    answer = post("/api/ai-models/generate", {"prompt": "x"}, content_type="application/json", headers={"authorization": f"Bearer {KEY}"})
    assert answer.status_code == 200
    assert gateway.pipeline.calls[0].identity.client_key_id == 7
    refused = post("/api/ai-models/generate", {"prompt": "x"}, content_type="application/json", headers={"authorization": "Bearer wrong"})
    assert refused.status_code == 401


@pytest.mark.django_db
def test_who_is_signed_in_but_not_staff_is_refused() -> None:
    client = Client()
    client.force_login(get_user_model().objects.create_user("guest", password="a long passphrase"))
    response = client.get("/api/ai-models/models")
    assert response.status_code == 403
    assert response.json()["error"]["code"] == "permission_denied"


@pytest.mark.django_db
def test_staff_may_only_what_their_permissions_allow(gateway: FakeGateway) -> None:
    client = Client()
    client.force_login(get_user_model().objects.create_user("viewer", password="a long passphrase", is_staff=True))
    assert client.get("/api/ai-models/models").status_code == 200
    assert client.post("/api/ai-models/strategy/set", {"strategy": "enterprise"}, content_type="application/json").status_code == 403
