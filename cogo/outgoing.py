"""Outgoing connections: extra trusted certificates and the proxy. Pure except that it reads the
files."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from .environment import Environment

DIRECT = ("none", "direct", "off")


class OutgoingTrouble(ValueError):
    """The message is one line for the operator."""


def trusted(name: str, path: str) -> str:
    """``path`` once it holds certificates. Raises :class:`OutgoingTrouble`."""
    place = Path(path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        if place.is_dir():
            if not any(place.iterdir()):
                raise OutgoingTrouble(f"{name} names {path}, a folder without certificates")
        else:
            context.load_verify_locations(cafile=path)
    except ssl.SSLError:
        raise OutgoingTrouble(f"{name} names {path}, which holds no certificate in PEM form") from None
    except OSError as error:
        raise OutgoingTrouble(f"{name} names {path}, which cannot be read ({error.strerror}); correct the path or its rights") from None
    return str(place)


def proxy(name: str, text: str) -> str:
    """The proxy's URL, empty for none. Raises :class:`OutgoingTrouble`; what it says does not hold
    the password."""
    text = text.strip()
    if not text or text.lower() in DIRECT:
        return ""
    if "://" not in text:
        text = f"http://{text}"
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise OutgoingTrouble(f"{name} cannot be read; use http://user:password@host:port, with what is special percent-encoded") from None
    if parts.scheme not in ("http", "https"):
        raise OutgoingTrouble(f"{name} begins with {parts.scheme}://; only http:// and https:// proxies are supported")
    if not parts.hostname or parts.path not in ("", "/") or parts.query or parts.fragment or port == 0:
        raise OutgoingTrouble(f"{name} cannot be read; use http://user:password@host:port, with what is special percent-encoded")
    return text


def ways(env: Environment) -> dict[str, Any]:
    """What llm_gateway.stores.network hands to the transport. Raises :class:`OutgoingTrouble`."""
    bundles = {name: env.str(name) for name in ("COGO_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR")}
    everywhere = env.str("COGO_PROXY")
    named = {
        "COGO_PROXY": everywhere,
        "HTTPS_PROXY": env.str("HTTPS_PROXY") or env.str("https_proxy") or env.str("ALL_PROXY") or env.str("all_proxy"),
        "HTTP_PROXY": env.str("HTTP_PROXY") or env.str("http_proxy") or env.str("ALL_PROXY") or env.str("all_proxy"),
    }
    proxies = {name: proxy(name, text) for name, text in named.items() if not everywhere or name == "COGO_PROXY"}
    return {
        "ca_bundles": tuple(trusted(name, path.strip()) for name, path in bundles.items() if path.strip()),
        "https_proxy": proxies.get("HTTPS_PROXY", proxies["COGO_PROXY"]),
        "http_proxy": proxies.get("HTTP_PROXY", proxies["COGO_PROXY"]),
        "no_proxy": tuple(part for entry in env.list("NO_PROXY") or env.list("no_proxy") for part in entry.split()),
    }
