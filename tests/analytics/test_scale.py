"""What is promised of a big log: files that do not grow in memory, pages and reports that do not grow in time."""

from __future__ import annotations

import csv
import gc
import io
import subprocess
import sys
import time
import zipfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db.models import Sum
from django.utils import timezone

from analytics import benchmark, rollups, seeding
from analytics.exports import csv_lines, xlsx
from analytics.models import DailyRollup, HourlyRollup
from analytics.queries import totals
from analytics.reports import Asked, Column, Lines, Sheet, reports
from llm_gateway.models import RequestLog

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
ROWS = 100_000


def resident_kb() -> int:
    return int(next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmRSS")).split()[1])


needs_proc = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads memory from /proc")


@needs_proc
@pytest.mark.parametrize("kind", ["csv", pytest.param("xlsx", marks=pytest.mark.slow)])
def test_a_file_of_100000_rows_stays_small_in_memory(kind: str) -> None:
    columns = (*(Column(f"c{n}", f"C{n}") for n in range(4)), *(Column(f"n{n}", f"N{n}", "usd") for n in range(4)))
    sheet = Sheet(columns=columns, rows=Lines(lambda: ((*(f"={n} {m}" for m in range(4)), n, 1, -n, None) for n in range(ROWS))))
    list(csv_lines(Sheet(columns=columns, rows=())))
    list(xlsx(Sheet(columns=columns, rows=()), "warm"))
    gc.collect()
    before, most, size = resident_kb(), 0, 0
    for number, piece in enumerate(csv_lines(sheet) if kind == "csv" else xlsx(sheet, "Cost")):
        size += len(piece)
        if number % 500 == 0:
            most = max(most, resident_kb() - before)
    assert size > 2_000_000
    assert most < 30_000


@needs_proc
@pytest.mark.slow
def test_a_report_by_day_reads_a_week_at_a_time_into_its_file() -> None:
    """The rows of 60 days, of which a week at a time is in memory."""
    day = datetime(2026, 9, 1, tzinfo=UTC).date()
    made = [
        DailyRollup(day=day + timedelta(days=n % 60), team_id=1, client_key_id=n, model=f"m{n}", kind="chat", requests=1, cost_nusd=n)
        for n in range(12_000)
    ]
    DailyRollup.objects.bulk_create(made, batch_size=500)
    rollups.RollupState.objects.create(pk=1, until=NOW)
    start = datetime(2026, 9, 1, tzinfo=UTC)
    asked = Asked(start=start, end=start + timedelta(days=60), now=NOW, group_by=("day", "client_key_id", "model"))
    lines = csv.reader(io.StringIO("".join(csv_lines(reports.get("cost").build(asked)))))
    found = list(lines)
    assert len(found) == 12_002
    assert [row[0] for row in found[1:-1]] == sorted((row[0] for row in found[1:-1]), reverse=True)
    assert found[-1][0] == "Total"
    assert sum(int(row[3]) for row in found[1:-1]) == int(found[-1][3])


def test_a_workbook_says_where_it_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("analytics.exports.MOST_LINES", 3)
    sheet = Sheet(columns=(Column("a", "A"),), rows=tuple((str(n),) for n in range(9)))
    page = zipfile.ZipFile(io.BytesIO(b"".join(xlsx(sheet, "x")))).read("xl/worksheets/sheet1.xml").decode()
    assert page.count("<row ") == 4
    assert "the CSV file has all of them" in page


def test_seeding_makes_what_it_says_and_reports_agree() -> None:
    assert seeding.seed(3000, days=5, keys=8, now=NOW) == 3000
    rows = RequestLog.objects.all()
    assert rows.count() == 3000
    assert list(rows.order_by("id").values_list("created_at", flat=True)) == sorted(rows.values_list("created_at", flat=True))
    rollups.roll_up(NOW)
    found = totals(NOW - timedelta(days=6), NOW + timedelta(days=1))
    assert (found.requests, found.cost_nusd) == (3000, rows.aggregate(total=Sum("cost_nusd"))["total"])
    assert HourlyRollup.objects.aggregate(total=Sum("requests"))["total"] == 3000


def test_seeding_is_for_development() -> None:
    with pytest.raises(CommandError, match="--yes-really"):
        call_command("seed_log", "--rows", "10")
    call_command("seed_log", "--rows", "10", "--days", "1", "--keys", "1", "--yes-really", stdout=io.StringIO())
    assert RequestLog.objects.count() == 10


@pytest.mark.slow
def test_the_benchmark_looks_at_every_page() -> None:
    seeding.seed(200, days=2, keys=3, now=timezone.now())
    found = list(benchmark.pages(runs=1))
    assert {one.most for one in found} == {benchmark.REPORT_MS, benchmark.LIST_MS}
    assert len(found) >= 18


@pytest.mark.alone
@pytest.mark.slow
@pytest.mark.weekly
@pytest.mark.timeout(1800)
def test_a_million_rows_are_reported_and_listed_in_the_promised_time(capsys: Any) -> None:
    seeding.seed(1_000_000, now=timezone.now())
    seeding.seed(ROWS, days=1 / 24, now=timezone.now())
    busy = RequestLog.objects.order_by("-created_at").values_list("created_at", flat=True)[0]
    rollups.roll_up()
    began = time.perf_counter()
    rollups.rebuild([rollups.floor_hour(busy)])
    took = time.perf_counter() - began
    found = list(benchmark.pages())
    with capsys.disabled():
        sys.stdout.write(f"\nan hour of {ROWS:,} rows rolled up in {took:.1f} s\n")
        for one in found:
            sys.stdout.write(f"{one.what:55} {one.best:5.0f} ms {one.cpu:5.0f} ms cpu of {one.most}\n")
    assert took < 15
    assert [one.what for one in found if one.slow] == []


def test_importing_the_reports_needs_no_workbook_library() -> None:
    code = "import sys, django; django.setup(); import analytics.views; sys.exit('xlsxwriter' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
