"""What went wrong on the network, in the gateway's own classes."""

from __future__ import annotations

import errno
import socket
import ssl
from contextlib import ExitStack

import aiohttp

from llm_gateway.core.errors import Failure, FailureClass

from .network import shown

_K = FailureClass
# What looking up a name may hold at once: the hosts file, a socket to each of two name servers.
_LOOKUP_DESCRIPTORS = 3
_LACKING = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EADDRNOTAVAIL})


class PrivateAddress(ValueError):
    """The provider's host leads to a private address and its row does not admit one."""


def is_ours(error: BaseException) -> bool:
    """Whether this process or machine lacks what a connection needs: no provider's fault."""
    cause = getattr(error, "os_error", error)
    if isinstance(cause, socket.gaierror):
        # The resolver does not say that it could open no file or socket; it needs a few at once.
        with ExitStack() as probes:
            try:
                for _ in range(_LOOKUP_DESCRIPTORS):
                    probes.enter_context(socket.socket())
            except OSError as lacking:
                cause = lacking
    return isinstance(cause, OSError) and not isinstance(cause, socket.gaierror) and cause.errno in _LACKING


def failure_of(error: BaseException, *, reading: bool = False, fresh: bool = False, proxy: str = "") -> Failure:
    """The class of a network fault. ``reading``: the head had arrived; ``fresh``: the connection was made for this request, through
    ``proxy`` where there is one."""
    kind: FailureClass
    if is_ours(error):
        return Failure(kind=_K.CONFIG, message="this gateway has no descriptor left; raise its limit of open files")
    match error:
        case aiohttp.ClientProxyConnectionError():
            return of_proxy(proxy)
        case aiohttp.ClientHttpProxyError():
            return of_proxy(proxy, error.status)
        case PrivateAddress():
            return Failure(kind=_K.CONFIG, message="the provider's address is private; admit it on the provider's page if it is yours")
        case aiohttp.ClientConnectorDNSError() | socket.gaierror():
            kind = _K.DNS
        case aiohttp.ClientSSLError() | ssl.SSLError():
            return Failure(kind=_K.TLS, message=_tls_reason(error))
        case aiohttp.ConnectionTimeoutError() | aiohttp.ServerTimeoutError():
            kind = _K.CONNECT_TIMEOUT
        case aiohttp.ClientConnectorError():
            if isinstance(error.os_error, PrivateAddress | ssl.SSLError):
                return failure_of(error.os_error)
            kind = _K.CONNECT_REFUSED
        case aiohttp.ClientPayloadError():
            # aiohttp names what ended the connection only in the text.
            kind = _K.RESET if "ConnectionResetError" in str(error) else _K.TRUNCATED
        case aiohttp.ServerDisconnectedError() | ConnectionError() | aiohttp.ClientOSError():
            kind = _K.RESET if reading or fresh else _K.STALE_CONNECTION
        case aiohttp.ClientResponseError():
            kind = _K.PROTOCOL
        case aiohttp.InvalidURL() | UnicodeError():
            kind = _K.CONFIG
        case ValueError():
            # aiohttp refuses header values with line breaks before sending anything.
            kind = _K.PROTOCOL if reading else _K.CONFIG
        case _:
            kind = _K.PROTOCOL
    return Failure(kind=kind, message=type(error).__name__)


def unreached(error: BaseException) -> Failure:
    """The class of what kept a connection from being made: anything from its name to its certificate."""
    if is_ours(error) or isinstance(error, socket.gaierror | ssl.SSLError | ValueError):
        return failure_of(error)
    return Failure(kind=_K.CONNECT_TIMEOUT if isinstance(error, TimeoutError) else _K.CONNECT_REFUSED, message=type(error).__name__)


def of_proxy(proxy: str, status: int | None = None) -> Failure:
    """A fault of the proxy, by name. Our side of the matter unless the proxy says that it is the provider who cannot be reached."""
    name = f"the proxy {shown(proxy)}" if proxy else "the proxy"
    if status is None:
        return Failure(kind=_K.CONFIG, message=f"{name} cannot be reached; correct the proxy in the settings")
    if status >= 500:
        return Failure(kind=_K.CONNECT_REFUSED, message=f"{name} answered {status}: it does not reach the provider")
    what = "wants another user and password" if status in (401, 407) else f"answered {status}: it does not let this host through"
    return Failure(kind=_K.CONFIG, message=f"{name} {what}; correct the proxy in the settings")


def _tls_reason(error: BaseException) -> str:
    inner = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    said = getattr(getattr(error, "certificate_error", None), "verify_message", "") or getattr(inner, "verify_message", "")
    return f"certificate: {said}" if said else type(error).__name__
