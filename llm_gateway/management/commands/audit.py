"""``manage.py audit``"""

from __future__ import annotations

import argparse
import sys
from typing import Any

from typing_extensions import override

from llm_gateway.actions.audit import audit
from llm_gateway.actions.watch import watch

from ._base import Command as Base


class Command(Base):
    recorded = ""
    help = (
        "Prove the money and log invariants from the rows, each with its figures, and look for what waits or stands still; "
        "exit code 1 when one fails."
    )

    @override
    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--strict", action="store_true", help="also what takes a scan of all rows")

    @override
    def run(self, **options: Any) -> None:
        findings = [*audit(strict=options["strict"]), *watch()]
        for one in findings:
            figures = f"; {one.figures}" if one.figures else ""
            self.say(f"{'ok  ' if one.ok else 'FAIL'} {one.code:4} {one.title} ({one.looked_at} looked at, {one.broken} broken{figures})")
            for offender in one.offenders:
                self.say(f"          {offender}")
            if one.note:
                self.say(f"     note: {one.note}")
        failed = [one.code for one in findings if not one.ok]
        self.say(
            f"{len(failed)} of {len(findings)} invariants fail: {', '.join(failed)}" if failed else f"all {len(findings)} invariants hold"
        )
        if failed:
            sys.exit(1)
