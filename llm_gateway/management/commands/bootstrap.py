"""``manage.py bootstrap``"""

from __future__ import annotations

from typing import Any

from typing_extensions import override

from llm_gateway.actions.bootstrap import bootstrap

from ._base import Command as Base


class Command(Base):
    recorded = ""
    help = "Make an empty database one that serves: catalogue, prices, team, strategies, operator account, first client key. Asks nothing."

    @override
    def run(self, **options: Any) -> None:
        report = bootstrap()
        self.say(f"operator account: {report.username}")
        if report.password:
            self.say(f"its password, shown only now: {report.password}")
        if report.client_key:
            self.say(f"first client key, shown only now: {report.client_key}")
        self.say(f"providers with a key: {', '.join(report.configured) or 'none'}")
        for note in report.notes:
            self.say(f"note: {note}")
