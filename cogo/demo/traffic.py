"""The requests of thirty days, one after the other, with what happened to each: an outage, a key that went bad, growth, refusals."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec

from llm_gateway.core.catalog import Target
from llm_gateway.core.money import cost_nusd, format_usd, rate_at
from llm_gateway.core.usage import Usage
from llm_gateway.models import Budget, ClientKey
from llm_gateway.policies.end_users import pseudonym
from llm_gateway.stores.contexts import WINDOW

from .cast import HACKATHON, Cast, Habit
from .routing import Decided, Router

DAY = timedelta(days=1)
# Days before now.
OUTAGE = (12.0, 11.8)
BAD_KEY = (4.0, 3.2)
TRIAL = 9.0
DOWN = "fireworks"
# Sizes repeat, so that what a size costs is worked out once.
SHAPES = 40
_SPEED = {"fireworks": 1.0, "anthropic": 1.5, "openai": 0.5, "gemini": 0.8}
_FAILS = {"fireworks": 0.012, "anthropic": 0.006, "openai": 0.028, "gemini": 0.01}


class Made(msgspec.Struct, frozen=True):
    """A request's row, the rows of its attempts, and (budget, held, amount, state) of its claims."""

    request: dict[str, Any]
    attempts: list[dict[str, Any]]
    claims: list[tuple[Budget, int, int, str]]
    habit: Habit


class Story:
    """``routers``: before and since the trial began. ``bad_key``: of the provider key that stopped working, and whose it was."""

    def __init__(
        self, cast: Cast, routers: tuple[Router, Router], now: datetime, days: int, seed: int, bad_key: tuple[int, str], names: bytes
    ) -> None:
        self._cast, self._routers, self._now, self._days = cast, routers, now, days
        self._rng = random.Random(seed)  # noqa: S311  # made-up traffic
        self._bad_key_id, self._bad_provider = bad_key
        self._names = names
        self._shapes = {habit.key: [self._shape(habit) for _ in range(SHAPES)] for _, habit in cast.players}
        self._hackathon_spent = 0

    def told(self) -> Iterator[Made]:
        """In order of arrival."""
        start = (self._now - self._days * DAY).replace(minute=0, second=0, microsecond=0)
        for number in range(math.ceil((self._now - start) / timedelta(hours=1))):
            hour = start + timedelta(hours=number)
            arrivals = [
                (hour + timedelta(seconds=self._rng.random() * 3600), key, habit)
                for key, habit in self._cast.players
                for _ in range(self._count(habit, hour, (hour - start) / (self._days * DAY)))
            ]
            for at, key, habit in sorted(arrivals, key=lambda one: one[0]):
                if at < self._now - timedelta(seconds=20):
                    yield self._one(at, key, habit)

    def _count(self, habit: Habit, hour: datetime, passed: float) -> int:
        first, last = habit.hours
        if not first <= hour.hour < last:
            return 0
        pull = habit.per_day / (last - first) * (1 + habit.growth * passed) * (habit.weekends if hour.weekday() > 4 else 1.0)
        pull *= 0.7 + 0.6 * math.sin(math.pi * (hour.hour - first + 0.5) / (last - first))
        return int(pull + self._rng.random())

    def _shape(self, habit: Habit) -> tuple[int, int, int, float]:
        """(prompt, most, answer, slowness)"""
        prompt = max(20, int(habit.sizes[0] * self._rng.lognormvariate(0, 0.5)))
        answer = max(5, int(habit.sizes[1] * self._rng.lognormvariate(0, 0.45)))
        return prompt, 4096 if answer > 900 else 2048, answer, self._rng.lognormvariate(0, 0.35)

    def _one(self, at: datetime, key: ClientKey, habit: Habit) -> Made:
        rng, ago = self._rng, (self._now - at) / DAY
        prompt, most, answer, slow = rng.choice(self._shapes[habit.key])
        user = f"user-{int(habit.users * rng.random() ** 1.6) + 1}" if habit.users else ""
        facts = {
            "prompt": prompt, "most": most, "user": f"{key.team_id}:{user}" if user else "", "stream": habit.stream,
            "task": rng.choice(habit.tasks), "language": rng.choice(habit.languages),
        }  # fmt: skip
        asked, draw = rng.choice(habit.asked), rng.randrange(2**32) / 2**32
        decided = self._routers[ago <= TRIAL].decide(
            asked, facts, key.public_id, at, draw, kept=at > self._now - WINDOW + timedelta(hours=6)
        )
        row = self._row(at, key, habit, asked, decided, user)
        if rng.random() < 0.006:
            return self._limited(row, habit)
        if rng.random() < habit.cached:
            return self._from_cache(row, decided, habit, (prompt, answer))
        return self._asked(row, decided, habit, ago, (prompt, most, answer), slow)

    def _row(self, at: datetime, key: ClientKey, habit: Habit, asked: str, decided: Decided, user: str) -> dict[str, Any]:
        number = int(at.timestamp() * 1000) << 80 | 7 << 76 | self._rng.getrandbits(12) << 64 | 2 << 62 | self._rng.getrandbits(62)
        return {
            "id": UUID(int=number), "created_at": at, "finished_at": at, "state": "ok", "kind": habit.kind, "dialect": habit.dialect,
            "team_id": key.team_id, "client_key_id": key.pk, "asked_model": "" if asked == "auto" else asked,
            "strategy": decided.strategy, "stream": habit.stream, "simulated": True, "attempt_count": 0, "http_status": 200,
            "usage_source": "", "hold_nusd": 0, "cost_nusd": 0, "tag": self._rng.choice(habit.tags), "worker": "demo", "origin": "live",
            "end_user": pseudonym(self._names, key.team_id, user) or None, "metadata": {"user_id": user} if user else None,
            "cache": "miss" if habit.cached else None, "choice": decided.choice, "policy": decided.policy,
            "decision": {
                "asked": asked, "strategy": decided.strategy or "named", "order": [_label(one) for one in decided.order[:6]],
                **({"note": decided.note} if decided.note else {}),
            },
        }  # fmt: skip

    def _asked(self, row: dict[str, Any], decided: Decided, habit: Habit, ago: float, sizes: tuple[int, int, int], slow: float) -> Made:
        prompt, most, answer = sizes
        attempts: list[dict[str, Any]] = []
        at, spent_ms = row["created_at"], 0
        for target in decided.order[:4]:
            fault = self._fault(target, ago)
            model_ms = 200 + int((90 + answer * 9) * slow * _SPEED.get(target.provider.slug, 1.0))
            took = model_ms if fault is None else fault[2]
            attempts.append(_attempt(row["id"], len(attempts) + 1, target, at + timedelta(milliseconds=spent_ms), took, habit.stream))
            spent_ms += took
            if fault is None:
                break
            attempts[-1] |= {"outcome": "failed", "error_class": fault[0], "http_status": fault[1], "detail": fault[3], "billed": "void"}
            if fault[0] == "auth":
                attempts[-1]["provider_key_id"] = self._bad_key_id
        target, last = decided.order[len(attempts) - 1], attempts[-1]
        rates = target.model.rates
        rate = rate_at(rates, at, prompt)
        cached = int(prompt * 0.6) if self._rng.random() < 0.25 else None
        usage = Usage(input_tokens=prompt - (cached or 0), cache_read_tokens=cached, output_tokens=answer)
        most_nusd = 0 if rate is None else cost_nusd(Usage(input_tokens=prompt + 200, output_tokens=most), rate)
        if habit is HACKATHON and self._hackathon_spent + most_nusd > self._cast.exhausted.limit_nusd:
            return self._refused(row, habit)
        ended = at + timedelta(milliseconds=spent_ms + 4)
        row |= {
            "attempt_count": len(attempts), "provider_id": target.provider.id, "model_id": target.model.id,
            "provider_slug": target.provider.slug, "hold_nusd": most_nusd, "latency_ms": spent_ms + 4, "finished_at": ended,
        }  # fmt: skip
        if last["outcome"] != "ok":
            said = f"{target.provider.title} did not answer: {last['detail']}"
            row |= {"state": "failed", "http_status": 502, "error_code": "provider_error", "error_message": said}
            return Made(row, attempts, [(budget, most_nusd, 0, "voided") for budget in self._budgets(row)], habit)
        cost = 0 if rate is None else cost_nusd(usage, rate)
        row |= {
            "served_model": target.upstream_id, "finish_reason": "stop", "usage_source": "reported", "input_tokens": usage.input_tokens,
            "cache_read_tokens": cached, "output_tokens": answer, "cost_nusd": cost, "price_id": None if rate is None else rate.price_id,
            "ttft_ms": spent_ms - last["latency_ms"] + 120 + last["latency_ms"] // 6 if habit.stream else None,
        }  # fmt: skip
        last |= {"billed": "usage", "cost_nusd": cost, "ttft_ms": 120 + last["latency_ms"] // 6 if habit.stream else None}
        if habit is HACKATHON:
            self._hackathon_spent += cost
        return Made(row, attempts, [(budget, max(most_nusd, cost), cost, "posted") for budget in self._budgets(row)], habit)

    def _fault(self, target: Target, ago: float) -> tuple[str, int | None, int, str] | None:
        """(class, status, milliseconds, words) of what goes wrong at this attempt."""
        slug = target.provider.slug
        if slug == DOWN and OUTAGE[0] > ago > OUTAGE[1] and self._rng.random() < 0.92:
            return "server_error", 503, 40 + self._rng.randrange(400), "Service Unavailable: upstream is restarting."
        if slug == self._bad_provider and BAD_KEY[0] > ago > BAD_KEY[1] and self._rng.random() < 0.45:
            return "auth", 401, 60 + self._rng.randrange(80), "Incorrect API key provided."
        if self._rng.random() < _FAILS.get(slug, 0.01):
            return "overloaded", 529, 300 + self._rng.randrange(900), "Overloaded, try again later."
        return None

    def _budgets(self, row: dict[str, Any]) -> list[Budget]:
        return self._cast.budgets[row["client_key_id"]]

    def _refused(self, row: dict[str, Any], habit: Habit) -> Made:
        budget = self._cast.exhausted
        limit = format_usd(budget.limit_nusd)
        row |= {
            "state": "rejected", "http_status": 429, "error_code": "insufficient_quota", "refused_by_id": budget.pk, "latency_ms": 1,
            "error_message": f"The budget “{budget.name}” of {limit} USD is used up.", "choice": None, "policy": None, "decision": None,
            "error_details": {"budget": budget.name, "limit_usd": limit},
        }  # fmt: skip
        return Made(row, [], [], habit)

    def _limited(self, row: dict[str, Any], habit: Habit) -> Made:
        row |= {
            "state": "rejected", "http_status": 429, "error_code": "rate_limited", "latency_ms": 1, "choice": None, "policy": None,
            "decision": None, "error_message": "This key sends more requests than it may; wait 4 seconds.",
        }  # fmt: skip
        return Made(row, [], [], habit)

    def _from_cache(self, row: dict[str, Any], decided: Decided, habit: Habit, sizes: tuple[int, int]) -> Made:
        target = decided.order[0]
        rate = rate_at(target.model.rates, row["created_at"], sizes[0])
        worth = 0 if rate is None else cost_nusd(Usage(input_tokens=sizes[0], output_tokens=sizes[1]), rate)
        row |= {
            "cache": "hit", "saved_nusd": worth, "provider_id": target.provider.id, "model_id": target.model.id, "latency_ms": 2,
            "provider_slug": target.provider.slug, "served_model": target.upstream_id, "finish_reason": "stop", "choice": None,
            "decision": {"asked": row["asked_model"] or "auto", "strategy": decided.strategy, "age_s": self._rng.randrange(60, 80_000)},
            "policy": None,
        }  # fmt: skip
        return Made(row, [], [], habit)


def _attempt(request: UUID, number: int, target: Target, at: datetime, took: int, stream: bool) -> dict[str, Any]:
    return {
        "request_id": request, "number": number, "provider_id": target.provider.id, "provider_slug": target.provider.slug,
        "provider_key_id": target.credential.id, "upstream_id": target.upstream_id, "outcome": "ok", "http_status": 200,
        "started_at": at, "latency_ms": took, "streamed": stream, "error_class": "", "detail": "", "billed": "", "ttft_ms": None,
        "cost_nusd": 0,
    }  # fmt: skip


def _label(target: Target) -> str:
    return f"{target.provider.slug}/{target.upstream_id}"
