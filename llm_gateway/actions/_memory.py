"""What background work and set-up remember between runs: a JSON object in the heartbeat row of that name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.utils import timezone

from llm_gateway.models import Heartbeat


def recall(name: str) -> dict[str, Any]:
    """Empty when nothing was remembered."""
    return dict(Heartbeat.objects.filter(name=name).values_list("detail", flat=True).first() or {})


def remember(name: str, detail: Mapping[str, Any]) -> None:
    Heartbeat.objects.update_or_create(name=name, defaults={"at": timezone.now(), "detail": dict(detail)})


def forget(name: str) -> None:
    Heartbeat.objects.filter(name=name).delete()
