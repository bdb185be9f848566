"""Published prices as dated lists of bands: the offline data of the genai-prices package, corrected by ``catalogue_data/_prices.toml``.

https://github.com/pydantic/genai-prices: a tier's price holds for the whole request once its prompt is larger than ``start``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import msgspec

from llm_gateway.models import LanguageModel, Provider
from llm_gateway.providers import services

from ._catalogue_files import EVER, PriceRow
from ._catalogue_files import prices as corrections

if TYPE_CHECKING:
    from genai_prices import types

FIELDS = (
    *("input", "output", "cache_read", "cache_write", "cache_write_1h"),
    *("reasoning", "audio_input", "audio_output", "image_input", "image_output", "request", "web_search"),
)
STANDARD = "standard"
_UNITS = {
    "input": "input_mtok",
    "output": "output_mtok",
    "cache_read": "cache_read_mtok",
    "cache_write": "cache_write_mtok",
    "cache_write_1h": "cache_write_1h_mtok",
    "audio_input": "input_audio_mtok",
    "reasoning": "output_reasoning_mtok",
    "audio_output": "output_audio_mtok",
    "image_input": "input_image_mtok",
    "image_output": "output_image_mtok",
    "request": "requests_kcount",
    "web_search": "web_searches_kcount",
}
# What a response says of its tier, by the package's words for it.
_TIERS = {("service_tier", "flex"), ("service_tier", "priority"), ("service_tier", "fast"), ("speed", "fast"), ("processing", "batch")}
# Published by the thousand.
_EACH = ("request", "web_search")
_STEP = Decimal("0.000001")


class Band(msgspec.Struct, frozen=True, kw_only=True):
    """USD per 1,000,000 tokens for prompts of at least ``min_prompt_tokens``; ``request`` and ``web_search``: USD each."""

    min_prompt_tokens: int = 0
    input: Decimal
    output: Decimal
    cache_read: Decimal | None = None
    cache_write: Decimal | None = None
    cache_write_1h: Decimal | None = None
    reasoning: Decimal | None = None
    audio_input: Decimal | None = None
    audio_output: Decimal | None = None
    image_input: Decimal | None = None
    image_output: Decimal | None = None
    request: Decimal | None = None
    web_search: Decimal | None = None


class PriceList(msgspec.Struct, frozen=True, kw_only=True):
    """All bands of one tier that hold from one moment on."""

    effective_from: datetime
    bands: tuple[Band, ...]
    source: str
    note: str = ""


def published(models: Iterable[LanguageModel]) -> dict[tuple[int, str], list[PriceList]]:
    """(model, tier) to its price lists, oldest first. ``models`` come with their provider; one without any price is absent."""
    from genai_prices.data import providers

    source = f"genai-prices {version('genai-prices')}"
    by_id = {provider.id: provider for provider in providers}
    book: dict[tuple[int, str], list[PriceList]] = {}
    for model in models:
        house = _house(model.provider, by_id)
        info = house.find_model(model.upstream_id) if house and "*" not in model.upstream_id else None
        for tier, lists in (_lists(info, source) if info else {}).items():
            book[model.pk, tier] = lists
        for tier, lists in _corrected(model.name, book, model.pk).items():
            book[model.pk, tier] = lists
    return book


def _house(provider: Provider, known: dict[str, types.Provider]) -> types.Provider | None:
    """Whose price list a provider row bills by: its service's, else the host's at its address."""
    if provider.service in services and (name := services.get(provider.service).facts.price_provider):
        return known.get(name)
    return next((house for house in known.values() if re.match(house.api_pattern, provider.base_url)), None)


def _lists(info: types.ModelInfo, source: str) -> dict[str, list[PriceList]]:
    variants = [variant for variant in info.price_variants or () if len(variant.when) == 1 and _TIERS & variant.when.items()]
    dates = _dates(info.prices if isinstance(info.prices, list) else ()) | _dates(variants)
    found = {STANDARD: _timeline(info, dates, None, source)}
    for key, value in {next(iter(variant.when.items())) for variant in variants}:
        begins = [_date(variant) for variant in variants if variant.when == {key: value}]
        lists = _timeline(info, {day for day in dates if day >= min(begins)} | {min(begins)}, {key: value}, source)
        if lists and lists != found[STANDARD]:
            found[value] = lists
    return {tier: lists for tier, lists in found.items() if lists}


def _timeline(info: types.ModelInfo, dates: set[datetime], context: dict[str, str] | None, source: str) -> list[PriceList]:
    lists: list[PriceList] = []
    for day in sorted(dates | ({EVER} if context is None else set())):
        bands = _bands(info.get_prices(day + timedelta(hours=12), context))
        if bands and (not lists or lists[-1].bands != bands):
            lists.append(PriceList(effective_from=day, bands=bands, source=source))
    return lists


def _bands(price: types.ModelPrice) -> tuple[Band, ...]:
    values = {name: getattr(price, unit, None) for name, unit in _UNITS.items()}
    if values["input"] is None:
        return ()
    starts = {0} | {tier.start + 1 for value in values.values() for tier in getattr(value, "tiers", ())}
    bands = []
    for start in sorted(starts):
        usd: dict[str, Any] = {name: _at(name, value, start) for name, value in values.items()}
        bands.append(Band(min_prompt_tokens=start, **{**usd, "output": usd["output"] or Decimal(0)}))
    return tuple(bands)


def _at(name: str, value: Any, prompt: int) -> Decimal | None:
    if value is None:
        return None
    usd = value
    if hasattr(value, "base"):
        usd = next((tier.price for tier in reversed(value.tiers) if prompt > tier.start), value.base)
    return Decimal(usd / 1000 if name in _EACH else usd).quantize(_STEP).normalize()


def _dates(entries: Iterable[Any]) -> set[datetime]:
    return {_date(entry) for entry in entries}


def _date(entry: Any) -> datetime:
    day = getattr(entry.constraint, "start_date", None)
    return datetime.combine(day, time(0), UTC) if day else EVER


def _corrected(name: str, book: dict[tuple[int, str], list[PriceList]], pk: int) -> dict[str, list[PriceList]]:
    """The tiers of ``name`` for which this repository knows better, merged by date."""
    changed: dict[str, dict[datetime, PriceList]] = {}
    rows = [row for row in corrections() if row.model == name]
    for row in rows:
        lists = changed.setdefault(row.tier, {one.effective_from: one for one in book.get((pk, row.tier), ())})
        same = tuple(_band(one) for one in sorted(rows, key=lambda r: r.above) if (one.tier, one.since) == (row.tier, row.since))
        lists[row.effective_from] = PriceList(effective_from=row.effective_from, bands=same, source=row.source, note=row.note)
    return {tier: [lists[day] for day in sorted(lists)] for tier, lists in changed.items()}


def _band(row: PriceRow) -> Band:
    values = {name: value.quantize(_STEP).normalize() for name in FIELDS if (value := getattr(row, name, None)) is not None}
    return Band(min_prompt_tokens=row.above + 1 if row.above else 0, **values)
