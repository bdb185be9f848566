"""How people sign in beside passwords: what the environment says of single sign-on and second
factors. Loads nothing of the extra."""

from __future__ import annotations

import importlib.util
import json
import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

from llm_gateway.core.roles import ROLES
from llm_gateway.core.secret import Secret
from llm_gateway.policies.sign_on import SUPERUSER, SignOn

from .environment import Environment

_DOMAIN = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)+")
_GIVABLE = (*ROLES, SUPERUSER)


class SignOnTrouble(ValueError):
    """The message is a line for the operator."""


def ways_in(env: Environment, flag: Callable[[str, bool], bool], number: Callable[[str, int, int, int], int]) -> dict[str, Any]:
    """``sign_on``: a :class:`SignOn`, or ``None`` without an issuer. ``second_factor_roles``: who
    has to have a second factor. Raises :class:`SignOnTrouble`."""
    needed = _roles("COGO_SECOND_FACTOR_ROLES", env.list("COGO_SECOND_FACTOR_ROLES"))
    return {"sign_on": _sign_on(env, flag, number), "second_factor_roles": frozenset(needed)}


def _sign_on(env: Environment, flag: Callable[[str, bool], bool], number: Callable[[str, int, int, int], int]) -> SignOn | None:
    issuer, client = env.plain("COGO_SSO_ISSUER"), env.plain("COGO_SSO_CLIENT_ID")
    if not issuer:
        return None
    private = flag("COGO_SSO_PRIVATE", False)
    _check_issuer(issuer, private)
    if not client:
        raise SignOnTrouble("COGO_SSO_ISSUER is set and COGO_SSO_CLIENT_ID is not; set the id that the identity provider gave the gateway")
    secret = env.str("COGO_SSO_CLIENT_SECRET").strip()
    if not secret:
        raise SignOnTrouble("COGO_SSO_CLIENT_SECRET is not set; set the secret that the identity provider gave the gateway")
    if importlib.util.find_spec("jwt") is None:
        raise SignOnTrouble("COGO_SSO_ISSUER is set, but what checks its tokens is not installed; run 'make install-sso', then try again")
    roles, default = read_roles(env.str("COGO_SSO_ROLES")), env.plain("COGO_SSO_DEFAULT_ROLE")
    domains = tuple(one.lower().lstrip("@") for one in env.list("COGO_SSO_DOMAINS"))
    if wrong := [one for one in domains if not _DOMAIN.fullmatch(one)]:
        raise SignOnTrouble(f"COGO_SSO_DOMAINS has {wrong[0]!r}, which is no mail domain; write example.com")
    if default:
        _roles("COGO_SSO_DEFAULT_ROLE", [default])
        if default == SUPERUSER:
            raise SignOnTrouble("COGO_SSO_DEFAULT_ROLE cannot be superuser; map a group to it in COGO_SSO_ROLES")
        if not domains:
            raise SignOnTrouble("COGO_SSO_DEFAULT_ROLE lets in everybody whom the identity provider knows; name COGO_SSO_DOMAINS as well")
    return SignOn(
        issuer=issuer,
        client_id=client,
        client_secret=Secret(secret),
        name=" ".join(env.str("COGO_SSO_NAME").split())[:60] or "single sign-on",
        scopes=tuple(dict.fromkeys(("openid", *(env.list("COGO_SSO_SCOPES") or ("profile", "email"))))),
        role_claim=env.plain("COGO_SSO_ROLE_CLAIM") or "groups",
        roles=roles,
        default_role=default,
        domains=domains,
        passwords=flag("COGO_SSO_PASSWORDS", True),
        second_factor=flag("COGO_SSO_SECOND_FACTOR", False),
        private=private,
        hours=number("COGO_SSO_HOURS", 12, 1, 24 * 14),
    )


def _check_issuer(issuer: str, private: bool) -> None:
    try:
        parts = urlsplit(issuer)
        named = parts.scheme in ("https", "http") and bool(parts.hostname) and parts.port != 0
        fits = named and len(issuer) <= 300 and "@" not in parts.netloc and not (parts.query or parts.fragment)
    except ValueError:
        fits = False
    if not fits:
        raise SignOnTrouble(
            "COGO_SSO_ISSUER is the address that the identity provider calls itself, such as https://id.example.com/realms/us"
        )
    if parts.scheme == "http" and not private:
        raise SignOnTrouble("COGO_SSO_ISSUER begins with http://; use https://, or set COGO_SSO_PRIVATE for a provider in your own network")


def read_roles(text: str) -> Mapping[str, str]:
    """``group=role`` pairs separated by commas, or a JSON object. Raises :class:`SignOnTrouble`."""
    text = text.strip()
    if text.startswith("{"):
        try:
            pairs = json.loads(text)
        except ValueError:
            pairs = None
        if not isinstance(pairs, dict) or not all(isinstance(role, str) for role in pairs.values()):
            raise SignOnTrouble('COGO_SSO_ROLES cannot be read; write group=role, group=role or {"group": "role"}')
    else:
        parts = [part.strip() for part in text.split(",") if part.strip()]
        split = [part.rpartition("=") for part in parts]
        if not all(sign and group.strip() and role.strip() for group, sign, role in split):
            raise SignOnTrouble('COGO_SSO_ROLES cannot be read; write group=role, group=role or {"group": "role"}')
        pairs = {group.strip(): role.strip() for group, _, role in split}
    _roles("COGO_SSO_ROLES", list(pairs.values()))
    return pairs


def _roles(name: str, found: list[str]) -> list[str]:
    for role in found:
        if role not in _GIVABLE:
            raise SignOnTrouble(f"{name} has {role!r}, which is no role; there are {', '.join(_GIVABLE)}")
    return found
