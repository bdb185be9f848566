"""What is wrong with this installation, in sentences that say what to do.

An examination is a function in a module of this package, registered with :data:`examinations`; it yields :class:`Diagnosis` values and
only reads. One that cannot be carried out becomes a diagnosis itself, so that a broken part hides nothing about the others.
"""

from __future__ import annotations

import importlib
import logging
import pkgutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum

log = logging.getLogger("cogo.doctor")


class Grade(StrEnum):
    """``PROBLEM``: requests fail, money or access is at risk. ``NOTICE``: it works, and an operator should know."""

    PROBLEM = "PROBLEM"
    NOTICE = "notice"
    FINE = "ok"


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """``finding``: one sentence. ``cure``: what to do, empty where there is nothing to do."""

    grade: Grade
    finding: str
    cure: str = ""


Examination = Callable[[], Iterator[Diagnosis]]


def problem(finding: str, cure: str) -> Diagnosis:
    return Diagnosis(grade=Grade.PROBLEM, finding=finding, cure=cure)


def notice(finding: str, cure: str = "") -> Diagnosis:
    return Diagnosis(grade=Grade.NOTICE, finding=finding, cure=cure)


def fine(finding: str) -> Diagnosis:
    return Diagnosis(grade=Grade.FINE, finding=finding)


def count(number: int, noun: str) -> str:
    """ "1 key", "3 keys"."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


class Examinations:
    """In the order of their modules' names, then as registered."""

    def __init__(self) -> None:
        self._all: list[tuple[str, bool, Examination]] = []

    def __call__(self, title: str, *, decisive: bool = False) -> Callable[[Examination], Examination]:
        """Decorates an examination. ``title``: what is looked at, as a heading. ``decisive``: after a problem here the others that
        follow could only fail as well."""

        def register(examination: Examination) -> Examination:
            self._all.append((title, decisive, examination))
            return examination

        return register

    def __iter__(self) -> Iterator[tuple[str, bool, Examination]]:
        for module in pkgutil.iter_modules(__path__):
            importlib.import_module(f"{__name__}.{module.name}")
        return iter(self._all)


examinations = Examinations()


def diagnose() -> Iterator[tuple[str, list[Diagnosis]]]:
    """(title, diagnoses) of each examination as it ends."""
    for title, decisive, examination in examinations:
        try:
            diagnoses = list(examination())
        except Exception as error:
            log.debug("an examination failed", exc_info=True)
            line = str(error).strip().partition("\n")[0][:200]
            diagnoses = [problem(f"This could not be examined ({type(error).__name__}: {line}).", "See the server's log.")]
        yield title, diagnoses
        if decisive and any(one.grade is Grade.PROBLEM for one in diagnoses):
            yield "Everything else", [notice("It was not examined, because it needs the database.")]
            return
