"""Hosts, origins and amounts as people write them."""

from __future__ import annotations

from decimal import Decimal

import pytest
from django.http.request import validate_host

from cogo import names


@pytest.mark.parametrize(
    ("written", "asked"),
    [
        ("gw.example.com:8443", "gw.example.com"),
        ("gw.example.com:", "gw.example.com"),
        ("GW.Example.com", "gw.example.com"),
        ("gw.example.com.", "gw.example.com"),
        (".example.com:443", "gw.example.com"),
        ("bücher.example", "xn--bcher-kva.example"),
        (".bücher.example", "a.xn--bcher-kva.example"),
        ("::1", "[::1]"),
        ("[::1]:8000", "[::1]"),
        ("2001:DB8:0::7", "[2001:db8::7]"),
        ("127.0.0.1:8000", "127.0.0.1"),
        ("*", "anything.example"),
    ],
)
def test_a_host_matches_however_it_is_written(written: str, asked: str) -> None:
    host = names.host(written)
    assert names.is_host(host)
    assert validate_host(asked, [host])


@pytest.mark.parametrize("written", ["https://gw.example.com", "*.example.com", "(gw.example.com", "a@b", "gw example", "gw/x", "-", "[x]"])
def test_what_no_request_can_name_is_no_host(written: str) -> None:
    assert not names.is_host(names.host(written))


@pytest.mark.parametrize(
    ("written", "sent"),
    [
        ("https://gw.example.com", "https://gw.example.com"),
        ("HTTPS://Gw.Example.com/", "https://gw.example.com"),
        ("https://gw.example.com:443", "https://gw.example.com"),
        ("http://gw.example.com:80/", "http://gw.example.com"),
        ("https://gw.example.com:8443", "https://gw.example.com:8443"),
        ("https://bücher.example", "https://xn--bcher-kva.example"),
        ("https://*.Example.com", "https://*.example.com"),
        ("gw.example.com", "gw.example.com"),
        ("https://gw.example.com/admin", "https://gw.example.com/admin"),
    ],
)
def test_an_origin_is_what_browsers_send(written: str, sent: str) -> None:
    assert names.origin(written) == sent


@pytest.mark.parametrize("text", ["abc", "", "-1", "0", "NaN", "Infinity", "1e9", "1,5"])
def test_what_is_no_amount_is_none(text: str) -> None:
    assert names.amount(text) is None


def test_an_amount_is_exact() -> None:
    assert names.amount("0.10") == Decimal("0.1")
