"""The arithmetic of a bill, line by line, as the price book multiplies it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from llm_gateway.core.money import format_usd, to_usd
from llm_gateway.models import Attempt, Price, RequestLog

from ._show import price, words

_MILLION = Decimal(1_000_000)
# A class of tokens, and the columns of a price in the order in which they apply (core.money.cost_nusd).
_CLASSES = (
    ("input", ("input",)),
    ("cache_read", ("cache_read", "input")),
    ("cache_write", ("cache_write", "input")),
    ("cache_write_1h", ("cache_write_1h", "cache_write", "input")),
    ("audio_input", ("audio_input", "input")),
    ("image_input", ("image_input", "input")),
    ("output", ("output",)),
    ("audio_output", ("audio_output", "output")),
    ("image_output", ("image_output", "output")),
)


def arithmetic(row: RequestLog, rate: Price | None, attempts: list[Attempt]) -> dict[str, Any]:
    """``lines``: (what, how many, at what price, amount); ``rest``: a sentence for what the lines do not add up to."""
    lines, total = _lines(row, rate) if rate is not None else ([], Decimal(0))
    return {
        "lines": [(what, many, each, _shown(amount)) for what, many, each, amount in lines],
        "sum": _shown(total) if lines else "",
        "rest": _rest(row, total, attempts) if row.cost_nusd is not None and row.state != "open" else "",
    }


def _lines(row: RequestLog, rate: Price) -> tuple[list[tuple[str, str, str, Decimal]], Decimal]:
    found = []
    reasoning = min(row.reasoning_tokens or 0, row.output_tokens or 0) if rate.reasoning is not None else 0
    for name, columns in _CLASSES:
        tokens = getattr(row, f"{name}_tokens")
        if name == "output" and tokens:
            tokens -= reasoning
        each = next((value for column in columns if (value := getattr(rate, column)) is not None), None)
        if tokens and each is not None:
            found.append((f"{words(name)} tokens", f"{tokens:,}", f"{price(each)} per 1M", tokens * each / _MILLION))
    if reasoning and rate.reasoning is not None:
        found.append(("reasoning tokens", f"{reasoning:,}", f"{price(rate.reasoning)} per 1M", reasoning * rate.reasoning / _MILLION))
    if row.web_searches and rate.web_search:
        found.append(("web searches", f"{row.web_searches:,}", f"{price(rate.web_search)} each", row.web_searches * rate.web_search))
    if rate.request:
        found.append(("request", "1", f"{price(rate.request)} each", rate.request))
    return found, sum((amount for *_, amount in found), Decimal(0))


def _rest(row: RequestLog, total: Decimal, attempts: list[Attempt]) -> str:
    assert row.cost_nusd is not None
    difference = to_usd(row.cost_nusd) - total
    if abs(difference) < Decimal("0.000000001"):
        return ""
    charged = [one for one in attempts if one.billed in ("estimate", "hold")]
    if charged:
        ways = " and ".join(sorted({"all that was held" if one.billed == "hold" else "an estimate" for one in charged}))
        return f"Billed with {format_usd(row.cost_nusd)} USD: an attempt that broke off is charged as {ways}, never above what was held."
    if len([one for one in attempts if one.cost_nusd]) > 1:
        return f"Billed with {format_usd(row.cost_nusd)} USD: more than one attempt was billed; each says its own cost above."
    return f"Billed with {format_usd(row.cost_nusd)} USD."


def _shown(amount: Decimal) -> str:
    whole, _, fraction = f"{amount:.12f}".partition(".")
    return f"${whole}.{fraction.rstrip('0').ljust(2, '0')}"
