"""Tool arguments: text in the noun, an object in Anthropic's and Gemini's formats."""

from __future__ import annotations

from typing import Any

from llm_gateway.core import json

# Shorter beginnings, such as ``{"``, may come again by chance.
_LEAST_REPEATED = 3


def as_object(arguments: str, custom: bool = False) -> dict[str, Any]:
    """The object these formats want. Free text goes under ``input``; a model's invalid JSON under
    ``arguments``, so that a history that holds it can still be sent."""
    if custom:
        return {"input": arguments}
    if not arguments.strip():
        return {}
    value = json.lenient(arguments.encode("utf-8", "replace"))
    if isinstance(value, str):
        # Some hosts encode them twice (vllm#54964).
        value = json.lenient(value.encode("utf-8", "replace"))
    return value if isinstance(value, dict) else {"arguments": arguments}


class Pieces:
    """The arguments of one call as a host tells them: piece by piece, and some of them otherwise.

    Some begin with ``{}`` and tell the arguments after it, some tell everything once more at the
    end or with every piece. Clients would add all of it up (opencode#17339, 9router#2869,
    ogx#5462). What is new of a piece is told on.
    """

    __slots__ = ("_empty", "_told")

    def __init__(self) -> None:
        self._told: list[str] = []
        self._empty = ""

    @property
    def begun(self) -> bool:
        return bool(self._told or self._empty)

    @property
    def text(self) -> str:
        return self._empty + "".join(self._told)

    def fed(self, piece: str) -> str:
        """``{}`` at the start waits for what follows it."""
        told = self._told
        if piece[:1] == "{" and (told or self._empty or piece == "{}"):
            if not told:
                self._empty = piece if piece == "{}" else ""
                if self._empty:
                    return ""
            elif told[0][:1] == "{":
                piece = _new(piece, "".join(told))
        elif self._empty:
            piece, self._empty = self._empty + piece, ""
        if piece:
            told.append(piece)
        return piece

    def rest(self) -> str:
        """What still waits when the call is over."""
        rest, self._empty = self._empty, ""
        if rest:
            self._told.append(rest)
        return rest


def _new(piece: str, so_far: str) -> str:
    """A piece without what was told before, where it begins with all of that: inside a JSON object
    it cannot stand a second time."""
    return piece[len(so_far) :] if len(so_far) > _LEAST_REPEATED and piece.startswith(so_far) else piece
