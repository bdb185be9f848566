"""``manage.py score_set FILE``: score an evaluation set, line by line."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
from django.core.management.base import CommandError
from typing_extensions import override

from llm_gateway.probes import Bench, BenchFailed, Task, sandbox
from llm_gateway.scorers import LONGEST, facts_of

from ._base import Command as Base

# A run of tests may take eight seconds; the other tools and a start come on top.
WAIT_S = 20.0
SCORERS = ("structure", "syntax", "lint", "security", "complexity")


class Line(msgspec.Struct, forbid_unknown_fields=True):
    """``code`` is one snippet, ``content`` prose with fences; ``tests``: Python that fails where the code is wrong."""

    id: str = ""
    code: str | None = None
    content: str | None = None
    language: str = "python"
    tests: str | None = None


class Command(Base):
    recorded = ""
    help = "Score each line of a JSONL file: {id, code | content, language, tests}. Writes {id, score, scorers} per line. Nothing is kept."

    @override
    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("file", type=Path)
        parser.add_argument("--run-tests", action="store_true", help="run the code with its tests, in bubblewrap")

    @override
    def run(self, **options: Any) -> None:
        if options["run_tests"] and not sandbox.works():
            raise CommandError("Nothing is run: bubblewrap is not installed, or this user may not make user namespaces (docs/quality.md)")
        using = (*SCORERS, "execution") if options["run_tests"] else SCORERS
        bench = Bench(wait_s=WAIT_S)
        try:
            for number, line in enumerate(_lines(options["file"]), 1):
                self.say(_scored(bench, line, line.id or str(number), using))
        finally:
            bench.close()


def _scored(bench: Bench, line: Line, name: str, using: tuple[str, ...]) -> str:
    text = line.code if line.code is not None else line.content or ""
    facts = facts_of(text, bare=line.code is not None, asked=line.language)
    try:
        made = bench.score(Task(text=text, facts=facts, using=using, tests=line.tests))
    except BenchFailed as error:
        return msgspec.json.encode({"id": name, "score": None, "error": str(error)}).decode()
    return msgspec.json.encode({"id": name, "score": made.score, "scorers": made.scorers}).decode()


def _lines(file: Path) -> Iterator[Line]:
    decoder = msgspec.json.Decoder(Line)
    try:
        with file.open("rb") as lines:
            for number, raw in enumerate(lines, 1):
                if not raw.strip():
                    continue
                try:
                    line = decoder.decode(raw)
                except (msgspec.DecodeError, UnicodeDecodeError) as error:
                    raise CommandError(f"Line {number} of {file}: {error}") from None
                if (line.code is None) == (line.content is None) or len(raw) > LONGEST:
                    raise CommandError(f"Line {number} of {file}: give either code or content, at most {LONGEST >> 20} MB")
                yield line
    except OSError as error:
        raise CommandError(f"{file}: {error.strerror}") from None
