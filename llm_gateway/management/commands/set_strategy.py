"""``manage.py set_strategy``"""

from __future__ import annotations

import argparse
from typing import Any

from django.core.management.base import CommandError
from typing_extensions import override

from llm_gateway.actions.activate_strategy import activate_strategy
from llm_gateway.actions.rollback_strategy import rollback_strategy
from llm_gateway.core import json
from llm_gateway.models import Strategy

from ._base import Command as Base


class Command(Base):
    help = "Put a strategy in force; without a name, list them."

    @override
    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("name", metavar="NAME", nargs="?")
        parser.add_argument("--options", metavar="JSON", help="replace its settings")
        parser.add_argument("--rollback", action="store_true", help="go back to what was in force before")

    @override
    def run(self, **options: Any) -> None:
        if options["rollback"]:
            if options["name"] or options["options"] is not None:
                raise CommandError("--rollback takes neither a name nor options")
            entry = rollback_strategy(via="command")
        elif options["name"]:
            entry = activate_strategy(options["name"], via="command", settings=_settings(options["options"]))
        elif options["options"] is not None:
            raise CommandError("--options needs the name of the strategy they are for")
        else:
            for row in Strategy.objects.all():
                self.say(f"{'*' if row.active else ' '} {row.name}: {row.title}")
            return
        self.say(f"{entry.strategy.name} is in force{f' instead of {entry.previous}' if entry.previous else ''}")


def _settings(text: str | None) -> dict[str, Any] | None:
    if text is None:
        return None
    try:
        found = json.loads(text.encode(errors="surrogateescape"))
    except json.InvalidJson as error:
        raise CommandError(f"--options is not JSON: {error}") from None
    if not isinstance(found, dict):
        raise CommandError('--options is a JSON object, such as {"exploration": 0.1}')
    return found
