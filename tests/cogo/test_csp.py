"""Pages run our own files only; answers of the compatible APIs are no pages."""

from __future__ import annotations

import re

import pytest

from tests.support.gateway import GatewayServer


@pytest.mark.parametrize("path", ["/", "/admin/login/", "/api/docs/", "/api/ai-models/", "/nowhere"])
def test_every_page_has_the_policy_and_no_script_of_its_own(gateway: GatewayServer, path: str) -> None:
    answer = gateway.http.get(path, headers={"accept": "text/html"})
    policy = dict(part.strip().split(" ", 1) for part in answer.headers["content-security-policy"].split(";"))
    assert policy["default-src"] == policy["base-uri"] == policy["form-action"] == "'self'"
    assert policy["script-src"] == "'self' 'unsafe-eval'"
    assert policy["frame-ancestors"] == policy["object-src"] == "'none'"
    scripts = re.findall(r"<script\b([^>]*)>", answer.text)
    assert all("src=" in one or "application/json" in one for one in scripts), scripts
    assert not re.search(r"<[^>]+\son(click|load|error|submit)=", answer.text)
