"""ruff on one snippet: the one place that starts it. Its rules are fixed, its configuration is nobody's but ours, the text goes to its
standard input."""

from __future__ import annotations

import subprocess

import msgspec

from llm_gateway.scorers import Finding, Severity

from .present import ruff_binary

VERSION = 1
WAIT_S = 2.0
LONGEST = 256 << 10
# Syntax errors and undefined names, likely mistakes, dangerous calls; not: how it is written.
SELECT = "E9,E722,F,B,S"
# Taste (an assert, a loop variable that is not used, zip without strict), and what a snippet cannot know (subprocess with a fixed list).
IGNORE = "S101,B007,B905,S311,S603,S607,B008,S110,S112,F811,B006,E741"
_HIGH = ("F821", "F822", "F823", "E9", "S102", "S307", "S602", "S605", "S701", "invalid-syntax", "F7", "F63", "B023")
_LOW = ("F401", "F841", "F541", "B9", "B0", "S1")


class _Place(msgspec.Struct):
    row: int


class _Found(msgspec.Struct):
    code: str | None
    message: str
    location: _Place


_decoder = msgspec.json.Decoder(list[_Found])


def lint(code: str, block: int) -> tuple[Finding, ...] | None:
    """``None``: ruff is not there, took too long, or could not read the code (which the syntax scorer says)."""
    binary = ruff_binary()
    if binary is None or len(code) > LONGEST:
        return None
    line = [binary, "check", "--isolated", "--no-cache", "--quiet", "--exit-zero", "--output-format=json", "--stdin-filename=snippet.py"]
    try:
        done = subprocess.run(  # noqa: S603  # the caller's text is input, never a part of the line
            [*line, f"--select={SELECT}", f"--ignore={IGNORE}", "-"],
            input=code.encode("utf-8", "replace"), capture_output=True, timeout=WAIT_S, check=False,
        )  # fmt: skip
        rows = _decoder.decode(done.stdout)
    except (OSError, subprocess.SubprocessError, msgspec.DecodeError):
        return None
    if any(row.code in (None, "invalid-syntax") or (row.code or "").startswith("E9") for row in rows):
        return None
    return tuple(
        Finding(rule=row.code or "", severity=_severity(row.code or ""), message=row.message[:200], line=row.location.row, block=block)
        for row in rows
    )


def _severity(rule: str) -> Severity:
    return "high" if rule.startswith(_HIGH) else "low" if rule.startswith(_LOW) else "medium"
