"""Dimensions as people call them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Self

from llm_gateway.models import ClientKey, Team

TITLES = {
    "day": "Day",
    "provider": "Provider",
    "model": "Model",
    "alias": "Asked model",
    "client_key_id": "Client",
    "team_id": "Team",
    "strategy": "Strategy",
    "kind": "Kind",
    "tag": "Tag",
    "origin": "Origin",
    "simulated": "Simulated",
    "language": "Language",
    "task": "Task",
}


def title_of(name: str) -> str:
    """A report may group by what no other does."""
    return TITLES.get(name) or name.replace("_", " ").capitalize()


class Named(str):
    """What people read, with the value it stands for."""

    __slots__ = ("key",)
    key: Any

    def __new__(cls, text: str, key: Any) -> Self:
        made = super().__new__(cls, text)
        made.key = key
        return made


class Names:
    """Looked up once per report, whatever the number of rows."""

    def __init__(self, groups: Iterable[str], keys: Iterable[tuple[Any, ...]]) -> None:
        groups = tuple(groups)
        self._groups = groups
        seen = {name: {key[i] for key in keys} for i, name in enumerate(groups)} if (keys := list(keys)) else {}
        self._clients = (
            dict(ClientKey.objects.filter(pk__in=seen["client_key_id"]).values_list("pk", "name")) if "client_key_id" in seen else {}
        )
        self._teams = dict(Team.objects.filter(pk__in=seen["team_id"]).values_list("pk", "name")) if "team_id" in seen else {}

    def of(self, key: tuple[Any, ...]) -> tuple[str, ...]:
        return tuple(Named(self.one(name, value), value) for name, value in zip(self._groups, key, strict=True))

    def one(self, name: str, value: Any) -> str:
        match name:
            case "client_key_id":
                return self._clients.get(value, f"deleted key {value}") if value else "staff"
            case "team_id":
                return self._teams.get(value, f"deleted team {value}") if value else "(unknown)"
            case "day":
                return str(value.isoformat())
            case "simulated":
                return "simulated" if value else "real"
            case "provider" | "model":
                return value or "(never sent)"
            case _:
                return value or "(none)"
