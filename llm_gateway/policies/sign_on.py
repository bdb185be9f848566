"""Single sign-on: what the operator set, and what an identity provider's claims come to. Pure.

The provider says who somebody is; which role that is worth, the operator's table says. Whatever a
claim holds that is not of the expected form counts as absent: a lying provider gives less, never
more.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import msgspec

from llm_gateway.core.secret import Secret

SUPERUSER = "superuser"
# How far two clocks may differ, in seconds.
LEEWAY_S = 60
# Signatures of a key pair alone: with a shared secret, or none, anybody who knows the client could
# sign.
ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
# What an account can be called: Django's names of accounts take no other signs.
_ADDRESS = re.compile(r"[A-Za-z0-9.+_-]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+", re.ASCII)
REQUIRED = ("iss", "sub", "aud", "exp", "iat")


class SignOn(msgspec.Struct, frozen=True, kw_only=True):
    """What the environment says (docs/sso.md). ``roles`` maps a value of the claim to a role;
    ``default_role`` is for whoever has none of them, empty for nobody. ``domains``: the mail
    domains that may enter, empty for all. ``passwords``: whether they still open the console.
    ``private``: the provider may have a private address and no TLS. ``hours``: after these the
    provider is asked again."""

    issuer: str
    client_id: str
    client_secret: Secret
    name: str = "single sign-on"
    scopes: tuple[str, ...] = ("openid", "profile", "email")
    role_claim: str = "groups"
    roles: Mapping[str, str] = {}
    default_role: str = ""
    domains: tuple[str, ...] = ()
    passwords: bool = True
    second_factor: bool = False
    private: bool = False
    hours: int = 12

    @property
    def gives_superuser(self) -> bool:
        return SUPERUSER in self.roles.values()


class SignOnRefused(Exception):
    """Nobody is let in. The message is for the person; ``reason`` is for the audit trail.
    ``broken``: the provider did not do its part."""

    def __init__(self, message: str, reason: str, *, broken: bool = False) -> None:
        super().__init__(message)
        self.message, self.reason, self.broken = message, reason, broken


class Person(msgspec.Struct, frozen=True, kw_only=True):
    """Whom the provider vouches for. ``subject`` never changes; ``email`` is verified and in lower
    case. ``roles``: what the claims are worth, may be empty."""

    subject: str
    email: str
    name: str
    roles: frozenset[str]


def not_believed(reason: str) -> SignOnRefused:
    """The provider's word is not worth anything."""
    return SignOnRefused("The answer of the identity provider is not valid. Start again; if it stays, tell the operator.", reason)


def check_claims(claims: Mapping[str, Any], settings: SignOn, nonce: str) -> None:
    """What is left once signature, issuer, audience and times are right. Raises
    :class:`SignOnRefused`."""
    said = claims.get("nonce")
    if not isinstance(said, str) or not hmac.compare_digest(said.encode(), nonce.encode()):
        raise not_believed("The nonce of the ID token is not ours.")
    audience = claims.get("aud")
    several = isinstance(audience, list) and len(audience) > 1
    if (several or "azp" in claims) and claims.get("azp") != settings.client_id:
        raise not_believed("The ID token was issued to another client.")


def merged(claims: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    """``claims`` of the ID token with what only userinfo said; the token's word counts. Raises
    :class:`SignOnRefused`."""
    if more.get("sub") != claims.get("sub"):
        raise not_believed("Userinfo is about another person than the ID token.")
    return {**more, **claims}


def lacking(claims: Mapping[str, Any], settings: SignOn) -> bool:
    """Whether userinfo has to be asked: the token leaves out the address or the claim of the
    roles."""
    return "email" not in claims or "email_verified" not in claims or (bool(settings.roles) and _at(claims, settings.role_claim) is None)


def person_of(claims: Mapping[str, Any], settings: SignOn) -> Person:
    """Raises :class:`SignOnRefused`."""
    subject, email = claims.get("sub"), claims.get("email")
    if not isinstance(subject, str) or not 0 < len(subject) <= 255 or not subject.isprintable():
        raise not_believed("The ID token names no subject.")
    if not isinstance(email, str) or not _is_address(email):
        raise SignOnRefused("The identity provider does not say your mail address.", "The claims hold no mail address.")
    # Some providers write the flag as text
    # (https://docs.aws.amazon.com/cognito/latest/developerguide/userinfo-endpoint.html).
    if claims.get("email_verified") not in (True, "true"):
        raise SignOnRefused("The identity provider has not verified your mail address.", "The mail address is not verified.")
    email = email.lower()
    if settings.domains and email.rpartition("@")[2] not in settings.domains:
        raise SignOnRefused("People with your mail address may not sign in here.", "The mail domain is not one of COGO_SSO_DOMAINS.")
    name = claims.get("name")
    shown = " ".join(name.split())[:150] if isinstance(name, str) and name.isprintable() else ""
    return Person(subject=subject, email=email, name=shown, roles=roles_of(claims, settings))


def roles_of(claims: Mapping[str, Any], settings: SignOn) -> frozenset[str]:
    """The roles that the claim is worth, else the default one."""
    value = _at(claims, settings.role_claim)
    words = [value] if isinstance(value, str) else value if isinstance(value, list) else []
    found = frozenset(settings.roles[word] for word in words if isinstance(word, str) and word in settings.roles)
    return found or frozenset(filter(None, (settings.default_role,)))


def endpoint(document: Mapping[str, Any], name: str, settings: SignOn) -> str:
    """An address of the provider's description. Raises :class:`SignOnRefused` where it is missing,
    not https, or could be read in two ways."""
    url = document.get(name)
    schemes = ("https", "http") if settings.private else ("https",)
    try:
        parts = urlsplit(url) if isinstance(url, str) and len(url) <= 2000 and all("!" <= sign <= "~" for sign in url) else None
        fits = parts is not None and parts.scheme in schemes and bool(parts.hostname) and "@" not in parts.netloc and not parts.fragment
    except ValueError:
        fits = False
    if not fits:
        raise SignOnRefused("The identity provider is not set up right.", f"Its description has no usable {name}.", broken=True)
    return str(url)


def _at(claims: Mapping[str, Any], path: str) -> Any:
    """The claim of that name, else the one that the dotted path leads to: Keycloak's is
    ``realm_access.roles``."""
    if path in claims:
        return claims[path]
    found: Any = claims
    for part in path.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    return found


def _is_address(text: str) -> bool:
    return len(text) <= 150 and _ADDRESS.fullmatch(text) is not None
