"""Tell the address that a batch's caller named that the batch has ended: a signed POST, tried again with growing pauses."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import logging
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from django.conf import settings

from llm_gateway.core import json
from llm_gateway.models import Batch
from llm_gateway.stores import vault

from ._channels import Post, _post, _within

log = logging.getLogger("cogo.batches")

MOST_TRIES = 12
CLOCK_S = 10.0
# Nobody else tries meanwhile.
CLAIMED = timedelta(seconds=60)


def tell_due(now: datetime, post: Post | None = None) -> int:
    """Blocking; how many were delivered. Each is claimed by moving its next try."""
    told = 0
    for batch in Batch.objects.filter(webhook_due_at__lte=now).order_by("webhook_due_at")[:10]:
        mine = Batch.objects.filter(pk=batch.pk, webhook_due_at=batch.webhook_due_at)
        if not mine.update(webhook_due_at=now + CLAIMED, webhook_tries=batch.webhook_tries + 1):
            continue
        try:
            _tell(batch, now, post or _post)
        except Exception as error:
            reason = f"{type(error).__name__}: {error}"[:200]
            log.warning("the end of a batch could not be told", extra={"batch": str(batch), "reason": reason})
            tries = batch.webhook_tries + 1
            due = now + timedelta(seconds=min(3600, 10 * 2**tries)) if tries < MOST_TRIES else None
        else:
            told, due = told + 1, None
        Batch.objects.filter(pk=batch.pk, webhook_due_at=now + CLAIMED).update(webhook_due_at=due)
    return told


def _tell(batch: Batch, now: datetime, post: Post) -> None:
    private: bool = settings.COGO["alert_webhook_private"]
    if urlsplit(batch.webhook_url).scheme != "https" and not private:
        raise ValueError("the address must begin with https")
    counts = {name: getattr(batch, name) for name in ("total", "completed", "failed", "expired", "cancelled")}
    body = json.dumps({"type": f"batch.{batch.state}", "data": {"id": str(batch), "counts": counts, "metadata": batch.metadata}})
    secret = vault.open_sealed(batch.webhook_secret, place=f"batch:{batch.pk.hex}:webhook_secret").reveal()
    stamp = str(int(now.timestamp()))
    digest = hmac.digest(secret.encode(), f"{stamp}.".encode() + body, hashlib.sha256).hex()
    headers = {"content-type": "application/json", "x-cogo-signature": f"t={stamp},v1={digest}"}
    status = asyncio.run(_within(post(batch.webhook_url, body, headers, private), CLOCK_S))
    if not 200 <= status < 300:
        raise ValueError(f"it answered {status}")
