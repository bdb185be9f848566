"""The rows of a test gateway: a provider per wire at the simulator, broken ones beside it, a team with a key and a budget."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterable, Mapping
from datetime import timedelta
from decimal import Decimal
from typing import Any

from llm_gateway.simulator import ThreadedSimulator

# slug: (service, wire, the simulator's provider)
WIRES = {
    "chat": ("custom", "openai_chat", "custom"),
    "chat2": ("custom", "openai_chat", "custom"),
    "responses": ("custom", "openai_responses", "custom"),
    "claude": ("custom", "anthropic_messages", "anthropic"),
    "gem": ("custom", "gemini_generate", "gemini"),
    # The same with short clocks, for faults that are told by the clock.
    "hasty-chat": ("custom", "openai_chat", "custom"),
    "hasty-claude": ("custom", "anthropic_messages", "anthropic"),
    "hasty-gem": ("custom", "gemini_generate", "gemini"),
    "fireworks": ("fireworks", "openai_chat", "fireworks"),
    "anthropic": ("anthropic", "anthropic_messages", "anthropic"),
    "openai": ("openai", "openai_chat", "openai"),
    "gemini": ("gemini", "gemini_generate", "gemini"),
}
HASTY_MS = {"connect": 200, "first_event": 250, "idle": 250, "total": 1200}
# Providers a strategy may choose from, with one named model each.
SERVICES = ("fireworks", "anthropic", "openai", "gemini")
INPUT_USD, OUTPUT_USD = Decimal(1), Decimal(2)
MAX_OUTPUT = 1000
KEY_OF = "sim-valid-{}"


class Rows:
    """Any model name works at any provider as ``SLUG/name``; ``fault:…`` alone goes to ``chat``."""

    def __init__(self, simulator: ThreadedSimulator) -> None:
        self._simulator = simulator
        self.key = ""
        self._closed = socket.create_server(("127.0.0.1", 0))
        self._full, self._queued = _never_accepting()
        self._plain = _Plain()

    def fill(self) -> None:
        from llm_gateway.models import Strategy, Team

        self.providers: dict[str, Any] = {}
        for priority, (slug, (service, wire, at)) in enumerate(WIRES.items()):
            self.provider(slug, self._simulator.base_url(at), service=service, wire=wire, priority=100 + priority)
        self.clocks([slug for slug in WIRES if slug.startswith("hasty-")], HASTY_MS)
        closed = self._closed.getsockname()[1]
        self._closed.close()
        # Last in every order: a name that no model has means the first provider that takes any.
        for slug, base_url in (
            ("refused", f"http://127.0.0.1:{closed}/v1"),
            ("nodns", "http://nowhere.invalid/v1"),
            ("tls", f"https://127.0.0.1:{self._plain.port}/v1"),
            ("blackhole", f"http://127.0.0.1:{self._full.getsockname()[1]}/v1"),
        ):
            self.provider(slug, base_url, priority=900)
        self.clocks(["blackhole"], {"connect": 200})
        self.model("chat", "fault:*", name="fault:*")
        for slug in SERVICES:
            self.model(slug, f"sim-{slug}", name=f"sim-{slug}", auto=True)
        for name in ("enterprise", "ab-testing", "performance-based"):
            Strategy.objects.create(name=name, kind=name, settings={}, active=name == "enterprise")
        self.team = Team.objects.create(name="Test", slug="test")
        self.key = self.issue("tester", budget_usd=Decimal(1000), period="total")

    def provider(self, slug: str, base_url: str, *, service: str = "custom", wire: str = "openai_chat", keys: int = 1, **more: Any) -> Any:
        from llm_gateway.models import Provider

        row = Provider.objects.create(
            slug=slug, title=slug.title(), service=service, wire=wire, base_url=base_url, allow_private=True, **more
        )
        self.providers[slug] = row
        for number in range(1, keys + 1):
            self.provider_key(slug, "default" if number == 1 else f"key{number}")
        self.model(slug, "*")
        return row

    def provider_key(self, slug: str, name: str, secret: str = "") -> Any:
        from llm_gateway.actions.store_provider_key import store_provider_key
        from llm_gateway.models import ProviderKey

        key = store_provider_key(self.providers[slug], secret or KEY_OF.format(f"{slug}-{name}"), name)
        ProviderKey.objects.filter(pk=key.pk).update(state="valid")
        return key

    def model(self, slug: str, upstream_id: str, *, name: str = "", auto: bool = False, priced: bool = True, **more: Any) -> Any:
        from django.utils import timezone

        from llm_gateway.models import LanguageModel, Price

        found = LanguageModel.objects.filter(provider=self.providers[slug], upstream_id=upstream_id).first()
        if found is not None:
            return found
        row = LanguageModel.objects.create(
            provider=self.providers[slug],
            upstream_id=upstream_id,
            name=name or f"{slug}/{upstream_id}",
            auto=auto,
            **{"max_output_tokens": MAX_OUTPUT, **more},
        )
        if priced:
            Price.objects.create(model=row, effective_from=timezone.now() - timedelta(days=1), input=INPUT_USD, output=OUTPUT_USD)
        return row

    def no_limit(self, slug: str, upstream_id: str) -> None:
        """A model whose longest answer nobody knows."""
        from llm_gateway.models import LanguageModel

        LanguageModel.objects.filter(provider__slug=slug, upstream_id=upstream_id).update(max_output_tokens=None)

    def alias(self, name: str, targets: Iterable[tuple[str, str]]) -> None:
        from llm_gateway.models import Alias, AliasTarget

        alias, _ = Alias.objects.get_or_create(name=name)
        alias.targets.all().delete()
        for position, (slug, upstream_id) in enumerate(targets):
            AliasTarget.objects.create(alias=alias, model=self.model(slug, upstream_id), position=position)

    def issue(self, name: str, **options: Any) -> str:
        from llm_gateway.actions.create_client_key import create_client_key

        scopes = options.pop("scopes", ("generate", "analyze", "read", "manage"))
        return create_client_key(name, options.pop("team", self.team), scopes, **options)[1]

    def clocks(self, slugs: Iterable[str], clocks_ms: Mapping[str, int | None]) -> None:
        from llm_gateway.models import Provider

        fields = {f"{name}_timeout_ms": value for name, value in clocks_ms.items()}
        Provider.objects.filter(slug__in=list(slugs) or list(self.providers)).update(**fields)

    def all_healthy(self) -> None:
        from llm_gateway.models import DeploymentHealth, ProviderKey

        DeploymentHealth.objects.all().delete()
        ProviderKey.objects.exclude(state="valid").update(state="valid", reason="", evidence="")

    def empty(self) -> None:
        from django.core.management import call_command
        from django.db import connections

        self._plain.close()
        self._full.close()
        for one in self._queued:
            one.close()
        call_command("flush", verbosity=0, interactive=False, inhibit_post_migrate=False)
        connections.close_all()


def _never_accepting() -> tuple[socket.socket, list[socket.socket]]:
    """A listener whose queue is full, so that another connection is never made."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(0)
    queued = []
    for _ in range(3):
        one = socket.socket()
        one.setblocking(False)
        one.connect_ex(listener.getsockname())
        queued.append(one)
    return listener, queued


class _Plain:
    """A host that answers a TLS handshake in plain text."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        threading.Thread(target=self._serve, name="plain", daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                peer, _ = self._socket.accept()
            except OSError:
                return
            with peer:
                peer.recv(4096)
                peer.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
