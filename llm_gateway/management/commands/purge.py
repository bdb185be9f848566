"""``manage.py purge``"""

from __future__ import annotations

import argparse
from typing import Any

from django.core.management.base import CommandError
from typing_extensions import override

from llm_gateway.actions.purge import erase_subject, purge
from llm_gateway.models import Team

from ._base import Command as Base

# As for COGO_RETENTION_DAYS: a century.
LONGEST_DAYS = 36_500


class Command(Base):
    recorded = "run"
    help = "Delete what is beyond its team's retention, or erase one subject. Ledger, rollups and statements stay."

    @override
    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--team", help="only this team (its short name)")
        parser.add_argument("--bodies", action="store_true", help="only prompts and answers")
        parser.add_argument("--days", type=int, help="instead of the team's own retention")
        parser.add_argument("--subject", help="erase the texts and metadata of this user id (metadata.user_id or metadata.user) instead")

    @override
    def run(self, **options: Any) -> None:
        team = None
        if options["team"] is not None and (team := Team.objects.filter(slug=options["team"]).first()) is None:
            raise CommandError(f"There is no team named {options['team']}")
        if options["subject"] is not None:
            if not options["subject"]:
                raise CommandError("--subject must name somebody")
            if options["bodies"] or options["days"] is not None:
                raise CommandError("--subject erases whatever its age; it goes with --team only")
            self.say(f"{erase_subject(options['subject'], team=team)} requests erased; their figures stay")
            return
        if options["days"] is not None and not 0 <= options["days"] <= LONGEST_DAYS:
            raise CommandError(f"--days is a number from 0 to {LONGEST_DAYS}")
        done = purge(team=team, bodies_only=options["bodies"], days=options["days"])
        self.say(f"{done.bodies} texts and {done.requests} requests deleted; the longest step held its lock for {done.longest_ms:.1f} ms")
