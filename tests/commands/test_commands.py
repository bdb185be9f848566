from __future__ import annotations

import io
import json
import sys
import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.core.management import CommandError, call_command, get_commands, load_command_class
from django.db import connection
from django.utils import timezone

from llm_gateway.actions._catalogue_files import models
from llm_gateway.actions.load_catalogue import load_catalogue
from llm_gateway.actions.store_provider_key import store_provider_key
from llm_gateway.actions.sync_schedules import JOBS
from llm_gateway.core.keys import public_id_of
from llm_gateway.models import Budget, ClientKey, Heartbeat, LanguageModel, LedgerEntry, Price, Provider, ProviderKey, Strategy, Team
from llm_gateway.simulator.threaded import ThreadedSimulator

pytestmark = pytest.mark.django_db
SECRET = "sim-valid-0123456789"
NOW = timezone.now()
OURS = sorted(name for name, app in get_commands().items() if app == "llm_gateway")


def run(*words: str) -> tuple[int, str, str]:
    """A command as the shell runs it: (exit code, standard output, standard error)."""
    out, err = io.StringIO(), io.StringIO()
    command = load_command_class("llm_gateway", words[0])
    command.stdout._out, command.stderr._out = out, err
    try:
        parser = command.create_parser("manage.py", words[0])
        stderr, sys.stderr = sys.stderr, err
        try:
            options = vars(parser.parse_args(list(words[1:])))
        finally:
            sys.stderr = stderr
        command.execute(*options.pop("args", ()), **{**options, "skip_checks": True, "no_color": True})
    except CommandError as error:
        return error.returncode, out.getvalue(), err.getvalue() + str(error)
    except SystemExit as stop:
        return int(stop.code or 0), out.getvalue(), err.getvalue()
    return 0, out.getvalue(), err.getvalue()


@pytest.mark.parametrize("name", OURS)
def test_every_command_has_help(name: str) -> None:
    code, _, _ = run(name, "--no-such-option")
    assert code != 0
    assert load_command_class("llm_gateway", name).help


WRONG: list[tuple[str, ...]] = [
    ("add_provider",),
    ("add_provider", "x", "--wire", "soap", "--base-url", "https://x"),
    ("add_provider", "Bad Name", "--wire", "openai_chat", "--base-url", "https://8.8.8.8"),
    ("add_provider", "x", "--wire", "openai_chat", "--base-url", "http://8.8.8.8"),
    ("add_provider", "x", "--wire", "openai_chat", "--base-url", "https://127.0.0.1"),
    ("add_provider", "x", "--wire", "openai_chat", "--base-url", "https://[::ffff:127.0.0.1]"),
    ("add_provider", "x", "--wire", "openai_chat", "--base-url", "https://nowhere.invalid"),
    ("add_provider", "x", "--wire", "openai_chat", "--base-url", "https://8.8.8.8", "--price-in", "cheap"),
    ("add_provider", "x", "--wire", "openai_chat", "--base-url", "https://8.8.8.8", "--price-in", "-1", "--price-out", "1"),
    ("add_provider", "x", "--wire", "openai_chat", "--base-url", "https://8.8.8.8", "--price-in", "1"),
    ("add_provider", "x", "--wire", "openai_chat", "--base-url", "https://8.8.8.8", "--key-env", "NO_SUCH_VARIABLE"),
    ("add_provider", "x", "--wire", "openai_chat", "--base-url", "https://8.8.8.8", "--priority", "-1"),
    ("add_provider", "x", "--preset", "nonesuch"),
    ("add_provider", "x", "--preset", "azure", "--no-key"),
    ("add_provider", "x", "--preset", "deepseek", "--key-env", "NO_SUCH_VARIABLE"),
    ("create_client_key",),
    ("create_client_key", "ci", "--scopes", "root"),
    ("create_client_key", "ci", "--models", "nonesuch"),
    ("create_client_key", "ci", "--budget-usd", "lots"),
    ("create_client_key", "ci", "--budget-usd", "0"),
    ("create_client_key", "ci", "--period", "year"),
    ("create_client_key", "ci", "--max-tokens", "0"),
    ("create_client_key", "ci", "--team", "!!!"),
    ("create_client_key", "ci", "--strategy", "nonesuch"),
    ("revoke_client_key", "cogo_000000000000"),
    ("set_strategy", "nonesuch"),
    ("set_strategy", "enterprise", "--options", "{"),
    ("set_strategy", "enterprise", "--options", "[]"),
    ("set_strategy", "enterprise", "--rollback"),
    ("set_strategy", "enterprise", "--options", "[" * 100_000),
    ("set_strategy", "enterprise", "--options", '{"a":' + "9" * 5000 + "}"),
    ("set_strategy", "--options", "{}"),
    ("set_strategy", "--rollback", "--options", ""),
    ("check_keys", "nonesuch"),
    ("add_provider", "x", "--wire", "openai_chat", "--base-url", "https://8.8.8.8", "--model", ","),
    ("create_client_key", "ci", "--scopes", ""),
    ("create_client_key", "ci", "--models", " ,"),
    ("create_client_key", "two\nlines"),
    ("purge", "--days", "-1"),
    ("purge", "--days", "36500000"),
    ("purge", "--days", "99999999999"),
    ("purge", "--subject", ""),
    ("purge", "--subject", "ann", "--bodies"),
    ("purge", "--subject", "ann", "--days", "0"),
    ("rerate", "--from", "2026-11-01T00:00:00+00:00", "--to", "9999-12-31T23:59:59-14:00"),
    ("rerate", "--from", "0001-01-01T00:00:00+14:00", "--to", "2026-12-01"),
    ("rerate", "--from", "2026-12-01", "--to", "2026-11-01"),
    ("simulate", "--port", "99999"),
    ("simulate", "--port", "-1"),
]


@pytest.mark.parametrize("words", WRONG, ids=lambda words: " ".join(words)[:80])
def test_wrong_arguments_give_one_clear_line_and_store_nothing(words: tuple[str, ...]) -> None:
    code, out, err = run(*words)
    assert code != 0
    assert out == ""
    line = err.strip().splitlines()[-1]
    assert 10 < len(line) < 300
    assert "Traceback" not in err
    assert not Provider.objects.exists()
    assert not ClientKey.objects.exists()


@pytest.mark.parametrize("month", ["2026-13", "9999-12", "0001-01", "２０２６-11", "2026-1", "-1", ""])
def test_a_statement_is_of_a_month_that_a_team_could_have_worked_in(month: str) -> None:
    Team.objects.create(name="Blue", slug="blue")
    code, out, err = run("close_month", "--", "blue", month)
    assert (code, out) == (1, "")
    assert "is no month; write it like 2026-11" in err


def test_a_custom_provider_is_registered_checked_and_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", SECRET)
    with ThreadedSimulator() as simulator:
        words = ("add_provider", "mine", "--wire", "openai_chat", "--base-url", simulator.base_url("custom"), "--key-env", "MY_KEY")
        prices = ("--model", "local-coder-7b", "--model", "llama-*", "--price-in", "0.5", "--price-out", "1.5", "--allow-private")
        code, out, err = run(*words, *prices)
    assert (code, err) == (0, "")
    assert "…6789: valid" in out
    assert "local-coder-7b: 0.5 / 1.5 USD per 1M tokens" in out
    assert SECRET not in out
    assert Price.objects.count() == 2
    assert ProviderKey.objects.get().from_environment == "MY_KEY"


def test_a_known_host_needs_its_name_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEEPSEEK_API_KEY", SECRET)
    with ThreadedSimulator() as simulator:
        words = ("add_provider", "ds", "--preset", "deepseek", "--base-url", simulator.base_url("custom"), "--allow-private")
        code, out, err = run(*words, "--model", "deepseek-v4-pro")
    assert (code, err) == (0, "")
    provider = Provider.objects.get()
    assert (provider.preset, provider.wire, provider.title) == ("deepseek", "openai_chat", "DeepSeek")
    assert "…6789: valid" in out
    code, _, err = run("add_provider", "local", "--preset", "ollama", "--no-check")
    assert (code, err) == (0, "")
    local = Provider.objects.get(slug="local")
    assert (local.base_url, local.allow_private) == ("http://127.0.0.1:11434/v1", True)
    # An update without the preset keeps it.
    run("add_provider", "local", "--wire", "openai_chat", "--base-url", "http://127.0.0.1:11434/v1", "--allow-private", "--no-check")
    local.refresh_from_db()
    assert local.preset == "ollama"


def test_a_key_may_come_from_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    (tmp_path / "key").write_text(f"{SECRET}\n")
    monkeypatch.setenv("MY_KEY_FILE", str(tmp_path / "key"))
    words = ("add_provider", "mine", "--wire", "openai_chat", "--base-url", "http://127.0.0.1:9/v1", "--allow-private")
    code, out, _ = run(*words, "--key-env", "MY_KEY", "--ignore-health", "--no-check")
    assert code == 0
    assert "unchecked" in out
    assert Provider.objects.get().ignore_health


def test_a_provider_that_does_not_answer_is_registered_and_said_to_be_unreachable() -> None:
    code, out, _ = run("add_provider", "mine", "--wire", "openai_chat", "--base-url", "http://127.0.0.1:9/v1", "--allow-private")
    assert code == 0
    assert "unreachable: The provider could not be asked: it refused the connection." in out


def test_a_client_key_is_printed_alone_and_once() -> None:
    code, out, err = run("create_client_key", "ci", "--team", "Blue", "--scopes", "read,generate", "--budget-usd", "5", "--period", "day")
    key = ClientKey.objects.get()
    assert code == 0
    assert public_id_of(out.strip()) == key.public_id
    assert out.strip() not in err
    assert (key.scopes, key.team) == (["generate", "read"], Team.objects.get(name="Blue"))
    assert Budget.objects.get().limit_nusd == 5_000_000_000


@pytest.mark.parametrize(
    ("text", "expires"),
    [
        ("2031-01-31", datetime(2031, 2, 1, tzinfo=UTC)),
        ("2031-01-31T12:30", datetime(2031, 1, 31, 12, 30, tzinfo=UTC)),
        ("2031-01-31T12:30+02:00", datetime(2031, 1, 31, 10, 30, tzinfo=UTC)),
        ("30d", timedelta(days=30)),
        ("12h", timedelta(hours=12)),
        ("8w", timedelta(weeks=8)),
    ],
)
def test_a_client_key_ends_when_it_is_told_to(text: str, expires: Any) -> None:
    before = timezone.now()
    code, _, err = run("create_client_key", "short-lived", "--expires", text)
    assert code == 0, err
    row = ClientKey.objects.get(name="short-lived")
    assert row.expires_at is not None
    if isinstance(expires, datetime):
        assert row.expires_at == expires
    else:
        assert before + expires <= row.expires_at <= timezone.now() + expires
    assert f"works until {row.expires_at:%Y-%m-%d}" in err


@pytest.mark.parametrize("text", ["", "soon", "30", "30m", "-1d", "2031-13-01", "2031-1-1", "99999999d", "2020-01-01", "0h"])
def test_a_client_key_that_would_never_work_is_refused_in_one_line(text: str) -> None:
    code, _, err = run("create_client_key", "short-lived", f"--expires={text}")
    assert code != 0
    assert not ClientKey.objects.filter(name="short-lived").exists()
    assert "Traceback" not in err


def test_a_key_can_be_made_without_storing_it() -> None:
    _, out, _ = run("create_client_key", "--generate-only")
    assert public_id_of(out.strip())
    assert not ClientKey.objects.exists()


def test_a_client_key_is_revoked_by_its_public_part() -> None:
    run("create_client_key", "ci")
    key = ClientKey.objects.get()
    assert "is revoked" in run("revoke_client_key", f"cogo_{key.public_id}")[1]
    assert "was revoked already" in run("revoke_client_key", key.public_id)[1]


def test_strategies_are_listed_switched_and_switched_back() -> None:
    for name in ("enterprise", "performance-based"):
        Strategy.objects.create(name=name, kind=name, title=name)
    run("set_strategy", "enterprise")
    _, out, _ = run("set_strategy", "performance-based", "--options", json.dumps({"exploration": 0.1}))
    assert out.strip() == "performance-based is in force instead of enterprise"
    assert "* performance-based" in run("set_strategy")[1]
    run("set_strategy", "--rollback")
    assert Strategy.objects.get(active=True).name == "enterprise"


def test_checking_keys_tells_each_state_and_fails_for_a_refused_one() -> None:
    load_catalogue()
    assert "No provider has a key" in run("check_keys")[1]
    with ThreadedSimulator() as simulator:
        provider = Provider.objects.get(slug="openai")
        Provider.objects.filter(pk=provider.pk).update(base_url=simulator.base_url("openai"), allow_private=True)
        store_provider_key(provider, SECRET)
        assert run("check_keys", "openai")[0] == 0
        store_provider_key(provider, "sim-invalid-0123456789", "bad")
        code, out, _ = run("check_keys")
    assert code == 1
    assert "openai · default: valid" in out
    assert "openai · bad: invalid" in out


def test_the_catalogue_is_loaded_and_a_dry_run_writes_nothing() -> None:
    assert "nothing was written" in run("load_catalogue", "--dry-run")[1]
    assert not LanguageModel.objects.exists()
    assert f"models: {sum(map(len, models().values()))} new" in run("load_catalogue")[1]
    LanguageModel.objects.filter(name="gpt-4o").update(edited=True, title="x")
    assert "kept as edited: gpt-4o" in run("load_catalogue")[1]


def test_prices_are_imported_and_differences_shown() -> None:
    load_catalogue()
    assert "nothing was written" in run("import_prices", "--dry-run")[1]
    code, out, _ = run("import_prices")
    assert code == 0
    assert "without a price: gpt-6.2-astra, gpt-6.2-sol" in out
    Price.objects.filter(model__name="gpt-4o", tier="standard").update(input=1)
    _, out, _ = run("import_prices", "--only-new")
    assert "changed  gpt-4o (standard)" in out
    assert "1 / 10 → 2.5 / 10" in out
    assert Price.objects.filter(model__name="gpt-4o", tier="standard").count() == 1


def test_bootstrap_shows_what_it_made_once() -> None:
    _, out, _ = run("bootstrap")
    assert "its password, shown only now:" in out
    assert "first client key, shown only now: cogo_" in out
    _, again, _ = run("bootstrap")
    assert "shown only now" not in again
    assert "providers with a key: none" in again


def test_encryption_keys_are_made_and_rotated(host: Provider, settings: Any) -> None:
    store_provider_key(host, SECRET)
    _, fresh, _ = run("make_encryption_key")
    old = settings.COGO_ENCRYPTION_KEYS
    settings.COGO_ENCRYPTION_KEYS = f"{fresh.strip()},{old}"
    assert "1 moved" in run("rotate_encryption_keys")[1]
    settings.COGO_ENCRYPTION_KEYS = old
    code, _, err = run("rotate_encryption_keys")
    assert code == 1
    assert "do not open" in err


def test_the_audit_fails_when_an_invariant_does(host: Provider) -> None:
    Heartbeat.objects.create(name="tasks", at=timezone.now())
    code, out, _ = run("audit", "--strict")
    assert (code, out.splitlines()[-1]) == (0, "all 28 invariants hold")
    Budget.objects.create(name="b", limit_nusd=10, posted_nusd=4, period_id="2026-11")
    code, out, _ = run("audit")
    assert code == 1
    assert "FAIL M2a" in out
    assert "posted 0.000000004 USD, ledger 0.00 USD" in out
    assert "1 of 20 invariants fail: M2a" in out


@pytest.mark.django_db(transaction=True)
def test_the_audit_sees_one_moment_and_keeps_no_writer_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """A writer that changes the books between two of the audit's questions is neither stopped nor half seen."""
    from llm_gateway.actions import audit as module

    Budget.objects.create(name="b", limit_nusd=10, period_id="2026-11")
    ledger = module._ledger

    def writer() -> None:
        LedgerEntry.objects.create(
            budget=Budget.objects.get(), period_id="2026-11", state="posted", amount_nusd=7, created_at=NOW, resolved_at=NOW
        )
        Budget.objects.update(posted_nusd=7)
        connection.close()

    def meanwhile() -> Any:
        thread = threading.Thread(target=writer)
        thread.start()
        thread.join(5)
        assert not thread.is_alive()
        return ledger()

    monkeypatch.setattr(module, "_ledger", meanwhile)
    first = {finding.code: finding for finding in module.audit()}
    assert first["M3a"].looked_at == 0
    monkeypatch.undo()
    second = {finding.code: finding for finding in module.audit()}
    assert second["M3a"].looked_at == 1
    assert all(finding.ok for finding in (*first.values(), *second.values()))


def test_schedules_are_synced_by_command() -> None:
    assert f"{len(JOBS)} made" in run("sync_schedules")[1]
    assert "0 made, 0 put right, 0 removed" in run("sync_schedules")[1]


def test_commands_run_through_djangos_own_door() -> None:
    out = io.StringIO()
    call_command("make_encryption_key", stdout=out)
    assert ":" in out.getvalue()
