"""Reading a model's analysis. Pure.

What fits the schema is taken as it is; what can be read in good faith (JSON in prose or a fence, a truncated list, ``"7/100"``) is put in
order; nothing is added that the model did not say: a finding without a message is left out, a missing score stays ``None``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import msgspec
from msgspec.structs import replace

from .shapes import Analysis, Finding

MAX_FINDINGS = 200

_SEVERITIES = {
    "critical": ("critical", "blocker", "fatal", "severe"),
    "high": ("high", "major", "error", "serious"),
    "medium": ("medium", "moderate", "warning", "warn"),
    "low": ("low", "minor", "trivial"),
    "info": ("info", "information", "informational", "note", "hint", "suggestion", "none", "style"),
}
_SEVERITY = {word: severity for severity, words in _SEVERITIES.items() for word in words}
_MESSAGE = ("message", "description", "issue", "title", "problem", "finding", "text")
_SUGGESTION = ("suggestion", "recommendation", "fix", "solution", "remediation")
_FINDINGS = ("findings", "issues", "problems")
_THINKING = re.compile(r"<think(?:ing)?>.*?</think(?:ing)?>", re.DOTALL)
_LINE = re.compile(r"\d{1,7}")
_SCORE = re.compile(r"\s*(\d{1,3})(?:\.\d+)?\s*(?:/\s*100|%)?\s*")
_OPENING = re.compile(r'[{\[](?=\s*["{\[])')
# Enough for prose with code in it; bounds the time a hostile answer can take.
MOST_TRIES, MOST_MENDS, MOST_CUTS, LONGEST, DEEPEST = 50, 3, 20, 200_000, 30
_TRAILING_COMMA = re.compile(r",(\s*[\]}])")


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """``analysis`` ``None``: nothing readable. ``fault``: why it is not whole, a sentence the model can act on; empty when it is."""

    analysis: Analysis | None
    fault: str = ""


def read(text: str, category: str, lines: int = 9_999_999) -> Reading:
    """``category`` is what a finding belongs to that names none; ``lines``: how many the code has, no finding is on another."""
    reading = _read(text, category)
    if reading.analysis is None:
        return reading
    placed = [f if f.line is None or 1 <= f.line <= lines else replace(f, line=None) for f in reading.analysis.findings]
    return replace(reading, analysis=replace(reading.analysis, findings=placed))


def _read(text: str, category: str) -> Reading:
    try:
        return Reading(analysis=_whole(msgspec.json.decode(text.strip().encode(), type=Analysis)))
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        pass
    text = _THINKING.sub("", text[:LONGEST])
    found = None
    for value, cut in _values(text):
        reading = _ordered(value, category, cut)
        if reading.analysis is not None and not reading.fault:
            return reading
        if found is None or _weight(reading) > _weight(found):
            found = reading
    return found or Reading(analysis=None, fault="it holds no JSON object.")


def _whole(analysis: Analysis) -> Analysis:
    said = _said(analysis.summary) is not None and all(_said(finding.message) is not None for finding in analysis.findings)
    if analysis.score is None or analysis.partial or not said:
        raise msgspec.ValidationError
    return analysis


def _weight(reading: Reading) -> int:
    analysis = reading.analysis
    return -1 if analysis is None else 2 * len(analysis.findings) + bool(analysis.summary) + (analysis.score is not None)


def _values(text: str) -> Iterator[tuple[Any, bool]]:
    """JSON values in ``text``, outermost first, and whether one had to be cut short to be read."""
    decoder = json.JSONDecoder(strict=False)
    at, mends = 0, MOST_MENDS
    for _ in range(MOST_TRIES):
        match = _OPENING.search(text, at)
        if match is None:
            return
        at = match.start() + 1
        try:
            value, at = decoder.raw_decode(text, match.start())
            yield value, False
            continue
        except (ValueError, RecursionError):
            pass
        if mends:
            mends -= 1
            yield from _mended(decoder, text[match.start() :])


def _mended(decoder: json.JSONDecoder, text: str) -> Iterator[tuple[Any, bool]]:
    try:
        yield decoder.raw_decode(_TRAILING_COMMA.sub(r"\1", text))[0], False
    except (ValueError, RecursionError):
        closed = close(text)
        if closed is not None:
            yield closed, True


def close(text: str) -> Any | None:
    """The longest readable beginning of a truncated JSON value: cut after its last complete element, open brackets closed."""
    stack: list[str] = []
    cuts: list[tuple[int, tuple[str, ...]]] = []
    in_string = escaped = False
    for place, char in enumerate(text):
        if in_string:
            if escaped:
                escaped = False
            elif char == "\\":
                escaped = True
            elif char == '"':
                in_string = False
        elif char == '"':
            in_string = True
        elif char in "{[":
            stack.append("}" if char == "{" else "]")
            if len(stack) > DEEPEST:
                return None
        elif char in "}]":
            if not stack or stack.pop() != char:
                break
            cuts.append((place + 1, tuple(stack)))
        elif char == ",":
            cuts.append((place, tuple(stack)))
    for place, open_ in reversed(cuts[-MOST_CUTS:]):
        try:
            return json.loads(text[:place] + "".join(reversed(open_)), strict=False)
        except (ValueError, RecursionError):
            continue
    return None


def _ordered(value: Any, category: str, cut: bool) -> Reading:
    if isinstance(value, list):
        value = {"findings": value}
        bare = True
    else:
        bare = False
    if not isinstance(value, dict):
        return Reading(analysis=None, fault="it is no JSON object.")
    fields = {str(name).strip().lower(): inner for name, inner in value.items()}
    listed = next((fields[name] for name in _FINDINGS if isinstance(fields.get(name), list)), None)
    summary = _said(fields.get("summary")) or ""
    score = _score(fields.get("score"))
    findings = [finding for item in (listed or ())[:MAX_FINDINGS] if (finding := _finding(item, category)) is not None]
    if not (findings or summary):
        return Reading(analysis=None, fault="`summary`, `score` and `findings` are missing.")
    faults = [name for name, missing in (("summary", not summary), ("score", score is None), ("findings", listed is None)) if missing]
    lost = listed is not None and len(findings) < len(listed[:MAX_FINDINGS])
    fault = "it was cut off." if cut else f"{', '.join(f'`{name}`' for name in faults)} missing or wrong." if faults else ""
    if not fault and lost:
        fault = "a finding has no `message`."
    if bare:
        fault = "it is a list; put it in an object under `findings`, with `summary` and `score`."
    return Reading(analysis=Analysis(summary=summary, score=score, findings=findings, partial=bool(fault)), fault=fault)


def _finding(item: Any, category: str) -> Finding | None:
    if isinstance(item, str):
        item = {"message": item}
    if not isinstance(item, dict):
        return None
    fields = {str(name).strip().lower(): inner for name, inner in item.items()}
    message = _first(fields, _MESSAGE)
    if message is None:
        return None
    return Finding(
        severity=_SEVERITY.get(str(fields.get("severity", "")).strip().lower(), "info"),  # type: ignore[arg-type]
        category=_said(fields.get("category")) or category,
        line=_line(fields.get("line")),
        message=message,
        suggestion=_first(fields, _SUGGESTION),
    )


def _first(fields: dict[str, Any], names: tuple[str, ...]) -> str | None:
    return next((text for name in names if (text := _said(fields.get(name))) is not None), None)


def _said(value: Any) -> str | None:
    """Text that says something: not blank, not the dots of the prompt's own example."""
    text = value.strip() if isinstance(value, str) else ""
    return text if text.strip(".… ") else None


def _line(value: Any) -> int | None:
    """A line number; of a range its first."""
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, int | float):
        return int(value) if 0 < value < 10_000_000 else None
    match = _LINE.search(value) if isinstance(value, str) else None
    return int(match[0]) or None if match else None


def _score(value: Any) -> int | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return round(value) if 0 <= value <= 100 else None
    match = _SCORE.fullmatch(value) if isinstance(value, str) else None
    return int(match[1]) if match and int(match[1]) <= 100 else None
