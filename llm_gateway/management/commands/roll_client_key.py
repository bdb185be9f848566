"""``manage.py roll_client_key``"""

from __future__ import annotations

import argparse
from typing import Any

from django.core.management.base import CommandError
from django.utils import timezone
from typing_extensions import override

from llm_gateway.actions.roll_client_key import roll_client_key
from llm_gateway.models import ClientKey

from ._base import Command as Base
from ._base import moment


class Command(Base):
    help = "Give a client key a new text, printed once; its name, team, budgets, limits and history stay."

    @override
    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("key", metavar="PUBLIC_ID", help="the part after cogo_, as the console shows it; never the whole key")
        parser.add_argument(
            "--keep",
            type=moment,
            metavar="WHEN",
            help="how long the old text works: a moment, or a time from now such as 24h or 7d (not at all)",
        )

    @override
    def run(self, **options: Any) -> None:
        public_id = options["key"].removeprefix("cogo_").split("_")[0]
        row = ClientKey.objects.filter(public_id=public_id).select_related("team").first()
        if row is None:
            raise CommandError(f"There is no client key with the public part {public_id[:12]}")
        keep = options["keep"]
        plain = roll_client_key(row, keep_until=keep, expected=public_id)
        until = f"works until {keep:%Y-%m-%d %H:%M} UTC" if keep and keep > timezone.now() else "is dead"
        # The key alone on standard output, so that a script can take it.
        self.stderr.write(f"{row.name} of {row.team.name}; the old key cogo_{public_id}_… {until}; the new one, shown only now:")
        self.say(plain)
