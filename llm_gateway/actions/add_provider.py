"""Register or update a host that speaks one of the wires: provider, key, models and prices in one go."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal

from django.db import transaction
from django.utils import timezone

from llm_gateway.models import Alias, LanguageModel, Price, Provider, ProviderKey
from llm_gateway.policies.addresses import AddressRefused, BaseUrl, check_addresses, read_base_url
from llm_gateway.providers.presets import Preset, presets
from llm_gateway.wires import wires

from . import ActionError
from .store_provider_key import store_keyless, store_provider_key

CUSTOM = "custom"
OWN_HOST = "own host, free"
Resolve = Callable[[str, int], list[str]]
_SLUG = re.compile(r"[a-z0-9][a-z0-9_-]{0,59}", re.ASCII)
_MODEL_ID = re.compile(r"[!-~]{1,200}", re.ASCII)
_MOST_USD = Decimal(1_000_000)


def resolve(host: str, port: int) -> list[str]:
    """Every address of ``host``. Raises OSError."""
    return sorted({str(entry[4][0]) for entry in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)})


def checked_base_url(text: str, *, allow_private: bool, resolver: Resolve = resolve) -> str:
    """The normal form of a base URL that leads where a provider may be. Raises :class:`ActionError`.

    A private host may be absent at the moment; a public one has to resolve, every address of it to the public Internet.
    """
    try:
        url = read_base_url(text.strip(), allow_private=allow_private)
        if url.literal is None:
            check_addresses(url.host, _addresses(url, allow_private, resolver), allow_private=allow_private)
    except AddressRefused as error:
        raise ActionError(str(error)) from None
    return url.text


def _addresses(url: BaseUrl, allow_private: bool, resolver: Resolve) -> list[str]:
    try:
        return resolver(url.host, url.port)
    except (OSError, UnicodeError):
        if allow_private:
            return ["127.0.0.1"]
        raise AddressRefused(f"The host {url.host} cannot be resolved; check its name and the network.") from None


def add_provider(
    name: str,
    wire: str,
    base_url: str,
    *,
    key: str | None = None,
    key_env: str = "",
    models: Sequence[str] = (),
    price_in: Decimal | None = None,
    price_out: Decimal | None = None,
    price_source: str = "operator",
    allow_private: bool = False,
    ignore_health: bool = False,
    priority: int | None = None,
    title: str = "",
    preset: str = "",
    resolver: Resolve = resolve,
) -> tuple[Provider, ProviderKey]:
    """The provider and the key to check. Run again it updates: models are added, never taken away; a changed price begins now.

    ``preset``: the known host whose habits apply (``""``: those that apply already).
    ``key`` is the secret, ``None``: keep the stored one, or none where the host takes none. Prices are USD per 1,000,000 tokens for all
    named models; without them a host at an admitted private address is free, any other unpriced. Raises :class:`ActionError`.
    """
    if not _SLUG.fullmatch(name):
        raise ActionError("A provider's name has lower-case letters, digits, - and _, at most 60, and begins with a letter or digit.")
    if wire not in wires:
        raise ActionError(f"There is no wire {wire}; choose from {', '.join(wires)}.")
    if preset:
        known_preset(preset)
    _check_ids(models)
    _check_prices(price_in, price_out)
    text = checked_base_url(base_url, allow_private=allow_private, resolver=resolver)
    with transaction.atomic():
        provider = Provider.objects.select_for_update().filter(slug=name).first() or Provider(slug=name, title=title or name)
        if provider.pk and provider.service != CUSTOM:
            raise ActionError(f"{name} is a provider the gateway brings along; change it in the admin, or choose another name.")
        moved = bool(provider.pk) and _origin(provider.base_url) != _origin(text)
        if moved and key is None and provider.keys.exclude(ciphertext="").exists():
            raise ActionError(
                f"The base URL of {name} leads to another host now; give the key again, so that it is not sent there unasked."
            )
        provider.service, provider.wire, provider.base_url = CUSTOM, wire, text
        provider.allow_private, provider.ignore_health = allow_private, ignore_health
        provider.preset = preset or provider.preset
        provider.title = title or provider.title
        provider.priority = priority if priority is not None else provider.priority
        provider.save()
        credential = _credential(provider, key, key_env)
        rows = [_model(provider, upstream_id) for upstream_id in dict.fromkeys(models)]
        if price_in is not None and price_out is not None:
            for row in rows:
                set_price(row, price_in, price_out, source=price_source)
        elif allow_private:
            # A host at a private address is one's own: free on purpose, which is not the same as unpriced.
            for row in rows:
                if not row.prices.exists():
                    set_price(row, Decimal(0), Decimal(0), source=OWN_HOST)
    return provider, credential


def known_preset(name: str) -> Preset:
    """Raises :class:`ActionError` that names the presets there are."""
    found = presets().get(name)
    if found is None:
        raise ActionError(f"There is no preset {name}; choose from {', '.join(sorted(presets()))}.")
    return found


def set_price(model: LanguageModel, price_in: Decimal, price_out: Decimal, *, source: str) -> bool:
    """Whether a new price row was needed: the one in force is never edited."""
    now = timezone.now()
    present = model.prices.filter(tier="standard", effective_from__lte=now).order_by("-effective_from", "min_prompt_tokens").first()
    if present is not None and (present.input, present.output, present.source) == (price_in, price_out, source):
        return False
    Price.objects.create(model=model, effective_from=now, input=price_in, output=price_out, source=source)
    return True


def _credential(provider: Provider, key: str | None, key_env: str) -> ProviderKey:
    if key is not None:
        return store_provider_key(provider, key, from_environment=key_env)
    return provider.keys.order_by("pk").first() or store_keyless(provider)


def _model(provider: Provider, upstream_id: str) -> LanguageModel:
    model = LanguageModel.objects.filter(provider=provider, upstream_id=upstream_id).first()
    if model is not None:
        return model
    taken = LanguageModel.objects.filter(name=upstream_id).exists() or Alias.objects.filter(name=upstream_id).exists()
    return LanguageModel.objects.create(
        provider=provider,
        name=f"{provider.slug}/{upstream_id}"[:200] if taken else upstream_id,
        upstream_id=upstream_id,
        auto="*" not in upstream_id,
    )


def _check_ids(models: Iterable[str]) -> None:
    for upstream_id in models:
        if not _MODEL_ID.fullmatch(upstream_id):
            raise ActionError(f"{upstream_id!r} is no model id: at most 200 ASCII characters without spaces.")


def _check_prices(price_in: Decimal | None, price_out: Decimal | None) -> None:
    if (price_in is None) != (price_out is None):
        raise ActionError("Give both prices, for input and for output, or none.")
    for price in (price_in, price_out):
        if price is not None and (not price.is_finite() or not 0 <= price <= _MOST_USD):
            raise ActionError("A price is USD per 1,000,000 tokens, from 0 to 1,000,000.")


def _origin(base_url: str) -> tuple[str, str]:
    scheme, _, rest = base_url.partition("://")
    return scheme, rest.partition("/")[0]
