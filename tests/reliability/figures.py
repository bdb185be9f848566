"""The measured part of docs/reliability.md."""

from __future__ import annotations

from pathlib import Path

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reliability.md"
BEGIN, END = "<!-- measured by `make reliability ARGS=--write` -->\n", "<!-- end of what is measured -->\n"
HEAD = "| figure | bar | measured | with | command |\n|---|---|---|---|---|\n"


def written(page: str, lines: dict[str, str]) -> str:
    """``page`` with ``lines`` (by figure) in the place of what stands there; other figures stay."""
    before, begin, rest = page.partition(BEGIN)
    old, end, after = rest.partition(END)
    known = {line.split(" | ")[0].removeprefix("| "): line for line in old.splitlines(keepends=True)[3:] if line.startswith("| ")}
    kept = {**known, **lines}
    ordered = sorted(kept, key=lambda figure: (int(figure.split()[0][1:]), list(kept).index(figure)))
    return before + begin + "\n" + HEAD + "".join(kept[figure] for figure in ordered) + "\n" + end + after
