"""``manage.py set_budget``"""

from __future__ import annotations

import argparse
from datetime import UTC, datetime
from typing import Any

from typing_extensions import override

from llm_gateway.actions.set_budget import set_budget
from llm_gateway.core.money import format_usd
from llm_gateway.models import Budget

from ._base import Command as Base
from ._base import usd

_DAYS = {name.lower(): number for number, name in Budget.Weekday.choices}


class Command(Base):
    help = "Change a budget: its limit, a raise for a limited time, when its periods begin. What is not named stays as it is."

    @override
    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("name", metavar="NAME", help="of the budget")
        parser.add_argument("--limit-usd", type=usd, metavar="X")
        parser.add_argument("--raise-usd", type=usd, metavar="X", help="on top of the limit until --until; 0 ends a raise")
        parser.add_argument("--until", type=_moment, metavar="TIME", help="end of the raise, as 2026-12-24T18:00 (UTC) or with an offset")
        parser.add_argument("--reset-hour", type=int, metavar="H", help="0 to 23: when periods begin, in the budget's time zone")
        parser.add_argument("--reset-weekday", choices=_DAYS, help="the day on which a week begins")
        parser.add_argument("--reset-monthday", type=int, metavar="N", help="1 to 31: the day on which a month begins")

    @override
    def run(self, **options: Any) -> None:
        row = set_budget(
            options["name"],
            limit_usd=options["limit_usd"],
            extra_usd=options["raise_usd"],
            until=options["until"],
            reset_hour=options["reset_hour"],
            reset_weekday=_DAYS.get(options["reset_weekday"] or ""),
            reset_monthday=options["reset_monthday"],
        )
        raised = f", raised by {format_usd(row.extra_nusd)} USD until {row.extra_until.isoformat()}" if row.extra_until else ""
        self.say(f"{row.name}: {format_usd(row.limit_nusd)} USD per {row.period}{raised}")


def _moment(text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a moment, such as 2026-12-24T18:00") from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
