"""Connections to the database where Django's own rules are not enough: after a fork, for the journal alone, and after an outage."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connection, connections, transaction

# How long a writer waits for locks that others hold, in milliseconds.
LOCK_WAIT_MS = 4000

_inherited: list[Any] = []


def watch_forks() -> None:
    """From now on a forked process opens connections of its own: two processes on one socket read each other's answers."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=forget_inherited)


def forget_inherited() -> None:
    """Leave the parent's connections and its pool alone: not used, not closed (closing says good-bye for the parent, too), not freed."""
    for one in connections.all(initialized_only=True):
        pools = getattr(type(one), "_connection_pools", {})
        _inherited.append((one, dict(pools)))
        pools.clear()
        del connections[one.alias]


def take_own_connection() -> None:
    """This thread leaves the pool: no other thread can use up its connection, and a database that is away is known at once instead of
    after the pool's patience."""
    given = connections[DEFAULT_DB_ALIAS]
    if given.settings_dict["OPTIONS"].get("pool"):
        given.close()
        options = {name: value for name, value in given.settings_dict["OPTIONS"].items() if name != "pool"}
        own = {**given.settings_dict, "OPTIONS": options, "CONN_MAX_AGE": None}
        connections[DEFAULT_DB_ALIAS] = type(given)(own, DEFAULT_DB_ALIAS)


def renew_pool() -> None:
    """Every connection of this process's pool is replaced: those of before an outage lead nowhere, or to a server that is the standby
    now."""
    pool = getattr(type(connections[DEFAULT_DB_ALIAS]), "_connection_pools", {}).get(DEFAULT_DB_ALIAS)
    if pool is not None and not pool.closed:
        pool.drain()


@contextmanager
def short_transaction() -> Iterator[None]:
    """A transaction that ends soon whatever others hold. The limits are the transaction's own: a session's would stay behind on a server
    connection that PgBouncer hands to somebody else."""
    with transaction.atomic():
        if connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                cursor.execute(f"SET LOCAL lock_timeout = {LOCK_WAIT_MS}; SET LOCAL statement_timeout = {2 * LOCK_WAIT_MS}")
        yield
