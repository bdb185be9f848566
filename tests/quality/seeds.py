"""A right answer, and the same with one defect each. The names are those of the published table."""

from __future__ import annotations

import re
from typing import NamedTuple

BASE = '''import os


def total(path: str, limit: int = 10) -> int:
    """The sum of the first numbers in a file."""
    if not os.path.exists(path):
        return 0
    result = 0
    with open(path, encoding="utf-8") as lines:
        for number, line in enumerate(lines):
            if number >= limit:
                break
            result += int(line)
    return result
'''
LEFT_OUT = ("# ... rest of the code remains unchanged", "# your code here", "# TO" + "DO: implement this", "# existing code ...")


class Seeded(NamedTuple):
    text: str
    finish: str = "stop"


def answer(code: str, tag: str = "python", closed: bool = True) -> str:
    return f"Here it is.\n\n```{tag}\n{code}" + ("```\n\nCall it with a path.\n" if closed else "")


def seeded(code: str = BASE) -> dict[str, Seeded]:
    """``code`` is Python that defines a function."""
    return {
        "cut": Seeded(answer(code[: len(code) * 2 // 3], closed=False), "length"),
        "open fence": Seeded(answer(code, closed=False)),
        "placeholder": Seeded(answer(f"{code}\n{LEFT_OUT[len(code) % len(LEFT_OUT)]}\n")),
        "wrong language": Seeded(answer(code, tag="ruby")),
        "syntax": Seeded(answer(re.sub(r"^(def .*):[ \t]*$", r"\1", code, count=1, flags=re.MULTILINE))),
        "undefined name": Seeded(answer(f"{code}\nprint(no_such_name_{len(code)})\n")),
        "unused import": Seeded(answer(f"import shelve\n{code}")),
        "bare except": Seeded(answer(f"{code}\ntry:\n    print(1)\nexcept:\n    print(2)\n")),
        "eval": Seeded(answer(f"{code}\nprint(eval(input()))\n")),
        "shell": Seeded(answer(f"{code}\nimport subprocess\nsubprocess.run('ls ' + input(), shell=True, check=True)\n")),
    }
