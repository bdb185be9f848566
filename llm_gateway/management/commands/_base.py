"""What our commands share: one clear line instead of a traceback, and figures read as figures."""

from __future__ import annotations

import argparse
import getpass
import os
import re
from abc import abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any, ClassVar

from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError
from django.utils import timezone
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


def moment(text: str) -> datetime:
    """For ``type=``: a day (all of it, UTC), a moment, or a time from now such as 30d, 12h or 8w."""
    text = text.strip()
    try:
        if match := re.fullmatch(r"([0-9]{1,5})([hdw])", text, re.ASCII):
            return timezone.now() + int(match[1]) * {"h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}[match[2]]
        if re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text, re.ASCII):
            return datetime.fromisoformat(text).replace(tzinfo=UTC) + timedelta(days=1)
        found = datetime.fromisoformat(text)
    except (ValueError, OverflowError):
        raise argparse.ArgumentTypeError(f"{text!r} is neither a day such as 2027-01-31 nor a time such as 30d") from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def names(text: str) -> list[str]:
    """For ``type=``: comma-separated names. None at all is refused: an empty variable in a script must not mean everything."""
    found = [part.strip() for part in text.split(",") if part.strip()]
    if not found:
        raise argparse.ArgumentTypeError(f"{text!r} names nothing; leave the option out to have its default")
    return found


def flat(values: list[list[str]] | None) -> list[str]:
    """Options that may be repeated and hold commas, as one list."""
    return [name for group in values or () for name in group]
