"""Which of the optional tools this installation has (``make install-quality``). Looks for them without importing them."""

from __future__ import annotations

import shutil
import sys
from functools import cache
from importlib.util import find_spec
from pathlib import Path


@cache
def present() -> frozenset[str]:
    """Of ``ruff``, ``tree-sitter`` and ``lizard``, those that are installed."""
    tools = {"tree-sitter": find_spec("tree_sitter") is not None, "lizard": find_spec("lizard") is not None, "ruff": bool(ruff_binary())}
    return frozenset(name for name, there in tools.items() if there)


@cache
def ruff_binary() -> str | None:
    """The path of ruff beside this Python, else on ``PATH``."""
    beside = Path(sys.executable).with_name("ruff")
    return str(beside) if beside.is_file() else shutil.which("ruff")
