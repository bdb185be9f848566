"""``manage.py doctor``"""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from typing_extensions import override

from cogo.doctor import Diagnosis, Grade, count, diagnose
from llm_gateway.management.commands._base import Command as Base


class Command(Base):
    recorded = ""
    requires_system_checks: list[str] = []  # noqa: RUF012  # Django's own spelling; the doctor runs the checks itself
    help = "Say what is wrong with this installation and what to do about it; changes nothing; exit code 1 when something is wrong."

    @override
    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="one JSON object per finding instead of text")

    @override
    def run(self, **options: Any) -> None:
        problems = notices = 0
        for title, diagnoses in diagnose():
            problems += sum(one.grade is Grade.PROBLEM for one in diagnoses)
            notices += sum(one.grade is Grade.NOTICE for one in diagnoses)
            for one in diagnoses:
                self._show(title, one, as_json=options["json"])
        if not options["json"]:
            self.say()
            self.say(f"{count(problems, 'problem')}, {count(notices, 'notice')}." if problems or notices else "Nothing is wrong.")
        if problems:
            sys.exit(1)

    def _show(self, title: str, one: Diagnosis, *, as_json: bool) -> None:
        if as_json:
            self.say(json.dumps({"subject": title, "grade": one.grade.value, "finding": one.finding, "cure": one.cure}))
            return
        self.say(f"{one.grade.value:8} {title}: {one.finding}")
        if one.cure:
            self.say(f"{'':8} → {one.cure}")
