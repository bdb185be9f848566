"""``manage.py rerate``"""

from __future__ import annotations

import argparse
from datetime import UTC, datetime
from typing import Any

from django.core.management.base import CommandError
from typing_extensions import override

from llm_gateway.actions.rerate import rerate
from llm_gateway.core.money import format_usd
from llm_gateway.models import LanguageModel, Team

from ._base import Command as Base


class Command(Base):
    recorded = "run"
    help = "Bill past requests with the prices as they are now; differences become adjustment entries. Without --apply it only tells."

    @override
    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--from", dest="start", required=True, type=moment, help="first day or moment, UTC, such as 2026-11-01")
        parser.add_argument("--to", dest="end", required=True, type=moment, help="first day or moment not included")
        parser.add_argument("--model", help="only this model of the catalogue")
        parser.add_argument("--team", help="only this team (its short name)")
        parser.add_argument("--note", default="rerate", help="why, kept with each entry")
        parser.add_argument("--apply", action="store_true", help="book the differences")

    @override
    def run(self, **options: Any) -> None:
        if options["start"] >= options["end"]:
            raise CommandError("--from has to be before --to")
        model = _one(LanguageModel.objects.filter(name=options["model"]), "model", options["model"])
        team = _one(Team.objects.filter(slug=options["team"]), "team", options["team"])
        done = rerate(
            options["start"], options["end"], model_id=model, team_id=team, dry_run=not options["apply"], note=options["note"]
        )  # fmt: skip
        self.say(
            f"{done.looked_at} requests looked at, {done.changed} change, {done.skipped} cannot be rated from their row: "
            f"+{format_usd(done.more_nusd)} and -{format_usd(done.less_nusd)} USD"
            + (" booked" if options["apply"] else "; nothing was booked, add --apply")
        )


def moment(text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text)
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise argparse.ArgumentTypeError(f"{text!r} is no date such as 2026-11-01") from None


def _one(rows: Any, what: str, name: str | None) -> int | None:
    if name is None:
        return None
    found: int | None = rows.values_list("pk", flat=True).first()
    if found is None:
        raise CommandError(f"There is no {what} named {name}")
    return found
