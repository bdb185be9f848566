"""Hosts the gateway knows: one TOML file each, with its address and what differs there. Data only;
a new host is a new file.

``[[fact]]`` rows name the page that says so and the day it was read. Later rows are laid over
earlier ones.
"""

from __future__ import annotations

import tomllib
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

import msgspec

from llm_gateway.core.host_facts import FactRow, read_facts

FOLDER = Path(__file__).parent


class Preset(msgspec.Struct, frozen=True, kw_only=True):
    """``base_url`` ``""``: every account has its own, so the operator gives it. ``local``: it runs
    on the operator's machines. ``keys_url``: where its keys are made, as it was on the day
    ``noted``; ``example``: what an own address looks like; ``note``: how far a plain key
    carries."""

    name: str
    title: str
    base_url: str
    wire: str = "openai_chat"
    key_env: str = ""
    local: bool = False
    keys_url: str = ""
    example: str = ""
    note: str = ""
    noted: date | None = None
    facts: tuple[FactRow, ...] = ()


@cache
def presets() -> dict[str, Preset]:
    """By name, in the order of the titles."""
    read = [_read(path) for path in FOLDER.glob("*.toml")]
    return {one.name: one for one in sorted(read, key=lambda one: one.title.lower())}


def facts_of(preset: str, service: str) -> tuple[FactRow, ...]:
    """What is known of a provider row's host; the gateway's own services have a file of their
    name."""
    preset_row = presets().get(preset or service)
    return preset_row.facts if preset_row else ()


def _read(path: Path) -> Preset:
    """Raises :class:`ValueError` naming the file."""
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
        rows = tuple(_row(row) for row in content.pop("fact", []))
        return msgspec.convert({"name": path.stem, "base_url": "", **content, "facts": rows}, Preset)
    except (ValueError, KeyError) as error:
        raise ValueError(f"{path.name}: {error}") from None


def _row(row: dict[str, Any]) -> FactRow:
    noted = row.pop("noted")
    if not isinstance(noted, date):
        raise ValueError("noted is a date")
    return FactRow(models=tuple(row.pop("models", ())), source=row.pop("source"), noted=noted, facts=read_facts(row))
