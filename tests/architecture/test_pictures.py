"""The pictures of the documents: each is shown somewhere, each that is shown is there, and together they stay small."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PICTURES = ROOT / "docs" / "pictures"
MOST_BYTES = 1_500_000


def test_pictures_are_shown_and_small() -> None:
    shown = {
        (page.parent / name).resolve()
        for page in (ROOT / "README.md", *ROOT.glob("docs/*.md"))
        for name in re.findall(r"!\[[^\]]+\]\(([^)\s]+\.png)\)", page.read_text(encoding="utf-8"))
    }
    there = set(PICTURES.glob("*.png"))
    assert shown == there
    assert (PICTURES / "home.png") in {
        (ROOT / name).resolve() for name in re.findall(r"\(([^)\s]+\.png)\)", (ROOT / "README.md").read_text(encoding="utf-8"))
    }
    assert sum(file.stat().st_size for file in there) <= MOST_BYTES
