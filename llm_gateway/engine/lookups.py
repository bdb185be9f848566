"""From a host's name to a socket: its addresses, judged, and the first of them that answers."""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import socket
from collections.abc import Sequence
from itertools import chain, zip_longest
from typing import NamedTuple

from llm_gateway.policies.addresses import refusal

from .network_faults import PrivateAddress

# How long a name's addresses are believed.
LOOKED_UP_S = 30
# How long one address is tried alone before the next is tried beside it (RFC 8305).
ALONE_S = 0.25

_OUR_LACK = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


class Address(NamedTuple):
    family: socket.AddressFamily
    # As the socket wants it.
    place: tuple[object, ...]

    @property
    def ip(self) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
        return ipaddress.ip_address(str(self.place[0]))


class Lookups:
    """Names and their addresses, each asked for once at a time and believed for :data:`LOOKED_UP_S`. Belongs to one event loop."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, int], tuple[float, list[Address]]] = {}
        self._asked: dict[tuple[str, int], asyncio.Task[list[Address]]] = {}
        self._turn = 0

    async def addresses(self, host: str, port: int, *, allow_private: bool) -> list[Address]:
        """In the order in which to try them. Raises :class:`PrivateAddress` when one of them is none that a provider may have, OSError when
        there is none."""
        found = _literal(host, port) or await self._look_up(host, port)
        if not found or any(refusal(one.ip, allow_private=allow_private) for one in found):
            raise PrivateAddress(host)
        if len(found) == 1:
            return found
        self._turn += 1
        return _in_turn(found, self._turn)

    def forget(self) -> None:
        self._found.clear()

    def close(self) -> None:
        for task in self._asked.values():
            task.cancel()

    async def _look_up(self, host: str, port: int) -> list[Address]:
        loop = asyncio.get_running_loop()
        key = (host, port)
        until, found = self._found.get(key, (0.0, []))
        if until > loop.time():
            return found
        task = self._asked.get(key)
        if task is None:
            task = self._asked[key] = loop.create_task(_asked(host, port), name="lookup")
            task.add_done_callback(lambda done: self._note(key, done))
        # Several may wait for it, and each may leave.
        return await asyncio.shield(task)

    def _note(self, key: tuple[str, int], task: asyncio.Task[list[Address]]) -> None:
        self._asked.pop(key, None)
        if not task.cancelled() and task.exception() is None:
            if len(self._found) > 4096:
                self._found.clear()
            self._found[key] = (task.get_loop().time() + LOOKED_UP_S, task.result())


async def first_socket(addresses: Sequence[Address]) -> socket.socket:
    """Connected to the first address that answers; each has a quarter of a second before the next is tried, too. Raises OSError."""
    if len(addresses) == 1:
        return await _connected(addresses[0])
    loop = asyncio.get_running_loop()
    left = list(addresses)
    errors: list[OSError] = []
    running: set[asyncio.Task[socket.socket]] = set()
    made: list[socket.socket] = []
    try:
        while not made and (left or running):
            if left:
                running.add(loop.create_task(_connected(left.pop(0)), name="connect"))
            done, running = await asyncio.wait(running, timeout=ALONE_S if left else None, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                error = task.exception()
                if error is None:
                    made.append(task.result())
                elif isinstance(error, OSError):
                    errors.append(error)
                else:
                    raise error
        chosen = made.pop(0) if made else None
    finally:
        for task in running:
            task.add_done_callback(_dropped)
            task.cancel()
        for other in made:
            other.close()
    if chosen is None:
        raise _telling(errors)
    return chosen


def _dropped(task: asyncio.Task[socket.socket]) -> None:
    if not task.cancelled() and task.exception() is None:
        task.result().close()


async def _connected(address: Address) -> socket.socket:
    made = socket.socket(address.family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        made.setblocking(False)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # A host that thinks for minutes is told from one that is gone.
        made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        await asyncio.get_running_loop().sock_connect(made, address.place)
    except BaseException:
        made.close()
        raise
    return made


def _telling(errors: Sequence[OSError]) -> OSError:
    """The one to report: our own lack before the host's refusal, and that before a family this machine does not have."""
    for error in errors:
        if error.errno in _OUR_LACK:
            return error
    for error in errors:
        if error.errno != errno.EADDRNOTAVAIL:
            return error
    return errors[0]


def _literal(host: str, port: int) -> list[Address]:
    try:
        ip = ipaddress.ip_address(host)
    except ValueError:
        return []
    if isinstance(ip, ipaddress.IPv4Address):
        return [Address(socket.AF_INET, (host, port))]
    return [] if ip.scope_id else [Address(socket.AF_INET6, (host, port, 0, 0))]


async def _asked(host: str, port: int) -> list[Address]:
    flags = getattr(socket, "AI_ADDRCONFIG", 0)
    entries = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=flags)
    wanted = (socket.AF_INET, socket.AF_INET6)
    return list(dict.fromkeys(Address(family, place) for family, _, _, _, place in entries if family in wanted))


def _in_turn(found: list[Address], turn: int) -> list[Address]:
    """The system's first family first, the families alternating, and within each another address first every time."""
    families: dict[int, list[Address]] = {}
    for one in found:
        families.setdefault(one.family, []).append(one)
    turned = [group[turn % len(group) :] + group[: turn % len(group)] for group in families.values()]
    return [one for one in chain.from_iterable(zip_longest(*turned)) if one is not None]
