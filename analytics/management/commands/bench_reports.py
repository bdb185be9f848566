"""``manage.py bench_reports``"""

from __future__ import annotations

import argparse
import sys
import time
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import connection
from typing_extensions import override

from analytics import benchmark
from analytics.models import DailyRollup, HourlyRollup
from llm_gateway.models import RequestLog


class Command(BaseCommand):
    help = "Time every report and the request list on the log there is (see seed_log); exit code 1 when one is slower than promised."

    @override
    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--runs", type=int, default=5)

    @override
    def handle(self, *args: Any, **options: Any) -> None:
        rows = RequestLog.objects.count()
        if not rows:
            raise CommandError("The request log is empty. Fill it first: manage.py seed_log --rows 1000000")
        sizes = f"{rows:,} requests, {HourlyRollup.objects.count():,} hourly and {DailyRollup.objects.count():,} daily rollup rows"
        self.stdout.write(f"{connection.vendor}: {sizes}\n")
        self.stdout.write(f"{'':55} {'best':>8} {'median':>8} {'cpu':>8} {'promised':>9}")
        began, late = time.perf_counter(), 0
        for one in benchmark.pages(options["runs"]):
            late += one.slow
            self.stdout.write(
                f"{one.what:55} {one.best:5.0f} ms {one.middle:5.0f} ms {one.cpu:5.0f} ms {one.most:6} ms{'  SLOW' if one.slow else ''}"
            )
        self.stdout.write(f"{time.perf_counter() - began:.0f} s in all; {late} slower than promised")
        if late:
            sys.exit(1)
