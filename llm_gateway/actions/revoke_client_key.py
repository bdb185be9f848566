"""Take a client key out of force. There is no way back: a leaked key stays dead."""

from __future__ import annotations

from django.utils import timezone

from llm_gateway.models import ClientKey, trail


def revoke_client_key(key: ClientKey) -> bool:
    """Whether this call revoked it; ``False`` when it already was. Workers learn of it with their next snapshot (within 2 s)."""
    now = timezone.now()
    revoked = ClientKey.objects.filter(pk=key.pk, revoked_at=None).update(revoked_at=now)
    if revoked:
        key.revoked_at = now
        trail.record("changed", key, changes={"revoked_at": [None, f"{now:%Y-%m-%d %H:%M:%S} UTC"]})
    return bool(revoked)
