"""Ask a host which models it has, and say what each would cost: the host's own figures, else those published for it."""

from __future__ import annotations

import asyncio
import re
from decimal import Decimal, InvalidOperation
from typing import Any, Protocol

import msgspec
from django.utils import timezone

from llm_gateway.core.errors import AttemptFailed
from llm_gateway.core.json import lenient
from llm_gateway.core.secret import Secret
from llm_gateway.engine.transport import HttpUpstream
from llm_gateway.models import LanguageModel, Provider, ProviderKey
from llm_gateway.providers import services
from llm_gateway.providers._base import join_url
from llm_gateway.stores import vault
from llm_gateway.stores.network import network

from . import ActionError
from ._price_data import STANDARD, published
from .check_keys import _FAULTS as FAULTS

CLOCK_S = 12.0
MOST = 2000
_ID = re.compile(r"[!-~]{1,200}", re.ASCII)
_PATHS = {"anthropic_messages": "/v1/models?limit=1000", "gemini_generate": "/models?pageSize=1000"}
_WINDOWS = ("context_length", "context_window", "max_context_length", "max_model_len", "inputTokenLimit")


class Fetch(Protocol):
    """The seam of tests."""

    async def __call__(self, url: str, headers: dict[str, str], *, allow_private: bool) -> tuple[int, bytes]: ...


class Listed(msgspec.Struct, frozen=True, kw_only=True):
    """A model a host has. Prices in USD per 1,000,000 tokens, ``None``: nobody says. ``known``: it is in the catalogue already."""

    id: str
    context_window: int | None = None
    price_in: Decimal | None = None
    price_out: Decimal | None = None
    source: str = ""
    known: bool = False


def list_models(provider: Provider, fetch: Fetch | None = None) -> list[Listed]:
    """In the order of their ids. Raises :class:`ActionError` with a sentence that says why there is no list."""
    key = provider.keys.filter(enabled=True).order_by("pk").first()
    try:
        secret = vault.open_sealed(key.ciphertext, place=vault.place_of(key)) if key is not None and key.ciphertext else Secret("")
    except vault.VaultError as error:
        raise ActionError(f"The stored key cannot be read: {error}.") from None
    if provider.service not in services:
        raise ActionError(f"No adapter named {provider.service} is installed.")
    headers = services.get(provider.service).headers(provider.wire, secret, {})
    url = join_url(provider.base_url, _PATHS.get(provider.wire, "/models"))
    try:
        status, body = asyncio.run(_within((fetch or _fetch)(url, headers, allow_private=provider.allow_private)))
    except TimeoutError:
        raise ActionError("The host did not send its list of models in time.") from None
    except AttemptFailed as error:
        raise ActionError(f"The host could not be asked: {FAULTS.get(error.failure.kind, 'the connection broke')}.") from None
    if status in (404, 405, 501):
        raise ActionError("The host has no list of models; enter their ids yourself.")
    if status != 200:
        raise ActionError(f"The host does not list its models: it answered {status}.")
    return _priced(provider, read_list(body))


def read_list(body: bytes) -> list[Listed]:
    """A list in any of the formats. What is no model id is left out. Raises :class:`ActionError` for what is no list at all."""
    decoded = lenient(body)
    rows = decoded if isinstance(decoded, list) else None
    if isinstance(decoded, dict):
        rows = next((decoded[name] for name in ("data", "models") if isinstance(decoded.get(name), list)), None)
    if rows is None:
        raise ActionError("What the host sent is no list of models; enter their ids yourself.")
    found: dict[str, Listed] = {}
    for row in rows[:MOST]:
        name = row.get("id") or row.get("name") if isinstance(row, dict) else row
        if not isinstance(name, str):
            continue
        name = name.removeprefix("models/")
        if _ID.fullmatch(name) and "*" not in name:
            found[name] = _listed(name, row if isinstance(row, dict) else {})
    return [found[name] for name in sorted(found)]


def _listed(name: str, row: dict[str, Any]) -> Listed:
    window = next((row[key] for key in _WINDOWS if type(row.get(key)) is int and 0 < row[key] < 2**31), None)
    # OpenRouter's form: USD per token, as text (https://openrouter.ai/docs/api-reference/list-available-models).
    pricing = row.get("pricing")
    costs = [_per_million(pricing.get(key)) for key in ("prompt", "completion")] if isinstance(pricing, dict) else [None, None]
    if None in costs:
        return Listed(id=name, context_window=window)
    return Listed(id=name, context_window=window, price_in=costs[0], price_out=costs[1], source="the host's list of models")


def _per_million(value: Any) -> Decimal | None:
    try:
        found = Decimal(value) * 1_000_000 if isinstance(value, str) else None
    except InvalidOperation:
        return None
    return found if found is not None and found.is_finite() and 0 <= found <= 1_000_000 else None


def _priced(provider: Provider, listed: list[Listed]) -> list[Listed]:
    known = set(LanguageModel.objects.filter(provider=provider).values_list("upstream_id", flat=True))
    now = timezone.now()
    # Rows that are in no table: prices are published for a host and an id.
    rows = {-n: LanguageModel(pk=-n, provider=provider, name=one.id, upstream_id=one.id) for n, one in enumerate(listed, 1)}
    book = published(rows.values())
    found = []
    for n, one in enumerate(listed, 1):
        one = msgspec.structs.replace(one, known=one.id in known)  # noqa: PLW2901  # the same model, with what is known of it
        lists = [each for each in book.get((-n, STANDARD), ()) if each.effective_from <= now]
        if lists:
            band, source = lists[-1].bands[0], lists[-1].source
            one = msgspec.structs.replace(one, price_in=band.input, price_out=band.output, source=source)  # noqa: PLW2901  # the same
        found.append(one)
    return found


async def _within(call: Any) -> tuple[int, bytes]:
    async with asyncio.timeout(CLOCK_S):
        found: tuple[int, bytes] = await call
        return found


async def _fetch(url: str, headers: dict[str, str], *, allow_private: bool) -> tuple[int, bytes]:
    """Through the one door."""
    upstream = HttpUpstream(network())
    try:
        response = await upstream.send("GET", url, headers, b"", connect_s=5.0, allow_private=allow_private)
        return response.status, await response.read()
    finally:
        await upstream.close()


def key_of(provider: Provider) -> ProviderKey | None:
    """The key that is asked with."""
    return provider.keys.filter(enabled=True).order_by("pk").first()
