"""Who appears: teams, their programs, and what each of them is like."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import msgspec

from llm_gateway.actions.create_client_key import create_client_key, ensure_team
from llm_gateway.core.money import to_nusd
from llm_gateway.models import Budget, ClientKey, Team

from .writing import move_back


class Habit(msgspec.Struct, frozen=True, kw_only=True):
    """What one program asks for. ``per_day``: requests of a working day at the beginning; ``asked``: models it names, and ``auto``.
    ``sizes``: medians of prompt and answer, in tokens. ``users``: how many people stand behind it; 0: it says nothing of them."""

    key: str
    per_day: int
    asked: tuple[str, ...] = ("auto",)
    kind: str = "chat"
    dialect: str = "openai_chat"
    sizes: tuple[int, int] = (900, 350)
    users: int = 0
    growth: float = 0.6
    weekends: float = 0.35
    hours: tuple[int, int] = (7, 20)
    stream: bool = False
    tags: tuple[str, ...] = ("",)
    languages: tuple[str, ...] = ("",)
    tasks: tuple[str, ...] = ("",)
    cached: float = 0.0
    scored: float = 0.0


TEAMS: dict[str, tuple[Habit, ...]] = {
    "Web shop": (
        Habit(
            key="checkout assistant", per_day=70, users=700, stream=True, weekends=1.1, hours=(6, 24), sizes=(700, 220), tags=("prod",),
            growth=0.9, tasks=("chat",), cached=0.14,
        ),
        Habit(key="product texts", per_day=22, asked=("gemini", "auto"), kind="generate", dialect="native", sizes=(500, 500),
              tags=("prod", "ci"), tasks=("document", "generate"), scored=0.3),
    ),
    "Data science": (
        Habit(
            key="notebooks", per_day=28, asked=("claude", "gpt-4o", "auto"), users=9, sizes=(2600, 800), growth=1.6, weekends=0.15,
            languages=("python", "sql"), tasks=("code", "explain"), stream=True,
        ),
        Habit(key="nightly reports", per_day=15, hours=(1, 4), weekends=1.0, sizes=(5200, 900), tags=("nightly",), tasks=("summarize",)),
    ),
    "Support": (
        Habit(
            key="help desk", per_day=45, users=240, dialect="anthropic_messages", asked=("claude", "auto"), sizes=(1500, 300), weekends=0.7,
            cached=0.1, tags=("prod",),
        ),
        Habit(key="code review", per_day=20, kind="analyze", dialect="native", languages=("python", "typescript", "go"), sizes=(1800, 700),
              weekends=0.05, tasks=("quality", "security"), scored=0.6),
    ),
}  # fmt: skip
HACKATHON = Habit(key="hackathon", per_day=40, users=5, growth=0.2, weekends=1.2, hours=(0, 24), sizes=(1100, 600), stream=True)


class Cast(msgspec.Struct, frozen=True):
    """Keys by name with the habit of each; budgets of keys and teams by id."""

    players: list[tuple[ClientKey, Habit]]
    budgets: dict[int, list[Budget]]
    exhausted: Budget


def appear(now: Any, days: int) -> Cast:
    """Make them, once. Limits are set when it is known what was spent."""
    players: list[tuple[ClientKey, Habit]] = []
    budgets: dict[int, list[Budget]] = {}
    long_ago = now - timedelta(days=days + 2)
    for name, habits in TEAMS.items():
        team = ensure_team(name)
        move_back([team], created_at=long_ago)
        period = Budget.Period.WEEK if name == "Support" else Budget.Period.MONTH
        budget = Budget.objects.create(name=name, team=team, period=period, limit_nusd=0, hard=True, thresholds=[50, 80, 100])
        for habit in (*habits, *((HACKATHON,) if name == "Data science" else ())):
            key = _key(team, habit.key, long_ago)
            players.append((key, habit))
            budgets[key.pk] = [budget]
    hackathon = next(key for key, habit in players if habit is HACKATHON)
    exhausted = Budget.objects.create(
        name="Hackathon",
        client_key=hackathon,
        period=Budget.Period.TOTAL,
        limit_nusd=to_nusd(Decimal("2.5")),
        hard=True,
        thresholds=[50, 80, 100],
    )
    budgets[hackathon.pk] = [*budgets[hackathon.pk], exhausted]
    return Cast(players, budgets, exhausted)


def _key(team: Team, name: str, at: Any) -> ClientKey:
    """Its text is thrown away: nobody has to call with it."""
    row = ClientKey.objects.filter(team=team, name=name).first() or create_client_key(name, team)[0]
    move_back([row], created_at=at)
    return row
