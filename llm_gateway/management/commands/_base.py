"""What our commands share: one clear line instead of a traceback, and figures read as figures."""

from __future__ import annotations

import argparse
import getpass
import os
from abc import abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal, InvalidOperation
from typing import Any, ClassVar

from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError
from typing_extensions import override

from llm_gateway.actions import ActionError
from llm_gateway.core.errors import GatewayError
from llm_gateway.models import trail


class Command(BaseCommand):
    """Subclasses write ``run``; what a verb refuses becomes one line and exit code 1.

    ``recorded``: ``rows`` puts each changed row into the audit trail, ``run`` the run alone (what writes rows by the hundred), empty
    nothing (what changes nothing, or runs at every start)."""

    recorded: ClassVar[str] = "rows"

    @override
    def handle(self, *args: Any, **options: Any) -> None:
        with refusals():
            if self.recorded != "rows":
                self.run(**options)
                if self.recorded:
                    trail.record("ran", name=type(self).__module__.rpartition(".")[2], who=_at_the_terminal())
                return
            with trail.acting(_at_the_terminal()):
                self.run(**options)

    @abstractmethod
    def run(self, **options: Any) -> None: ...

    def say(self, line: str = "") -> None:
        self.stdout.write(line)


def _at_the_terminal() -> trail.Actor:
    try:
        name = getpass.getuser()
    except (KeyError, OSError):
        name = f"uid {os.getuid()}"  # a container's user without a name
    return trail.Actor(name=f"{name} at the terminal", via="command")


@contextmanager
def refusals() -> Iterator[None]:
    try:
        yield
    except ActionError as error:
        raise CommandError(str(error)) from None
    except GatewayError as error:
        raise CommandError(error.message) from None
    except DatabaseError as error:
        line = str(error).strip().partition("\n")[0][:200]
        raise CommandError(f"The database refused ({line}); is it there and migrated? Run: manage.py migrate") from None


def usd(text: str) -> Decimal:
    """For ``type=``: an amount in USD."""
    try:
        value = Decimal(text)
    except InvalidOperation:
        raise argparse.ArgumentTypeError(f"{text!r} is not an amount in USD, such as 12.50") from None
    if not value.is_finite() or value < 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not an amount in USD, such as 12.50")
    return value


def names(text: str) -> list[str]:
    """For ``type=``: comma-separated names. None at all is refused: an empty variable in a script must not mean everything."""
    found = [part.strip() for part in text.split(",") if part.strip()]
    if not found:
        raise argparse.ArgumentTypeError(f"{text!r} names nothing; leave the option out to have its default")
    return found


def flat(values: list[list[str]] | None) -> list[str]:
    """Options that may be repeated and hold commas, as one list."""
    return [name for group in values or () for name in group]
