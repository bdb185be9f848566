"""Which addresses a provider may have. Pure: it judges addresses; another room resolves the names.

Two questions: may the operator enter this URL (:func:`read_base_url`), and may this address be
connected to (:func:`is_public`, :func:`refusal`). Host names decide nothing; the gateway judges
every address they resolve to, at entry and at every connection.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

import msgspec

# https://www.iana.org/assignments/iana-ipv4-special-registry and …/iana-ipv6-special-registry, as
# of 2026-11, with what was withdrawn or deprecated. Spelled out because the tables of Python's
# ipaddress change between releases. No provider has an address in these ranges, even where they
# count as global.
_SPECIAL_V4 = tuple(
    map(
        IPv4Network,
        (
            "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24",
            "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24", "192.168.0.0/16", "192.175.48.0/24", "198.18.0.0/15",
            "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
        ),
    )
)  # fmt: skip
# All unicast space ever allocated; anything else is special, reserved, or carries an IPv4 address.
_UNICAST_V6 = IPv6Network("2000::/3")
_SPECIAL_V6 = tuple(
    map(IPv6Network, ("2001::/23", "2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3ffe::/16", "3fff::/20"))
)  # 2001::/23: Teredo, port control, benchmarking, AMT, AS112, ORCHID, drone tags
_NAT64 = IPv6Network("64:ff9b::/96")
_NAT64_LOCAL = IPv6Network("64:ff9b:1::/48")
_TRANSLATED = IPv6Network("::ffff:0:0:0/96")
# Python reserves these, yet a private network may use them: SRv6, discard and dummy prefixes.
_OWN_USE = tuple(map(IPv6Network, ("5f00::/16", "100::/64", "100:0:0:1::/64", "64:ff9b:1::/48", "::ffff:0:0:0/96")))
_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?", re.ASCII)
# Resolvers read these as numbers, not as names: 0x7f000001, 2130706433, 127.1, 0177.0.0.1.
_NUMBER = re.compile(r"0x[0-9a-f]*|[0-9]+", re.ASCII)
_URL = re.compile(r"(?P<scheme>[a-z]+)://(?P<authority>[^/?#]*)(?P<path>/[^?#]*)?", re.ASCII | re.IGNORECASE)


class AddressRefused(ValueError):
    """The message is for the operator."""


class BaseUrl(msgspec.Struct, frozen=True, kw_only=True):
    """``text`` is the normal form: lower-case scheme and host, no default port, no trailing
    slash."""

    scheme: str
    host: str
    port: int
    path: str
    text: str

    @property
    def literal(self) -> IPv4Address | IPv6Address | None:
        """The host as an address, ``None`` where it is a name."""
        try:
            return ip_address(self.host)
        except ValueError:
            return None


def is_public(address: IPv4Address | IPv6Address) -> bool:
    """Whether it is an Internet address. NAT64 counts as the IPv4 address it carries; an honest
    name server returns no other form that carries one."""
    if isinstance(address, IPv4Address):
        return not any(address in net for net in _SPECIAL_V4)
    if address in _NAT64:
        return is_public(_last_32(address))
    return address in _UNICAST_V6 and not any(address in net for net in _SPECIAL_V6)


def refusal(address: IPv4Address | IPv6Address, *, allow_private: bool) -> str | None:
    """Why a provider may not have this address; ``None`` if it may.

    ``allow_private`` admits loopback, private networks and other ranges of the registries that
    somebody's own network may use, never what no provider can be: link-local (where clouds keep
    their metadata), multicast, unspecified and reserved addresses, tunnels, and private ones hidden
    in an IPv6 form.
    """
    if is_public(address):
        return None
    if not allow_private:
        return "is not on the public Internet; allow private addresses for a host you run yourself"
    if isinstance(address, IPv4Address):
        return _never(address)
    if address.ipv4_mapped is not None:
        return _never(address.ipv4_mapped)
    if address in _NAT64 or (address in IPv6Network("::/96") and int(address) > 1) or address.sixtofour or address.teredo:
        return "hides a private address"
    if address in _TRANSLATED:
        return _never(_last_32(address))
    if address in _NAT64_LOCAL and any(inner.is_link_local for inner in _under_48(address)):
        return "is link-local, where machines keep their metadata"
    return None if any(address in net for net in _OWN_USE) else _never(address)


def _never(address: IPv4Address | IPv6Address) -> str | None:
    if address.is_unspecified or (isinstance(address, IPv4Address) and address in _SPECIAL_V4[0]):
        return "names no host"
    if address.is_link_local:
        return "is link-local, where machines keep their metadata"
    if address.is_multicast:
        return "is a multicast address"
    if (address.is_reserved and not address.is_loopback) or (isinstance(address, IPv4Address) and address in _SPECIAL_V4[-1]):
        return "is reserved"
    return None


def check_addresses(host: str, addresses: Iterable[str], *, allow_private: bool) -> None:
    """Raises :class:`AddressRefused` unless every address ``host`` resolved to may be connected
    to."""
    resolved = [ip_address(text.partition("%")[0]) for text in addresses]
    if not resolved:
        raise AddressRefused(f"The host {host} has no address.")
    for address in resolved:
        if reason := refusal(address, allow_private=allow_private):
            raise AddressRefused(f"The host {host} leads to {address}, which {reason}.")


def read_base_url(text: str, *, allow_private: bool) -> BaseUrl:
    """``text`` as a base URL. Raises :class:`AddressRefused` for anything that two parsers could
    read differently.

    https only unless ``allow_private``; an address in the URL itself is judged at once, a name when
    it is resolved.
    """
    if len(text) > 300 or not all("!" <= character <= "~" for character in text) or "\\" in text:
        raise AddressRefused("A base URL has at most 300 ASCII characters and no spaces; write an international host in its xn-- form.")
    match = _URL.fullmatch(text)
    if match is None:
        raise AddressRefused("A base URL looks like https://host.example/v1, without query or fragment.")
    scheme = match["scheme"].lower()
    if scheme not in ("https", "http"):
        raise AddressRefused(f"A base URL begins with https://, not {scheme}://.")
    if scheme == "http" and not allow_private:
        raise AddressRefused("A base URL begins with https://; plain http is only for hosts you run yourself (allow private addresses).")
    if "@" in match["authority"]:
        raise AddressRefused("A base URL holds no user name or password; store the key as a provider key.")
    host, port = _host_and_port(match["authority"], 443 if scheme == "https" else 80)
    path = (match["path"] or "").rstrip("/")
    if "//" in path or any(part in (".", "..") for part in path.replace("%2e", ".").replace("%2E", ".").split("/")):
        raise AddressRefused("The path of a base URL holds no empty or dotted parts.")
    shown = f"[{host}]" if ":" in host else host
    default = port == (443 if scheme == "https" else 80)
    url = BaseUrl(scheme=scheme, host=host, port=port, path=path, text=f"{scheme}://{shown}{'' if default else f':{port}'}{path}")
    if url.literal is not None:
        check_addresses(host, [host], allow_private=allow_private)
    return url


def _host_and_port(authority: str, default: int) -> tuple[str, int]:
    match = re.fullmatch(r"(?:\[([0-9A-Fa-f:.]+)\]|([^:\[\]]+))(?::([0-9]{1,5}))?", authority)
    if match is None:
        raise AddressRefused("The host of the base URL cannot be read; write host or host:port, an IPv6 address in brackets.")
    port = int(match[3]) if match[3] is not None else default
    if not 1 <= port <= 65535:
        raise AddressRefused("The port of a base URL is between 1 and 65535.")
    if match[1]:
        try:
            return str(IPv6Address(match[1])), port
        except ValueError:
            raise AddressRefused("The IPv6 address in the base URL is malformed.") from None
    return _name(match[2].lower()), port


def _name(host: str) -> str:
    labels = host.split(".")
    if _NUMBER.fullmatch(labels[-1] or labels[-2] if len(labels) > 1 else labels[-1]):
        try:
            return str(IPv4Address(host))
        except ValueError:
            raise AddressRefused("An address in a base URL is written as four decimal numbers, such as 192.0.2.7.") from None
    if len(host) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        raise AddressRefused("The host of the base URL is not a host name; leave out a trailing dot, wildcards and percent signs.")
    return host


def _last_32(address: IPv6Address) -> IPv4Address:
    return IPv4Address(int(address) & 0xFFFF_FFFF)


def _under_48(address: IPv6Address) -> tuple[IPv4Address, IPv4Address]:
    """The IPv4 address that a translator could read in it: where RFC 6052 puts it under a /48, or
    at the end."""
    bits = int(address)
    return IPv4Address((bits >> 64 & 0xFFFF) << 16 | bits >> 40 & 0xFFFF), _last_32(address)
