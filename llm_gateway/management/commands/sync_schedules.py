"""``manage.py sync_schedules``"""

from __future__ import annotations

from typing import Any

from typing_extensions import override

from llm_gateway.actions.sync_schedules import broken_schedules, sync_schedules

from ._base import Command as Base


class Command(Base):
    recorded = ""
    help = "Bring the background schedules to what the code says (bootstrap and serve do it too)."

    @override
    def run(self, **options: Any) -> None:
        done = sync_schedules()
        self.say(f"{len(done.created)} made, {len(done.repaired)} put right, {len(done.removed)} removed")
        for name in broken_schedules():
            self.say(f"the schedule “{name}” has arguments that cannot be read and stops every schedule; delete it")
