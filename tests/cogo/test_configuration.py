"""docs/configuration.md names every variable the gateway reads, and no other; so does .env.example."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from cogo import bootstrap
from cogo.databases import DatabaseTrouble, from_url
from llm_gateway.providers import services
from tests.cogo.test_one_line_errors import serve

ROOT = Path(__file__).resolve().parents[2]


def read_by_the_code() -> set[str]:
    settings = (ROOT / "cogo" / "settings.py").read_text()
    outgoing = (ROOT / "cogo" / "outgoing.py").read_text()
    ways_in = (ROOT / "cogo" / "sign_on.py").read_text()
    names = set(re.findall(r'"((?:COGO|REQUESTS|SSL|HTTPS?|ALL|NO)_[A-Z_]+)"', outgoing)) | set(
        re.findall(r'(?:env\.\w+|_flag|_number|_secret|environ\.get)\(\s*"([A-Z][A-Z_]+)"', settings)
    )
    names |= set(re.findall(r'(?:env\.\w+|flag|number)\("(COGO_[A-Z_]+)"', ways_in))
    return names | of_providers()


def of_providers() -> set[str]:
    return {name for _, service in services.items() for name in (*service.facts.key_env, *service.facts.model_env)}


def test_the_configuration_page_names_every_variable_and_no_other():
    page = (ROOT / "docs" / "configuration.md").read_text()
    documented = {
        name for line in page.splitlines() if line.startswith("| `") for name in re.findall(r"`([A-Z][A-Z_]+)`", line.split("|")[1])
    }
    on_own_pages = {
        name for file in (ROOT / "docs" / "providers").glob("*.md") for name in re.findall(r"`([A-Z][A-Z_]+)`", file.read_text())
    }
    assert documented | (on_own_pages & of_providers()) == read_by_the_code()


def test_the_first_start_knows_the_variables_of_provider_keys_before_anything_is_installed():
    assert set(bootstrap.provider_keys()) == {name for _, service in services.items() for name in service.facts.key_env}


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
        ({"COGO_UNPRICED_CEILING_USD": "NaN"}, "COGO_UNPRICED_CEILING_USD must be an amount"),
        ({"COGO_ALERT_WEBHOOK_URL": "hooks.example.com/x"}, "COGO_ALERT_WEBHOOK_URL must be an address"),
        ({"COGO_ALERT_WEBHOOK_URL": "http://hooks.example.com/x"}, "COGO_ALERT_WEBHOOK_URL must be an address"),
        ({"COGO_ALERT_EMAIL": "ops@example.com, finance"}, "'finance', which is no e-mail address"),
        ({"COGO_EMAIL_URL": "smtp://"}, "COGO_EMAIL_URL names no host"),
        ({"SECRET_KEY_FALLBACKS": f"{'Zq8' * 3},django-insecure-{'x' * 40}"}, "SECRET_KEY_FALLBACKS holds a key"),
        ({"DEBUG": "true", "COGO_TRUST_PROXY": "true"}, "COGO_TRUST_PROXY says that others come"),
        ({"DEBUG": "true", "COGO_TRUSTED_PROXIES": "10.0.0.7"}, "COGO_TRUSTED_PROXIES says that others come"),
        ({"DEBUG": "true", "CSRF_TRUSTED_ORIGINS": "https://gw.example.com"}, "CSRF_TRUSTED_ORIGINS says that others come"),
        ({"ALLOWED_HOSTS": "(a.example.com,b.example.com)"}, "which matches nothing"),
    ],
)
def test_an_unsafe_or_meaningless_setting_stops_the_start(tmp_path, environment, said):
    assert said in serve(tmp_path, **environment)


POSTGRES = {"POSTGRES_HOST": "db.example", "POSTGRES_USER": "us/er", "POSTGRES_DB": "ledger", "POSTGRES_PORT": "5433"}
PASSWORDS = ["a/b+c=", "p@ss:w%rd", "#$?&%2F", "$ecret", "with blank", "'quoted\"", "täglich"]


@pytest.mark.parametrize("password", PASSWORDS)
def test_a_password_of_separate_variables_is_what_was_written(tmp_path, password):
    pytest.importorskip("psycopg_pool")
    show = "import json; from cogo import settings; print(json.dumps(settings.DATABASES['default'], default=str))"
    (tmp_path / "password").write_text(f"{password}\n")
    base = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
    for one in ({"POSTGRES_PASSWORD": password}, {"POSTGRES_PASSWORD_FILE": str(tmp_path / "password")}):
        done = subprocess.run(
            [sys.executable, "-c", show], cwd=ROOT, env={**base, **POSTGRES, **one}, capture_output=True, text=True, check=True, timeout=60
        )
        found = json.loads(done.stdout)
        assert found["PASSWORD"] == password
        assert (found["HOST"], found["PORT"], found["USER"], found["NAME"]) == ("db.example", 5433, "us/er", "ledger")


@pytest.mark.parametrize("password", ["a/b", "12#b", "a?b", "a%zz", "ab#c@d", "x/y@z", "[a]"])
def test_a_password_that_has_to_be_encoded_is_told_how(password):
    with pytest.raises(DatabaseTrouble, match="percent-encode") as raised:
        from_url(f"postgres://cogo:{password}@database:5432/cogo")
    assert password not in str(raised.value)


@pytest.mark.parametrize(
    ("written", "password"), [("a%2Fb", "a/b"), ("p@ss", "p@ss"), ("a:b", "a:b"), ("a+b=", "a+b="), ("$x", "$x"), ("%24x", "$x")]
)
def test_a_url_that_is_encoded_where_it_must_be_is_read(written, password):
    found = from_url(f"postgres://cogo:{written}@database:5433/cogo")
    assert (found["PASSWORD"], found["HOST"], found["PORT"], found["USER"]) == (password, "database", 5433, "cogo")


@pytest.mark.parametrize("hosts", ["db1.example,db2.example", "db1.example:5432,db2.example:5433", "db1.example:5432,[::1]:5433"])
def test_a_url_may_name_several_servers_of_which_one_is_the_primary(hosts):
    found = from_url(f"postgres://us%2Fer:p@{hosts}/ledger?target_session_attrs=read-write")
    assert len(found["HOST"].split(",")) == 2
    assert found["OPTIONS"]["target_session_attrs"] == "read-write"
    with pytest.raises(DatabaseTrouble, match="percent-encode"):
        from_url(f"postgres://user:p/w@{hosts}/ledger")


WRITTEN = {
    "ALLOWED_HOSTS": "[Gw.example.com:8443, ::1]", "CSRF_TRUSTED_ORIGINS": "https://GW.example.com:443/", "COGO_UNPRICED": "'Ceiling'",
    "COGO_TRUSTED_PROXIES": "10.0.0.0/8;192.0.2.7", "COGO_ALERT_EMAIL": "a@example.com; b@example.com", "OPENAI_API_KEY": '"quoted"',
}  # fmt: skip


def test_values_mean_what_was_written(tmp_path):
    """docker hands quotes of an env file over as they stand; lists come in every form."""
    show = (
        "import json; from cogo import settings as s; print(json.dumps([s.ALLOWED_HOSTS, s.CSRF_TRUSTED_ORIGINS, s.COGO['unpriced'], "
        "s.COGO['trusted_proxies'], s.COGO['alert_email'], s.COGO_ENVIRONMENT]))"
    )
    base = {name: value for name, value in os.environ.items() if not name.endswith("_API_KEY")}
    environment = {**base, **WRITTEN, "COGO_VAR_DIR": str(tmp_path)}
    run = [sys.executable, "manage.py", "shell", "--no-imports", "-c", show]
    done = subprocess.run(run, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert json.loads(done.stdout.splitlines()[-1]) == [
        ["gw.example.com", "[::1]"], ["https://gw.example.com"], "ceiling", ["10.0.0.0/8", "192.0.2.7/32"],
        "a@example.com, b@example.com", {"OPENAI_API_KEY": "quoted"},
    ], done.stderr  # fmt: skip


def test_two_databases_contradict_each_other(tmp_path):
    assert "DATABASE_URL and POSTGRES_HOST both name a database" in serve(tmp_path, DATABASE_URL="sqlite:///x.sqlite3", **POSTGRES)


def test_compose_hands_over_what_an_operator_sets_and_each_secret_as_a_file_too():
    text = (ROOT / "deploy" / "compose.yaml").read_text()
    handed = set(re.findall(r"^      ([A-Z][A-Z_]+): \$\{\1", text, re.MULTILINE))
    secrets = {"SECRET_KEY", "COGO_ENCRYPTION_KEYS", "COGO_KEY_PEPPER", "DJANGO_SUPERUSER_PASSWORD", "COGO_METRICS_TOKEN", "COGO_EMAIL_URL"}
    secrets |= {f"{name}_API_KEY" for name in ("FIREWORKS", "ANTHROPIC", "OPENAI", "GEMINI")} | {"COGO_ALERT_WEBHOOK_SECRET"}
    assert secrets | {f"{name}_FILE" for name in secrets} <= handed
    assert {name.removesuffix("_FILE") for name in handed} <= read_by_the_code()
    assert "requirepass" in text
    assert "postgres://" not in text


def test_units_keep_what_they_make_to_themselves():
    unit = (ROOT / "deploy" / "cogo-gateway.service").read_text().splitlines()
    for line in ("UMask=0077", "StateDirectoryMode=0700", "NoNewPrivileges=true", "ProtectSystem=strict", "LimitNOFILE=65536"):
        assert line in unit
    assert "chmod 0700 /data" in (ROOT / "deploy" / "Dockerfile").read_text()


def test_secrets_are_made_in_the_folder_that_the_env_file_names(tmp_path):
    (tmp_path / ".env").write_text(f"# a comment = nothing\nexport COGO_VAR_DIR='{tmp_path / 'elsewhere'}'\nSECRET_KEY_FILE=/nowhere\n")
    code = "from pathlib import Path; from cogo import local_secrets; local_secrets.prepare(Path('.'))"
    environment = {"COGO_ENV_FILE": str(tmp_path / ".env"), "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, check=True, timeout=30)
    made = {file.name: file.stat().st_mode & 0o777 for file in (tmp_path / "elsewhere" / "secrets").iterdir()}
    assert made == {"cogo_encryption_keys": 0o600, "cogo_key_pepper": 0o600, "cogo_metrics_token": 0o600}
