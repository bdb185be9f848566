"""``manage.py check_keys``"""

from __future__ import annotations

import argparse
import sys
from typing import Any

from django.core.management.base import CommandError
from typing_extensions import override

from llm_gateway.actions.check_keys import check_keys
from llm_gateway.models import ProviderKey

from ._base import Command as Base


class Command(Base):
    recorded = ""
    help = "Ask the providers now whether our keys work; exit code 1 when one cannot be routed to."

    @override
    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("provider", metavar="PROVIDER", nargs="*", help="only keys of these providers (all enabled ones)")

    @override
    def run(self, **options: Any) -> None:
        rows = ProviderKey.objects.filter(enabled=True, provider__enabled=True)
        if options["provider"]:
            rows = rows.filter(provider__slug__in=options["provider"])
            if missing := sorted(set(options["provider"]) - set(rows.values_list("provider__slug", flat=True))):
                raise CommandError(f"There is no enabled key of {', '.join(missing)}")
        if not rows:
            self.say("No provider has a key yet.")
            return
        results = check_keys(list(rows), trigger="demand")
        for result in results:
            took = "" if result.latency_ms is None else f" ({result.latency_ms} ms)"
            self.say(f"{result.provider} · {result.name}: {result.state.value.replace('_', ' ')}{took}. {result.reason}")
        if not all(result.state.routable for result in results):
            sys.exit(1)
