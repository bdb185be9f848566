"""How a caller stands with its limits, in the header names of its dialect: on every answer, refusals and streams included."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import msgspec

from llm_gateway.core.catalog import Identity
from llm_gateway.policies.limits import Standing, Verdict
from llm_gateway.wiring import gateway

from .http import HttpReply

Pairs = Iterator[tuple[str, str]]


def limit_headers(dialect: str, identity: Identity) -> list[tuple[str, str]]:
    """Of a key without limits per minute: none."""
    if identity.requests_per_minute is None and identity.tokens_per_minute is None:
        return []
    standing = gateway().gate.standing(identity)
    own = _OWN.get(dialect)
    return [*_usual(standing), *(own(standing, datetime.now(UTC)) if own else ())]


def with_limits(reply: HttpReply, dialect: str, identity: Identity) -> HttpReply:
    if identity.requests_per_minute is None and identity.tokens_per_minute is None:
        return reply
    told = limit_headers(dialect, identity)
    return msgspec.structs.replace(reply, headers=(*reply.headers, *((name.encode(), value.encode()) for name, value in told)))


def _each(standing: Standing) -> Iterator[tuple[str, Verdict]]:
    if standing.requests is not None:
        yield "requests", standing.requests
    if standing.tokens is not None:
        yield "tokens", standing.tokens


def _usual(standing: Standing) -> Pairs:
    """In every dialect; OpenAI's: https://platform.openai.com/docs/guides/rate-limits#rate-limits-in-headers"""
    for what, verdict in _each(standing):
        yield f"x-ratelimit-limit-{what}", str(verdict.limit)
        yield f"x-ratelimit-remaining-{what}", str(verdict.remaining)
        yield f"x-ratelimit-reset-{what}", go_duration(verdict.reset_s)


def _anthropic(standing: Standing, now: datetime) -> Pairs:
    """https://docs.anthropic.com/en/api/rate-limits#response-headers"""
    for what, verdict in _each(standing):
        yield f"anthropic-ratelimit-{what}-limit", str(verdict.limit)
        yield f"anthropic-ratelimit-{what}-remaining", str(verdict.remaining)
        full = now + timedelta(seconds=verdict.reset_s, microseconds=999_999)
        yield f"anthropic-ratelimit-{what}-reset", full.replace(microsecond=0).isoformat().replace("+00:00", "Z")


# What a dialect has beside the usual names.
_OWN: dict[str, Callable[[Standing, datetime], Pairs]] = {"anthropic_messages": _anthropic}


def go_duration(seconds: float) -> str:
    """As Go prints one: ``0s``, ``120ms``, ``1.5s``, ``6m0s``, ``1h0m3s``. To the millisecond, rounded up."""
    ms = -int(-seconds * 1000 // 1)
    if ms <= 0:
        return "0s"
    if ms < 1000:
        return f"{ms}ms"
    minutes, rest = divmod(ms, 60_000)
    hours, minutes = divmod(minutes, 60)
    head = f"{hours}h{minutes}m" if hours else f"{minutes}m" if minutes else ""
    return f"{head}{rest / 1000:g}s"
