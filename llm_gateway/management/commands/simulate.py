"""``manage.py simulate``: the provider simulator alone, for tests, demonstrations and rehearsing an outage."""

from __future__ import annotations

import argparse
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from typing_extensions import override

from llm_gateway.simulator import Simulator, run
from llm_gateway.simulator.state import PROVIDERS, STATES


class Command(BaseCommand):
    help = "Serve simulated providers on loopback. /_sim/state shows how they behave, /_sim/personality/NAME changes it."
    requires_system_checks = ()  # it needs no database

    @override
    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--port", type=int, default=8100, help="port on 127.0.0.1 (8100)")
        parser.add_argument(
            "--personality",
            action="append",
            default=[],
            metavar="[NAME=]STATE",
            help=f"how a provider, or all of them, behave at first: {', '.join(STATES)}; NAME: {', '.join(PROVIDERS)}",
        )
        parser.add_argument("--latency-ms", type=float, default=30.0, help="until the first byte (30)")
        parser.add_argument("--chunk-ms", type=float, default=5.0, help="between two pieces of a stream (5)")
        parser.add_argument("--seed", type=int, default=1, help="the same seed answers the same (1)")
        parser.add_argument("--journal", default=None, metavar="FILE", help="write every request it received, one JSON object a line")

    @override
    def handle(self, *args: Any, **options: Any) -> None:
        if not 0 <= options["port"] < 65536:
            raise CommandError("--port must be between 0 (any free one) and 65535")
        moods = dict(mood for text in options["personality"] for mood in _moods(text))

        def ready(simulator: Simulator) -> None:
            for name, state in moods.items():
                simulator.state.personalities[name].state = state
            for name in PROVIDERS:
                self.stdout.write(f"{name:<10} {simulator.base_url(name)}")
            self.stdout.write(f"{'control':<10} {simulator.url('/_sim/state')}")
            self.stdout.flush()

        try:
            run(
                port=options["port"],
                ready=ready,
                latency_ms=options["latency_ms"],
                chunk_ms=options["chunk_ms"],
                seed=options["seed"],
                journal_path=options["journal"],
            )
        except OSError as error:
            raise CommandError(f"cannot listen on 127.0.0.1:{options['port']} ({error.strerror}); choose another --port") from None


def _moods(text: str) -> list[tuple[str, str]]:
    name, equals, state = text.rpartition("=")
    if state not in STATES or (equals and name not in PROVIDERS):
        raise CommandError(f"--personality {text}: give one of {', '.join(STATES)}, or NAME=STATE with NAME of {', '.join(PROVIDERS)}")
    return [(one, state) for one in ([name] if equals else PROVIDERS)]
