"""Money: integer nano-USD inside, Decimal USD at the edges.

A price is USD per 1,000,000 tokens, as providers publish it. The gateway keeps it as integer
pico-USD per token, which is exact down to 0.000001 USD per 1M. It sums a cost in pico-USD and
rounds it once, half up, to nano-USD.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal

import msgspec

from .usage import Usage

NUSD = 1_000_000_000
_PICO_PER_TOKEN = Decimal(1_000_000)


def to_nusd(usd: Decimal) -> int:
    """USD to nano-USD, half up."""
    return int((usd * NUSD).quantize(Decimal(1), rounding=ROUND_HALF_UP))


def to_usd(nusd: int) -> Decimal:
    return Decimal(nusd).scaleb(-9)


def format_usd(nusd: int | None) -> str:
    """Plain digits, at least two decimals, no exponent; ``unknown`` for ``None``."""
    if nusd is None:
        return "unknown"
    whole, part = divmod(abs(nusd), NUSD)
    return f"{'-' if nusd < 0 else ''}{whole}.{f'{part:09d}'.rstrip('0').ljust(2, '0')}"


def per_token_pusd(usd_per_million: Decimal | None) -> int | None:
    """Pico-USD per token for a published price, ``None`` for unknown."""
    if usd_per_million is None:
        return None
    return int((usd_per_million * _PICO_PER_TOKEN).quantize(Decimal(1), rounding=ROUND_HALF_UP))


class Rate(msgspec.Struct, frozen=True, kw_only=True):
    """One row of the price book, in pico-USD per token (``request`` and ``web_search``: pico-USD
    each).

    Valid from ``effective_from`` for requests whose prompt has at least ``min_prompt_tokens``
    tokens, of service tier ``tier``. A class without its own price falls back: cache, audio and
    image classes to ``input``, reasoning, audio and image output to ``output``; 1 h cache writes to
    the 5 min ones. ``price_id`` is the row's primary key.
    """

    price_id: int
    effective_from: datetime
    min_prompt_tokens: int = 0
    tier: str = "standard"
    input: int
    output: int
    cache_read: int | None = None
    cache_write: int | None = None
    cache_write_1h: int | None = None
    reasoning: int | None = None
    audio_input: int | None = None
    audio_output: int | None = None
    image_input: int | None = None
    image_output: int | None = None
    request: int = 0
    web_search: int = 0


def rate_at(rates: Sequence[Rate], at: datetime, prompt_tokens: int, tier: str = "standard") -> Rate | None:
    """The row in force: of the tier (else ``standard``), newest date not after ``at``, then its
    highest band not above the prompt.

    All bands of one date form one price list: a band of an older date never mixes with a newer
    list. Before the first list of all the first one is in force: a clock that was set back must not
    leave a model without a price.
    """
    if len(rates) == 1:
        (only,) = rates
        return only if only.tier in (tier, "standard") and only.min_prompt_tokens <= prompt_tokens else None
    for past in (True, False):
        for level in dict.fromkeys((tier, "standard")):
            dates = {r.effective_from for r in rates if r.tier == level and (r.effective_from <= at or not past)}
            if dates:
                day = max(dates) if past else min(dates)
                bands = [r for r in rates if r.tier == level and r.effective_from == day and r.min_prompt_tokens <= prompt_tokens]
                if bands:
                    return max(bands, key=lambda r: r.min_prompt_tokens)
    return None


def cost_nusd(usage: Usage, rate: Rate) -> int:
    """What ``usage`` costs at ``rate``. Unknown counts add nothing: estimate them first
    (policies.hold) where they must not."""
    reasoning = min(usage.reasoning_tokens or 0, usage.output_tokens or 0) if rate.reasoning is not None else 0
    write = rate.input if rate.cache_write is None else rate.cache_write
    lines = (
        (usage.input_tokens, rate.input),
        (usage.cache_read_tokens, rate.input if rate.cache_read is None else rate.cache_read),
        (usage.cache_write_tokens, write),
        (usage.cache_write_1h_tokens, write if rate.cache_write_1h is None else rate.cache_write_1h),
        (usage.audio_input_tokens, rate.input if rate.audio_input is None else rate.audio_input),
        ((usage.output_tokens or 0) - reasoning, rate.output),
        (reasoning, rate.reasoning),
        (usage.audio_output_tokens, rate.output if rate.audio_output is None else rate.audio_output),
        (usage.image_input_tokens, rate.input if rate.image_input is None else rate.image_input),
        (usage.image_output_tokens, rate.output if rate.image_output is None else rate.image_output),
        (usage.web_searches, rate.web_search),
        (1, rate.request),
    )
    pico = 0
    for tokens, price in lines:
        if tokens and price:
            pico += tokens * price
    return (pico + 500) // 1000
