"""Who calls, and whether it may.

A request that carries a client key never uses the session, whatever becomes of the key; a request of a session always passes CSRF. Nothing
here reads the database for a key: identity comes from the catalogue snapshot.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, cast

from rest_framework import authentication, exceptions, permissions
from rest_framework.request import Request
from typing_extensions import override

from llm_gateway.api.refusal import REALM, presented_key
from llm_gateway.core.catalog import Identity, Scope
from llm_gateway.core.errors import GatewayError, Unauthenticated

from .host import gateway

if TYPE_CHECKING:  # DRF's views import this module, by the name its settings give
    from rest_framework.views import APIView


class Caller:
    """``request.user`` of a request with a client key: known, but nobody who could sign in."""

    is_authenticated = True
    is_anonymous = False
    is_active = True
    is_staff = False
    is_superuser = False
    pk = None
    id = None

    def __init__(self, identity: Identity) -> None:
        self.identity = identity
        self.username = identity.name

    @override
    def __str__(self) -> str:
        return self.identity.name

    def has_perm(self, perm: str, obj: object = None) -> bool:
        return False


class KeyRefused(exceptions.AuthenticationFailed):
    """Carries the gateway's own error through DRF, which only lets its own kind pass."""

    def __init__(self, error: GatewayError) -> None:
        super().__init__(error.message, error.code)
        self.error = error


class Refused(exceptions.PermissionDenied):
    """As :class:`KeyRefused`, for anything else that ends a request before its view."""

    def __init__(self, error: GatewayError) -> None:
        super().__init__(error.message, error.code)
        self.error = error
        self.status_code = error.status


class ClientKeyAuthentication(authentication.BaseAuthentication):
    """``request.auth`` becomes the :class:`Identity` of the key."""

    @override
    def authenticate(self, request: Request) -> tuple[Caller, Identity] | None:
        try:
            key = presented_key(request.headers)
            if key is None:
                return None
            identity = gateway().identify(key)
        except Unauthenticated as error:
            raise KeyRefused(error) from None
        except GatewayError as error:
            raise Refused(error) from None
        request._request.cogo_identity = identity  # type: ignore[attr-defined]
        return Caller(identity), identity

    @override
    def authenticate_header(self, request: Request) -> str:
        return REALM


def identity_of(request: Request) -> Identity:
    """The identity of an authenticated request; for staff its ``client_key_id`` is ``None``, which means: may see every team.

    May query for a session (call it from synchronous code), never for a key. Raises DRF's own exceptions.
    """
    known = getattr(request._request, "cogo_identity", None)
    if known is not None:
        return cast(Identity, known)
    user: Any = request.user  # None before anybody was authenticated, which the stubs leave out
    if user is None or not user.is_authenticated:
        raise exceptions.NotAuthenticated
    if not user.is_staff:
        raise exceptions.PermissionDenied("Only staff may use the API from the browser; programs send a client key.")
    try:
        identity = gateway().staff_identity(user)
    except GatewayError as error:
        raise Refused(error) from None
    request._request.cogo_identity = identity  # type: ignore[attr-defined]
    return identity


class DenyAll(permissions.BasePermission):
    """Nothing is open by default."""

    message = "This address is not open to anybody."

    @override
    def has_permission(self, request: Request, view: APIView) -> bool:
        return False


class ScopePermission(permissions.BasePermission):
    """Base of what :func:`HasScope` makes: lets in keys that have ``scope``, and staff that have it and the permission ``staff``."""

    scope: Scope
    staff: str = ""

    @property
    def message(self) -> str:
        return f"This needs the scope `{self.scope.value}`, which you do not have; ask the operator for a key or a role that has it."

    @override
    def has_permission(self, request: Request, view: APIView) -> bool:
        identity = identity_of(request)
        if self.scope not in identity.scopes:
            return False
        return not self.staff or identity.client_key_id is not None or bool(request.user.has_perm(self.staff))


@cache
def HasScope(scope: str, staff: str = "") -> type[ScopePermission]:  # noqa: N802  # used where DRF expects a class
    """A permission class: the caller has ``scope`` (generate, analyze, read or manage). ``staff``: what a member of staff must be allowed
    in the console as well (:mod:`llm_gateway.core.roles`)."""
    wanted = Scope(scope)
    made: Any = type(f"HasScope_{wanted.value}", (ScopePermission,), {"scope": wanted, "staff": staff})
    return cast(type[ScopePermission], made)
