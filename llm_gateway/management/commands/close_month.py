"""``manage.py close_month``"""

from __future__ import annotations

import argparse
from typing import Any

from django.core.management.base import CommandError
from typing_extensions import override

from llm_gateway.actions.close_month import close_month, draw_up
from llm_gateway.core.money import format_usd
from llm_gateway.models import Team

from ._base import Command as Base


class Command(Base):
    recorded = "run"
    help = "Show a team's statement of a month; with --close, close it for good."

    @override
    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("team", help="the team's short name")
        parser.add_argument("month", help="such as 2026-11, in the team's timezone")
        parser.add_argument("--close", action="store_true")

    @override
    def run(self, **options: Any) -> None:
        team = Team.objects.filter(slug=options["team"]).first()
        if team is None:
            raise CommandError(f"There is no team named {options['team']}")
        found = close_month(team, options["month"]) if options["close"] else draw_up(team, options["month"])
        for line in found.lines:
            self.say(
                f"{line['client_key']:24} {line['provider']:12} {line['model']:40} {line['requests']:8} {format_usd(line['cost_nusd'])}"
            )
        self.say(
            f"{found.requests} requests, {found.unknown_cost_requests} of unknown cost; {format_usd(found.cost_nusd)} USD, "
            f"adjustments {'-' if found.adjustments_nusd < 0 else ''}{format_usd(abs(found.adjustments_nusd))}, "
            f"total {format_usd(found.total_nusd)} USD{'; closed' if options['close'] else ''}"
        )
