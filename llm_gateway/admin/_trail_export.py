"""The audit trail as files. Text that a spreadsheet would run as a formula is defused; a workbook holds strings only."""

from __future__ import annotations

import csv
import json as stdlib_json
import tempfile
from collections.abc import Iterator
from typing import Any

from llm_gateway.core.spreadsheet import BOM, defused

HEADS = ("at", "actor", "via", "action", "noun", "object_id", "object_name", "changes", "detail", "address", "request_id")
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
_WIDTHS = {"at": 27, "changes": 60, "detail": 40, "object_name": 30}


def csv_lines(rows: Any) -> Iterator[str]:
    """One line at a time, every field quoted; ``changes`` as JSON, field → [before, after]."""
    writer = csv.writer(_Echo(), quoting=csv.QUOTE_ALL)
    yield BOM + writer.writerow(HEADS)
    for row in rows:
        values = _values(row)
        values[HEADS.index("changes")] = stdlib_json.dumps(row.changes, ensure_ascii=False) if row.changes else ""
        yield writer.writerow([defused(value) for value in values])


def workbook(rows: Any) -> bytes:
    """A workbook with one sheet, made a row at a time; ``changes`` as sentences."""
    import xlsxwriter

    options = {"constant_memory": True, "strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False}
    with tempfile.TemporaryFile() as file:
        with xlsxwriter.Workbook(file, options) as book:
            sheet, bold = book.add_worksheet("audit trail"), book.add_format({"bold": True, "bottom": 1})
            sheet.freeze_panes(1, 0)
            for at, head in enumerate(HEADS):
                sheet.set_column(at, at, _WIDTHS.get(head, 16))
                sheet.write_string(0, at, head, bold)
            for line, row in enumerate(rows, 1):
                values = _values(row)
                values[HEADS.index("changes")] = "; ".join(_sentence(*item) for item in dict(row.changes or {}).items())
                for at, value in enumerate(values):
                    sheet.write_string(line, at, value[:32_000])
        file.seek(0)
        return file.read()


def _values(row: Any) -> list[str]:
    return [row.at.isoformat() if name == "at" else str(getattr(row, name)) for name in HEADS]


def _sentence(field: str, values: Any) -> str:
    before, after = values if isinstance(values, list) and len(values) == 2 else (None, values)
    return f"{field}: {'nothing' if before is None else before} → {'nothing' if after is None else after}"


class _Echo:
    """A file for ``csv.writer`` that hands back what is written."""

    def write(self, text: str) -> str:
        return text
