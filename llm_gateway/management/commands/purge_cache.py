"""``manage.py purge_cache``"""

from __future__ import annotations

import argparse
from typing import Any

from typing_extensions import override

from llm_gateway.actions.purge_answers import purge_answers
from llm_gateway.core.caching import SCOPES

from ._base import Command as Base


class Command(Base):
    recorded = "run"
    help = "Take kept answers of the cache out of reach, in every worker within 2 seconds."

    @override
    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("scope", choices=SCOPES, help="what to purge")
        parser.add_argument("whose", nargs="?", default="", help="a team's short name, a key's public id, an alias or a model")

    @override
    def run(self, **options: Any) -> None:
        count = purge_answers(options["scope"], options["whose"])
        self.say(f"{count} answers deleted; no worker gives one of them, or one of its own memory, from within 2 seconds on")
