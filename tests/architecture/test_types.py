"""The type checker is strict, sees every package, and knows Django and DRF. `make types` runs it; this test holds its settings."""

from __future__ import annotations

import tomllib

from .test_rules_of_the_house import ROOT

SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]


def test_types_are_checked_strictly_in_every_package() -> None:
    mypy = SETTINGS["mypy"]
    assert mypy["strict"] is True
    assert sorted(mypy["files"]) == sorted(SETTINGS["importlinter"]["root_packages"])
    assert {"mypy_django_plugin.main", "mypy_drf_plugin.main"} <= set(mypy["plugins"])
    assert not {"exclude", "ignore_errors", "follow_imports"} & mypy.keys()


def test_no_module_of_ours_is_let_off() -> None:
    ours = tuple(SETTINGS["importlinter"]["root_packages"])
    excused = {
        module: set(override) - {"module"}
        for override in SETTINGS["mypy"]["overrides"]
        for module in ([override["module"]] if isinstance(override["module"], str) else override["module"])
        if module.split(".")[0] in ours
    }
    # redundant-expr is not part of strict: libraries' annotations say "never None" of what is None at first.
    assert set(excused) == {"cogo.connections", "cogo.doorstep"}
    assert all(kinds == {"disable_error_code"} for kinds in excused.values())
