"""How the gateway goes out: the certificates it trusts beside the system's, and the proxy it takes. Pure but for looking at the files."""

from __future__ import annotations

import ssl
from pathlib import Path
from urllib.parse import urlsplit

DIRECT = ("none", "direct", "off")


class OutgoingTrouble(ValueError):
    """The message is a line for the operator."""


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
    """The proxy's URL, empty for none. Raises :class:`OutgoingTrouble`; what it says does not hold the password."""
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
