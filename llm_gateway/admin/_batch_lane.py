"""Which lane a batch is in, and where its parts stand at their provider."""

from __future__ import annotations

from django.utils.html import format_html_join

from llm_gateway.models import Batch
from llm_gateway.policies.batches import PROVIDER

from ._show import GOOD, INFO, NONE, badge

_SHOWN = 20
_COUNTS = ("answered", "failed", "returned", "feared")


def lane_of(batch: Batch) -> str:
    if batch.lane == PROVIDER:
        return f"the provider's batch API. {batch.lane_note}".strip()
    return f"the gateway: {batch.lane_note}" if batch.lane_note else "the gateway"


def shards_of(batch: Batch) -> str:
    """The newest first."""
    found = list(batch.shards.select_related("provider").order_by("-created_at")[:_SHOWN])
    if not found:
        return NONE
    rows = (
        (
            badge(one.state, GOOD if one.state == "ended" else INFO),
            one.provider.title if one.provider else "?",
            f"{one.total:,}",
            ", ".join(f"{getattr(one, name):,} {name}" for name in _COUNTS if getattr(one, name)),
            " · ".join(word for word in (one.remote_id, one.note) if word),
        )
        for one in found
    )
    return format_html_join("", '<div>{} {}, {} requests: {}<span class="cogo-sub">{}</span></div>', rows)
