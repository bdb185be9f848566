"""The fault grammar: ``kind[:arg…][@n]``, several joined by ``+``, chosen by a model name that contains ``fault:``."""

from __future__ import annotations

import re
from dataclasses import dataclass

MARK = "fault:"
KINDS = frozenset({
    "ok", "refuse", "silent", "stall", "rst", "fin", "badjson", "truncjson", "badsse", "noterm", "noterm-finished", "status", "ctx",
    "filter", "filter-out", "err200", "err", "html200", "html502", "redirect", "empty", "gzipbomb", "hugebody", "bighdr", "badstatus",
    "drip", "heartbeat", "hugeevent", "usage", "dupterm", "split1", "crlf", "cr", "u2028", "bom", "comments", "multiline", "nospace",
    "burst", "echo-auth", "slow", "pause", "badchunk", "gzip",
})  # fmt: skip


class UnknownFault(ValueError):
    """The spec names no kind known here."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault. ``at`` is the number of content events after which it strikes (None: the kind's own default)."""

    kind: str
    args: tuple[str, ...] = ()
    at: int | None = None

    def option(self, name: str) -> str | None:
        """The value of a ``name=value`` argument."""
        return next((arg.partition("=")[2] for arg in self.args if arg.partition("=")[0] == name and "=" in arg), None)

    def number(self, default: float) -> float:
        """The first argument as a number."""
        try:
            return float(self.args[0])
        except (IndexError, ValueError):
            return default


@dataclass(frozen=True, slots=True)
class Plan:
    """The faults of one call."""

    faults: tuple[Fault, ...] = ()
    text: str = ""

    def get(self, *kinds: str) -> Fault | None:
        """The first fault of one of these kinds."""
        for fault in self.faults:
            if fault.kind in kinds:
                return fault
        return None

    def __bool__(self) -> bool:
        return bool(self.faults)

    def label(self) -> str:
        """Its spec, for the journal."""
        return self.text


NO_FAULT = Plan()


def in_model(model: str) -> str | None:
    """The fault spec inside a model name (whatever stands before ``fault:``), or None."""
    at = model.find(MARK)
    return model[at + len(MARK) :] if at >= 0 else None


def parse(spec: str) -> Plan:
    """The plan a spec stands for. Raises UnknownFault."""
    found: list[Fault] = []
    for part in spec.removeprefix(MARK).split("+"):
        text, at = part.strip(), None
        if match := re.search(r"@(\d+)$", text):
            text, at = text[: match.start()], int(match[1])
        kind, *args = text.split(":")
        if kind not in KINDS:
            raise UnknownFault(f"unknown fault {kind!r}")
        if kind != "ok":
            found.append(Fault(kind, tuple(args), at))
    return Plan(tuple(found), spec.removeprefix(MARK) if found else "")
