"""The gateway below a path of its host, behind a proxy that takes the path away and behind one that leaves it: a process of its own."""

from __future__ import annotations

import re
from collections.abc import Iterator

import httpx
import pytest
from django.contrib.auth.hashers import PBKDF2PasswordHasher
from django.contrib.auth.models import User

from tests.support.process import Process

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180), pytest.mark.django_db(transaction=True)]
BASE = "/llm/gateway"
PASSWORD = "a password of some length"


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> Iterator[Process]:
    from django.core.management import call_command

    monkeypatch.setenv("COGO_BASE_PATH", BASE)
    call_command("collectstatic", verbosity=0, interactive=False)
    process = Process()
    yield process
    process.told(15)
    process.ended(20)


class Proxy(httpx.BaseTransport):
    """What stands in front: paths below BASE are its gateway's, with the path or without it; nothing else is."""

    def __init__(self, port: int, *, strips: bool) -> None:
        self._inner = httpx.HTTPTransport()
        self._port, self._strips = port, strips
        self.strayed: list[str] = []

    def close(self) -> None:
        self._inner.close()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        path = request.url.raw_path.decode()
        if not path.startswith(f"{BASE}/") and path != BASE:
            self.strayed.append(path)
            return httpx.Response(404, text="not the gateway's")
        there = path.removeprefix(BASE) if self._strips else path
        url = httpx.URL(f"http://127.0.0.1:{self._port}{there}")
        return self._inner.handle_request(httpx.Request(request.method, url, headers=request.headers, content=request.read()))


def test_everything_is_found_below_the_path_through_both_kinds_of_proxy(served: Process) -> None:
    # As the process hashes it, not as the tests do.
    known = PBKDF2PasswordHasher().encode(PASSWORD, "a salt of this test")
    User.objects.create(username="somebody", password=known, is_staff=True, is_superuser=True)
    for strips in (True, False):
        proxy = Proxy(served.port, strips=strips)
        with httpx.Client(transport=proxy, base_url="http://localhost", follow_redirects=True) as browser:
            sign_in = browser.get(f"{BASE}/admin/")
            assert sign_in.url.path == f"{BASE}/admin/login/"
            token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', sign_in.text)
            assert token
            form = {
                "username": "somebody",
                "password": PASSWORD,
                "csrfmiddlewaretoken": token[1],
                "next": f"{BASE}/admin/",
            }
            page = browser.post(sign_in.url.path, data=form, headers={"referer": "http://localhost/"})
            assert (page.status_code, page.url.path) == (200, f"{BASE}/admin/")
            assert {cookie.path for cookie in browser.cookies.jar} == {f"{BASE}/"}
            links = {link for link in re.findall(r'(?:href|src|action)="(/[^"]*)"', page.text) if not link.startswith("//")}
            assert links
            assert {link for link in links if not link.startswith(f"{BASE}/")} == set()
            for link in sorted(links)[:60]:
                assert browser.get(link).status_code in (200, 405), link
            for path in ("/", "/api/docs/", "/api/ai-models/", "/healthz", "/readyz"):
                assert browser.get(f"{BASE}{path}").status_code == 200, path
            front = browser.get(f"{BASE}/").text
            assert f"http://localhost{BASE}/v1" in front
            assert f"http://localhost{BASE}/api/ai-models/generate" in front
            schema = browser.get(f"{BASE}/api/schema/", headers={"accept": "application/json"}).json()
            assert schema["servers"] == [{"url": BASE}]
            assert "/api/ai-models/generate" in schema["paths"]
            index = browser.get(f"{BASE}/api/ai-models/", headers={"accept": "application/json"}).json()
            found = {one["name"]: one["url"] for one in index["endpoints"]}
            assert found["generate"] == f"http://localhost{BASE}/api/ai-models/generate"
            for path, status in (("/v1/models", 401), ("/v1beta/models", 401), ("/api/nothing", 404), ("/v1/nothing", 404)):
                with httpx.Client(transport=Proxy(served.port, strips=strips), base_url="http://localhost") as program:
                    answer = program.get(f"{BASE}{path}")
                assert answer.status_code == status, path
                assert answer.json()["error"]
        assert proxy.strayed == []
