"""Code run with its tests, in a bubblewrap without network, files, capabilities or secrets. Where bubblewrap is not, nothing is run.

Only what somebody brought with tests of their own for this purpose comes here: lines of an evaluation set, never an answer on its way to a
caller. That a run passed is told by a number that nobody knew before it: an early exit and a printed "passed" are no pass. Code made to
find that number could; this measures models, it judges no adversary.
"""

from __future__ import annotations

import contextlib
import os
import platform
import secrets
import select
import shutil
import subprocess
import sys
import time
from functools import cache
from pathlib import Path

import msgspec

from ._calls import no_processes

WAIT_S = 8.0
MEMORY = 512 << 20
SCRATCH = 16 << 20
_MOST_OUTPUT = 4096

# Runs inside. Its input: a line with the number, then the program. What the program writes goes nowhere.
_RUNNER = f"""
import os, resource, sys
for what, most in (("AS", {MEMORY}), ("CPU", {int(WAIT_S)}), ("FSIZE", {SCRATCH}), ("NOFILE", 64), ("CORE", 0)):
    resource.setrlimit(getattr(resource, "RLIMIT_" + what), (most, most))
def main():
    number, _, program = sys.stdin.read().partition("\\n")
    told = os.dup(1)
    empty = os.open("/dev/null", os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(empty, descriptor)
    try:
        exec(compile(program, "program", "exec"), {{"__name__": "__main__"}})
    except BaseException as error:
        os.write(told, ("failed " + type(error).__name__).encode())
    else:
        os.write(told, ("passed " + number).encode())
    os._exit(0)
main()
"""


class Ran(msgspec.Struct, frozen=True, kw_only=True):
    """``passed`` ``None``: it could not be run. ``reason``: in a word, of our own or the name of an exception."""

    passed: bool | None
    reason: str = ""


@cache
def works() -> bool:
    """Whether this machine lets us make such a place: bubblewrap is there, and user namespaces are."""
    return _bubblewrap() is not None and run("pass", "").passed is True


def run(code: str, tests: str) -> Ran:
    """Python. Blocks for :data:`WAIT_S` at most."""
    binary = _bubblewrap()
    if binary is None:
        return Ran(passed=None, reason="bubblewrap is not installed")
    filter_ = no_processes(platform.machine())
    if filter_ is None:
        return Ran(passed=None, reason="this kind of machine is not known")
    number = secrets.token_hex(16)
    program = f"{number}\n{code}\n\n{tests}\n".encode("utf-8", "replace")
    calls = os.memfd_create("calls", 0)
    try:
        os.write(calls, filter_)
        os.lseek(calls, 0, os.SEEK_SET)
        child = subprocess.Popen(  # noqa: S603  # the program is input, never a part of the line
            [binary, *_walls(), "--seccomp", str(calls), str(_python()), "-I", "-S", "-B", "-c", _RUNNER],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env={}, start_new_session=True, pass_fds=(calls,),
        )  # fmt: skip
    except OSError as error:
        return Ran(passed=None, reason=error.strerror or "bubblewrap did not start")
    finally:
        os.close(calls)
    with child:
        try:
            told = _talk(child, program)
        finally:
            child.kill()
    if told is None:
        return Ran(passed=False, reason="timeout")
    if told == f"passed {number}":
        return Ran(passed=True)
    if told.startswith("failed "):
        return Ran(passed=False, reason=told.removeprefix("failed ")[:60])
    # Nothing, or something that is not ours: it ended by itself, or was ended.
    return Ran(passed=False if child.returncode in (0, -9, 137, 1, 120) or told else None, reason="ended early")


def _talk(child: subprocess.Popen[bytes], program: bytes) -> str | None:
    """What the runner says; ``None``: it took too long."""
    assert child.stdin is not None
    assert child.stdout is not None
    until = time.monotonic() + WAIT_S
    with contextlib.suppress(BrokenPipeError):
        child.stdin.write(program)
        child.stdin.close()
    said = b""
    while len(said) < _MOST_OUTPUT:
        left = until - time.monotonic()
        if left <= 0 or not select.select([child.stdout], [], [], left)[0]:
            return None
        part = os.read(child.stdout.fileno(), _MOST_OUTPUT)
        if not part:
            break
        said += part
    return said.decode("utf-8", "replace")


@cache
def _bubblewrap() -> str | None:
    return shutil.which("bwrap") if sys.platform == "linux" else None


def _walls() -> list[str]:
    """Nothing is shared with the machine but what Python itself needs to start, read-only."""
    line = ["--unshare-all", "--die-with-parent", "--new-session", "--clearenv", "--cap-drop", "ALL", "--uid", "65534", "--gid", "65534"]
    line += ["--hostname", "nowhere", "--proc", "/proc", "--dev", "/dev", "--size", str(SCRATCH), "--tmpfs", "/tmp", "--chdir", "/tmp"]  # noqa: S108  # inside
    for folder in ("/usr/lib", "/usr/lib64", "/lib", "/lib64"):
        path = Path(folder)
        if path.is_symlink():
            line += ["--symlink", str(path.readlink()), folder]
        elif path.exists():
            line += ["--ro-bind", folder, folder]
    return [*line, "--ro-bind", sys.base_prefix, sys.base_prefix, "--remount-ro", "/"]


def _python() -> Path:
    """Python itself, not a virtual environment's link to it."""
    return Path(sys.executable).resolve()
