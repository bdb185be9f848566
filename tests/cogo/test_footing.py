"""What every process does first: nothing for other users, all the descriptors there are."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from cogo import footing

ROOT = Path(__file__).resolve().parents[2]


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def open_to_others(var: Path) -> None:
    for name in ("secrets", "spool", "run", "metrics", "static"):
        (var / name).mkdir(parents=True)
        (var / name).chmod(0o755)
        (var / name / "file").write_text("text")
        (var / name / "file").chmod(0o644)
    for name in ("db.sqlite3", "db.sqlite3-wal", "notes.log"):
        (var / name).write_text("rows")
        (var / name).chmod(0o664)
    var.chmod(0o755)


def test_what_others_could_read_is_closed_to_them_but_the_files_the_console_serves(tmp_path):
    var = tmp_path / "var"
    open_to_others(var)
    script = var / "spool" / "script"
    script.write_text("")
    script.chmod(0o755)
    assert footing.close_to_others(var) == []
    assert mode(var) == 0o700
    for path in var.rglob("*"):
        if "static" not in path.parts:
            assert mode(path) & 0o077 == 0, path
    assert mode(script) == 0o700
    assert mode(var / "db.sqlite3") == 0o600
    assert mode(var / "static" / "file") == 0o644


def test_a_database_elsewhere_is_closed_and_its_folder_left(tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    elsewhere.chmod(0o755)
    (elsewhere / "db.sqlite3").write_text("")
    (elsewhere / "db.sqlite3").chmod(0o644)
    (elsewhere / "others").write_text("")
    (elsewhere / "others").chmod(0o644)
    footing.close_to_others(tmp_path / "var", elsewhere / "db.sqlite3")
    assert mode(elsewhere / "db.sqlite3") == 0o600
    assert (mode(elsewhere), mode(elsewhere / "others")) == (0o755, 0o644)


def test_links_are_not_followed(tmp_path):
    outside = tmp_path / "outside"
    outside.write_text("")
    outside.chmod(0o644)
    (tmp_path / "var").mkdir()
    (tmp_path / "var" / "link").symlink_to(outside)
    assert footing.close_to_others(tmp_path / "var") == []
    assert mode(outside) == 0o644


def test_a_folder_that_others_use_too_keeps_its_mode_and_ours_in_it_is_closed(tmp_path):
    shared = tmp_path / "shared"
    open_to_others(shared)
    shared.chmod(0o1777)
    footing.close_folder(shared)
    footing.close_to_others(shared)
    assert shared.stat().st_mode & 0o7777 == 0o1777
    assert mode(shared / "notes.log") == 0o664
    assert mode(shared / "db.sqlite3") == 0o600
    assert mode(shared / "secrets") == 0o700


@pytest.mark.slow
def test_every_way_of_starting_closes_what_it_makes(tmp_path):
    """The umask of a process that only loads the settings, of the command line, and of a tethered program."""
    show = "import os; print(oct(os.umask(0)))"
    program = tmp_path / "program.py"
    program.write_text(show)
    ways = {
        "settings": [sys.executable, "-c", f"import cogo.settings; {show}"],
        "asgi": [sys.executable, "-c", f"import cogo.asgi; {show}"],
        "tether": [sys.executable, "-m", "cogo.tether", str(os.getpid()), str(program)],
        "manage": [sys.executable, "manage.py", "shell", "--no-imports", "-c", show],
    }
    environment = {**os.environ, "COGO_VAR_DIR": str(tmp_path / "var")}
    subprocess.run([sys.executable, "-c", "import manage; from cogo import local_secrets; from pathlib import Path; "
                    "local_secrets.prepare(Path('.'))"], cwd=ROOT, env=environment, check=True, umask=0o022)  # fmt: skip
    for name, command in ways.items():
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True, timeout=60, umask=0o022)
        assert done.stdout.split()[-1] == "0o77", name
    assert mode(tmp_path / "var") == 0o700


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such limits")
def test_the_soft_limit_becomes_the_hard_one_and_sizes_follow(tmp_path):
    show = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_NOFILE, (64, int(sys.argv[1]))); from cogo import settings; "
        "print(resource.getrlimit(resource.RLIMIT_NOFILE)[0], settings.COGO['max_in_flight'], settings.COGO['max_connections'])"
    )

    def found(hard: int) -> list[int]:
        done = subprocess.run([sys.executable, "-c", show, str(hard)], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60)
        return [int(word) for word in done.stdout.split()]

    assert found(200) == [200, 50, 50]
    assert found(4000) == [4000, 512, 3388]


@pytest.mark.parametrize(
    ("wanted", "available", "carried"), [(512, 1 << 20, 512), (512, 1024, 462), (512, 64, 16), (512, 8, 4), (2, 1024, 4)]
)
def test_calls_and_connections_fit_into_the_descriptors(wanted, available, carried):
    calls = footing.calls(wanted, available)
    assert calls == carried
    if available >= 64:
        assert footing.connections(available, calls) + calls < available
