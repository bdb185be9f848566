"""docs/reliability.md says what the tests say."""

from __future__ import annotations

import re
from pathlib import Path

from tests.faults.document import page, render
from tests.faults.scenes import CALLERS, PROCESS, SCENES
from tests.faults.table import B1, B2
from tests.reliability.figures import BEGIN, END, HEAD, written
from tests.reliability.scoreboard import PARTS

TESTS = Path(__file__).resolve().parents[1]
FIGURES = ("C4", "C5", "C6", "C7", "C9", "C10", "C13", "C14", "C15")


def test_the_fault_table_of_the_page_is_that_of_the_tests() -> None:
    assert page()[1] == render(), "run `make fault-table`"


def test_the_page_has_every_row_of_the_matrix() -> None:
    names = {row.name.partition("-")[0] for row in (*B1, *B2)} | {scene.name for scene in (*SCENES, *CALLERS)}
    assert names == {f"U{n}" for n in range(1, 43) if n != 29} | {f"C{n}" for n in range(1, 29)}


def test_every_proof_that_the_page_names_exists() -> None:
    for scene in (*SCENES, *CALLERS, *PROCESS):
        file, _, name = scene.proof.partition("::")
        assert re.search(rf"^(async )?def {name}", (TESTS / file).read_text(encoding="utf-8"), re.MULTILINE), scene.proof


def test_the_page_has_every_figure_with_its_command() -> None:
    _, _, rest = page()[2].partition(BEGIN)
    lines = [line.strip("| ").split(" | ") for line in rest.partition(END)[0].splitlines() if line.startswith("| C")]
    assert {line[0].partition(" ")[0] for line in lines} == set(FIGURES)
    for _, bar, measured, _, command in lines:
        assert bar
        assert re.search(r"\d", measured)
        assert command.removeprefix("`make reliability ARGS=").rstrip("`") in PARTS


def test_new_figures_take_the_place_of_old_ones_and_leave_the_others() -> None:
    before = f"text\n{BEGIN}\n{HEAD}| C5 a | 1 | old | – | `x` |\n| C10 b | 2 | kept | – | `x` |\n\n{END}more"
    after = written(before, {"C5 a": "| C5 a | 1 | new | – | `x` |\n", "C6 c": "| C6 c | 3 | 7 | – | `x` |\n"})
    assert after == (
        f"text\n{BEGIN}\n{HEAD}| C5 a | 1 | new | – | `x` |\n| C6 c | 3 | 7 | – | `x` |\n| C10 b | 2 | kept | – | `x` |\n\n{END}more"
    )
    assert written(after, {}) == after
