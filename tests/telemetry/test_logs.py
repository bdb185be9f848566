"""Log lines: one JSON object each, with what whoever reads them needs."""

from __future__ import annotations

import json
import logging
import sys
from typing import Any

import pytest
from django.test import Client, RequestFactory

from llm_gateway.api.errors_django import server_error
from llm_gateway.telemetry.logs import JsonFormatter


def deep(levels: int, what: str) -> None:
    if levels:
        deep(levels - 1, what)
    raise LookupError(what)


def line_of(error: BaseException | None = None, **extra: Any) -> Any:
    exc_info = (type(error), error, error.__traceback__) if error else None
    record = logging.makeLogRecord({"msg": "it failed", "levelname": "ERROR", "exc_info": exc_info, **extra})
    text = JsonFormatter().format(record)
    assert "\n" not in text
    return json.loads(text)


@pytest.mark.parametrize(
    ("levels", "what"), [(1, "the shelf is empty"), (300, "the shelf is empty"), (1, "x" * 100_000 + "the shelf is empty")]
)
def test_a_trace_ends_with_what_happened(levels: int, what: str) -> None:
    with pytest.raises(LookupError) as caught:
        deep(levels, what)
    trace = line_of(caught.value)["exception"]
    assert trace.endswith("the shelf is empty")
    assert len(trace) < 7000


def test_a_secret_at_the_edge_of_what_is_shown_is_gone() -> None:
    secret = "sk-" + "abcdef0123456789" * 4
    for before in range(0, 120, 7):
        error = ValueError("y " * 3000 + "z" * before + " " + secret + " w" * 2950)
        assert "abcdef0123456789" not in line_of(error)["exception"]


def test_the_log_of_a_failed_page_has_the_id_that_was_shown() -> None:
    request = RequestFactory().get("/admin/")
    shown = server_error(request)["x-request-id"]
    assert line_of(request=request)["request_id"] == shown


def test_a_page_that_fails_is_found_by_its_id(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("llm_gateway.api.docs.render", lambda *_, **__: 1 / 0)
    answer = Client(raise_request_exception=False).get("/")
    assert answer.status_code == 500
    (record,) = [record for record in caplog.records if record.name == "django.request"]
    line = json.loads(JsonFormatter().format(record))
    assert line["request_id"] == answer["x-request-id"]
    assert line["exception"].endswith("ZeroDivisionError: division by zero")


def test_who_blocks_the_loop_stands_in_the_line() -> None:
    stack = ["engine/run.py:10 run", "wires/slow.py:20 decode"]
    assert {"blocked_ms": 300, "stack": stack}.items() <= line_of(blocked_ms=300, stack=stack).items()


def test_what_is_no_plain_value_is_left_out() -> None:
    assert {"thing", "things"}.isdisjoint(line_of(thing=object(), things=[object()]))


FORGED = '\r\n{"level":"ERROR","message":"forged"}\x1b[31m\u2028\x00'


@pytest.mark.parametrize("place", ["message", "field", "list", "exception"])
def test_a_caller_s_line_breaks_and_keys_make_no_line_of_their_own(place: str) -> None:
    key = "sk" + "-proj-" + "Ab12" * 8
    text = f"agent{FORGED}{key}{'x' * 5000}"
    record = logging.LogRecord("cogo.x", logging.INFO, "f.py", 1, text if place == "message" else "said", None, None)
    if place == "field":
        record.user_agent = text
    elif place == "list":
        record.names = [text] * 500
    elif place == "exception":
        try:
            raise ValueError(text)
        except ValueError:
            record.exc_info = sys.exc_info()
    line = JsonFormatter().format(record)
    assert len(line.splitlines()) == 1
    found = json.loads(line)
    assert found["level"] == "INFO"
    assert key not in line
    assert "Ab12Ab12" not in line
    assert len(line) < 100_000


def test_words_of_ours_stay_in_fields() -> None:
    record = logging.LogRecord("cogo.x", logging.INFO, "f.py", 1, "said", None, None)
    record.code, record.count, record.path = "key_revoked", 7, "/v1/models"
    found = json.loads(JsonFormatter().format(record))
    assert (found["code"], found["count"], found["path"]) == ("key_revoked", 7, "/v1/models")
