"""Every process does this first: restrict its files to its own user, and raise its limit of file
descriptors."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path

try:
    import resource
except ImportError:  # Windows has neither
    resource = None  # type: ignore[assignment]

# Descriptors a process needs besides its connections: database, logs, static files, threads'
# sockets.
RESERVED = 100
# A call uses two: its caller's connection and the provider's.
OF_A_CALL = 2
LOW = 1024
# A higher limit has no benefit and slows programs that scan all descriptors.
ENOUGH = 1 << 20
# The files the gateway creates in its folder.
OURS = ("secrets", "spool", "run", "metrics", "db.sqlite3", "db.sqlite3-wal", "db.sqlite3-shm")


def take() -> None:
    os.umask(0o077)
    raise_descriptors()


def raise_descriptors() -> None:
    """Raise the soft limit, which shells keep low for old programs, to the hard one."""
    if resource is None:
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = ENOUGH if hard == resource.RLIM_INFINITY else min(hard, ENOUGH)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def descriptors() -> int:
    """How many descriptors this process may open."""
    if resource is None:
        return ENOUGH
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return ENOUGH if soft == resource.RLIM_INFINITY else int(soft)


def calls(wanted: int, available: int) -> int:
    """How many of the ``wanted`` calls at a time ``available`` descriptors carry."""
    return max(4, min(wanted, (available - min(RESERVED, available // 2)) // OF_A_CALL))


def connections(available: int, in_flight: int) -> int:
    """How many callers may be connected while ``in_flight`` calls have a provider's connection
    each."""
    return max(8, available - min(RESERVED, available // 2) - in_flight)


def close_folder(var: Path) -> None:
    """The folder itself, which closes all below it."""
    if var.is_dir() and _belongs_to_us_alone(var):
        _closed(var)


def close_to_others(var: Path, *apart: Path) -> list[Path]:
    """Take away what other users may do with ``var`` and all in it, and with the files ``apart``.
    Returns what could not be changed though others can read or write it. Links are not followed;
    the collected files of the console, which are public, are left out."""
    var.mkdir(parents=True, exist_ok=True, mode=0o700)
    whole = _belongs_to_us_alone(var)
    roots = [var] if whole else [var / name for name in OURS if (var / name).exists()]
    return [path for root in (*roots, *apart) for path in _all(root) if not _closed(path)]


def _belongs_to_us_alone(var: Path) -> bool:
    """A COGO_VAR_DIR that others use too (/tmp, a home, the checkout itself) keeps its mode; only
    our own things in it are closed."""
    checkout = Path(__file__).resolve().parent.parent
    shared = (Path(var.anchor), Path.home(), checkout, *checkout.parents)
    return var not in shared and not var.stat().st_mode & stat.S_ISVTX


def _all(root: Path) -> Iterator[Path]:
    yield root
    for folder, folders, files in os.walk(root):
        if Path(folder) == root and "static" in folders:
            folders.remove("static")
        yield from (Path(folder) / name for name in (*folders, *files))


def _closed(path: Path) -> bool:
    try:
        mode = path.lstat().st_mode
    except OSError:
        return True  # gone, or in a folder that is not ours to look into
    if stat.S_ISLNK(mode) or not mode & 0o077:
        return True
    try:
        path.chmod(stat.S_IMODE(mode) & 0o700)
    except OSError:
        return False
    return True
