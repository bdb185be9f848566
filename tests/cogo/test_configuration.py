"""docs/configuration.md names every variable the gateway reads, and no other; so does .env.example."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cogo.test_one_line_errors import serve

ROOT = Path(__file__).resolve().parents[2]


def read_by_the_code() -> set[str]:
    settings = (ROOT / "cogo" / "settings.py").read_text()
    names = set(re.findall(r'(?:env\.\w+|_flag|_number|_secret|environ\.get)\(\s*"([A-Z][A-Z_]+)"', settings))
    block = re.search(r"COGO_ENVIRONMENT = \{(.*?)\n\}", settings, re.DOTALL)
    assert block
    return names | set(re.findall(r'"([A-Z][A-Z_]+)"', block[1]))


def test_the_configuration_page_names_every_variable_and_no_other():
    page = (ROOT / "docs" / "configuration.md").read_text()
    documented = {
        name for line in page.splitlines() if line.startswith("| `") for name in re.findall(r"`([A-Z][A-Z_]+)`", line.split("|")[1])
    }
    assert documented == read_by_the_code()


def test_the_example_names_only_variables_that_exist_and_sets_none():
    lines = (ROOT / ".env.example").read_text().splitlines()
    assert all(line.startswith("#") or not line for line in lines)
    assert {name for line in lines for name in re.findall(r"^#([A-Z_]+)=", line)} <= read_by_the_code()


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"SECRET_KEY": "x" * 60}, "SECRET_KEY is too easy to guess"),
        ({"COGO_HTTPS": "true", "DEBUG": "true"}, "unset DEBUG"),
        ({"COGO_HTTPS": "true", "ALLOWED_HOSTS": "*"}, "list the host names"),
        ({"COGO_LOG_LEVEL": "loud"}, "COGO_LOG_LEVEL must be"),
        ({"COGO_UNPRICED": "free"}, "COGO_UNPRICED must be block or ceiling"),
    ],
)
def test_an_unsafe_or_meaningless_setting_stops_the_start(tmp_path, environment, said):
    assert said in serve(tmp_path, **environment)


def test_secrets_are_made_in_the_folder_that_the_env_file_names(tmp_path):
    (tmp_path / ".env").write_text(f"# a comment = nothing\nexport COGO_VAR_DIR='{tmp_path / 'elsewhere'}'\nSECRET_KEY_FILE=/nowhere\n")
    code = "from pathlib import Path; from cogo import local_secrets; local_secrets.prepare(Path('.'))"
    environment = {"COGO_ENV_FILE": str(tmp_path / ".env"), "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, check=True, timeout=30)
    made = {file.name: file.stat().st_mode & 0o777 for file in (tmp_path / "elsewhere" / "secrets").iterdir()}
    assert made == {"cogo_encryption_keys": 0o600, "cogo_key_pepper": 0o600, "cogo_metrics_token": 0o600}
