"""``manage.py create_client_key``"""

from __future__ import annotations

import argparse
from typing import Any

from django.core.management.base import CommandError
from typing_extensions import override

from llm_gateway.actions.bootstrap import TEAM
from llm_gateway.actions.create_client_key import DEFAULT_SCOPES, create_client_key, ensure_team, generate_client_key
from llm_gateway.models import Budget

from ._base import Command as Base
from ._base import flat, moment, names, usd


class Command(Base):
    help = "Make a client key and print it once."

    @override
    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        scopes = ",".join(scope.value for scope in DEFAULT_SCOPES)
        parser.add_argument("name", metavar="NAME", nargs="?", help="what it is for")
        parser.add_argument("--team", default=TEAM, help=f"who pays; made when it is missing ({TEAM})")
        parser.add_argument("--scopes", action="append", type=names, metavar="SCOPE", help=f"generate, analyze, read, manage ({scopes})")
        parser.add_argument(
            "--models", action="append", type=names, metavar="MODEL", help="what it may use: models, aliases, PROVIDER/ID, patterns (all)"
        )
        parser.add_argument("--strategy", metavar="NAME", help="how its requests are routed (the active strategy)")
        parser.add_argument("--budget-usd", type=usd, metavar="X", help="a hard limit on what it may spend per period")
        parser.add_argument("--period", choices=Budget.Period.values, default=Budget.Period.MONTH.value, help="the budget's period (month)")
        parser.add_argument("--max-tokens", type=int, metavar="N", help="ceiling for the answer of one request")
        parser.add_argument("--requests-per-minute", type=int, metavar="N")
        parser.add_argument("--tokens-per-minute", type=int, metavar="N", help="prompts and answers together")
        parser.add_argument("--max-concurrency", type=int, metavar="N")
        parser.add_argument(
            "--allow-address",
            action="append",
            type=names,
            metavar="ADDRESS",
            help="where it may be used from: addresses and networks such as 203.0.113.0/24 (anywhere)",
        )
        parser.add_argument(
            "--expires",
            type=moment,
            metavar="WHEN",
            help="the last day it works (2027-01-31, UTC), a moment, or a time from now (30d, 12h)",
        )
        parser.add_argument("--allow-unpriced", action="store_true", help="may use models whose price is unknown, at the ceiling price")
        parser.add_argument(
            "--generate-only", action="store_true", help="print a well-formed key for COGO_BOOTSTRAP_CLIENT_KEY, store nothing"
        )

    @override
    def run(self, **options: Any) -> None:
        if options["generate_only"]:
            self.say(generate_client_key())
            return
        if not options["name"]:
            raise CommandError("Give the key a name: manage.py create_client_key NAME")
        ceilings = {name: options[name] for name in ("max_tokens", "requests_per_minute", "tokens_per_minute", "max_concurrency")}
        for name, value in ceilings.items():
            if value is not None and not 1 <= value <= 2_000_000_000:
                raise CommandError(f"--{name.replace('_', '-')} is a number from 1 on")
        row, plain = create_client_key(
            options["name"],
            ensure_team(options["team"]),
            flat(options["scopes"]) or DEFAULT_SCOPES,
            flat(options["models"]),
            options["strategy"],
            budget_usd=options["budget_usd"],
            period=options["period"],
            expires_at=options["expires"],
            allow_unpriced=options["allow_unpriced"],
            addresses=flat(options["allow_address"]),
            **ceilings,
        )
        # The key alone on standard output, so that a script can take it.
        until = f", works until {row.expires_at:%Y-%m-%d %H:%M} UTC" if row.expires_at else ""
        self.stderr.write(f"{row.name} of {row.team.name}, scopes {', '.join(row.scopes)}{until}; shown only now:")
        self.say(plain)
