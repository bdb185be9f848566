"""What the measured gateway has in its database: one provider, one priced model, one team whose key has a budget.
``python -m tests.benchmarks.prepare URL`` makes it and prints the client key. Runs with the gateway's own settings."""

from __future__ import annotations

import sys
from datetime import timedelta
from decimal import Decimal


def prepare(url: str) -> str:
    from django.core.management import call_command
    from django.utils import timezone

    from llm_gateway.actions.create_client_key import create_client_key
    from llm_gateway.actions.store_provider_key import store_provider_key
    from llm_gateway.models import LanguageModel, Price, Provider, ProviderKey, Team

    call_command("migrate", verbosity=0, interactive=False)
    provider = Provider.objects.create(
        slug="bench", title="Bench", service="custom", wire="openai_chat", base_url=url, allow_private=True
    )  # fmt: skip
    key = store_provider_key(provider, "stand-in-of-a-provider-key", "default")
    ProviderKey.objects.filter(pk=key.pk).update(state="valid")
    model = LanguageModel.objects.create(provider=provider, upstream_id="*", name="bench/*", max_output_tokens=1000)
    Price.objects.create(model=model, effective_from=timezone.now() - timedelta(days=1), input=Decimal(1), output=Decimal(2))
    team = Team.objects.create(name="Bench", slug="bench")
    return create_client_key("bench", team, ("generate",), budget_usd=Decimal(1_000_000), period="total")[1]


if __name__ == "__main__":
    import django

    django.setup()
    sys.stdout.write(prepare(sys.argv[1]) + "\n")
