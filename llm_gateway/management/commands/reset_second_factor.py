"""``manage.py reset_second_factor``"""

from __future__ import annotations

import argparse
from typing import Any

from django.contrib.auth import get_user_model
from django.core.management.base import CommandError
from typing_extensions import override

from llm_gateway.actions.second_factor import reset

from ._base import Command as Base


class Command(Base):
    help = "Take the second factor off an account whose owner has lost app and recovery codes."

    @override
    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("username", help="whose")

    @override
    def run(self, **options: Any) -> None:
        user = get_user_model()._default_manager.filter(username=options["username"]).first()
        if user is None:
            raise CommandError(f"There is no account named {options['username']!r}")
        done = reset(user)
        self.say(f"the second factor of {user.get_username()} is off" if done else f"{user.get_username()} has no second factor")
