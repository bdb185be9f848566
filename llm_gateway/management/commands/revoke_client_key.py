"""``manage.py revoke_client_key``"""

from __future__ import annotations

import argparse
from typing import Any

from django.core.management.base import CommandError
from typing_extensions import override

from llm_gateway.actions.revoke_client_key import revoke_client_key
from llm_gateway.actions.roll_client_key import end_replaced_key
from llm_gateway.models import ClientKey, ReplacedKey

from ._base import Command as Base


class Command(Base):
    help = "Take a client key out of force, for good."

    @override
    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("key", metavar="PUBLIC_ID", help="the part after cogo_, as the admin shows it; never the whole key")

    @override
    def run(self, **options: Any) -> None:
        public_id = options["key"].removeprefix("cogo_").split("_")[0]
        row = ClientKey.objects.filter(public_id=public_id).select_related("team").first()
        if row is None and (old := ReplacedKey.objects.filter(public_id=public_id).select_related("client_key").first()) is not None:
            done = end_replaced_key(old)
            self.say(f"the old text of {old.client_key.name} {'is dead' if done else 'was dead already'}; its newest one works on")
            return
        if row is None:
            raise CommandError(f"There is no client key with the public part {public_id[:12]}")
        done = revoke_client_key(row)
        self.say(f"{row.name} of {row.team.name} {'is revoked' if done else 'was revoked already'}")
