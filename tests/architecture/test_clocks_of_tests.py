"""Bounds on time hold on a busy machine, too: an upper bound is a stopwatch's, or its test runs alone."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.clock import Stopwatch

TESTS = Path(__file__).resolve().parents[1]
WALL_CLOCKS = {"monotonic", "perf_counter", "time"}


def upper_bounds(source: str) -> Iterator[int]:
    """Lines that assert that less than so much of a wall clock has passed, outside of tests that run alone."""
    tree = ast.parse(source)
    alone = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and _runs_alone(node)]
    excused = {id(inner) for function in alone for inner in ast.walk(function)}
    if any("alone" in ast.unparse(node) for node in tree.body if isinstance(node, ast.Assign)):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Assert) and id(node) not in excused:
            for compared in ast.walk(node.test):
                if isinstance(compared, ast.Compare) and _is_upper_bound(compared):
                    yield node.lineno


def _runs_alone(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    return any("alone" in ast.unparse(decorator) for decorator in function.decorator_list)


def _is_upper_bound(compared: ast.Compare) -> bool:
    left = compared.left
    for operator, right in zip(compared.ops, compared.comparators, strict=True):
        if (
            isinstance(operator, ast.Lt | ast.LtE)
            and isinstance(left, ast.BinOp)
            and isinstance(left.op, ast.Sub)
            and _reads_a_clock(left.left)
        ):
            return True
        left = right
    return False


def _reads_a_clock(node: ast.expr) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in WALL_CLOCKS


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("assert time.monotonic() - began < 1", True),
        ("assert 0.3 < time.perf_counter() - began <= 2, 'late'", True),
        ("assert time.monotonic() - began > 1", False),
        ("assert watch.took_s < 1", False),
    ],
)
def test_an_upper_bound_is_recognised(line: str, found: bool) -> None:
    function = f"def test_it():\n    {line}\n"
    assert bool(list(upper_bounds(function))) is found
    assert not list(upper_bounds("@pytest.mark.alone\n" + function))


def test_upper_bounds_are_a_stopwatchs_or_their_test_runs_alone() -> None:
    found = {
        f"{path.relative_to(TESTS)}:{line}" for path in TESTS.rglob("test_*.py") for line in upper_bounds(path.read_text(encoding="utf-8"))
    }
    assert not found, f"use tests.support.clock.Stopwatch().took_s: {sorted(found)}"


def test_a_stopwatch_leaves_out_what_other_programs_took() -> None:
    """More programs than any machine has cores, so that this one has to wait for its turn."""
    rivals = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(3 * len(os.sched_getaffinity(0)))]
    try:
        watch, turns = Stopwatch(), 0
        while watch.wall_s < 1.5:
            turns += 1
        took_s, wall_s = watch.took_s, watch.wall_s
    finally:
        for rival in rivals:
            rival.kill()
            rival.wait()
    assert took_s < 0.8 * wall_s
