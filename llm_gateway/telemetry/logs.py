"""One JSON object per log line, whatever a caller put into it."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime

from typing_extensions import override

from llm_gateway.core.redact import redact

_STANDARD = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}


class JsonFormatter(logging.Formatter):
    """Fields passed as ``extra`` become members; text is redacted and its control characters escaped by JSON itself."""

    @override
    def format(self, record: logging.LogRecord) -> str:
        line = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": redact(record.getMessage(), limit=2000),
        }
        line.update({name: value for name, value in record.__dict__.items() if name not in _STANDARD and _plain(value)})
        if record.exc_info:
            line["exception"] = redact(self.formatException(record.exc_info).replace("\n", " | "), limit=4000)
        return json.dumps(line, ensure_ascii=True, default=str)


def _plain(value: object) -> bool:
    return isinstance(value, str | int | float | bool) or value is None
