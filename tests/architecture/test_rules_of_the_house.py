"""Rules that no tool checks: sizes, words, secrets, and that the README's map shows the rooms there are."""

from __future__ import annotations

import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LONGEST_FILE = 400
SKIPPED = {".git", ".venv", "var", "__pycache__", "node_modules", ".hypothesis"}


@cache
def files() -> tuple[Path, ...]:
    """What belongs to the project: what git would commit, or every file where there is no git."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if listed.returncode == 0:
        found = [ROOT / name for name in listed.stdout.split("\0") if name]
    else:
        found = [file for file in ROOT.rglob("*") if not SKIPPED.intersection(file.relative_to(ROOT).parts[:-1])]
    return tuple(sorted(file for file in found if file.is_file()))


@cache
def texts() -> tuple[tuple[str, str], ...]:
    pairs = []
    for file in files():
        try:
            pairs.append((file.relative_to(ROOT).as_posix(), file.read_text(encoding="utf-8")))
        except UnicodeDecodeError:
            continue
    return tuple(pairs)


def places(pattern: str, *, unless: tuple[str, ...] = (), ending: tuple[str, ...] = ("",), flags: int = 0) -> list[str]:
    expression = re.compile(pattern, flags)
    return [
        f"{name}:{number}: {line.strip()[:120]}"
        for name, text in texts()
        if name.endswith(ending) and not name.startswith(unless)
        for number, line in enumerate(text.splitlines(), 1)
        if expression.search(line)
    ]


def test_no_file_has_more_than_400_lines():
    long = {
        name: lines
        for name, text in texts()
        if name.endswith(".py") and "/migrations/" not in name and (lines := text.count("\n")) > LONGEST_FILE
    }
    assert long == {}


def test_nothing_names_a_package_index_or_its_hosts():
    hosts = ("pypi" + r"\.org", "pythonhosted" + r"\.org", "npmjs" + r"\.(org|com)", "deb" + r"\.debian\.org", "index" + "-url=")
    assert places("|".join(hosts)) == []


def test_nothing_names_a_path_of_some_developer_s_machine():
    assert places(r"/(root|home/\w+|work|tmp)/\w+/", unless=("tests/architecture/",)) == []


def test_nothing_looks_like_a_key():
    """A real key has no dashes between words: what stands for one in a test must be readable as a stand-in."""
    kinds = (
        r"sk-(ant-|proj-)?[A-Za-z0-9_-]{24,}",
        r"AIza[0-9A-Za-z_-]{30,}",
        r"fw_[A-Za-z0-9]{20,}",
        r"gh[pousr]_[A-Za-z0-9]{30,}",
        r"AKIA[0-9A-Z]{16}",
        r"cogo_[0-9A-Za-z]{12}_[0-9A-Za-z]{32,64}_[0-9A-Za-z]{6}",
        r"BEGIN [A-Z ]*PRIVATE KEY",
    )
    assert places("|".join(kinds), unless=("requirements/", "tests/architecture/")) == []


def test_nothing_is_left_undone_in_the_code():
    words = ("TO" + "DO", "FIX" + "ME", "XX" + "X", "HA" + "CK")
    assert (
        places(rf"\b({'|'.join(words)})\b|raise NotImplementedError", unless=("tests/architecture/",), ending=(".py", ".html", ".js")) == []
    )


def test_the_documents_say_things_plainly():
    words = r"\b(blazing|seamless\w*|effortless\w*|cutting-edge|world-class|next-gen\w*|game.chang\w+|supercharge\w*|leverag\w+|robust)\b"
    assert places(words, ending=(".md",), flags=re.IGNORECASE) == []


def test_the_readme_s_map_shows_every_room_and_no_other():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    drawn = re.search(r"## The house\n.*?```\n(.*?)```", readme, re.DOTALL)
    assert drawn, "README.md needs a chapter 'The house' with a map"
    shown: set[str] = set()
    for line in drawn[1].splitlines():
        names = re.split(r"\s{2,}", line.strip().removeprefix(line[1:4].strip()).strip())[0].split()
        shown |= {name.removesuffix("/") if line[0] != " " else f"llm_gateway/{name.removesuffix('/')}" for name in names}
    assert shown == rooms()


def rooms() -> set[str]:
    found = set()
    for name, _ in texts():
        top, *inner = name.split("/")
        if inner and not top.startswith("."):
            found.add(top)
        if top == "llm_gateway" and len(inner) > 1:
            found.add(f"{top}/{inner[0]}")
    return (found - {"llm_gateway/migrations", "llm_gateway/static"}) | {"llm_gateway/wiring.py", "llm_gateway/tasks.py"}


def test_the_walls_between_the_rooms_stand():
    linter = Path(sys.executable).with_name("lint-imports")
    if not linter.exists():
        pytest.skip("import-linter is not installed")
    done = subprocess.run([str(linter), "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
