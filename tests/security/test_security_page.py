"""docs/security.md answers every threat, with tests that exist or with a plain word on what is not
covered."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "security.md"


def rows() -> dict[int, list[str]]:
    """By number: threat, what the gateway does, proof."""
    found = {}
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        if match := re.fullmatch(r"\| A(\d+) \| (.+) \|", line):
            found[int(match[1])] = match[2].split(" | ")
    return found


@cache
def names_in(path: str) -> set[str]:
    return set(re.findall(r"^\s*(?:async )?def (test_\w+)\(", (ROOT / "tests" / path).read_text(encoding="utf-8"), re.MULTILINE))


def test_every_threat_is_answered_by_a_test_that_exists() -> None:
    table = rows()
    assert sorted(table) == list(range(1, 41))
    for number, cells in table.items():
        assert len(cells) == 3, f"A{number}"
        proofs = re.findall(r"`([\w/]+\.py)::(test_\w+)`", cells[2])
        assert re.sub(r"`[^`]*`", "", cells[2]).strip(", ") == "", f"A{number}: the proof is a list of tests"
        assert proofs or "Not covered" in cells[1], f"A{number} has neither"
        for path, name in proofs:
            assert (ROOT / "tests" / path).is_file(), path
            assert name in names_in(path), f"A{number}: {path}::{name}"


def test_every_test_of_signing_in_belongs_to_a_line_of_the_page_or_its_file_does() -> None:
    """A new file about security is not forgotten on the page."""
    named = {path for cells in rows().values() for path, _ in re.findall(r"`([\w/]+\.py)::(test_\w+)`", cells[2])}
    here = {f"security/{file.name}" for file in (ROOT / "tests" / "security").glob("test_*.py")} - {"security/test_security_page.py"}
    assert here <= named | {"security/test_echoed_keys.py"}, here - named
