"""Reads ``catalogue_data``: one file per service with its models, ``_aliases.toml`` and ``_prices.toml``."""

from __future__ import annotations

import tomllib
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import msgspec

from llm_gateway.core.catalog import Lifecycle

FOLDER = Path(__file__).resolve().parent.parent / "catalogue_data"
SOURCE = "catalogue"
# Prices without a date of their own hold since before anything was billed.
EVER = datetime(2020, 1, 1, tzinfo=UTC)


class ModelRow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    name: str
    id: str
    title: str
    position: int
    auto: bool = False
    lifecycle: Lifecycle = Lifecycle.ACTIVE
    retires_on: date | None = None
    successor: str | None = None
    context_window: int | None = None
    max_output_tokens: int | None = None
    capabilities: tuple[str, ...] = ()
    note: str = ""


class PriceRow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename={"since": "from"}):
    """USD per 1,000,000 tokens. ``above``: the prompt size after which the band begins."""

    model: str
    since: date | None = None
    above: int = 0
    tier: str = "standard"
    input: Decimal
    output: Decimal
    cache_read: Decimal | None = None
    cache_write: Decimal | None = None
    cache_write_1h: Decimal | None = None
    audio_input: Decimal | None = None
    audio_output: Decimal | None = None
    image_input: Decimal | None = None
    image_output: Decimal | None = None
    web_search: Decimal | None = None
    source: str
    note: str = ""

    @property
    def effective_from(self) -> datetime:
        return at_midnight(self.since) if self.since else EVER


def at_midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


@cache
def models() -> dict[str, tuple[ModelRow, ...]]:
    """By service name, in the order of the files."""
    return {path.stem: _models(path) for path in sorted(FOLDER.glob("[!_]*.toml"))}


@cache
def aliases() -> dict[str, tuple[str, ...]]:
    """Names of the models that answer for an alias, first to last."""
    read = msgspec.convert(_read(FOLDER / "_aliases.toml")["alias"], dict[str, str | tuple[str, ...]])
    return {name: (targets,) if isinstance(targets, str) else targets for name, targets in read.items()}


@cache
def prices() -> tuple[PriceRow, ...]:
    return msgspec.convert(_read(FOLDER / "_prices.toml").get("price", []), tuple[PriceRow, ...])


def _models(path: Path) -> tuple[ModelRow, ...]:
    content = _read(path)
    defaults = content.get("defaults", {})
    prefix = defaults.pop("id_prefix", "")
    rows = []
    for entry in content["model"]:
        inherited = dict(defaults)
        if "embeddings" in entry.get("capabilities", ()):
            inherited.pop("max_output_tokens", None)
        rows.append(msgspec.convert({"id": prefix + entry["name"], **inherited, **entry}, ModelRow))
    return tuple(rows)


def _read(path: Path) -> dict[str, Any]:
    return tomllib.loads(path.read_text(encoding="utf-8"))
