"""Which tool call a delta belongs to, and when a call can be told.

Hosts leave out indexes, number every call 0, send the id late, repeat the name with every piece or
cut it into pieces.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from llm_gateway.core import json
from llm_gateway.core.events import Event, ToolDelta, ToolStart
from llm_gateway.wires._arguments import Pieces
from llm_gateway.wires._openai.ids import call_id

from .chunks import CallDelta


class Call:
    """``index``: its place among the calls of the answer; ``shown``: under which index the caller's
    format knows it; ``given``: the host's own id; ``begun``: its start was told, with ``name`` as
    it is."""

    __slots__ = ("arguments", "begun", "custom", "given", "id", "index", "name", "shown", "signature")

    def __init__(self, index: int, shown: int) -> None:
        self.index = index
        self.shown = shown
        self.given = ""
        self.id = ""
        self.name = ""
        self.custom = False
        self.signature: str | None = None
        self.arguments = Pieces()
        self.begun = False

    @property
    def complete(self) -> bool:
        return json.lenient(self.arguments.text.encode("utf-8", "replace")) is not None


class Repair(msgspec.Struct, frozen=True):
    """What a delta should have for readers of its own format, who add names and arguments up.
    ``None``: leave it as it is."""

    index: int
    id: str | None = None
    name: str | None = None
    arguments: str | None = None


class Calls:
    """The calls of one answer. ``seed`` makes the ids that a host does not give."""

    __slots__ = ("_by_key", "_choice", "_seed", "all")

    def __init__(self, seed: str, choice: int) -> None:
        self.all: list[Call] = []
        self._by_key: dict[int, Call] = {}
        self._seed = seed
        self._choice = choice

    def read(self, delta: CallDelta, whole: bool = False) -> tuple[list[Event], Repair | None]:
        """``whole``: the delta is a call of a whole answer, so nothing follows."""
        events: list[Event] = []
        piece = delta.function or delta.custom
        name = (piece.name if piece else None) or ""
        arguments = _arguments(delta)
        call = None if whole else self._known(delta, name)
        if call is None:
            events.extend(self.begin())
            call = self._new(delta)
        begins, before = False, call.name
        if not call.begun:
            call.given = delta.id or call.given
            call.name = _grown(call.name, name)
            call.custom = call.custom or delta.custom is not None
            call.signature = call.signature or signature_of(delta.extra_content)
            if begins := bool(arguments or (whole and call.name)):
                events.append(self._begin(call))
        told = arguments
        if arguments and not call.custom:
            told = call.arguments.fed(arguments)
            if whole:
                told += call.arguments.rest()
        if told:
            events.append(ToolDelta(call.index, told, self._choice))
        # ``{}`` that waits for what follows stays in its own format.
        again = told if arguments not in (told, "{}") and not told.startswith("{}") else None
        made = call.id if begins and not call.given else None
        misplaced = not whole and delta.index != call.shown
        rest = call.name[len(before) :] if name and call.name[len(before) :] != name else None
        odd = made or misplaced or rest is not None or again is not None
        return events, Repair(call.shown, made, rest, again) if odd else None

    def begin(self) -> Iterator[Event]:
        """The starts of calls that wait for more of their name, and arguments that wait for more:
        other content follows, or the end."""
        for call in self.all:
            if call.name and not call.begun:
                yield self._begin(call)
            if call.begun and (arguments := call.arguments.rest()):
                yield ToolDelta(call.index, arguments, self._choice)

    def _begin(self, call: Call) -> ToolStart:
        call.begun = True
        call.id = call.given or call_id(self._seed, self._choice, call.index)
        return ToolStart(call.index, call.id, call.name, call.custom, call.signature, self._choice)

    def _new(self, delta: CallDelta) -> Call:
        taken = self._by_key.keys()
        shown = delta.index if delta.index is not None and delta.index not in taken else max(taken, default=-1) + 1
        call = Call(len(self.all), shown)
        self.all.append(call)
        self._by_key[shown] = call
        if delta.index is not None:
            self._by_key[delta.index] = call
        return call

    def _known(self, delta: CallDelta, name: str) -> Call | None:
        """The call a delta goes on with: by index where the host sends one, else by id, else the
        last."""
        last = self.all[-1] if self.all else None
        if delta.index is not None:
            known = self._by_key.get(delta.index)
            return known if known and not _another(known, delta.id, name, piecewise=True) else None
        if delta.id:
            known = next((call for call in self.all if call.given == delta.id), None)
            # The id may come after a first delta that had only the name.
            return known or (last if last and not last.given and not last.begun and last.name == name else None)
        return last if last and not _another(last, None, name, piecewise=False) else None


def _another(known: Call, given: str | None, name: str, piecewise: bool) -> bool:
    """Whether a delta begins a call beside ``known``. ``piecewise``: its index binds it, so a
    second name may be the rest of the first."""
    if not name:
        return False
    if given and known.given:
        # Hosts that number every call 0 tell them apart by their ids; an id that is told again is
        # the same call.
        return given != known.given
    if not known.begun:
        return not piecewise and bool(known.name)
    return name != known.name or known.complete


def _grown(name: str, piece: str) -> str:
    """A name told in pieces; some hosts tell it again with every piece, or all of it so far."""
    return piece if not name or piece.startswith(name) else name + piece


def _arguments(delta: CallDelta) -> str:
    if delta.custom:
        return delta.custom.input or ""
    arguments = delta.function.arguments if delta.function else None
    if isinstance(arguments, str):
        return arguments
    # Ollama and others give arguments as an object.
    return json.dumps(arguments).decode() if arguments is not None else ""


def signature_of(extra: Any) -> str | None:
    """Google's OpenAI-compatible API carries a thought signature in the call's ``extra_content``;
    clients echo it."""
    match extra:
        case {"google": {"thought_signature": str(signature)}}:
            return signature
        case _:
            return None
