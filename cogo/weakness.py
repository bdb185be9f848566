"""Recognises weak secrets. Pure. Each function returns a clause for the operator; empty if there is
nothing to object to."""

from __future__ import annotations

import base64
import binascii
import itertools
import re
from collections.abc import Mapping, Sequence
from ipaddress import ip_address
from urllib.parse import urlsplit

from cogo import names

# Where a value is copied from a page or a template and left as it was. One random secret of fifteen
# thousand holds the last four letters: those count as a word only.
_COPIED = re.compile(
    r"django-insecure|change[-_ ]?(me|this|it)|replace[-_ ]?(me|this)|your[-_ ]?(secret|key|own)|example|placeholder|insecure|"
    r"(super|top|my|very)[-_ ]?secret|s3cr3t|password|passw0rd|secret[-_ ]?key|not[-_ ]?(so[-_ ]?)?secret|dev[-_ ]?only|"
    r"(?<![a-z0-9])to-?do(?![a-z0-9])",
    re.IGNORECASE,
)


def of_secret(text: str, *, shortest: int = 32, distinct: int = 12) -> str:
    if len(text) < shortest:
        return f"it has {len(text)} characters, {shortest} are the least"
    if match := _COPIED.search(text):
        return f"it holds “{match[0].lower()}”, as published examples do"
    if len(set(text)) < distinct or _repeats(text) or _counts(text):
        return "it follows a pattern"
    return ""


def of_encryption_keys(text: str) -> str:
    """Judge only the first key, which is in use; older keys only decrypt."""
    name, colon, encoded = text.split(",", maxsplit=1)[0].strip().partition(":")
    if not colon or not name:
        return "it must be id:key pairs separated by commas, where a key is 32 random bytes in base64url"
    try:
        key = base64.urlsafe_b64decode(encoded.strip().replace("+", "-").replace("/", "_"))
    except (binascii.Error, ValueError):
        return f"the key {name[:20]} is not base64url"
    if len(key) != 32:
        return f"the key {name[:20]} has {len(key)} bytes, not 32"
    # Random bytes are hardly ever all printable, so somebody typed these.
    typed = all(32 <= byte < 127 for byte in key)
    if typed or len(set(key)) < 16 or _repeats(key) or _counts(key):
        return f"the key {name[:20]} is no random one"
    return ""


_SHORTEST = {"SECRET_KEY": (32, 12), "COGO_KEY_PEPPER": (20, 10), "COGO_METRICS_TOKEN": (16, 8), "COGO_ALERT_WEBHOOK_SECRET": (16, 8)}


def of_settings(secrets: Mapping[str, str], encryption_keys: str, fallbacks: Sequence[str] = ()) -> str:
    """The line that stops the start, for the first weak secret. An empty secret is valid: it
    switches a feature off. ``fallbacks``: earlier values of SECRET_KEY, which still vouch for
    whatever they sign."""
    for name, text in secrets.items():
        shortest, distinct = _SHORTEST[name]
        if text and (why := of_secret(text, shortest=shortest, distinct=distinct)):
            made = "unset it to have one made" if name in ("SECRET_KEY", "COGO_KEY_PEPPER") else "make one with: openssl rand -hex 32"
            return f"{name} is too easy to guess ({why}); set 50 random characters, or {made}"
    for text in fallbacks:
        if why := of_secret(text):
            return f"SECRET_KEY_FALLBACKS holds a key that is too easy to guess ({why}); leave it out: whoever guesses it can sign with it"
    if why := of_encryption_keys(encryption_keys):
        return f"COGO_ENCRYPTION_KEYS protects nothing ({why}); unset it to have one made, or set id:$(openssl rand -base64 32)"
    if why := same({**secrets, "COGO_ENCRYPTION_KEYS": encryption_keys}):
        return f"{why}; set values of their own, so that losing one leaves the others alone"
    return ""


def of_exposure(*, debug: bool, https: bool, hosts: Sequence[str], origins: Sequence[str], proxied: str = "") -> str:
    """The line that stops a start whose settings admit more than anybody intends. ``proxied``: the
    setting that tells of a proxy."""
    if debug and https:
        return "DEBUG shows internals to everybody and COGO_HTTPS says this is a deployment; unset DEBUG"
    if debug and (proxied := proxied or _of_strangers(origins)):
        return f"DEBUG shows internals to everybody, and {proxied} says that others come through a proxy; unset one of them"
    if debug and exposed(https=https, hosts=hosts):
        return "DEBUG shows internals to everybody, and ALLOWED_HOSTS names more than this machine; unset one of them"
    if https and "*" in hosts:
        return "ALLOWED_HOSTS is *, which lets any site use the console's name; list the host names of this deployment"
    for host in hosts:
        if not names.is_host(host):
            return f"ALLOWED_HOSTS holds {host[:80]!r}, which matches nothing; write host names such as gateway.example.com or .example.com"
    for origin in origins:
        if not re.fullmatch(r"https?://(\*\.)?[^*/@\s]+", origin):
            return f"CSRF_TRUSTED_ORIGINS holds {origin[:80]!r}; write origins such as https://gateway.example.com"
        if "://*." in origin and "." not in origin.partition("://*.")[2].partition(":")[0]:
            return f"CSRF_TRUSTED_ORIGINS holds {origin[:80]!r}, which trusts sites of strangers; name this deployment's own"
        if https and origin.startswith("http://"):
            return f"CSRF_TRUSTED_ORIGINS holds {origin[:80]!r} without TLS, and COGO_HTTPS is set; write https://"
    return ""


def _of_strangers(origins: Sequence[str]) -> str:
    return "" if all(is_loopback(urlsplit(one).hostname or "") for one in origins) else "CSRF_TRUSTED_ORIGINS"


def exposed(*, https: bool, hosts: Sequence[str]) -> bool:
    """Whether the settings mean others than this machine's own users."""
    return https or not all(is_loopback(host) for host in hosts)


def is_loopback(host: str) -> bool:
    """Whether a host name or address is this machine's own."""
    bare = host.strip("[]").lower()
    if bare == "localhost" or bare.endswith(".localhost"):
        return True
    try:
        return ip_address(bare).is_loopback
    except ValueError:
        return False


def same(values: Mapping[str, str]) -> str:
    """The names of two equal secrets: learning one reveals the other."""
    seen: dict[str, str] = {}
    for name, value in values.items():
        if value and value in seen:
            return f"{seen[value]} and {name} are the same"
        seen[value] = name
    return ""


def _repeats(text: str | bytes) -> bool:
    """Whether it is one piece, over and over."""
    return any(text[size:] == text[:-size] for size in range(1, len(text) // 2 + 1))


def _counts(text: str | bytes) -> bool:
    """Whether most of it goes up or down by one: abcdef, 987654."""
    codes = text if isinstance(text, bytes) else text.encode()
    steps = [second - first for first, second in itertools.pairwise(codes)]
    return sum(step in (1, -1) for step in steps) > len(steps) * 0.6
