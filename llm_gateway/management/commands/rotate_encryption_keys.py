"""``manage.py rotate_encryption_keys``"""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandError
from typing_extensions import override

from llm_gateway.actions.rotate_encryption import rotate_encryption

from ._base import Command as Base


class Command(Base):
    recorded = "run"
    help = "Seal every stored secret with the first key of COGO_ENCRYPTION_KEYS; afterwards the older ones may be taken out."

    @override
    def run(self, **options: Any) -> None:
        done = rotate_encryption()
        self.say(f"{done.moved} moved to the newest key, {done.current} were there already")
        if done.failed:
            raise CommandError("These do not open with any configured key and were left as they are:\n  " + "\n  ".join(done.failed))
