"""``manage.py replay_policy``"""

from __future__ import annotations

import argparse
import json
from typing import Any

from django.core.management.base import CommandError
from django.utils.dateparse import parse_datetime
from django.utils.timezone import is_naive, make_aware
from typing_extensions import override

from llm_gateway.actions.replay_policy import run_replay, start_replay
from llm_gateway.models import PolicyReplay, PolicyVersion

from ._base import Command as Base


class Command(Base):
    help = (
        "Replay a policy version over the log and print the report as JSON. Exit code 0: replayed; 1: it failed, no row could be replayed, "
        "or more moved than --most-moved; the version that decided is checked against its own rows, and one that differs is 1, too."
    )

    @override
    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("version", metavar="NUMBER", type=int)
        parser.add_argument("--from", dest="since", metavar="TIME", help="ISO 8601")
        parser.add_argument("--to", dest="until", metavar="TIME", help="ISO 8601")
        parser.add_argument("--last", type=int, help="so many rows (10,000; at most 50,000)")
        parser.add_argument("--most-moved", type=float, metavar="SHARE", help="fail when a larger share of the requests would move")

    @override
    def run(self, **options: Any) -> None:
        version = PolicyVersion.objects.filter(number=options["version"]).first()
        if version is None:
            raise CommandError(f"there is no policy version {options['version']}")
        since, until = _moment("--from", options["since"]), _moment("--to", options["until"])
        done = run_replay(start_replay(version, since=since, until=until, last=options["last"]).pk)
        if done.state != PolicyReplay.State.DONE or done.report is None:
            raise CommandError(f"the replay failed: {done.error}")
        report = done.report
        self.say(json.dumps(report, indent=2, ensure_ascii=False))
        if not report["replayed"]:
            raise CommandError("no row could be replayed")
        if report["checked"]["differing"]:
            raise CommandError(f"{report['checked']['differing']} rows that this version decided come out differently")
        most = options["most_moved"]
        if most is not None and report["moved_share"] > most:
            raise CommandError(f"{report['moved_share']:.1%} of the requests would move, more than {most:.1%}")


def _moment(name: str, text: str | None) -> Any:
    if text is None:
        return None
    try:
        found = parse_datetime(text)
    except ValueError:
        found = None
    if found is None:
        raise CommandError(f"{name} is no time: write it as 2026-11-30T12:00:00Z")
    return make_aware(found) if is_naive(found) else found
