"""The providers' own prompt caches: how much of the prompts they read again, and whether that paid."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from analytics import queries
from analytics.measures import Measures
from llm_gateway.core.money import Rate, rate_at

from . import reports
from ._base import Asked, Card, Column, Sheet
from ._money import money
from ._names import TITLES, Names
from .savings import rates_of


class PromptCache:
    name = "prompt-cache"
    title = "Prompt caches"
    icon = "memory"
    position = 60
    summary = (
        "What providers read again of prompts that they had seen: the share, what it saved, and what writing it into their caches cost."
    )
    dated = True
    groups = ("day", "model", "provider", "client_key_id", "team_id", "strategy")
    default_groups = ("model",)
    option_title = ""

    def options(self) -> tuple[tuple[str, str], ...]:
        return ()

    def build(self, asked: Asked) -> Sheet:
        by = tuple(dict.fromkeys((*asked.group_by, "model")))
        found = queries.spend(by, asked.start, asked.end, asked.filters, zone=asked.zone)
        rates = {model: _rate(rates_of(model), asked) for model in {key[by.index("model")] for key in found}}
        cells: dict[tuple[Any, ...], list[tuple[Measures, Rate | None]]] = {}
        for key, cell in found.items():
            if _prompt(cell):
                cells.setdefault(key[: len(asked.group_by)], []).append((cell, rates[key[by.index("model")]]))
        names = Names(asked.group_by, cells)
        lines = sorted(((key, _figures(parts)) for key, parts in cells.items()), key=lambda one: (-one[1][0], tuple(map(str, one[0]))))
        total = _figures(part for parts in cells.values() for part in parts)
        _, _, _, share, saved, extra, net = total
        return Sheet(
            columns=(*(Column(name, TITLES[name]) for name in asked.group_by), *_COLUMNS),
            rows=tuple((*names.of(key), *figures) for key, figures in lines),
            totals=(*("Total" if i == 0 else "" for i in range(len(asked.group_by))), *total) if cells else (),
            cards=(
                Card("Read again", "none sent" if share is None else f"{share:.1%}", "of all prompt tokens"),
                Card("Saved", _money(saved), "against reading all of it anew"),
                Card("Paid for writing", _money(extra), "above the price of plain input"),
                Card("Left", _money(net), "", "" if net is None else "good" if net > 0 else "bad" if net < 0 else ""),
            ),
            notes=(
                "At the prices in force at the end of the range, those of short prompts. A model without a price leaves its sums unknown.",
                "A cache that is written and seldom read costs more than it saves: prompts that begin alike have to stay at one model.",
            ),
        )


_COLUMNS = (
    Column("prompt_tokens", "Prompt tokens", "count"),
    Column("read_tokens", "Read again", "count"),
    Column("written_tokens", "Written", "count"),
    Column("read_share", "Share read", "share", absent=""),
    Column("saved_usd", "Saved (USD)", "usd"),
    Column("written_usd", "Paid for writing (USD)", "usd"),
    Column("net_usd", "Left (USD)", "usd"),
)


def _rate(rates: list[Rate], asked: Asked) -> Rate | None:
    return rate_at(rates, min(asked.end, asked.now), 0)


def _prompt(cell: Measures) -> int:
    return cell.input_tokens + cell.cache_read_tokens + cell.cache_write_tokens + cell.cache_write_1h_tokens


def _figures(parts: Iterable[tuple[Measures, Rate | None]]) -> tuple[Any, ...]:
    """Of cells with the rate of each; a sum is unknown where one of its parts is."""
    prompt = read = written = 0
    saved: int | None = 0
    extra: int | None = 0
    for cell, rate in parts:
        prompt += _prompt(cell)
        read += cell.cache_read_tokens
        written += cell.cache_write_tokens + cell.cache_write_1h_tokens
        if rate is None:
            saved = None if cell.cache_read_tokens else saved
            extra = None if cell.cache_write_tokens + cell.cache_write_1h_tokens else extra
            continue
        short = rate.input if rate.cache_write is None else rate.cache_write
        long = short if rate.cache_write_1h is None else rate.cache_write_1h
        cheap = rate.input if rate.cache_read is None else rate.cache_read
        saved = None if saved is None else saved + cell.cache_read_tokens * (rate.input - cheap)
        surplus = cell.cache_write_tokens * (short - rate.input) + cell.cache_write_1h_tokens * (long - rate.input)
        extra = None if extra is None else extra + surplus
    saved, extra = _nusd(saved), _nusd(extra)
    net = None if saved is None or extra is None else saved - extra
    return (prompt, read, written, read / prompt if prompt else None, saved, extra, net)


def _nusd(pico: int | None) -> int | None:
    return None if pico is None else (pico + 500) // 1000


def _money(nusd: int | None) -> str:
    return "unknown" if nusd is None else money(nusd)


reports.add(PromptCache.name, PromptCache())
