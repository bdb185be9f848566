"""``manage.py import_prices``"""

from __future__ import annotations

import argparse
from typing import Any

from typing_extensions import override

from llm_gateway.actions.import_prices import import_prices

from ._base import Command as Base


class Command(Base):
    recorded = "run"
    help = "Bring published prices (genai-prices) into the price book: new dated rows, never an edit; an operator's prices win."

    @override
    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="show the differences, write nothing")
        parser.add_argument("--only-new", action="store_true", help="price models that have none; show changes without writing them")

    @override
    def run(self, **options: Any) -> None:
        done = import_prices(dry_run=options["dry_run"], approve=not options["only_new"])
        for change in done.changes:
            if change.kind != "new" or options["verbosity"] > 1:
                since = f"{change.effective_from:%Y-%m-%d}"
                figures = f"{change.before or '-'} → {change.after}"
                self.say(f"{change.kind:8} {change.model} ({change.tier}) from {since}: {figures}  [{change.source}]")
        self.say(f"{done.new} new, {done.changed} changed, {done.unchanged} unchanged, {done.operator} left to the operator's own price")
        if done.unpriced:
            self.say(f"without a price: {', '.join(done.unpriced)}")
        if options["dry_run"]:
            self.say("nothing was written")
