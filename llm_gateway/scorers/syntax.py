"""Whether the code can be read at all: by Python's own parser, by JSON's and TOML's, else by a grammar."""

from __future__ import annotations

import ast
import json
import textwrap
import tomllib
import warnings

from . import scorers
from ._base import Block, Cost, Facts, Finding, Kind, Probes, Scorer, Verdict

# Whether a prompt is part of the snippet.
_PROMPTS = (">>> ", "... ")
_HEADS = ("", "def _():\n", "class _:\n", "if 0:\n    pass\n", "try:\n    pass\n")


class Syntax:
    """The share of the code that parses; a block is tried as a module, then as the body of a function, a class, a statement."""

    name = "syntax"
    title = "Syntax"
    summary = "The code parses in the language it is in."
    version = 1
    kind: Kind = "syntax"
    cost: Cost = "worker"

    def applies(self, facts: Facts) -> bool:
        return bool(facts.blocks)

    def score(self, text: str, facts: Facts, probes: Probes) -> Verdict:
        findings: list[Finding] = []
        good = known = 0
        broken = False
        for index, block in enumerate(facts.blocks):
            size = max(len(block.code.strip()), 1)
            faults = _faults(block, probes.parsed[index] if index < len(probes.parsed) else None)
            if faults is None or not block.code.strip():
                continue
            known += size
            good += 0 if faults else size
            broken = broken or bool(faults)
            findings += [
                Finding(rule="syntax", severity="high", block=index + 1, line=line, message=message[:200]) for line, message in faults[:3]
            ]
        if not known:
            return Verdict()
        # One broken snippet among many is a part of the mean; where half of it cannot be read, none can be used.
        return Verdict(value=round(good / known, 4), findings=tuple(findings[:20]), caps=broken and good * 2 <= known)


def _faults(block: Block, parsed: tuple[tuple[int, str], ...] | None) -> list[tuple[int, str]] | None:
    """(line, message); empty: it parses; ``None``: unknown."""
    match block.language:
        case "python":
            return _python(block.code)
        case "json":
            return _loads(json.loads, block.code)
        case "toml":
            return _loads(tomllib.loads, block.code)
        case _:
            return None if parsed is None else list(parsed)


def _python(code: str) -> list[tuple[int, str]]:
    code = _without_prompts(code)
    first: tuple[int, str] | None = None
    for head in _HEADS:
        body = textwrap.dedent(code)
        source = head + textwrap.indent(body, "    ") if head.startswith(("def", "class")) else head + body
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # an invalid escape is a warning, and not ours
                ast.parse(source)
        except SyntaxError as error:
            first = first or (error.lineno or 1, str(error.msg))
        except (RecursionError, MemoryError):
            return [(1, "nested too deeply for a parser")]
        except ValueError as error:
            return [(1, str(error))]  # a NUL
        else:
            return []
    assert first is not None
    return [first]


def _without_prompts(code: str) -> str:
    """A session as it is typed; a docstring may hold one, too, and is left alone."""
    if not code.lstrip().startswith(">>> "):
        return code
    lines = code.splitlines()
    return "\n".join(line.lstrip()[4:] for line in lines if line.lstrip().startswith(_PROMPTS))


def _loads(read: object, text: str) -> list[tuple[int, str]]:
    assert callable(read)
    try:
        read(text)
    except json.JSONDecodeError as error:
        return [(error.lineno, error.msg)]
    except (ValueError, RecursionError, MemoryError) as error:
        return [(1, str(error) or type(error).__name__)]
    return []


syntax: Scorer = scorers.add("syntax", Syntax())
