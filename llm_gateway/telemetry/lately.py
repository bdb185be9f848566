"""The last minutes of every provider and model, from all workers' attempts. Cached for a few
seconds, whoever asks."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from uuid import UUID

from django.core.cache import cache
from django.db.models import Count
from django.utils import timezone

from llm_gateway.models import Attempt
from llm_gateway.policies.standing import WINDOW_S, Lately, lately

FRESH_S = 4
# A busy gateway makes a hundred thousand attempts in five minutes; a sample of the newest is
# enough.
MOST = 50_000
_NAME = "standing-lately"

# (provider id, upstream model id)
Found = Mapping[tuple[int, str], Lately]


def by_model(now: datetime | None = None) -> Found:
    """Per (provider id, upstream model id); absent without attempts."""
    cached = cache.get(_NAME) if now is None else None
    if isinstance(cached, list):
        return {(provider, upstream): Lately(calls, failures) for provider, upstream, calls, failures in cached}
    figures = _read(now or timezone.now())
    if now is None:
        cache.set(_NAME, [(*key, one.calls, one.failures) for key, one in figures.items()], FRESH_S)
    return figures


def by_provider(found: Found) -> dict[int, Lately]:
    sums: dict[int, Lately] = {}
    for (provider, _), one in found.items():
        sums[provider] = sums.get(provider, Lately()) + one
    return sums


def _read(now: datetime) -> dict[tuple[int, str], Lately]:
    # Request ids are ordered by time, so the index over (request, number) finds the window.
    since = UUID(int=max(0, int((now - timedelta(seconds=WINDOW_S)).timestamp() * 1000)) << 80)
    window = Attempt.objects.filter(request_id__gte=since).order_by("-request_id", "-number")
    newest = Attempt.objects.filter(pk__in=window.values("pk")[:MOST]).order_by() if window[MOST : MOST + 1].exists() else window.order_by()
    calls: dict[tuple[int, str], list[tuple[str, str, int]]] = {}
    groups = newest.values_list("provider_id", "upstream_id", "outcome", "error_class").annotate(number=Count("pk"))
    for provider, upstream, outcome, error_class, number in groups:
        if provider is not None:
            calls.setdefault((provider, upstream), []).append((outcome, error_class, number))
    return {key: lately(ends) for key, ends in calls.items()}
