"""Everything the gateway leaves behind, as text to be searched."""

from __future__ import annotations

import io
import logging
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from llm_gateway.telemetry.logs import JsonFormatter


class Lines(logging.Handler):
    """What a process of ours would write to stderr, and more of it."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.setFormatter(JsonFormatter())
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))


def database() -> Iterator[tuple[str, str]]:
    """(table, row) of every table there is, the task queue's among them."""
    from django.db import connection

    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f"SELECT * FROM {connection.ops.quote_name(table)}")
            for row in cursor.fetchall():
                yield table, " ".join(_text(cell) for cell in row)


def _text(cell: Any) -> str:
    return bytes(cell).decode("latin-1") if isinstance(cell, bytes | memoryview) else str(cell)


def pages(client: Any, rows: int = 3) -> Iterator[tuple[str, str]]:
    """(address, HTML) of every list, every row's form and history, dashboard and reports with their files."""
    from django.contrib import admin
    from django.urls import reverse

    from analytics.reports import reports

    addresses = ["/admin/"]
    for model, page in admin.site._registry.items():
        name = f"admin:{model._meta.app_label}_{model._meta.model_name}"
        addresses.append(reverse(f"{name}_changelist"))
        if page.get_queryset(_staff_request(client)).model is model:
            for row in page.get_queryset(_staff_request(client))[:rows]:
                addresses += [reverse(f"{name}_change", args=[row.pk]), reverse(f"{name}_history", args=[row.pk])]
    for report in reports:
        addresses += [f"/admin/reports/{report}/{suffix}" for suffix in ("", "?format=csv", "?format=xlsx")]
    for address in addresses:
        answer = client.get(address)
        content = b"".join(answer.streaming_content) if answer.streaming else answer.content
        if content[:2] == b"PK":
            with zipfile.ZipFile(io.BytesIO(content)) as book:
                content = b"\n".join(book.read(name) for name in book.namelist())
        yield address, f"{answer.status_code} {dict(answer.headers)} {content.decode('utf-8', 'replace')}"


def _staff_request(client: Any) -> Any:
    from django.contrib.auth.models import User
    from django.test import RequestFactory

    request = RequestFactory().get("/admin/")
    request.user = User.objects.get(pk=client.session["_auth_user_id"])
    return request


def files(folder: Path, *, without: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    for path in folder.rglob("*"):
        if path.is_file() and not str(path.relative_to(folder)).startswith(without):
            yield str(path.relative_to(folder)), path.read_bytes().decode("latin-1")
