"""A strategy's settings for people: one line where there is little room, a table where there is more."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

LONGEST = 60
MOST = 4


def short(settings: Any) -> SafeString | str:
    """``sticky yes · 5 rules, first “Documentation”``; everything is on the strategy's own page."""
    if not isinstance(settings, Mapping) or not settings:
        return "defaults"
    parts = [(str(name).replace("_", " "), brief(value)) for name, value in settings.items() if value not in (None, "", [], {})]
    if not parts:
        return "defaults"
    shown = format_html_join("", '<span class="cogo-setting"><span class="cogo-quiet">{}</span> {}</span>', parts[:MOST])
    return format_html('{}<span class="cogo-quiet">and {} more</span>', shown, len(parts) - MOST) if len(parts) > MOST else shown


def brief(value: Any) -> str:
    """One value in a few words."""
    match value:
        case bool():
            return "yes" if value else "no"
        case None:
            return "none"
        case list() if value and all(isinstance(one, Mapping) for one in value):
            return f"{len(value)}, first “{_cut(_name(value[0]))}”" if len(value) > 1 else f"1: “{_cut(_name(value[0]))}”"
        case list() | tuple():
            return _cut(", ".join(map(str, value)) or "none")
        case Mapping():
            return _cut(", ".join(f"{name} {_number(one)}" for name, one in value.items()) or "none")
        case _:
            return _cut(_number(value))


def lines(settings: Any) -> list[tuple[str, list[tuple[str, str]]]]:
    """(what, [(name, value)]): a rule of a list is a line of its own."""
    found: list[tuple[str, list[tuple[str, str]]]] = []
    for name, value in settings.items() if isinstance(settings, Mapping) else ():
        label = str(name).replace("_", " ")
        if isinstance(value, list) and value and all(isinstance(one, Mapping) for one in value):
            for place, one in enumerate(value, 1):
                rest = [(str(k).replace("_", " "), _whole(v)) for k, v in one.items() if k != "name"]
                found.append((f"{label} {place}: {one['name']}" if "name" in one else f"{label} {place}", rest))
        else:
            found.append((label, [("", _whole(value))]))
    return found


def _whole(value: Any) -> str:
    match value:
        case bool() | None:
            return brief(value)
        case list() if all(isinstance(one, str | int | float) for one in value):
            return ", ".join(map(str, value)) or "none"
        case Mapping() if all(isinstance(one, str | int | float) for one in value.values()):
            return ", ".join(f"{name} {_number(one)}" for name, one in value.items()) or "none"
        case list() | Mapping():
            return json.dumps(value, ensure_ascii=False)
        case _:
            return _number(value)


def _name(rule: Mapping[str, Any]) -> str:
    return str(rule.get("name") or ", ".join(map(str, rule)))


def _number(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"
