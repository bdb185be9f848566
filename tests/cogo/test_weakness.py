"""Which secrets are none, and which doors are open further than anybody means."""

from __future__ import annotations

import base64
import hashlib
import secrets

import pytest
from django.utils.crypto import get_random_string

from cogo import weakness
from tests.cogo.test_one_line_errors import serve

# The same in every process that collects these tests.
RANDOM = base64.urlsafe_b64encode(hashlib.sha512(b"a test").digest()).decode().rstrip("=")
GOOD = {"SECRET_KEY": secrets.token_urlsafe(50), "COGO_KEY_PEPPER": secrets.token_urlsafe(50)}


def keys(data: bytes) -> str:
    return f"k1:{base64.urlsafe_b64encode(data).decode()}"


FRESH = keys(secrets.token_bytes(32))


@pytest.mark.parametrize(
    "make",
    [
        lambda: secrets.token_urlsafe(50), lambda: secrets.token_hex(32), lambda: base64.b64encode(secrets.token_bytes(32)).decode(),
        lambda: get_random_string(50, "abcdefghijklmnopqrstuvwxyz0123456789!@#$%^&*(-_=+)"), lambda: get_random_string(64),
    ],
)  # fmt: skip
def test_random_secrets_of_every_usual_make_pass(make):
    for _ in range(200):
        assert weakness.of_secret(make()) == ""
        assert weakness.of_encryption_keys(keys(secrets.token_bytes(32))) == ""


@pytest.mark.parametrize(
    "text",
    [
        "x", "", "a" * 60, "abc123" * 10, "abcdefghijklmnopqrstuvwxyz0123456789", "9876543210zyxwvutsrqponmlkjihgfedcba",
        "django-insecure-" + RANDOM[:50],
        "ToDo-" + RANDOM[:50], RANDOM[:20] + "_to-do_" + RANDOM[20:50],
        "changeme" + RANDOM[:40], RANDOM[:20] + "change-me-please",
        "your-secret-key-here-" + RANDOM[:30],
        "REPLACE_ME_" + RANDOM[:40], "my-super-secret-key-for-this-app-0123",
        "this is an example key of some length", "password" + RANDOM[:40], "0123456789abcdef" * 4,
    ],
)  # fmt: skip
def test_a_secret_that_somebody_could_guess_is_none(text):
    assert weakness.of_secret(text)


@pytest.mark.parametrize("word", ["todo", "ToDo", "tODO"])
def test_four_letters_that_chance_makes_are_no_word(word):
    assert weakness.of_secret(f"{RANDOM[:20]}x{word}9{RANDOM[20:50]}") == ""


@pytest.mark.parametrize("name", ["SECRET_KEY", "COGO_KEY_PEPPER", "COGO_METRICS_TOKEN", "COGO_ALERT_WEBHOOK_SECRET"])
def test_each_secret_of_the_settings_is_looked_at(name):
    assert weakness.of_settings(GOOD, FRESH) == ""
    line = weakness.of_settings({**GOOD, name: "changeme"}, FRESH)
    assert line.startswith(f"{name} is too easy to guess")
    assert "changeme" not in line.replace("“changeme”", "")


@pytest.mark.parametrize(
    "text",
    ["", "k1:", "nothing", "k1:short", keys(b"\x00" * 32), keys(b"a passphrase that has 32 letters"), keys(bytes(range(32))),
     keys(b"\x01\xfe" * 16),
     keys(RANDOM[:16].encode())],
)  # fmt: skip
def test_an_encryption_key_that_protects_nothing_is_none(text):
    assert weakness.of_settings(GOOD, text).startswith("COGO_ENCRYPTION_KEYS protects nothing")


def test_an_older_encryption_key_may_be_whatever_it_is_so_that_it_can_be_left():
    assert weakness.of_settings(GOOD, f"{FRESH},{keys(bytes(32))}") == ""


def test_secrets_that_are_one_are_none():
    assert "SECRET_KEY and COGO_KEY_PEPPER are the same" in weakness.of_settings({**GOOD, "COGO_KEY_PEPPER": GOOD["SECRET_KEY"]}, FRESH)


LOCAL = ["localhost", "127.0.0.1", "[::1]"]


@pytest.mark.parametrize(
    ("debug", "https", "hosts", "origins", "said"),
    [
        (False, False, LOCAL, [], ""),
        (True, False, LOCAL, [], ""),
        (True, False, ["console.localhost"], [], ""),
        (False, False, ["*"], [], ""),
        (False, True, ["gateway.example.com", ".example.com"], ["https://gateway.example.com", "https://*.example.com:8443"], ""),
        (True, False, ["*"], [], "unset one of them"),
        (True, False, ["localhost", "gateway.example.com"], [], "unset one of them"),
        (True, False, [".example.com"], [], "unset one of them"),
        (True, True, LOCAL, [], "unset DEBUG"),
        (False, True, ["*"], [], "list the host names"),
        (False, True, ["a.example.com", "*"], [], "list the host names"),
        (False, False, ["*.example.com"], [], "matches nothing"),
        (False, False, ["https://gateway.example.com"], [], "matches nothing"),
        (False, True, ["a.example.com"], ["*"], "write origins such as"),
        (False, True, ["a.example.com"], ["https://*"], "write origins such as"),
        (False, True, ["a.example.com"], ["gateway.example.com"], "write origins such as"),
        (False, True, ["a.example.com"], ["https://a.example.com/"], "write origins such as"),
        (False, True, ["a.example.com"], ["https://*.com"], "trusts sites of strangers"),
        (False, True, ["a.example.com"], ["http://a.example.com"], "write https://"),
    ],
)  # fmt: skip
def test_doors_that_are_open_further_than_anybody_means_stop_the_start(debug, https, hosts, origins, said):
    line = weakness.of_exposure(debug=debug, https=https, hosts=hosts, origins=origins)
    assert said in line
    assert bool(said) == bool(line)


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"DEBUG": "true", "ALLOWED_HOSTS": "*"}, "DEBUG shows internals"),
        ({"SECRET_KEY": "django-insecure-" + RANDOM[:50]}, "SECRET_KEY is too easy to guess"),
        ({"COGO_KEY_PEPPER": "x"}, "COGO_KEY_PEPPER is too easy to guess"),
        ({"COGO_ENCRYPTION_KEYS": keys(bytes(32))}, "COGO_ENCRYPTION_KEYS protects nothing"),
        ({"CSRF_TRUSTED_ORIGINS": "https://*"}, "CSRF_TRUSTED_ORIGINS"),
        ({"COGO_METRICS_TOKEN": "metrics"}, "COGO_METRICS_TOKEN is too easy to guess"),
    ],
    ids=lambda one: next(iter(one)) if isinstance(one, dict) else "",
)
def test_a_start_is_refused_with_one_line(tmp_path, environment, said):
    assert said in serve(tmp_path, **environment)


def test_debug_on_a_network_is_refused(tmp_path):
    assert "DEBUG shows internals to everybody who reaches 0.0.0.0" in serve(tmp_path, "--host", "0.0.0.0", DEBUG="true")
