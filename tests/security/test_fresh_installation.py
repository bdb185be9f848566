"""What a stranger finds at a gateway that was just installed, and what the shipped settings are
worth (reliability.md A32, A35)."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from cogo.csp import POLICY

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parents[2]
# What is there for anybody: the front page, the way in, the documentation of the API.
OPEN = {"", "admin/login/", "api/docs/", "api/schema/", "invitation/"}


def places(patterns: Any = None, before: str = "") -> Iterator[str]:
    """Every address that Django serves, with something in place of what varies."""
    for one in get_resolver().url_patterns if patterns is None else patterns:
        path = before + re.sub(r"\(\?P<\w+>[^)]*\)|<(?:\w+:)?\w+>", "1", str(one.pattern).lstrip("^").rstrip("$").replace("/?", "/"))
        if isinstance(one, URLResolver):
            yield from places(one.url_patterns, path)
        elif isinstance(one, URLPattern):
            yield path


@pytest.mark.django_db
def test_a_stranger_opens_nothing_but_the_way_in() -> None:
    found = set(places())
    assert len(found) > 200
    opened = {}
    for path in sorted(found):
        if "(" in path or "\\" in path:
            path = re.sub(r"[^\w/.-]", "", path)  # noqa: PLW2901  # a pattern that matches many
        for method in ("get", "post"):
            answer = getattr(Client(), method)(f"/{path}", headers={"accept": "text/html"})
            assert answer.status_code < 500, (method, path)
            if answer.status_code == 200:
                opened[path] = opened.get(path, "") + method[0]
            elif answer.status_code in (301, 302) and path not in OPEN | {"admin/logout/"}:
                assert re.search(r"/admin/login/|^/" + re.escape(path.rstrip("/")), answer["Location"]), (path, answer["Location"])
    assert {path.rstrip("/") for path in opened} <= {path.rstrip("/") for path in OPEN}, opened


@pytest.mark.django_db
def test_every_page_carries_what_keeps_a_browser_from_harm(settings: Any) -> None:
    answer = Client().get("/admin/login/")
    shown = {name: answer[name] for name in ("x-content-type-options", "x-frame-options", "referrer-policy", "cross-origin-opener-policy")}
    assert shown == {
        "x-content-type-options": "nosniff",
        "x-frame-options": "DENY",
        "referrer-policy": "same-origin",
        "cross-origin-opener-policy": "same-origin",
    }
    for word in ("default-src 'self'", "object-src 'none'", "base-uri 'self'", "form-action 'self'", "frame-ancestors 'none'"):
        assert word in POLICY
    assert "unsafe-inline" not in POLICY.partition("script-src")[2].partition(";")[0]
    cookie = answer.cookies.get("csrftoken")
    assert cookie is not None
    assert cookie["samesite"] == "Lax"


def manage(folder: Path, *line: str, **environment: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("COGO_", "DATABASE_", "REDIS_", "DJANGO_"))}
    given = {**kept, "COGO_VAR_DIR": str(folder), "COGO_ENV_FILE": str(folder / "none"), **environment}
    return subprocess.run([sys.executable, "manage.py", *line], cwd=ROOT, env=given, capture_output=True, text=True, check=False)


def test_django_finds_nothing_to_warn_of_behind_tls_with_every_way_in_set_up(tmp_path: Path) -> None:
    from cogo import local_secrets

    local_secrets.make_missing(tmp_path)
    done = manage(
        tmp_path, "check", "--deploy", "--fail-level", "WARNING", COGO_HTTPS="true", ALLOWED_HOSTS="gateway.example.com",
        CSRF_TRUSTED_ORIGINS="https://gateway.example.com", COGO_SSO_ISSUER="https://id.example.com", COGO_SSO_CLIENT_ID="gateway",
        COGO_SSO_CLIENT_SECRET=os.urandom(16).hex(), COGO_SSO_ROLES="ops=operator", COGO_SECOND_FACTOR_ROLES="superuser operator",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "no issues" in done.stdout


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"COGO_SSO_ISSUER": "id.example.com"}, "COGO_SSO_ISSUER is the address"),
        ({"COGO_SSO_ISSUER": "http://id.example.com"}, "use https://, or set COGO_SSO_PRIVATE"),
        ({"COGO_SSO_ISSUER": "https://id.example.com"}, "COGO_SSO_CLIENT_ID is not"),
        ({"COGO_SSO_ISSUER": "https://id.example.com", "COGO_SSO_CLIENT_ID": "x"}, "COGO_SSO_CLIENT_SECRET is not set"),
        ({"COGO_SECOND_FACTOR_ROLES": "boss"}, "COGO_SECOND_FACTOR_ROLES has 'boss', which is no role"),
    ],
)
def test_a_sign_in_that_is_set_up_wrong_stops_the_start_with_one_line(tmp_path: Path, environment: dict[str, str], said: str) -> None:
    from cogo import local_secrets

    local_secrets.make_missing(tmp_path)
    done = manage(tmp_path, "check", **environment)
    assert done.returncode != 0
    (line,) = done.stderr.strip().splitlines()
    assert line.startswith("cogo: ")
    assert said in line


def test_roles_and_domains_are_read_as_people_write_them() -> None:
    from cogo.environment import Environment
    from cogo.sign_on import SignOnTrouble, read_roles, ways_in

    assert read_roles(" ops=operator , cn=a,dc=b".replace(",dc=b", "=viewer")) == {"ops": "operator", "cn=a": "viewer"}
    assert read_roles('{"LLM Operators": "operator"}') == {"LLM Operators": "operator"}
    for text in ("ops", "=operator", "ops=", "{", '{"a": 1}', "[]", "ops=boss"):
        with pytest.raises(SignOnTrouble, match="COGO_SSO_ROLES"):
            read_roles(text)
    whole = {"COGO_SSO_ISSUER": "https://id.example.com", "COGO_SSO_CLIENT_ID": "x", "COGO_SSO_CLIENT_SECRET": "y"}
    for more, said in (
        ({"COGO_SSO_DEFAULT_ROLE": "superuser"}, "cannot be superuser"),
        ({"COGO_SSO_DEFAULT_ROLE": "viewer"}, "name COGO_SSO_DOMAINS"),
        ({"COGO_SSO_DOMAINS": "example"}, "no mail domain"),
    ):
        with pytest.raises(SignOnTrouble, match=said):
            ways_in(Environment(whole | more, {}), lambda name, default: default, lambda name, default, low, high: default)
    made = ways_in(Environment(whole, {}), lambda name, default: default, lambda name, default, low, high: default)
    assert "y" not in repr(made["sign_on"].client_secret)


def test_nothing_runs_by_itself_when_python_starts() -> None:
    """A ``.pth`` file with an import is how a poisoned package got into everybody's programs in
    March 2026."""
    import site

    lines = [
        f"{file.name}: {line}"
        for folder in site.getsitepackages()
        for file in Path(folder).glob("*.pth")
        for line in file.read_text(encoding="utf-8").splitlines()
        if line.startswith("import")
    ]
    known = ("distutils-precedence.pth", "_virtualenv.pth", "__editable__", "a1_coverage.pth")
    assert [line for line in lines if not line.startswith(known)] == []
