"""``manage.py migrate``: Django's own, one process at a time and without keeping running gateways
from writing."""

from __future__ import annotations

from typing import Any

from django.core.management.commands.migrate import Command as Migrate
from typing_extensions import override

from cogo.migrating import alone, patiently


class Command(Migrate):
    @override
    def handle(self, *args: Any, **options: Any) -> None:
        def work() -> None:
            Migrate.handle(self, *args, **options)

        with alone(self.stdout.write, options["database"]):
            patiently(work, self.stdout.write, options["database"])
