"""What every test gets: an environment of its own (tests/settings.py) and no way out of this machine."""

from __future__ import annotations

import gc
import ipaddress
import os
import socket
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support import template

# Programs that tests start read the gateway's own settings, with the environment that tests/settings.py made.
os.environ["DJANGO_SETTINGS_MODULE"] = "cogo.settings"


class OutsideNetwork(RuntimeError):
    """A test tried to leave the machine. Use a MockTransport, the simulator or a server on 127.0.0.1."""


def _is_local(host: object) -> bool:
    if host in (None, "", b"", "localhost", b"localhost", socket.gethostname()):
        return True
    try:
        address = ipaddress.ip_address(host.decode() if isinstance(host, bytes) else str(host).partition("%")[0])
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified


def _guard(event: str, args: tuple[Any, ...]) -> None:
    if event in ("socket.connect", "socket.sendto"):
        address = args[1]
        if isinstance(address, tuple) and address and not _is_local(address[0]):
            raise OutsideNetwork(f"{event} to {address[0]!r}; {OutsideNetwork.__doc__}")
    elif event == "socket.getaddrinfo":
        host = args[0]
        name = host.decode() if isinstance(host, bytes) else host
        if isinstance(name, str) and name.endswith((".invalid", ".test")):
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        if not _is_local(host) and not _is_address(name):
            raise OutsideNetwork(f"looking up {host!r}; {OutsideNetwork.__doc__}")


def _is_address(text: object) -> bool:
    try:
        ipaddress.ip_address(str(text).partition("%")[0])
    except ValueError:
        return False
    return True


def pytest_collection_finish(session: pytest.Session) -> None:
    """Make the template of databases before any test's clock runs, and let the collector of garbage look no more at what pytest itself
    holds: with thirteen thousand tests each full look takes 0.4 s, in the middle of whatever is measured."""
    gc.collect()
    gc.freeze()
    controls = hasattr(session.config, "workerinput") or not session.config.getoption("numprocesses", None)
    if session.items and controls and not session.config.option.collectonly and _on_sqlite():
        template.made()


def _on_sqlite() -> bool:
    from django.conf import settings

    return str(settings.DATABASES["default"]["ENGINE"]).endswith("sqlite3")


@pytest.fixture(scope="session")
def django_db_keepdb() -> bool:
    """Whether the database is there already; its folder goes with the process."""
    return _on_sqlite()


@pytest.fixture(scope="session")
def django_db_modify_db_settings(django_db_modify_db_settings_parallel_suffix: None) -> None:
    from django.db import connection

    if _on_sqlite():
        template.seed(Path(connection.settings_dict["TEST"]["NAME"]))


pytest_plugins = ["tests.support.gateway", "tests.support.recorded_table"]

sys.addaudithook(_guard)
