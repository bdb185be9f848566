"""``manage.py sign_in_link``"""

from __future__ import annotations

import argparse
from typing import Any

from django.conf import settings
from django.urls import reverse
from typing_extensions import override

from llm_gateway.actions.sign_in_link import make_link

from ._base import Command as Base


class Command(Base):
    help = "Make a link that signs a superuser in, once, within ten minutes: when passwords are off or the identity provider is away."

    @override
    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("username", help="a superuser's name")

    @override
    def run(self, **options: Any) -> None:
        token = make_link(options["username"])
        public = str(settings.COGO["public_url"])
        # Both hold the path below which the gateway is found.
        begin = public.removesuffix(settings.BASE_PATH) if public else f"http://127.0.0.1:{settings.PORT}"
        self.say(f"Open this within ten minutes; it works once:\n{begin}{reverse('sign-in-link', args=[token])}")
