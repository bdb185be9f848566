"""The database is away while somebody reads (P7): said as what it is, so that a program waits and asks again."""

from __future__ import annotations

from typing import Any, NoReturn

import pytest
from django.db import InterfaceError, OperationalError, ProgrammingError
from django.test import Client

from tests.support.gateway import GatewayServer
from tests.support.speaking import auth

ERRORS = [
    (OperationalError("server closed the connection unexpectedly"), 503, "store_unavailable"),
    (OperationalError("couldn't get a connection after 5.00 sec"), 503, "store_unavailable"),
    (InterfaceError("connection already closed"), 503, "store_unavailable"),
    (OperationalError("database is locked"), 503, "store_busy"),
    (OperationalError("database or disk is full"), 503, "store_full"),
    (OperationalError("no such table: x"), 500, "internal_error"),
    (ProgrammingError("syntax error at or near"), 500, "internal_error"),
]


def broken(monkeypatch: pytest.MonkeyPatch, place: str, error: Exception) -> None:
    def refuse(*_: Any, **__: Any) -> NoReturn:
        raise error

    monkeypatch.setattr(place, refuse)


@pytest.mark.parametrize(("error", "status", "code"), ERRORS, ids=lambda value: str(value)[:20])
def test_who_reads_is_told_to_come_back(
    gateway: GatewayServer, monkeypatch: pytest.MonkeyPatch, error: Exception, status: int, code: str
) -> None:
    broken(monkeypatch, "llm_gateway.api.native.results.selected", error)
    broken(monkeypatch, "llm_gateway.api.compat._responses._json", error)
    headers = auth("openai_responses", gateway.rows.key)
    stored = gateway.http.post("/v1/responses", json={"model": "chat/m", "input": "hi"}, headers=headers).json()["id"]
    for path in ("/api/ai-models/performance/results", f"/v1/responses/{stored}"):
        answer = gateway.http.get(path, headers=headers)
        assert (answer.status_code, answer.json()["error"]["code"]) == (status, code), answer.text
        assert ("retry-after" in answer.headers) == (status == 503)
        assert str(error) not in answer.text


@pytest.mark.parametrize(("error", "status", "code"), ERRORS, ids=lambda value: str(value)[:20])
def test_who_looks_at_a_page_is_told_so_too(monkeypatch: pytest.MonkeyPatch, error: Exception, status: int, code: str) -> None:
    broken(monkeypatch, "llm_gateway.api.docs.render", error)
    answer = Client(raise_request_exception=False).get("/")
    assert answer.status_code == status
    assert ("The gateway's" in answer.content.decode().replace("&#x27;", "'")) == (status == 503)
