"""``manage.py run_batches``: execute the lines of batches. ``serve`` starts as many as COGO_BATCH_RUNNERS says."""

from __future__ import annotations

import argparse
import asyncio
from typing import Any

from django.core.management.base import BaseCommand
from typing_extensions import override


class Command(BaseCommand):
    help = "Execute the requests of batches until told to stop. Any number of these may run, on any number of machines with PostgreSQL."
    requires_system_checks = ()

    @override
    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--places", type=int, default=32, help="requests at a time (32)")

    @override
    def handle(self, *args: Any, **options: Any) -> None:
        from llm_gateway.api.batches.running import run

        places = min(max(options["places"], 1), 512)
        try:
            import uvloop
        except ImportError:
            asyncio.run(run(places=places, said=self._say))
            return
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(run(places=places, said=self._say))

    def _say(self, line: str) -> None:
        self.stdout.write(line)
        self.stdout.flush()
