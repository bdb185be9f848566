"""A door that knows whom a test says it knows."""

from __future__ import annotations

from typing import Any

from llm_gateway.core.catalog import Identity, Scope
from llm_gateway.core.errors import Unauthenticated


class Door:
    """Identities by the word a test presents as its key."""

    def __init__(self) -> None:
        self.known: dict[str, Identity] = {}

    def identify(self, presented: str) -> Identity:
        try:
            return self.known[presented]
        except KeyError:
            raise Unauthenticated("The client key is not known.") from None

    def staff_identity(self, user: Any) -> Identity:
        return Identity(client_key_id=None, public_id="", name=user.username, team_id=0, team="", scopes=frozenset(Scope))


def program(door: Door, word: str, team_id: int, *scopes: Scope) -> dict[str, str]:
    door.known[word] = Identity(client_key_id=1, public_id=word, name=word, team_id=team_id, team="t", scopes=frozenset(scopes))
    return {"Authorization": f"Bearer {word}"}
