"""Keep a destination and its secret; send it a test."""

from __future__ import annotations

from django.utils import timezone

from llm_gateway.models import AlertDestination
from llm_gateway.stores import vault

from . import ActionError
from ._channels import Channel, Mail, Post, Webhook
from ._destinations import channel_of, place_of
from .send_alerts import send_test

CLOCK_S = 8.0


def save_destination(row: AlertDestination, secret: str = "") -> None:
    """``secret``: a new one; empty keeps what is stored. Mail has none."""
    if row.kind == AlertDestination.Kind.MAIL:
        row.ciphertext = ""
    elif secret:
        row.ciphertext = vault.seal(secret, place=place_of(row))
    if row.kind != AlertDestination.Kind.WEBHOOK:
        row.url = ""
    row.save()


def try_destination(row: AlertDestination, post: Post | None = None, clock_s: float = CLOCK_S) -> str:
    """Send a test now, switched on or not. What went wrong, or nothing; the row remembers it."""
    try:
        problem = send_test(channel_of(row, post, clock_s * 0.8), clock_s=clock_s)
    except vault.VaultError as error:
        problem = str(error)
    AlertDestination.objects.filter(pk=row.pk).update(tested_at=timezone.now(), test_error=problem[:200])
    return problem


def try_environment_destination(name: str, post: Post | None = None, clock_s: float = CLOCK_S) -> str:
    """The same for ``email`` or ``webhook`` of the environment. Raises :class:`ActionError` for another name."""
    channels: dict[str, Channel] = {Mail.name: Mail(), Webhook.name: Webhook(post, clock_s * 0.8)}
    if name not in channels:
        raise ActionError(f"The environment has no destination {name}.")
    return send_test(channels[name], clock_s=clock_s)
