"""The admin's way to the named verbs. Imported when used: the console's lists work while a verb's own dependencies do not."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.utils import timezone

from llm_gateway.models import (
    AlertDestination,
    Batch,
    Budget,
    ClientKey,
    DeploymentHealth,
    Experiment,
    Heartbeat,
    PolicyVersion,
    Provider,
    ProviderKey,
    ReplacedKey,
    Strategy,
    StrategyActivation,
)

FRESH = timedelta(minutes=3)
# Under which the task cluster reports every minute (llm_gateway.tasks).
CLUSTER = "tasks"


def background_alive() -> bool:
    """Whether the task cluster gave a sign of life lately, so that queued work will run."""
    return Heartbeat.objects.filter(name=CLUSTER, at__gte=timezone.now() - FRESH).exists()


def clean_secret(plain: str) -> str:
    """Raises ``ActionError`` with a sentence that does not hold what was typed."""
    from llm_gateway.actions.store_provider_key import clean_secret as clean

    return clean(plain)


def checked_base_url(text: str, allow_private: bool) -> str:
    """Where a provider may be, in normal form. Raises ``ActionError``."""
    from llm_gateway.actions.add_provider import checked_base_url as checked

    return checked(text, allow_private=allow_private)


def store_key(row: ProviderKey, secret: str) -> None:
    from llm_gateway.actions.store_provider_key import store_provider_key

    store_provider_key(row.provider, secret, row.name)
    row.refresh_from_db()


def check_keys(ids: list[int], trigger: str) -> bool:
    """Check now: through the task cluster when it lives, else at once. Returns whether the result is already there."""
    if background_alive():
        from django_q.tasks import async_task

        async_task("llm_gateway.tasks.check_keys", ids, trigger)
        return False
    from llm_gateway.actions.check_keys import check_keys as check

    check(ids, trigger=trigger)
    return True


def raise_budget(row: Budget, usd: Decimal, until: datetime | None) -> None:
    """A raise for a limited time, unsaved; 0 ends one. Raises ``ActionError``."""
    from llm_gateway.actions.set_budget import raise_budget as raise_

    raise_(row, usd, until)


def pseudonym(team_id: int, name: str) -> str:
    """What an end user of this team is remembered as."""
    from llm_gateway.policies.end_users import pseudonym as of
    from llm_gateway.stores import vault

    return of(vault.end_user_key(), team_id, name)


def checked_addresses(texts: list[str]) -> list[str]:
    """Raises ActionError for what is no address and no network."""
    from llm_gateway.actions.create_client_key import checked_addresses as checked

    return checked(texts)


def checked_models(names: list[str]) -> list[str]:
    """What a client key's list of models may hold. Raises ``ActionError``."""
    from llm_gateway.actions.create_client_key import checked_models as checked

    return checked(names)


def create_client_key(row: ClientKey, user: Any, budget_usd: Decimal | None = None, period: str = "month") -> tuple[ClientKey, str]:
    """The saved row and, once, the key's text. Raises ``ActionError``."""
    from llm_gateway.actions.create_client_key import issue_client_key

    return issue_client_key(row, user, budget_usd=budget_usd, period=period)


def roll_client_key(row: ClientKey, user: Any, *, keep_until: datetime, expected: str) -> str:
    """Once, the key's new text. Raises ``ActionError``, ``AlreadyRolled`` among them, and ``PermissionDenied``."""
    from llm_gateway.actions.roll_client_key import roll_client_key as roll

    return roll(row, keep_until=keep_until, expected=expected, by=user)


def end_replaced_key(row: ReplacedKey) -> bool:
    from llm_gateway.actions.roll_client_key import end_replaced_key as end

    return end(row)


def beyond_rights(row: ClientKey, user: Any, scopes: list[str], limited: bool = False) -> tuple[str, str] | None:
    """``(field, sentence)`` for what this user may not give to a key."""
    from llm_gateway.actions._rights import beyond_rights as beyond

    return beyond(row, user, scopes=scopes, limited=limited)


def revoke_client_key(row: ClientKey) -> None:
    from llm_gateway.actions.revoke_client_key import revoke_client_key as revoke

    revoke(row)


def why_named(row: Provider) -> str:
    """Why a provider keeps its name; empty: it may have another."""
    from llm_gateway.actions.rename_provider import why_named as why

    return why(row)


def connect_provider(slug: str, wire: str, base_url: str, **more: Any) -> Provider:
    """A new provider with its key, checked now. Raises ``ActionError``."""
    from llm_gateway.actions.add_provider import add_provider
    from llm_gateway.actions.check_keys import check_keys as check

    row, key = add_provider(slug, wire, base_url, **more)
    check([key.pk], trigger="save")
    return row


def save_destination(row: AlertDestination, secret: str) -> None:
    from llm_gateway.actions.alert_destinations import save_destination as save

    save(row, secret)


def try_destination(row: AlertDestination) -> str:
    """Send a test. What went wrong, or nothing."""
    from llm_gateway.actions.alert_destinations import try_destination as run

    return run(row)


def try_environment_destination(name: str) -> str:
    from llm_gateway.actions.alert_destinations import try_environment_destination as run

    return run(name)


def validate_settings(kind: str, settings: Any) -> dict[str, Any]:
    """With defaults filled in. Raises ``ActionError`` with a sentence for the operator."""
    from llm_gateway.actions.activate_strategy import validate_settings as validate

    return validate(kind, settings)


def guard_limits() -> dict[str, tuple[float | None, float, float]]:
    """Of each guard of a canary: its default, and between what it may be."""
    from llm_gateway.actions.draft_policy import GUARDS, LIMITS

    return {name: (default, *LIMITS[name]) for name, default in GUARDS.items()}


def try_settings(kind: str, settings: dict[str, Any], last: int) -> dict[str, Any]:
    """The report of a replay over the newest ``last`` decisions, of settings that are nowhere stored. Writes nothing."""
    from llm_gateway.actions.replay_policy import replayed

    return replayed(PolicyVersion(kind=kind, settings=settings, number=0), last=last)


def compare_arms(row: Strategy) -> Any:
    """What its arms have done since it took force; ``None`` where nothing is dealt. See :mod:`llm_gateway.actions.compare_arms`."""
    from llm_gateway.actions.compare_arms import compare_arms as compare

    return compare(row)


def activate_strategy(row: Strategy, user: Any, settings: dict[str, Any] | None = None) -> None:
    from llm_gateway.actions.activate_strategy import activate_strategy as activate

    activate(row.name, user=user, via="admin", settings=settings)


def rollback_strategy(row: StrategyActivation, user: Any) -> None:
    from llm_gateway.actions.rollback_strategy import rollback_strategy as roll_back

    roll_back(row, user=user, via="admin")


def clear_health(rows: list[DeploymentHealth]) -> None:
    from llm_gateway.actions.clear_health import clear_health as clear

    for row in rows:
        clear(row)


def draft_policy(row: Strategy, settings: dict[str, Any] | None, guards: dict[str, Any] | None, note: str, user: Any) -> PolicyVersion:
    from llm_gateway.actions.draft_policy import draft_policy as draft

    return draft(strategy=row.name, settings=settings, guards=guards, note=note, user=user)


def replay_policy(row: PolicyVersion, user: Any) -> None:
    """Over the newest 10,000 decisions: through the task cluster when it lives, else at once. Raises ``ActionError``."""
    from llm_gateway.actions.replay_policy import run_replay, start_replay

    replay = start_replay(row, user=user)
    if background_alive():
        from django_q.tasks import async_task

        async_task("llm_gateway.tasks.replay_policy", replay.pk)
    else:
        run_replay(replay.pk)


def approve_policy(row: PolicyVersion, user: Any) -> None:
    from llm_gateway.actions.approve_policy import approve_policy as approve

    approve(row, user=user)


def activate_policy(row: PolicyVersion, user: Any, share: float | None, revision: int, confirm: bool) -> None:
    """Raises ``ActionError`` and ``Conflict``."""
    from llm_gateway.actions.activate_policy import activate_policy as activate

    activate(row, revision=revision, canary_share=share, confirm=confirm, user=user)


def rollback_policy(to: int | None, user: Any) -> None:
    from llm_gateway.actions.rollback_policy import rollback_policy as roll_back

    roll_back(to, user=user)


def check_plan(metrics: Sequence[str], minimal_effect: float | None, ends_at: datetime | None) -> None:
    """Raises ``ActionError``, which is a ValueError."""
    from llm_gateway.actions.plan_experiment import check_plan as check

    check(metrics, minimal_effect, ends_at)


def start_experiment(row: Experiment, user: Any) -> None:
    from llm_gateway.actions.plan_experiment import start_experiment as start

    start(row, user=user)


def stop_experiment(row: Experiment, user: Any) -> None:
    from llm_gateway.actions.plan_experiment import stop_experiment as stop

    stop(row, user=user)


def purge_answers(scope: str, whose: str) -> int:
    """How many kept answers were deleted. Raises ``ActionError``."""
    from llm_gateway.actions.purge_answers import purge_answers as purge

    return purge(scope, whose)


def cancel_batch(row: Batch) -> None:
    from llm_gateway.stores.batch_ends import cancel

    cancel(row.pk, timezone.now())


def retry_batch(row: Batch) -> int:
    """How many requests are queued again. Raises :class:`GatewayError`."""
    from llm_gateway.actions.retry_batch import retry_batch as retry

    return retry(row.pk, timezone.now())


def batch_cost(row: Batch) -> int:
    from llm_gateway.stores.batch_ends import cost

    return cost(row)


def batch_identity(key: str, address: str) -> tuple[Any, Any]:
    """The identity of a client key by its public id, and the catalogue. Raises :class:`GatewayError`."""
    from llm_gateway.actions import upload_batch

    snapshot = upload_batch.snapshot_now()
    return upload_batch.identity_of(snapshot, key, address), snapshot


def is_table(name: str) -> bool:
    from llm_gateway.actions.upload_batch import is_table as found

    return found(name)


def begin_upload(identity: Any, name: str) -> Any:
    """Raises :class:`GatewayError`."""
    from llm_gateway.actions.upload_batch import begin

    return begin(identity, name, timezone.now())


def append_upload(file: UUID, at: int, data: bytes) -> int:
    """How much there is now. Raises :class:`GatewayError`."""
    from llm_gateway.actions.upload_batch import append

    return append(file, at, data)


def keep_upload(identity: Any, name: str, pieces: Iterable[bytes]) -> Any:
    """All of it at once. Raises :class:`GatewayError`."""
    from llm_gateway.actions.upload_batch import keep

    return keep(identity, name, pieces, timezone.now())


def check_upload(identity: Any, snapshot: Any, file: UUID, name: str, wanted: Any) -> Any:
    """Raises :class:`GatewayError`."""
    from llm_gateway.actions.upload_batch import check, pieces_of

    return check(identity, name, pieces_of(file), wanted, snapshot, timezone.now())


def start_upload(identity: Any, snapshot: Any, what: dict[str, Any], raw: UUID) -> tuple[Batch, bool]:
    """The batch, and whether it was made just now. Raises :class:`GatewayError`."""
    from llm_gateway.actions import upload_batch
    from llm_gateway.wires._batch.table import Kind

    wanted = upload_batch.Start(
        file=UUID(what["file"]),
        kind=Kind(dialect=what["dialect"], endpoint=what["endpoint"], takes_model=True),
        model=what["model"],
        title=what["title"],
        on_budget=what["on_budget"],
        economy=what["economy"],
    )
    now = timezone.now()
    batch = upload_batch.start(identity, wanted, snapshot, now)
    upload_batch.discard(raw)
    return batch, batch.created_at == now


def semantic_refusal(alias: str) -> str:
    """Why an alias may not answer nearly the same question yet; empty: it may."""
    from llm_gateway.stores.cache_measures import refusal_of

    return refusal_of(alias)
