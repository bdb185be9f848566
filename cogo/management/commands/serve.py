"""``manage.py serve``: everything the gateway needs, in one command."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand
from typing_extensions import override


class Command(BaseCommand):
    help = "Start the gateway: web workers, background work and, without a provider key, the embedded model. Ctrl-C stops all of it."
    requires_system_checks = ()  # the checks query tables that serve itself migrates

    @override
    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--host", default="127.0.0.1", help="address to listen on (127.0.0.1; 0.0.0.0 for every interface)")
        parser.add_argument("--port", type=int, default=settings.PORT, help="port to listen on (PORT, else 8000)")
        parser.add_argument("--workers", type=int, default=settings.COGO_WORKERS, help="web processes (COGO_WORKERS, else 1)")
        parser.add_argument("--simulate", action="store_true", help="start the provider simulator with its four providers")
        parser.add_argument("--no-local-model", action="store_true", help="do not start the embedded model")
        parser.add_argument("--sample-traffic", action="store_true", help="with --simulate: a request every few seconds")
        parser.add_argument("--stop-within", type=int, default=9, metavar="SECONDS", help="how long stopping may take (9)")

    @override
    def handle(self, *args: Any, **options: Any) -> None:
        from cogo.serving import Plan, serve

        plan = Plan(
            host=options["host"],
            port=options["port"],
            workers=options["workers"],
            simulate=options["simulate"],
            local_model=not options["no_local_model"],
            sample_traffic=options["sample_traffic"],
            stop_within_s=options["stop_within"],
        )
        code = serve(plan, self._say)
        if code:
            sys.exit(code)

    def _say(self, line: str) -> None:
        self.stdout.write(line)
        self.stdout.flush()
