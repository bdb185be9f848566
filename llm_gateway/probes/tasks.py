"""One answer to be looked at: which tools run on which block, and what the scorers make of it."""

from __future__ import annotations

import msgspec

from llm_gateway.scorers import Facts, Probes, Quality, judge, scorers

from . import functions, grammars, ruff, sandbox

# By one of Python's or the standard library's own parsers.
_OWN_PARSERS = frozenset({"python", "json", "toml"})


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """``using``: names of scorers. ``tests``: Python to run after the code, where ``execution`` is among them."""

    text: str
    facts: Facts
    using: tuple[str, ...]
    tests: str | None = None


def run(task: Task) -> Quality:
    """Runs tools and scorers here and now: call it in a process that may end."""
    return judge(task.text, task.facts, probed(task), [scorers.get(name) for name in task.using])


def probed(task: Task) -> Probes:
    using, blocks = frozenset(task.using), task.facts.blocks
    syntax, linted, measured = "syntax" in using, bool(using & {"lint", "security"}), "complexity" in using
    ran = sandbox.Ran(passed=None)
    if "execution" in using and task.tests is not None:
        ran = sandbox.run("\n\n".join(block.code for block in blocks if block.language == "python"), task.tests)
    return Probes(
        passed=ran.passed,
        ended_by=ran.reason,
        parsed=tuple(
            grammars.parse(block.language, block.tag, block.code) if syntax and block.language not in _OWN_PARSERS else None
            for block in blocks
        ),
        linted=tuple(
            ruff.lint(block.code, number) if linted and block.language == "python" else None for number, block in enumerate(blocks, 1)
        ),
        measured=tuple(functions.measure(block.language, block.code) if measured else None for block in blocks),
    )
