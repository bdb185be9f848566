"""A request log of any size with believable contents, for measuring and for looking at. Made from a seed; written in bulk."""

from __future__ import annotations

import itertools
import json
import math
import os
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Any
from uuid import UUID

from django.db import connection, transaction

from llm_gateway.models import ClientKey, LanguageModel, Price, Provider, RequestLog, Team

BATCH = 20_000
HOUR_MS = 3_600_000
SHAPE_BITS = 9
COLUMNS = (
    "id", "created_at", "finished_at", "state", "kind", "dialect", "team_id", "client_key_id", "asked_model", "strategy", "provider_id",
    "model_id", "provider_slug", "served_model", "stream", "simulated", "attempt_count", "http_status", "error_code", "finish_reason",
    "flags", "input_tokens", "output_tokens", "cache_read_tokens", "reasoning_tokens", "usage_source", "hold_nusd", "cost_nusd",
    "latency_ms", "ttft_ms", "worker", "tag", "decision",
)  # fmt: skip
# Share of each end that is not "ok"; two of them are as rare as they should be.
ENDS = (
    ("rejected", 0.012), ("client_cancelled", 0.008), ("failed", 0.006), ("partial", 0.001), ("replayed", 0.0005), ("orphaned", 0.00002),
)  # fmt: skip
MODELS = (
    ("alpha-large", "3", "15", 4), ("alpha-small", "0.25", "1.25", 8), ("beta-coder", "0.6", "2.5", 9), ("beta-mini", "0.1", "0.4", 6),
    ("gamma-pro", "2", "10", 3), ("gamma-flash", "0.3", "2.5", 7), ("delta-chat", "1", "4", 2), ("delta-old", "5", "20", 1),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Use:
    """A client key with a habit: what it calls, for what, under which tag."""

    team_id: int
    client_key_id: int
    model: LanguageModel
    price: tuple[int, int]
    kind: str
    dialect: str
    strategy: str
    tag: str


def uses(rng: random.Random, keys: int) -> list[Use]:
    """Teams, keys, providers and models of their own (named ``seed-…``), and who uses what: a key has one to four habits."""
    models = _models()
    teams = [Team.objects.get_or_create(slug=f"seed-{n}", defaults={"name": f"Seed team {n}"})[0] for n in range(max(1, keys // 4))]
    found = []
    for number in range(keys):
        team = teams[number % len(teams)]
        key, _ = ClientKey.objects.get_or_create(
            team=team,
            name=f"seed key {number}",
            defaults={"public_id": os.urandom(6).hex(), "digest": os.urandom(32), "scopes": [], "revoked_at": datetime.now(UTC)},
        )
        kind, dialect = rng.choice((("chat", "openai_chat"), ("chat", "anthropic_messages"), ("generate", "native"), ("analyze", "native")))
        strategy, tag = rng.choice(("", "enterprise", "enterprise", "performance-based")), rng.choice(("", "", "nightly", "ci", "prod"))
        for model, price, _ in rng.choices(models, weights=[weight for *_, weight in models], k=rng.randrange(1, 5)):
            found.append(Use(team.pk, key.pk, model, price, kind, dialect, strategy, tag))
    return found


def seed(rows: int, *, days: float = 90, keys: int = 60, now: datetime, seed: int = 1) -> int:
    """Write ``rows`` finished requests over the ``days`` before ``now``, oldest first. Returns how many were written."""
    rng = random.Random(seed)  # noqa: S311  # made-up traffic
    habits = uses(rng, keys)
    weights = list(itertools.accumulate(1 / (1 + n) for n in range(len(habits))))
    shapes = [_shape(rng) for _ in range(1 << SHAPE_BITS)]
    written = 0
    batches = _batches(_rows(rng, rows, days, now, habits, weights, shapes))
    for batch in batches:
        _write(batch)
        written += len(batch)
    return written


def _models() -> list[tuple[LanguageModel, tuple[int, int], int]]:
    found = []
    for number, (name, price_in, price_out, weight) in enumerate(MODELS):
        slug = f"seed-{number // 2}"
        provider, _ = Provider.objects.get_or_create(
            slug=slug,
            defaults={"title": f"Seed {number // 2}", "wire": "openai_chat", "base_url": f"https://{slug}.invalid/v1", "enabled": False},
        )
        model, made = LanguageModel.objects.get_or_create(provider=provider, name=name, defaults={"upstream_id": name, "enabled": False})
        if made:
            long_ago = datetime(2026, 1, 1, tzinfo=UTC)
            Price.objects.create(model=model, effective_from=long_ago, input=Decimal(price_in), output=Decimal(price_out))
        found.append((model, (int(Decimal(price_in) * 1000), int(Decimal(price_out) * 1000)), weight))
    return found


def _shape(rng: random.Random) -> tuple[Any, ...]:
    """What a request is like, whoever sent it: sizes, times, and how it ended."""
    tokens_in, tokens_out = int(rng.lognormvariate(7.2, 1.0)), int(rng.lognormvariate(5.5, 1.0))
    cached = int(tokens_in * rng.random()) if rng.random() < 0.3 else None
    latency = int(rng.lognormvariate(7.4, 0.7)) + 20
    return (
        tokens_in,
        tokens_out,
        cached,
        latency,
        latency // 4,
        rng.random() < 0.6,
        rng.random() < 0.03,
        rng.random() < 0.04,
        rng.random() < 0.002,
    )


def _hours(rows: int, days: float, now: datetime) -> Iterator[tuple[datetime, int]]:
    """How many requests each hour has: more by day than by night, fewer at weekends, growing a little."""
    start = (now - timedelta(days=days)).replace(minute=0, second=0, microsecond=0)
    hours = [start + timedelta(hours=n) for n in range(int((now - start) / timedelta(hours=1)))]
    pull = [
        (1.2 + math.sin((h.hour - 8) / 24 * 2 * math.pi)) * (0.4 if h.weekday() > 4 else 1.0) * (1 + n / len(hours))
        for n, h in enumerate(hours)
    ]
    total, done, owed = sum(pull), 0, 0.0
    for number, hour in enumerate(hours):
        owed += pull[number] / total * rows
        count = rows - done if number == len(hours) - 1 else int(owed) - done
        done += count
        yield hour, count


def _rows(
    rng: random.Random,
    rows: int,
    days: float,
    now: datetime,
    habits: Sequence[Use],
    weights: Sequence[float],
    shapes: Sequence[tuple[Any, ...]],
) -> Iterator[tuple[Any, ...]]:
    """In order of arrival. All but id and times is made once per use, shape and end, so that a row costs next to nothing."""
    sqlite = connection.vendor == "sqlite"
    ends = list(itertools.accumulate(share for _, share in ENDS))
    rest: dict[tuple[int, int, str], tuple[Any, ...]] = {}
    numbers = range(len(habits))
    for hour, count in _hours(rows, days, now):
        base = int(hour.timestamp() * 1000)
        chosen = rng.choices(numbers, cum_weights=weights, k=count)
        for use, offset in zip(chosen, sorted(rng.choices(range(HOUR_MS), k=count)), strict=True):
            shape, draw = rng.getrandbits(SHAPE_BITS), rng.random()
            state = "ok" if draw >= ends[-1] else next(name for (name, _), top in zip(ENDS, ends, strict=True) if draw < top)
            if (known := rest.get((use, shape, state))) is None:
                known = rest[use, shape, state] = _rest(habits[use], shapes[shape], state, draw)
            value = _id(base + offset, rng.getrandbits(74))
            done = offset + shapes[shape][3]
            if sqlite:
                yield f"{value:032x}", _text(hour, offset), _text(hour, done), *known
            else:
                yield UUID(int=value), hour + timedelta(milliseconds=offset), hour + timedelta(milliseconds=done), *known


def _rest(use: Use, shape: tuple[Any, ...], state: str, draw: float) -> tuple[Any, ...]:
    """The columns after the times."""
    tokens_in, tokens_out, cached, latency, ttft, stream, estimated, fell_back, unpriced = shape
    sent = state not in ("rejected", "replayed")
    cost: int | None = tokens_in * use.price[0] + tokens_out * use.price[1] if sent and state != "failed" else 0
    if unpriced and sent:
        cost = None
    upstream = f"{use.model.provider.slug}/{use.model.upstream_id}"
    decision = {"asked": "auto", "strategy": use.strategy, "order": [upstream], "note": "Ordered by provider priority.", "skipped": []}
    return (
        state, use.kind, use.dialect, use.team_id, use.client_key_id, use.model.name if draw < 0.5 else "", use.strategy,
        use.model.provider_id if sent else None, use.model.pk if sent else None, use.model.provider.slug if sent else "",
        use.model.upstream_id if sent else "", stream, False, (2 if fell_back else 1) if sent else 0,
        _STATUS.get(state, 200), _CODE.get(state, ""), "stop" if state == "ok" else "", "",
        tokens_in if sent else None, tokens_out if sent else None, cached if sent else None, None,
        ("estimated" if estimated or state == "client_cancelled" else "reported") if sent else "", (cost or 0) * 2, cost,
        latency if sent else 0, ttft if sent and stream else None, "seed", use.tag, json.dumps(decision) if sent else None,
    )  # fmt: skip


_STATUS = {"rejected": 429, "failed": 502, "client_cancelled": 499}
_CODE = {"rejected": "rate_limited", "failed": "provider_error"}


def _id(milliseconds: int, bits: int) -> int:
    return milliseconds << 80 | 7 << 76 | (bits >> 62) << 64 | 2 << 62 | bits & (1 << 62) - 1


@lru_cache(maxsize=64)
def _prefix(hour: datetime) -> str:
    return f"{hour:%Y-%m-%d %H}:"


def _text(hour: datetime, offset: int) -> str:
    """As SQLite keeps a time."""
    if offset >= HOUR_MS:
        hour, offset = hour + offset // HOUR_MS * timedelta(hours=1), offset % HOUR_MS
    second, thousandth = divmod(offset, 1000)
    return f"{_prefix(hour)}{_CLOCK[second]}{thousandth:03d}000"


_CLOCK = tuple(f"{minute:02d}:{second:02d}." for minute in range(60) for second in range(60))


def _batches(rows: Iterator[tuple[Any, ...]]) -> Iterator[list[tuple[Any, ...]]]:
    while batch := list(itertools.islice(rows, BATCH)):
        yield batch


def _write(rows: list[tuple[Any, ...]]) -> None:
    table = RequestLog._meta.db_table
    rest = [f for f in RequestLog._meta.concrete_fields if f.column not in COLUMNS and not f.null]
    names = ", ".join(f'"{name}"' for name in (*COLUMNS, *(f.column for f in rest)))
    defaults = tuple(f.get_default() for f in rest)
    with transaction.atomic():
        raw = connection.connection
        if connection.vendor == "sqlite":
            marks = ", ".join("?" * len(COLUMNS) + "?" * len(rest))
            raw.executemany(f'INSERT INTO "{table}" ({names}) VALUES ({marks})', (row + defaults for row in rows))  # noqa: S608  # our own names
            return
        with raw.cursor() as cursor, cursor.copy(f'COPY "{table}" ({names}) FROM STDIN') as copy:
            for row in rows:
                copy.write_row(row + defaults)
