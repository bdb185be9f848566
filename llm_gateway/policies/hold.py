"""Money before and after a call: the worst case to reserve, and the final charge.

Every amount is integer nano-USD. ``None`` means unpriced, never free.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime
from enum import StrEnum

import msgspec
from msgspec.structs import replace

from llm_gateway.core.catalog import ModelInfo
from llm_gateway.core.errors import FailureClass
from llm_gateway.core.money import Rate, cost_nusd, rate_at
from llm_gateway.core.usage import PROMPT, Usage, UsageSource

CHARS_PER_TOKEN = 3
OVERHEAD_TOKENS = 16
# The output limit for a request without one, when the model's own is unknown: it makes the hold a
# bound instead of a guess.
DEFAULT_MAX_TOKENS = 4096

_F = FailureClass
# The connection broke during a 200: the provider did work, but reported no amount.
_CUT = frozenset(
    {
        _F.IDLE_TIMEOUT,
        _F.RESET,
        _F.TRUNCATED,
        _F.NO_TERMINAL,
        _F.BAD_EVENT,
        _F.EVENT_TOO_LARGE,
        _F.SLOW_DRIP,
        _F.TOTAL_TIMEOUT,
        _F.DEADLINE,
    }
)


class BillingRule(StrEnum):
    """The "Budget" column of docs/reliability.md. ``VOID``: release the hold, charge nothing.
    ``REPORTED``: the provider's usage, missing counts estimated. ``ESTIMATE``: known input, the
    text that arrived. ``HOLD``: the whole hold, because the provider may have billed an unknown
    amount."""

    VOID = "void"
    REPORTED = "reported"
    ESTIMATE = "estimate"
    HOLD = "hold"


def estimate_tokens(size_chars: int) -> int:
    """Tokens of a text from its length, meant to err upward: a third of the characters (English and
    code run at 3.5 to 4 a token) and an overhead for the frame around them. A provider's own count
    replaces it as soon as there is one."""
    return -(-max(size_chars, 0) // CHARS_PER_TOKEN) + OVERHEAD_TOKENS


def output_limit(max_tokens: int | None, model: ModelInfo | None, ceiling: int | None = None, default: int = DEFAULT_MAX_TOKENS) -> int:
    """The limit that goes upstream and into the hold: the caller's, else the model's own, never
    above the model's or the client key's ``ceiling``."""
    cap = model.max_output_tokens if model else None
    limit = max_tokens if max_tokens is not None else cap if cap is not None else default
    if cap is not None and cap < limit:
        limit = cap
    if ceiling is not None and ceiling < limit:
        limit = ceiling
    return max(1, limit)


def hold_nusd(
    prompt_tokens: int,
    max_tokens: int,
    n: int,
    rates: Sequence[Rate],
    at: datetime,
    *,
    tier: str = "standard",
    audio: bool = False,
    cache_1h: bool = False,
    searches: int = 0,
) -> int | None:
    """The most a request can cost: every input token in the dearest class it could fall into (a
    cache write costs more than plain input), every answer full to ``max_tokens``, in the dearest
    band the prompt reaches. ``audio`` and ``cache_1h``: whether the request can be billed in those
    classes; ``searches``: provider-side searches allowed for. ``None``: no price is in force."""
    answer = max_tokens * max(n, 1)
    most: int | None = None
    for band in _worst_bands(rates, at, tier, audio, cache_1h):
        if band.min_prompt_tokens <= prompt_tokens:
            pico = prompt_tokens * band.input + answer * band.output + searches * band.web_search + band.request
            most = pico if most is None or pico > most else most
    return None if most is None else (most + 500) // 1000


class _Worst(msgspec.Struct, frozen=True):
    """A band with the dearest price an input and an output token can have in it, in pico-USD."""

    min_prompt_tokens: int
    input: int
    output: int
    request: int
    web_search: int


class _Known(msgspec.Struct, frozen=True):
    """``bands`` hold from ``start`` until before ``end``. Keeps ``rates`` alive, so that its id
    stays its own."""

    rates: Sequence[Rate]
    start: datetime
    end: datetime
    bands: tuple[_Worst, ...]


# Cached per price list and class of request: every request needs it, and lists change a few times a
# year.
_known: dict[tuple[int, str, bool, bool], _Known] = {}
_MOST_KNOWN = 4096
_NEVER = datetime.max.replace(tzinfo=UTC)


def _worst_bands(rates: Sequence[Rate], at: datetime, tier: str, audio: bool, cache_1h: bool) -> tuple[_Worst, ...]:
    key = (id(rates), tier, audio, cache_1h)
    cached = _known.get(key)
    if cached is not None and cached.rates is rates and cached.start <= at < cached.end:
        return cached.bands
    if len(_known) >= _MOST_KNOWN:
        _known.clear()
    later = [rate.effective_from for rate in rates if rate.effective_from > at]
    start = max((rate.effective_from for rate in rates if rate.effective_from <= at), default=at)
    bands = tuple(_worst(rate, audio, cache_1h) for rate in _in_force(rates, at, tier))
    _known[key] = _Known(rates, start, min(later, default=_NEVER), bands)
    return bands


def _in_force(rates: Sequence[Rate], at: datetime, tier: str) -> list[Rate]:
    """All bands of the price lists that :func:`rate_at` would choose from."""
    edges = sorted({rate.min_prompt_tokens for rate in rates})
    # A provider may serve a request in its standard tier whatever tier it requested.
    candidates = (rate_at(rates, at, edge, one) for one in dict.fromkeys((tier, "standard")) for edge in edges)
    return list({id(rate): rate for rate in candidates if rate is not None}.values())


def _worst(rate: Rate, audio: bool, cache_1h: bool) -> _Worst:
    write = rate.input if rate.cache_write is None else rate.cache_write
    inputs = [rate.input, write]
    outputs = [rate.output, rate.reasoning or 0, rate.image_output or 0]
    inputs.append(rate.image_input or 0)
    if cache_1h:
        inputs.append(write if rate.cache_write_1h is None else rate.cache_write_1h)
    if audio:
        inputs.append(rate.input if rate.audio_input is None else rate.audio_input)
        outputs.append(rate.output if rate.audio_output is None else rate.audio_output)
    return _Worst(rate.min_prompt_tokens, max(inputs), max(outputs), rate.request, rate.web_search)


def billing(
    kind: FailureClass | None,
    *,
    content_seen: bool = False,
    bytes_of_200: int = 0,
    bills_aborted: bool = False,
    usage_seen: bool = False,
    cancelled: bool = False,
    request_sent: bool = True,
) -> BillingRule:
    """How to charge an attempt that failed with ``kind`` (``None``: it succeeded, or with
    ``cancelled`` the caller or the gateway aborted it).

    ``content_seen``: content arrived from the provider, whether or not it was passed on.
    ``request_sent``: any byte of the request was sent.
    """
    if not request_sent:
        return BillingRule.VOID
    if cancelled:
        return BillingRule.ESTIMATE
    if kind is None:
        return BillingRule.REPORTED
    if kind is _F.TOO_LARGE_RESPONSE or (kind is _F.BAD_JSON and bytes_of_200):
        return BillingRule.HOLD
    if kind in (_F.NO_TERMINAL, _F.ERROR_IN_200, _F.CONTENT_FILTER) and usage_seen:
        return BillingRule.REPORTED
    if content_seen or kind is _F.CONTENT_FILTER or (kind in _CUT and (bytes_of_200 or usage_seen)):
        return BillingRule.ESTIMATE
    if kind in (_F.TTFB_TIMEOUT, *_CUT) and bills_aborted:
        return BillingRule.HOLD
    return BillingRule.VOID


def final_usage(
    reported: Usage | None, *, est_prompt_tokens: int, text_chars_received: int, rule: BillingRule, chars_per_token: float = CHARS_PER_TOKEN
) -> Usage:
    """The usage to keep. A provider's explicit 0 stays 0; what it left out is estimated, which
    marks the whole as estimated.

    Under ``ESTIMATE`` the provider's output count is only a lower bound (Anthropic opens a stream
    with 1), so the longer of both counts.
    """
    usage = reported or Usage()
    if rule is BillingRule.VOID:
        return usage
    changes: dict[str, int] = {}
    if all(getattr(usage, name) is None for name in PROMPT):
        changes["input_tokens"] = max(0, est_prompt_tokens)
    received = text_tokens(text_chars_received, chars_per_token)
    media = (usage.audio_output_tokens or 0) + (usage.image_output_tokens or 0)
    if usage.output_tokens is None and usage.audio_output_tokens is None and usage.image_output_tokens is None:
        changes["output_tokens"] = received
    elif rule is BillingRule.ESTIMATE and usage.completion_tokens < received:
        changes["output_tokens"] = received - media
    if changes or rule is not BillingRule.REPORTED:
        return replace(usage, source=UsageSource.ESTIMATED, **changes)
    return usage


def text_tokens(chars: int, chars_per_token: float = CHARS_PER_TOKEN) -> int:
    """Tokens of text that arrived: nothing for nothing, else rounded up."""
    return math.ceil(max(chars, 0) / chars_per_token)


class Charge(msgspec.Struct, frozen=True, kw_only=True):
    """``cost_nusd`` ``None``: unpriced. ``price_id``: the price row it was computed with.
    ``overrun``: above the hold; posted, alarmed."""

    cost_nusd: int | None
    price_id: int | None = None
    overrun: bool = False


def charge(rule: BillingRule, usage: Usage, hold: int | None, rates: Sequence[Rate], at: datetime) -> Charge:
    """What is posted. An estimate never exceeds the hold; a provider's own count may, which is an
    overrun."""
    if rule is BillingRule.VOID:
        return Charge(cost_nusd=0)
    rate = rate_at(rates, at, usage.prompt_tokens, usage.service_tier or "standard")
    if rule is BillingRule.HOLD:
        return Charge(cost_nusd=hold, price_id=rate.price_id if rate else None)
    if rate is None:
        return Charge(cost_nusd=None)
    cost = cost_nusd(usage, rate)
    if hold is not None and cost > hold and (rule is BillingRule.ESTIMATE or usage.source is UsageSource.ESTIMATED):
        cost = hold
    return Charge(cost_nusd=cost, price_id=rate.price_id, overrun=hold is not None and cost > hold)
