"""One JSON object per log line, whatever a caller put into it."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime

from typing_extensions import override

from llm_gateway.core.redact import redact

_STANDARD = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}


# Characters of a trace that are looked through for secrets, and of those the last that are written.
LONGEST, SHOWN = 40_000, 6000
# Of one field, which may be a caller's words; and of a list of them.
FIELD, MEMBERS = 1000, 50


class JsonFormatter(logging.Formatter):
    """Fields passed as ``extra`` become members; text is redacted and its control characters escaped by JSON itself."""

    @override
    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": redact(record.getMessage(), limit=2000),
        }
        line.update({name: _clean(value) for name, value in record.__dict__.items() if name not in _STANDARD and _plain(value)})
        # Django knows a page by its request; who saw its error was told an id.
        if told := getattr(getattr(record, "request", None), "cogo_request_id", None):
            line["request_id"] = str(told)
        if record.exc_info:
            line["exception"] = _end(redact(self.formatException(record.exc_info)[-LONGEST:].replace("\n", " | "), limit=LONGEST))
        return json.dumps(line, ensure_ascii=True, default=str)


def _end(trace: str) -> str:
    """A trace names what happened in its last line, and where in those before."""
    return trace if len(trace) <= SHOWN else f"… {trace[-SHOWN:]}"


def _clean(value: object) -> object:
    if isinstance(value, str):
        return redact(value, limit=FIELD)
    return [_clean(one) for one in value[:MEMBERS]] if isinstance(value, list) else value


def _plain(value: object) -> bool:
    if isinstance(value, list):
        return all(isinstance(one, str | int | float | bool) for one in value)
    return isinstance(value, str | int | float | bool) or value is None
