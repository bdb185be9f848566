"""``manage.py add_provider``"""

from __future__ import annotations

import argparse
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError
from typing_extensions import override

from llm_gateway.actions.add_provider import add_provider
from llm_gateway.actions.check_keys import check_keys
from llm_gateway.models import Provider, ProviderKey
from llm_gateway.providers.presets import presets
from llm_gateway.wires import wires

from ._base import Command as Base
from ._base import flat, names, usd


class Command(Base):
    help = "Register or update a custom provider with its key, models and prices, check it and print its state."

    @override
    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("name", metavar="NAME", help="its name in model names such as NAME/model-id")
        parser.add_argument(
            "--preset",
            choices=sorted(presets()),
            help="a known host: its address, format, key variable and habits, as far as not given here",
        )
        parser.add_argument("--wire", choices=list(wires), help="the API format it speaks")
        parser.add_argument("--base-url", metavar="URL", help="for OpenAI-compatible hosts with its /v1")
        parser.add_argument(
            "--key-env", metavar="VAR", help="environment variable (or VAR_FILE) that holds its key; without: no key is sent"
        )
        parser.add_argument("--no-key", action="store_true", help="send no key although the preset names a variable")
        parser.add_argument("--model", action="append", type=names, metavar="ID", help="a model it serves; may hold * and be repeated")
        parser.add_argument("--price-in", type=usd, metavar="USD", help="per 1,000,000 input tokens, for the models named here")
        parser.add_argument("--price-out", type=usd, metavar="USD", help="per 1,000,000 output tokens")
        parser.add_argument("--priority", type=int, metavar="N", help="lower is tried first by the enterprise strategy (100)")
        parser.add_argument("--allow-private", action="store_true", help="admit a loopback or private address, and plain http")
        parser.add_argument("--ignore-health", action="store_true", help="keep it in rotation whatever it answers")
        parser.add_argument("--no-check", action="store_true", help="do not call it now")

    @override
    def run(self, **options: Any) -> None:
        priority = options["priority"]
        if priority is not None and not 0 <= priority <= 1_000_000:
            raise CommandError("--priority is a number from 0 to 1,000,000")
        preset = presets()[options["preset"]] if options["preset"] else None
        wire = options["wire"] or (preset and preset.wire)
        base_url = options["base_url"] or (preset and preset.base_url)
        if not wire or not base_url:
            raise CommandError("Give --base-url and --wire, or a --preset; a preset without an address needs --base-url beside it.")
        key_env = options["key_env"] or (preset.key_env if preset and not options["no_key"] else "")
        provider, key = add_provider(
            options["name"],
            wire,
            base_url,
            key=_secret(key_env),
            key_env=key_env,
            models=flat(options["model"]),
            price_in=options["price_in"],
            price_out=options["price_out"],
            allow_private=options["allow_private"] or bool(preset and preset.local and not options["base_url"]),
            ignore_health=options["ignore_health"],
            priority=priority,
            preset=options["preset"] or "",
            title=preset.title if preset and not Provider.objects.filter(slug=options["name"]).exists() else "",
        )
        self.say(f"{provider.slug}: {provider.wire} at {provider.base_url}")
        for model in provider.models.prefetch_related("prices"):
            price = max(model.prices.all(), key=lambda row: row.effective_from, default=None)
            figures = (
                f"{price.input.normalize():f} / {price.output.normalize():f} USD per 1M tokens"
                if price
                else "no price, so requests to it are refused; give --price-in and --price-out (0 for free)"
            )
            self.say(f"  model {model.name}: {figures}")
        if not options["no_check"]:
            check_keys([key], trigger="save")
        key = ProviderKey.objects.get(pk=key.pk)
        self.say(f"  key {key.hint or '(none)'}: {key.get_state_display()}{f': {key.reason}' if key.reason else ''}")


def _secret(variable: str | None) -> str | None:
    if not variable:
        return None
    if value := settings.COGO_VARIABLE(variable).strip():
        return str(value)
    raise CommandError(f"The environment variable {variable} is not set; export it or leave --key-env out")
