"""Talk with the identity provider: its description, its keys, a code for a token (OpenID Connect
Core 1.0, sections 3.1 and 5.3).

Everything goes through the gateway's one door, with its certificates and its proxy, within one
clock. The provider is believed nothing that its signature, our nonce and our settings do not bear
out: the token is checked even though it came to us directly.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import secrets
import time
from collections.abc import Awaitable, Mapping
from typing import Any, Protocol, TypeVar
from urllib.parse import quote_plus, urlencode

import msgspec

from llm_gateway.core.errors import AttemptFailed
from llm_gateway.core.json import lenient
from llm_gateway.engine.transport import HttpUpstream
from llm_gateway.policies.sign_on import (
    ALGORITHMS,
    LEEWAY_S,
    REQUIRED,
    SignOn,
    SignOnRefused,
    check_claims,
    endpoint,
    lacking,
    merged,
    not_believed,
)
from llm_gateway.stores.network import network

T = TypeVar("T")
CLOCK_S = 10.0
CONNECT_S = 4.0
MOST_BYTES = 512 * 1024
# A provider moves its endpoints seldom; a flood of sign-ins asks it once.
DESCRIBED_S = 300.0
WELL_KNOWN = "/.well-known/openid-configuration"


class Started(msgspec.Struct, frozen=True, kw_only=True):
    """A sign-in on its way: what the browser keeps until it comes back."""

    state: str
    nonce: str
    verifier: str


class Ask(Protocol):
    """The seam of tests: status and body, at most :data:`MOST_BYTES`."""

    async def __call__(self, method: str, url: str, headers: dict[str, str], body: bytes, *, allow_private: bool) -> tuple[int, bytes]: ...


_descriptions: dict[str, tuple[float, dict[str, Any]]] = {}


def forget() -> None:
    """For tests: the next sign-in reads the provider's description anew."""
    _descriptions.clear()


def start() -> Started:
    return Started(state=secrets.token_urlsafe(32), nonce=secrets.token_urlsafe(32), verifier=secrets.token_urlsafe(48))


async def sign_in_address(settings: SignOn, started: Started, back: str, ask: Ask | None = None) -> str:
    """Where the browser goes to sign in. ``back``: where the provider sends it afterwards. Raises
    :class:`SignOnRefused`."""
    document = await _within(_described(settings, ask or _ask))
    challenge = base64.urlsafe_b64encode(hashlib.sha256(started.verifier.encode()).digest()).decode().rstrip("=")
    query = {
        "response_type": "code", "client_id": settings.client_id, "redirect_uri": back, "scope": " ".join(settings.scopes),
        "state": started.state, "nonce": started.nonce, "code_challenge": challenge, "code_challenge_method": "S256",
    }  # fmt: skip
    address = endpoint(document, "authorization_endpoint", settings)
    return f"{address}{'&' if '?' in address else '?'}{urlencode(query)}"


async def redeem(settings: SignOn, started: Started, code: str, back: str, ask: Ask | None = None) -> dict[str, Any]:
    """The claims that ``code`` stands for, checked. Raises :class:`SignOnRefused`."""
    return await _within(_redeemed(settings, started, code, back, ask or _ask))


async def _redeemed(settings: SignOn, started: Started, code: str, back: str, ask: Ask) -> dict[str, Any]:
    document = await _described(settings, ask)
    sent = {"grant_type": "authorization_code", "code": code, "redirect_uri": back, "code_verifier": started.verifier}
    headers = {"content-type": "application/x-www-form-urlencoded", "accept": "application/json"}
    methods = document.get("token_endpoint_auth_methods_supported")
    if isinstance(methods, list) and "client_secret_basic" not in methods:
        sent |= {"client_id": settings.client_id, "client_secret": settings.client_secret.reveal()}
    else:  # what a provider supports that says nothing
        pair = f"{quote_plus(settings.client_id)}:{quote_plus(settings.client_secret.reveal())}"
        headers["authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
    url = endpoint(document, "token_endpoint", settings)
    tokens = await _object(ask, settings, "the code", "POST", url, headers, urlencode(sent).encode())
    token = tokens.get("id_token")
    if not isinstance(token, str):
        raise not_believed("The answer to the code holds no ID token.")
    keys = await _object(ask, settings, "its keys", "GET", endpoint(document, "jwks_uri", settings), {"accept": "application/json"})
    claims = read_token(token, keys, settings)
    check_claims(claims, settings, started.nonce)
    access = tokens.get("access_token")
    usable = isinstance(access, str) and access.isascii() and access.isprintable()
    if usable and "userinfo_endpoint" in document and lacking(claims, settings):
        bearer = {"authorization": f"Bearer {access}", "accept": "application/json"}
        url = endpoint(document, "userinfo_endpoint", settings)
        claims = merged(claims, await _object(ask, settings, "userinfo", "GET", url, bearer))
    return claims


def read_token(token: str, keys: Mapping[str, Any], settings: SignOn) -> dict[str, Any]:
    """The claims of an ID token that one of ``keys`` signed for us, and that is in force. Raises
    :class:`SignOnRefused`."""
    import jwt  # the extra: only who signs in this way has it

    try:
        header = jwt.get_unverified_header(token)
        kid, signed_by = header.get("kid"), header.get("alg")
        if signed_by not in ALGORITHMS:
            raise not_believed("The ID token is not signed with a key pair.")
        listed = keys.get("keys")
        fitting = [one for one in listed if isinstance(one, dict) and _fits(one, kid)] if isinstance(listed, list) else []
        if len(fitting) != 1:
            raise not_believed("The ID token is signed with no key of the provider.")
        claims: dict[str, Any] = jwt.decode(
            token,
            jwt.PyJWK.from_dict(fitting[0], algorithm=None if fitting[0].get("alg") else signed_by),
            algorithms=list(ALGORITHMS),
            issuer=settings.issuer,
            audience=settings.client_id,
            leeway=LEEWAY_S,
            options={"require": list(REQUIRED)},
        )
    except jwt.PyJWTError as error:
        raise not_believed(f"The ID token does not hold: {type(error).__name__}.") from None
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, OverflowError) as error:
        raise not_believed(f"The ID token or a key cannot be read: {type(error).__name__}.") from None
    return claims


def _fits(key: Mapping[str, Any], kid: Any) -> bool:
    """A token without a key id is read with the one key there is for signatures."""
    return key.get("use", "sig") == "sig" and key.get("kty") in ("RSA", "EC", "OKP") and (kid is None or key.get("kid") == kid)


async def _described(settings: SignOn, ask: Ask) -> dict[str, Any]:
    """The provider's own description, which has to be about the issuer that the operator named
    (OpenID Connect Discovery 1.0, 4.3)."""
    found = _descriptions.get(settings.issuer)
    if found is not None and time.monotonic() - found[0] < DESCRIBED_S:
        return found[1]
    url = settings.issuer.rstrip("/") + WELL_KNOWN
    document = await _object(ask, settings, "its description", "GET", url, {"accept": "application/json"})
    if document.get("issuer") != settings.issuer:
        raise SignOnRefused(
            "The identity provider is not set up right.", "Its description is about another issuer than COGO_SSO_ISSUER.", broken=True
        )
    _descriptions[settings.issuer] = (time.monotonic(), document)
    return document


async def _object(
    ask: Ask, settings: SignOn, what: str, method: str, url: str, headers: dict[str, str], body: bytes = b""
) -> dict[str, Any]:
    """The JSON object at ``url``; no redirect is followed."""
    try:
        status, text = await ask(method, url, headers, body, allow_private=settings.private)
    except AttemptFailed as error:
        raise _broken(f"It could not be asked for {what}: {error.failure.kind}.") from None
    found = lenient(text)
    if status == 400 and method == "POST":
        raise not_believed("The identity provider does not take the code: it was used, it is too old, or the client's secret is wrong.")
    if status != 200 or not isinstance(found, dict):
        raise _broken(f"Asked for {what}, it answered {status}{'' if isinstance(found, dict) else ' without a JSON object'}.")
    return found


def _broken(reason: str) -> SignOnRefused:
    return SignOnRefused("The identity provider cannot be reached, or does not answer as it should. Try again.", reason, broken=True)


async def _within(call: Awaitable[T]) -> T:
    try:
        async with asyncio.timeout(CLOCK_S):
            return await call
    except TimeoutError:
        raise _broken(f"It did not answer within {CLOCK_S:.0f} s.") from None


async def _ask(method: str, url: str, headers: dict[str, str], body: bytes, *, allow_private: bool) -> tuple[int, bytes]:
    """Through the one door."""
    upstream = HttpUpstream(network())
    try:
        response = await upstream.send(method, url, headers, body, connect_s=CONNECT_S, allow_private=allow_private)
        read = bytearray()
        async for chunk in response.chunks():
            read += chunk
            if len(read) > MOST_BYTES:
                response.close()
                raise _broken("Its answer is too long.")
        return response.status, bytes(read)
    finally:
        await upstream.close()
