"""``manage.py load_catalogue``"""

from __future__ import annotations

import argparse
from typing import Any

from typing_extensions import override

from llm_gateway.actions.load_catalogue import load_catalogue

from ._base import Command as Base


class Command(Base):
    recorded = "run"
    help = "Bring today's providers, models and aliases into the database; what an operator edited is left as it is."

    @override
    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="count, write nothing")
        parser.add_argument("--restore", action="store_true", help="bring back what was deleted by hand")

    @override
    def run(self, **options: Any) -> None:
        done = load_catalogue(options["dry_run"], options["restore"])
        self.say(
            f"providers: {done.providers_created} new; models: {done.models_created} new, {done.models_updated} brought up to date, "
            f"{done.models_unchanged} unchanged; aliases: {done.aliases_created} new, {done.aliases_updated} brought up to date"
        )
        if done.kept:
            self.say(f"kept as edited: {', '.join(done.kept)}")
        if done.deleted:
            self.say(f"deleted by hand and left out (--restore brings them back): {', '.join(done.deleted)}")
        if options["dry_run"]:
            self.say("nothing was written")
