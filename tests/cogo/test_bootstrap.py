"""What runs before anything is installed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from cogo import bootstrap

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """An empty checkout whose environment exists and whose pip is a script that notes its arguments."""
    bin_folder = tmp_path / ".venv" / "bin"
    bin_folder.mkdir(parents=True)
    (tmp_path / "requirements").mkdir()
    (tmp_path / "requirements" / "base.lock").write_text("one==1.0 \\\n    --hash=sha256:0\ntwo==2.0 \\\n    --hash=sha256:1\n")
    python = bin_folder / "python"
    python.write_text(
        '#!/bin/sh\necho "$@" >> ' + f"{tmp_path}/calls\n" + f'cat "{tmp_path}/pip-says" 2>/dev/null\nexit $(cat "{tmp_path}/pip-code")\n'
    )
    python.chmod(0o755)
    (bin_folder / "pip").touch()
    (tmp_path / "pip-code").write_text("0")
    monkeypatch.setattr(bootstrap, "ROOT", tmp_path)
    monkeypatch.setattr(bootstrap, "VENV", tmp_path / ".venv")
    monkeypatch.setattr(bootstrap, "PYTHON", python)
    return tmp_path


def test_a_lock_is_installed_once_by_hash_and_without_building_anything(checkout, capsys):
    bootstrap.install("base")
    bootstrap.install("base")
    calls = (checkout / "calls").read_text().splitlines()
    assert len(calls) == 1
    assert "--require-hashes" in calls[0]
    assert "--only-binary :all:" in calls[0]
    assert "2 packages" in capsys.readouterr().out


def test_a_changed_lock_is_installed_again(checkout):
    bootstrap.install("base")
    (checkout / "requirements" / "base.lock").write_text("one==1.1\n")
    bootstrap.install("base")
    assert len((checkout / "calls").read_text().splitlines()) == 2


def test_a_failed_installation_says_pip_s_reason_in_one_line_and_is_tried_again(checkout):
    (checkout / "pip-code").write_text("1")
    (checkout / "pip-says").write_text("Collecting one\nERROR: Could not find a version that satisfies the requirement one==1.0\n")
    for _ in range(2):
        with pytest.raises(SystemExit, match="Could not find a version"):
            bootstrap.install("base")
    assert len((checkout / "calls").read_text().splitlines()) == 2


def test_an_optional_lock_without_a_wheel_is_one_line_and_not_tried_again(checkout, capsys):
    (checkout / "pip-code").write_text("1")
    (checkout / "pip-says").write_text("ERROR: No matching distribution found for one==1.0\n")
    bootstrap.install("base", optional="the simulator will answer instead")
    bootstrap.install("base", optional="the simulator will answer instead")
    assert capsys.readouterr().out.count("the simulator will answer instead") == 1
    assert len((checkout / "calls").read_text().splitlines()) == 1


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", False),
        ("OPENAI_API_KEY=\n", False),
        ("#OPENAI_API_KEY=abc\n", False),
        ("OPENAI_API_KEY=abc", True),
        ("export GEMINI_API_KEY_FILE='/run/key'", True),
    ],
)
def test_a_provider_key_in_the_env_file_is_seen(tmp_path, monkeypatch, text, found):
    (tmp_path / ".env").write_text(text)
    monkeypatch.setenv("COGO_ENV_FILE", str(tmp_path / ".env"))
    assert bootstrap.has_provider_key() is found


def test_the_demonstration_sees_neither_keys_nor_the_database_of_an_installation(tmp_path, monkeypatch):
    monkeypatch.setattr(bootstrap, "ROOT", tmp_path)
    monkeypatch.setenv("OPENAI_API_KEY", "a-real-one")
    for name in ("COGO_VAR_DIR", "COGO_ENV_FILE", "DATABASE_URL", "REDIS_URL", "DJANGO_SETTINGS_MODULE"):
        monkeypatch.setenv(name, "the installation's")
    bootstrap.isolate_demo()
    import os

    assert "OPENAI_API_KEY" not in os.environ
    assert "REDIS_URL" not in os.environ
    assert os.environ["COGO_VAR_DIR"] == str(tmp_path / "var" / "demo")
    assert os.environ["DATABASE_URL"] == f"sqlite:///{tmp_path / 'var' / 'demo' / 'db.sqlite3'}"


def test_it_imports_nothing_but_the_standard_library():
    code = "import sys, runpy; sys.argv = ['bootstrap.py']; runpy.run_path('cogo/bootstrap.py', run_name='x')"
    subprocess.run([sys.executable, "-S", "-I", "-c", code], cwd=ROOT, check=True, timeout=30)
