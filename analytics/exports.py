"""Sheets as files. Text that a spreadsheet would run as a formula is defused; numbers stay numbers."""

from __future__ import annotations

import csv
import tempfile
from collections.abc import Iterable, Iterator
from typing import Any

from analytics.reports import Column, Sheet
from llm_gateway.core.money import format_usd, to_usd
from llm_gateway.core.spreadsheet import BOM, defused

BLOCK = 1 << 16
# The format ends at 2**20 lines.
MOST_LINES = (1 << 20) - 1


def plain(column: Column, value: Any) -> str:
    """A cell as CSV writes it. An unknown amount is a word, so that nobody adds it up as nothing."""
    if value is None:
        return column.absent
    match column.kind:
        case "usd":
            return f"-{format_usd(-value)}" if value < 0 else format_usd(value)
        case "share":
            return f"{value:.6f}"
        case "ms":
            return f"{value:.1f}"
        case "count":
            return str(value)
        case _:
            return defused(str(value))


def csv_lines(sheet: Sheet) -> Iterator[str]:
    """One line at a time, every field quoted."""
    writer = csv.writer(_Echo(), quoting=csv.QUOTE_ALL)
    yield BOM + writer.writerow([defused(column.title) for column in sheet.columns])
    for row in _body(sheet):
        yield writer.writerow([plain(column, value) for column, value in zip(sheet.columns, row, strict=True)])


def xlsx(sheet: Sheet, title: str) -> Iterator[bytes]:
    """A workbook with one sheet, in blocks; made in files, a row at a time. Strings are written as strings: none of them is a formula or a
    link."""
    import xlsxwriter

    options = {"constant_memory": True, "strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False}
    with tempfile.TemporaryFile() as file:
        with xlsxwriter.Workbook(file, options) as book:
            _fill(book, sheet, title)
        file.seek(0)
        while block := file.read(BLOCK):
            yield block


def _fill(book: Any, sheet: Sheet, title: str) -> None:
    bold = book.add_format({"bold": True, "bottom": 1})
    formats = {
        "usd": book.add_format({"num_format": "0.000000000"}),
        "share": book.add_format({"num_format": "0.0%"}),
        "ms": book.add_format({"num_format": "0"}),
        "count": book.add_format({"num_format": "#,##0"}),
    }
    page = book.add_worksheet(title[:31])
    page.freeze_panes(1, 0)
    for at, column in enumerate(sheet.columns):
        page.set_column(at, at, 24 if column.kind == "text" else 16)
        page.write_string(0, at, column.title, bold)
    for line, row in enumerate(_body(sheet), 1):
        if line == MOST_LINES:
            page.write_string(line, 0, "A workbook holds no more rows; the CSV file has all of them.")
            return
        for at, (column, value) in enumerate(zip(sheet.columns, row, strict=True)):
            if value is None:
                page.write_string(line, at, column.absent)
            elif column.kind == "text" or isinstance(value, str):
                page.write_string(line, at, str(value))
            else:
                page.write_number(line, at, float(to_usd(value)) if column.kind == "usd" else value, formats[column.kind])


def _body(sheet: Sheet) -> Iterable[tuple[Any, ...]]:
    yield from sheet.rows
    if sheet.totals:
        yield sheet.totals


class _Echo:
    """A file for ``csv.writer`` that hands back what is written."""

    def write(self, text: str) -> str:
        return text
