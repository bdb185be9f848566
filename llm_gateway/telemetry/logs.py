"""One JSON object per log line, whatever a caller put into it."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime

from typing_extensions import override

from llm_gateway.core.redact import redact

_STANDARD = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}


# How many characters of a trace to redact, and how many of the last to write.
LONGEST, SHOWN = 40_000, 6000
# Longest field, which may hold a caller's text, and longest list of fields.
FIELD, MEMBERS = 1000, 50


class JsonFormatter(logging.Formatter):
    """Fields passed as ``extra`` become members; text is redacted and its control characters
    escaped by JSON itself."""

    @override
    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": redact(record.getMessage(), limit=2000),
        }
        line.update({name: _clean(value) for name, value in record.__dict__.items() if name not in _STANDARD and _plain(value)})
        # Django logs the request object; the page that showed the error named this id.
        if shown_id := getattr(getattr(record, "request", None), "cogo_request_id", None):
            line["request_id"] = str(shown_id)
        if record.exc_info:
            line["exception"] = _end(redact(self.formatException(record.exc_info)[-LONGEST:].replace("\n", " | "), limit=LONGEST))
        return json.dumps(line, ensure_ascii=True, default=str)


def _end(trace: str) -> str:
    """The last line of a trace names the error; the lines before it name the place."""
    return trace if len(trace) <= SHOWN else f"… {trace[-SHOWN:]}"


def _clean(value: object) -> object:
    if isinstance(value, str):
        return redact(value, limit=FIELD)
    return [_clean(one) for one in value[:MEMBERS]] if isinstance(value, list) else value


def _plain(value: object) -> bool:
    if isinstance(value, list):
        return all(isinstance(one, str | int | float | bool) for one in value)
    return isinstance(value, str | int | float | bool) or value is None
