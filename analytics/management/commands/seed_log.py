"""``manage.py seed_log --rows N``"""

from __future__ import annotations

import argparse
import time
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone
from typing_extensions import override

from analytics import rollups, seeding


class Command(BaseCommand):
    help = "Fill the request log with made-up requests, to measure or to look at. A development tool: nothing takes them out again."

    @override
    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--rows", type=int, required=True)
        parser.add_argument("--days", type=int, default=90)
        parser.add_argument("--keys", type=int, default=60, help="how many client keys share the traffic")
        parser.add_argument("--seed", type=int, default=1)
        parser.add_argument("--no-roll-up", action="store_true", help="leave the rollups to the task cluster")
        parser.add_argument("--yes-really", action="store_true", help="also where DEBUG is off")

    @override
    def handle(self, *args: Any, **options: Any) -> None:
        if not settings.DEBUG and not options["yes_really"]:
            raise CommandError(
                "This mixes made-up requests with real ones for good. Set DEBUG, or add --yes-really, in a database of its own."
            )
        if min(options["rows"], options["days"], options["keys"]) < 1:
            raise CommandError("--rows, --days and --keys are at least 1.")
        began = time.perf_counter()
        written = seeding.seed(options["rows"], days=options["days"], keys=options["keys"], now=timezone.now(), seed=options["seed"])
        took = time.perf_counter() - began
        self.stdout.write(f"{written:,} requests in {took:.1f} s ({written / took:,.0f}/s)")
        if options["no_roll_up"]:
            return
        began = time.perf_counter()
        done = rollups.roll_up()
        self.stdout.write(f"rolled up {done['hours']:,} hours and {done['days']} days in {time.perf_counter() - began:.1f} s")
