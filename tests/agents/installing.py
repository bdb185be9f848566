"""Coding agents, installed by package name into a folder of their own (``COGO_AGENTS_DIR``, else a temporary one), and run there."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest

NPM = {
    "claude": "@anthropic-ai/claude-code",
    "codex": "@openai/codex",
    "gemini": "@google/gemini-cli",
    "opencode": "opencode-ai",
    "cline": "cline",
    "cn": "@continuedev/cli",
    "qwen": "@qwen-code/qwen-code",
    "pi": "@mariozechner/pi-coding-agent",
}
PYPI = {"aider": "aider-chat"}
LIMIT_S = 240


@dataclass
class Ran:
    code: int
    output: str


@dataclass
class Agent:
    """``home`` and ``work`` are empty folders: its settings, and the project it works on."""

    program: Path
    home: Path
    work: Path
    env: dict[str, str] = field(default_factory=dict)

    def run(self, *arguments: str, **env: str) -> Ran:
        """Nothing of this machine's environment but the path; nothing it may ask for at a terminal."""
        whole = {"PATH": os.environ["PATH"], "HOME": str(self.home), "TERM": "dumb", "CI": "1", "NO_COLOR": "1", **self.env, **env}
        done = subprocess.run(
            [str(self.program), *arguments], cwd=self.work, env=whole, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, timeout=LIMIT_S, check=False,
        )  # fmt: skip
        return Ran(done.returncode, done.stdout.decode("utf-8", "replace"))


def install(name: str, folder: Path) -> Path:
    """The program, installed if it is not there yet. Skips the test, saying why, where it cannot be."""
    place = folder / name
    program = place / ("bin" if name in PYPI else "node_modules/.bin") / name
    if program.exists():
        return program
    place.mkdir(parents=True, exist_ok=True)
    if name in PYPI:
        steps = [[sys.executable, "-m", "venv", str(place)], [str(place / "bin/pip"), "install", "-q", PYPI[name]]]
    else:
        if shutil.which("npm") is None:
            pytest.skip("npm is not installed")
        steps = [["npm", "install", "--prefix", str(place), "--no-audit", "--no-fund", "--loglevel=error", f"{NPM[name]}@latest"]]
    for step in steps:
        done = subprocess.run(step, cwd=place, capture_output=True, text=True, timeout=600, check=False)
        if done.returncode:
            pytest.skip(f"{name} cannot be installed here: {(done.stderr or done.stdout)[-300:]}")
    return program
