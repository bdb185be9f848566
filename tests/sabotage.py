"""One wrong line for each proof: with it, the named tests have to fail (reliability.md D).

``python -m tests.sabotage [NAME …]`` applies each to a copy of the tree and runs its tests there; the tree itself is never touched.
"""

from __future__ import annotations

import importlib
import pkgutil
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import tests

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Sabotage:
    """In ``path`` the text ``right`` becomes ``wrong``; then ``tests`` (pytest's arguments) must fail."""

    name: str
    path: str
    right: str
    wrong: str
    tests: tuple[str, ...]


_IDEMPOTENCY = "tests/api/test_idempotency.py"
_STRATEGIES = "tests/strategies/test_through_the_gateway.py"

SABOTAGES = (
    Sabotage(
        "a successor answers in silence",
        "llm_gateway/engine/resolve.py",
        "stands_in_for=gone,",
        "stands_in_for=None,",
        ("tests/clients/test_stand_ins.py", "-k", "original_name_answers"),
    ),
    Sabotage(
        "arguments in the done event are lost",
        "llm_gateway/wires/openai_responses/response_in.py",
        "return self.arguments(key, self._item(key, kind, None).rest(ARGUMENTS, whole), kind)",
        "return []",
        ("tests/wires/test_openai_responses_sources.py", "-k", "one_source_leaves_out"),
    ),
    Sabotage(
        "text behind a stop sequence goes on",
        "llm_gateway/wires/_stop_cut.py",
        "            self._ended[event.choice] = found[1]",
        "            pass",
        ("tests/wires/test_stop_cut.py", "-k", "cut_at_the_first"),
    ),
    Sabotage(
        "an unpriced model is offered",
        "llm_gateway/engine/resolve.py",
        "    return priced and any(",
        "    return any(",
        ("tests/clients/test_model_lists.py", "-k", "only_names"),
    ),
    # T15
    Sabotage(
        "twins are both sent",
        "llm_gateway/policies/idempotency.py",
        '        return "in_flight"',
        '        return "take"',
        (_IDEMPOTENCY, "-k", "twenty_twins or twin_of_a_running"),
    ),
    Sabotage(
        "a failure is not stored",
        "llm_gateway/policies/idempotency.py",
        "return status < 400 or (sent and not retryable)",
        "return status < 400",
        (_IDEMPOTENCY, "-k", "failure_of_execution"),
    ),
    Sabotage(
        "a crash is forgotten",
        "llm_gateway/policies/idempotency.py",
        'return "take" if again or never_sent else "unknown"',
        'return "take"',
        (_IDEMPOTENCY, "-k", "after_a_crash"),
    ),
    Sabotage(
        "another body is not looked at",
        "llm_gateway/policies/idempotency.py",
        "    if known.body_hash != body_hash:",
        "    if False:",
        (_IDEMPOTENCY, "-k", "another_body"),
    ),
    Sabotage(
        "keys of callers are one",
        "llm_gateway/stores/idempotency.py",
        '{identity.team_id}\\0{who}\\0{wanted.key}").hex()',
        '{wanted.key}").hex()',
        (_IDEMPOTENCY, "-k", "another_tenant"),
    ),
    Sabotage(
        "whoever leaves ends the execution",
        "llm_gateway/api/detached.py",
        "            self._detached.left(self._task)",
        "            self._task.cancel()",
        ("tests/api/test_callers_who_left.py", "-k", "finished_and_its_answer_kept"),
    ),
    Sabotage(
        "executions without callers have no bound",
        "llm_gateway/engine/tasks.py",
        "        if len(self._alone) >= self._most:",
        "        if False:",
        ("tests/api/test_detached.py", "-k", "broken_off"),
    ),
    Sabotage(
        "what was broken off is sent again",
        "llm_gateway/stores/idempotency.py",
        "        sent = original in ENDED and ",
        "        sent = False and ",
        ("tests/api/test_callers_who_left.py", "-k", "without_a_place"),
    ),
    Sabotage(
        "a stream is not remembered",
        "llm_gateway/api/idempotent.py",
        "                parts.append(chunk)",
        "            pass",
        (_IDEMPOTENCY, "-k", "duplicate_gets and stream"),
    ),
    # Fallback by strategy
    Sabotage(
        "a long prompt goes anywhere",
        "llm_gateway/policies/retry.py",
        '    _F.CONTEXT_LENGTH: "larger_window",',
        "",
        (_STRATEGIES, "-k", "larger_window"),
    ),
    Sabotage(
        "a content filter is always gone round",
        "llm_gateway/policies/retry.py",
        "if kind is _F.CONTENT_FILTER and not content_policy_fallback:",
        "if False:",
        (_STRATEGIES, "-k", "content_filter_ends"),
    ),
    Sabotage(
        "nothing is explored",
        "llm_gateway/strategies/performance_based.py",
        "    if len(order) < 2 or exploration <= 0:",
        "    if True:",
        (_STRATEGIES, "-k", "recovered"),
    ),
    Sabotage(
        "explain takes the probe's place",
        "llm_gateway/engine/explain.py",
        "health.look(target)",
        "health.admit(target)",
        ("tests/api/test_explain.py", "-k", "takes_no_probe"),
    ),
    Sabotage(
        "the snapshot is never refreshed",
        "llm_gateway/wiring.py",
        "            await self._threaded(self._refresh)\n            if ended",
        "            if ended",
        ("tests/strategies/test_switching.py", "-k", "every_worker"),
    ),
)


def _rooms() -> Iterator[tuple[str, ...]]:
    """``tests/sabotage_NAME.py`` holds the wrong lines of a room in a tuple called ``NAME``."""
    for module in sorted(pkgutil.iter_modules(tests.__path__), key=lambda one: one.name):
        if module.name.startswith("sabotage_"):
            name = module.name.removeprefix("sabotage_").upper()
            yield from getattr(importlib.import_module(f"tests.{module.name}"), name)


SABOTAGES += tuple(Sabotage(*fields) for fields in _rooms())


def survives(one: Sabotage) -> bool:
    """Whether the tests pass in spite of it. Raises ValueError when the right line is not there exactly once."""
    with tempfile.TemporaryDirectory(prefix="cogo-sabotage-") as folder:
        tree = Path(folder) / "tree"
        # With its compiled modules: nearly all of them are still right.
        shutil.copytree(ROOT, tree, ignore=shutil.ignore_patterns(".git", ".venv", "var", ".*_cache"))
        file = tree / one.path
        text = file.read_text(encoding="utf-8")
        if text.count(one.right) != 1:
            raise ValueError(f"{one.name}: the line to change is {text.count(one.right)} times in {one.path}")
        file.write_text(text.replace(one.right, one.wrong), encoding="utf-8")
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *one.tests],
            cwd=tree, capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode not in (0, 1):
            raise ValueError(f"{one.name}: pytest ended with {done.returncode}\n{done.stdout[-2000:]}")
        return done.returncode == 0


def main(names: list[str]) -> int:
    survivors = []
    for one in SABOTAGES:
        if names and one.name not in names:
            continue
        try:
            verdict = "SURVIVED" if survives(one) else "caught"
        except ValueError as error:
            verdict = str(error)
        sys.stdout.write(f"{one.name}: {verdict}\n")
        sys.stdout.flush()
        if verdict != "caught":
            survivors.append(one.name)
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
