"""How long the console's reports and the request list take on the log there is. Pages are rendered whole, as their readers get them."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any
from urllib.parse import parse_qsl, urlencode

import msgspec
from django.contrib.auth.models import User
from django.core.cache import cache
from django.db import connection
from django.http import HttpRequest
from django.test import RequestFactory
from django.urls import resolve

from llm_gateway.models import ClientKey, LanguageModel, RequestLog, Team

REPORT_MS, HOME_MS, LIST_MS = 300, 300, 100
LIST = "/admin/llm_gateway/requestlog/"


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """Milliseconds by the clock of the ``best`` and of the ``middle`` of the runs, and of ``cpu`` on average: this process's and, where it
    can be seen, that of the database's process for it. ``most`` is what is promised."""

    what: str
    best: float
    middle: float
    cpu: float
    most: int

    @property
    def slow(self) -> bool:
        """By the processor's time where all of it is known: on a machine that others use, the clock measures them, too."""
        return (self.best if _database_cpu_ms() is None else min(self.best, self.cpu)) > self.most


def pages(runs: int = 5) -> Iterator[Measured]:
    for name, address in _reports().items():
        yield _measured(name, partial(_page, address), REPORT_MS, runs)
    # Whole, as it is drawn again every ten seconds.
    yield _measured("home", lambda: _page("/admin/reports/home/"), HOME_MS, runs)
    for name, query in _lists().items():
        yield _measured(name, partial(_page, f"{LIST}?{urlencode(query)}"), LIST_MS, runs)


def _reports() -> dict[str, str]:
    found = {f"report {name}, 90 days": f"/admin/reports/{name}/?{_LAST_90}" for name in ("cost", "performance", "savings", "forecast")}
    found["report cost, 90 days by day, client, model and tag"] = f"/admin/reports/cost/?{_LAST_90}&by=day&by=client_key_id&by=model&by=tag"
    key = _most_used()
    if key is not None:
        found["report cost, 90 days of one client"] = f"/admin/reports/cost/?{_LAST_90}&client_key_id={key}"
    return found


_LAST_90 = "range=90"


def _lists() -> dict[str, dict[str, Any]]:
    last = RequestLog.objects.order_by("-pk").values_list("created_at", flat=True).first()
    first = RequestLog.objects.order_by("pk").values_list("created_at", flat=True).first()
    assert last is not None
    assert first is not None
    key, model, team = _most_used(), LanguageModel.objects.order_by("-pk").first(), Team.objects.order_by("-pk").first()
    return {
        "list, first page": {},
        "list, what a budget refused (none)": {"budget": 1},
        "list, an end user nobody has": {"end_user": "nobody"},
        "list, page by cursor in the middle": {"before": _key_at(first + (last - first) / 2)},
        "list, page by cursor near the end": {"before": _key_at(first + (last - first) / 1000)},
        "list, the last 7 days": {"when": "7d"},
        "list, of the busiest client": {"client_key__id__exact": key},
        "list, of a model": {"model__id__exact": model.pk if model else 0},
        "list, state failed": {"state__exact": "failed"},
        "list, state orphaned (1 in 50,000)": {"state__exact": "orphaned"},
        "list, state open (none)": {"state__exact": "open"},
        "list, kind embeddings (none)": {"kind": "embeddings"},
        "list, of a team": {"team__id__exact": team.pk if team else 0},
        "list, of a client and a state": {"client_key__id__exact": key, "state__exact": "orphaned"},
    }


def _most_used() -> int | None:
    return ClientKey.objects.order_by("pk").values_list("pk", flat=True).first()


def _key_at(moment: datetime) -> Any:
    return RequestLog.objects.filter(created_at__gte=moment).order_by("created_at").values_list("pk", flat=True).first()


def _page(address: str) -> None:
    path, _, query = address.partition("?")
    request: HttpRequest = RequestFactory(SERVER_NAME="localhost").get(path, dict(_grouped(query)))
    request.user = User(username="benchmark", is_superuser=True, is_staff=True, is_active=True)
    request.session = {}  # type: ignore[assignment]
    found = resolve(path)
    request.resolver_match = found
    response: Any = found.func(request, *found.args, **found.kwargs)
    assert response.status_code == 200, (address, response.status_code)
    if hasattr(response, "render"):
        response.render()


def _grouped(query: str) -> Iterator[tuple[str, list[str]]]:
    pairs = parse_qsl(query)
    for name in dict.fromkeys(name for name, _ in pairs):
        yield name, [value for other, value in pairs if other == name]


def _measured(what: str, work: Callable[[], None], most: int, runs: int) -> Measured:
    times, busy = [], 0.0
    work()  # templates are compiled once in a process
    for _ in range(runs):
        cache.clear()  # the last minutes are read anew
        began, spent = time.perf_counter(), _cpu_ms()
        work()
        busy += _cpu_ms() - spent
        times.append((time.perf_counter() - began) * 1000)
    return Measured(what=what, best=min(times), middle=median(times), cpu=busy / runs, most=most)


def _cpu_ms() -> float:
    return time.process_time() * 1000 + (_database_cpu_ms() or 0.0)


def _database_cpu_ms() -> float | None:
    """SQLite works in this process; of PostgreSQL's on this machine Linux tells, in hundredths of a second."""
    if connection.vendor == "sqlite":
        return 0.0
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        pid = cursor.fetchone()[0]
    try:
        name, _, rest = Path(f"/proc/{pid}/stat").read_text().rpartition(")")
    except OSError:
        return None
    user, system = rest.split()[11:13]
    return (int(user) + int(system)) * 1000 / os.sysconf("SC_CLK_TCK") if "postgres" in name else None
