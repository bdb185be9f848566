"""The browser's side: browsable pages, documentation, the front page, and Django's own errors."""

from __future__ import annotations

import io
import json
import re
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urlencode

import pytest
from django.core.management import call_command
from django.test import Client

from .fakes import FakeGateway
from .test_auth import ENDPOINTS

HTML = {"HTTP_ACCEPT": "text/html"}


class Loads(HTMLParser):
    """Every address a page makes a browser load."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.inline_scripts = 0
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        if tag in ("script", "img", "iframe", "source") and found.get("src"):
            self.addresses.append(str(found["src"]))
        elif tag == "link" and found.get("href"):
            self.addresses.append(str(found["href"]))
        elif tag == "script" and found.get("type") != "application/json":
            self.inline_scripts += 1


def loads_nothing_from_elsewhere(page: str) -> bool:
    return all(address.startswith(("/", "data:")) and not address.startswith("//") for address in Loads(page).addresses)


@pytest.fixture
def staff(db: None, django_user_model: Any) -> Client:
    client = Client()
    client.force_login(django_user_model.objects.create_superuser("boss", "b@example.org", "a long passphrase"))
    return client


@pytest.mark.parametrize("path", sorted({path for _, path in ENDPOINTS}))
def test_every_endpoint_has_a_page(staff: Client, gateway: FakeGateway, path: str) -> None:
    response = staff.get(f"/api/ai-models/{path}", **HTML)
    page = response.content.decode()
    assert response.status_code == 200
    assert response["content-type"].startswith("text/html")
    assert "COGO LLM Gateway" in page
    assert "boss" in page
    assert loads_nothing_from_elsewhere(page)
    assert gateway.pipeline.calls == [], "looking at a page must not spend"


@pytest.mark.parametrize(
    ("path", "example"),
    [("generate", "linked list"), ("analyze", "def add"), ("strategy/set", "enterprise"), ("keys/refresh", "openai"), ("test", "auto")],
)
def test_a_page_that_posts_has_a_form_with_an_example(staff: Client, path: str, example: str) -> None:
    page = staff.get(f"/api/ai-models/{path}", **HTML).content.decode()
    form = page[page.index('name="_content"') :]
    assert example in form


def test_the_forms_of_generate_and_analyze_work(staff: Client, gateway: FakeGateway) -> None:
    page = staff.get("/api/ai-models/generate", **HTML).content.decode()
    assert '<textarea class="form-control" id="field-prompt"' in page
    gateway.pipeline.answers = ["```py\nx\n```"]
    filled = {"prompt": "write x", "model": "", "max_tokens": "20", "temperature": "0.5", "language": ""}
    response = staff.post("/api/ai-models/generate", filled, **HTML)
    assert response.status_code == 200
    assert "write x" in response.content.decode()
    chat = gateway.pipeline.calls[0].inbound.chat()
    assert (chat.max_tokens, chat.temperature, chat.messages[1].text) == (20, 0.5, "write x")
    gateway.pipeline.answers = ['{"summary": "s", "score": 5, "findings": []}']
    analyzed = staff.post("/api/ai-models/analyze", {"code": "x = 1", "analysis_type": "security"}, **HTML)
    assert analyzed.status_code == 200
    assert "<option selected>security</option>" in analyzed.content.decode()


def test_names_in_descriptions_are_shown_as_code(staff: Client) -> None:
    page = staff.get("/api/ai-models/generate", **HTML).content.decode()
    assert "<code>strategy:NAME</code>" in page
    assert "<code>delta</code>" in page
    assert 'rel="icon"' in page


def test_a_form_that_is_wrong_says_so_on_its_page(staff: Client) -> None:
    response = staff.post("/api/ai-models/generate", {"prompt": "x", "max_tokens": "many"}, **HTML)
    assert response.status_code == 400
    assert "max_tokens" in response.content.decode()


@pytest.mark.parametrize("body", ["{", '{"a": 1, "a": 2}', "[]", ""])
def test_bad_json_from_the_browser_is_told_on_its_page(db: None, django_user_model: Any, body: str) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(django_user_model.objects.create_superuser("boss", "b@example.org", "a long passphrase"))
    client.cookies["csrftoken"] = "c" * 32
    sent = {"content_type": "application/json", "HTTP_X_CSRFTOKEN": "c" * 32}
    response = client.post("/api/ai-models/generate", body, **sent, **HTML)
    assert response.status_code == 400
    assert "request_id" in response.content.decode()
    assert client.post("/api/ai-models/generate", body, **sent).json()["error"]["code"] in ("invalid_json", "invalid_request")


@pytest.mark.parametrize("kind", ["multipart", "urlencoded"])
def test_a_form_passes_csrf_by_its_own_field(db: None, django_user_model: Any, gateway: FakeGateway, kind: str) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(django_user_model.objects.create_superuser("boss", "b@example.org", "a long passphrase"))
    client.cookies["csrftoken"] = "c" * 32
    gateway.pipeline.answers = ["x"]
    fields = {"prompt": "from a form", "csrfmiddlewaretoken": "c" * 32}
    if kind == "multipart":
        response = client.post("/api/ai-models/generate", fields, **HTML)
    else:
        response = client.post("/api/ai-models/generate", urlencode(fields), content_type="application/x-www-form-urlencoded", **HTML)
    assert response.status_code == 200
    assert gateway.pipeline.calls[0].inbound.chat().messages[1].text == "from a form"
    assert client.post("/api/ai-models/generate", {"prompt": "x"}, **HTML).status_code == 403


def test_what_a_model_says_cannot_script_the_page(staff: Client, gateway: FakeGateway) -> None:
    gateway.pipeline.answers = ["<script>alert(1)</script> javascript:alert(2)"]
    page = staff.post("/api/ai-models/generate", {"prompt": "</textarea><script>alert(3)</script>"}, **HTML).content.decode()
    assert "<script>alert" not in page
    assert 'href="javascript' not in page


def test_a_stream_from_the_browser_does_not_break(staff: Client, gateway: FakeGateway) -> None:
    gateway.pipeline.answers = [["hello"]]
    response = staff.post("/api/ai-models/generate", json.dumps({"prompt": "x", "stream": True}), content_type="application/json", **HTML)
    assert response.status_code == 200
    assert response["content-type"].startswith("text/event-stream")


@pytest.mark.django_db
def test_without_a_session_the_page_leads_to_the_sign_in() -> None:
    response = Client().get("/api/ai-models/generate", **HTML)
    assert response.status_code == 401
    assert "/admin/login/?next=/api/ai-models/generate" in response.content.decode()


def test_the_browsable_api_can_be_switched_off(staff: Client, settings: Any) -> None:
    settings.COGO = {**settings.COGO, "browsable_api": False}
    response = staff.get("/api/ai-models/models", **HTML)
    assert response["content-type"] == "application/json"


def test_a_browser_may_ask_for_json(staff: Client) -> None:
    assert staff.get("/api/ai-models/models?format=json", **HTML)["content-type"] == "application/json"


def test_the_front_page_leads_everywhere_and_holds_no_key() -> None:
    page = Client().get("/").content.decode()
    for link in ("/admin/", "/api/ai-models/", "/api/docs", "curl http://testserver/api/ai-models/generate"):
        assert link in page
    assert not re.search(r"cogo_[0-9A-Za-z]{12}", page)
    assert loads_nothing_from_elsewhere(page)


def test_the_documentation_loads_nothing_from_elsewhere() -> None:
    page = Client().get("/api/docs/").content.decode()
    assert loads_nothing_from_elsewhere(page)
    assert Loads(page).inline_scripts == 0
    assert Client().get("/api/schema/").status_code == 200


def test_the_schema_is_valid_and_complete() -> None:
    out = io.StringIO()
    call_command("spectacular", "--validate", "--fail-on-warn", "--format", "openapi-json", stdout=out)
    schema = json.loads(out.getvalue())
    described = {(method.upper(), path) for path, methods in schema["paths"].items() for method in methods}
    expected = {(method, f"/api/ai-models/{path}") for method, path in ENDPOINTS}
    assert expected <= described
    for path, methods in schema["paths"].items():
        error = "Error" if path.startswith("/api/") else "CompatibleError"
        for operation in methods.values():
            if "application/json" in (content := operation["responses"]["200"].get("content", {})):
                assert "$ref" in content["application/json"]["schema"]
            else:
                assert {one["schema"].get("format") for one in content.values()} <= {"binary"}
            assert operation["responses"]["401"]["content"]["application/json"]["schema"] == {"$ref": f"#/components/schemas/{error}"}
    generate = schema["paths"]["/api/ai-models/generate"]["post"]
    assert generate["requestBody"]["content"]["application/json"]["examples"]
    assert generate["requestBody"]["content"]["application/json"]["schema"] == {"$ref": "#/components/schemas/GenerateRequest"}
    assert "prompt" in schema["components"]["schemas"]["GenerateRequest"]["required"]


@pytest.mark.parametrize("path", ["/api/nothing", "/api/ai-models/nothing", "/v1/nothing"])
def test_an_unknown_address_of_the_api_is_told_in_json(path: str) -> None:
    response = Client().get(path, **HTML)
    told = response.json()["error"]
    assert (response.status_code, told["code"], told["retryable"]) == (404, "not_found", False)
    assert response["x-request-id"] == told["request_id"]


def test_an_unknown_page_is_told_in_words() -> None:
    response = Client().get("/<script>")
    assert response.status_code == 404
    assert "<script>" not in response.content.decode()
