"""``manage.py make_encryption_key``"""

from __future__ import annotations

from typing import Any

from typing_extensions import override

from llm_gateway.actions.rotate_encryption import make_encryption_key

from ._base import Command as Base


class Command(Base):
    recorded = ""
    help = "Print an entry for COGO_ENCRYPTION_KEYS; put it first, before the present ones and a comma."
    requires_system_checks = ()  # it mends what they complain of

    @override
    def run(self, **options: Any) -> None:
        self.say(make_encryption_key())
