"""What the gateway stands on: settings, files, database, shared cache."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from django.conf import settings
from django.core import checks
from django.db import connection

from cogo import footing, weakness
from cogo.preflight import CannotStart, check_database

from . import Diagnosis, count, examinations, fine, notice, problem

LOW_DISK_BYTES = 1 << 30
LOW_DISK_SHARE = 0.05


@examinations("Settings")
def settings_of_the_start() -> Iterator[Diagnosis]:
    """Whatever stops a start has stopped this command as well; here is what the start only warns of."""
    deployed = weakness.exposed(https=bool(settings.SESSION_COOKIE_SECURE), hosts=settings.ALLOWED_HOSTS)
    found = [one for one in checks.run_checks(include_deployment_checks=deployed) if one.level >= checks.WARNING and not one.is_silenced()]
    for one in found:
        made = problem if one.level >= checks.ERROR else notice
        yield made(f"{one.msg} ({one.id})", str(one.hint or "See docs/configuration.md."))
    if settings.DEBUG:
        yield notice("DEBUG is on: error pages show internals.", "Unset DEBUG before anybody else can reach this gateway.")
    if deployed and not settings.SESSION_COOKIE_SECURE:
        yield problem(
            "ALLOWED_HOSTS names more than this machine, and cookies travel without TLS.",
            "Put a TLS proxy in front and set COGO_HTTPS=true (deploy/).",
        )
    if not found and not settings.DEBUG:
        yield fine("The settings hold nothing to object to.")


@examinations("Files")
def files() -> Iterator[Diagnosis]:
    folder = Path(settings.VAR_DIR)
    if not os.access(folder, os.W_OK):
        yield problem(f"{folder} cannot be written by this user.", "Give it to the user that runs the gateway, or set COGO_VAR_DIR.")
        return
    free, total = shutil.disk_usage(folder).free, shutil.disk_usage(folder).total
    if free < LOW_DISK_BYTES or free < total * LOW_DISK_SHARE:
        yield problem(
            f"{folder} has {free >> 20:,} MB left of {total >> 20:,} MB.",
            "Make room: a full disk stops the database, and with it every request. `manage.py purge` deletes what is past its retention.",
        )
    else:
        yield fine(f"{folder} has {free >> 20:,} MB left.")
    descriptors = footing.descriptors()
    if descriptors < footing.LOW:
        yield notice(
            f"A process may open {descriptors} files, so each worker carries {settings.COGO['max_in_flight']} calls at a time.",
            "Raise the hard limit: ulimit -Hn, or LimitNOFILE= in the service file.",
        )


@examinations("Database", decisive=True)
def database() -> Iterator[Diagnosis]:
    from django.db.migrations.executor import MigrationExecutor

    try:
        check_database()
    except CannotStart as refusal:
        yield problem(f"{str(refusal).removeprefix('cogo: ')}.", "Until then no request can be answered.")
        return
    executor = MigrationExecutor(connection)
    plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    if plan:
        yield problem(f"{count(len(plan), 'migration')} not applied, {plan[0][0]} first.", "Run: manage.py migrate")
        return
    yield fine(f"The {connection.display_name} database takes writes, and its schema is this version's.")


@examinations("Secrets at rest")
def secrets_at_rest() -> Iterator[Diagnosis]:
    from llm_gateway.actions.rotate_encryption import verify_encryption

    lines = list(verify_encryption())
    for line in lines:
        yield problem(f"{line}.", "Add the key it was sealed with to COGO_ENCRYPTION_KEYS, or enter the secret again.")
    if not lines:
        yield fine("Every sealed secret opens with COGO_ENCRYPTION_KEYS.")


@examinations("Shared cache")
def shared_cache() -> Iterator[Diagnosis]:
    from django.core.cache import cache

    if not settings.REDIS_URL:
        yield fine("No Redis is configured, and on one machine none is needed.")
    elif cache.works():  # type: ignore[attr-defined]  # it is cogo.cache's
        yield fine("Redis answers.")
    else:
        yield notice("REDIS_URL names a Redis that does not answer.", "Start it or unset REDIS_URL; requests go on without it.")
