"""The page about the house names files that exist, and prose stays narrow where it has been rewritten."""

from __future__ import annotations

import ast
import re

from .figures import LONGEST_PROSE, prose, sources
from .test_rules_of_the_house import ROOT

PAGE = (ROOT / "docs/house.md").read_text(encoding="utf-8")
NARROW = ("llm_gateway/core/", "llm_gateway/wires/", "llm_gateway/providers/", "llm_gateway/telemetry/")


def test_every_place_that_the_page_names_exists() -> None:
    named = re.findall(r"`((?:cogo|llm_gateway|analytics|tests|docs)/[\w./]*)`", PAGE)
    assert len(named) > 10
    assert [path for path in named if not (ROOT / path).exists()] == []


def test_prose_of_these_rooms_is_at_most_100_columns_wide() -> None:
    """A line without a blank, such as an address, cannot be broken; neither can a row of a table."""
    wide = [
        f"{name}: {line.strip()[:80]}"
        for name, text in sources()
        if name.startswith(NARROW) and name != "llm_gateway/core/learning.py"  # its prose is being rewritten with its sums
        for line in prose(text, ast.parse(text))
        if len(line) > LONGEST_PROSE and " " in line.strip().removeprefix("# ")
    ]
    assert wide == []
