"""GET ``keys/status`` and POST ``keys/refresh``: provider keys, of which only a hint is ever shown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from rest_framework.request import Request

from llm_gateway.core import roles
from llm_gateway.core.errors import InvalidRequest
from llm_gateway.core.keys import KeyState
from llm_gateway.models import ProviderKey

from .auth import HasScope
from .contract import RefreshKeysRequest
from .openapi import documented
from .shapes import KeyBody, Keys
from .views import AsyncAPIView

# More provider keys than any operator has; a bound on the query, not a page size.
MOST_KEYS = 500


class KeysStatusView(AsyncAPIView):
    """Every provider key: masked, with its state, the reason and the times of its last and next check."""

    permission_classes = (HasScope("read", staff=roles.SEES_KEYS),)

    @documented("keys_status", "State of the provider keys", answer=Keys)
    async def get(self, request: Request) -> Keys:
        return keys_of(await _rows())


class RefreshKeysView(AsyncAPIView):
    """Check provider keys now: all enabled ones, or those you choose. Nothing is billed for it."""

    permission_classes = (HasScope("manage", staff=roles.CHECKS_KEYS),)
    body = RefreshKeysRequest
    example = {"providers": ["openai"]}  # noqa: RUF012

    @documented("keys_refresh", "Check provider keys now", body=RefreshKeysRequest, answer=Keys, example=example)
    async def post(self, request: Request) -> Keys:
        chosen = await self.read(RefreshKeysRequest) if self.request._request.body else RefreshKeysRequest()
        rows = [row for row in await _rows() if row.enabled and row.provider.enabled]
        if chosen.keys is not None or chosen.providers is not None:
            _known("keys", chosen.keys or (), {row.pk for row in rows})
            _known("providers", chosen.providers or (), {row.provider.slug for row in rows})
            rows = [row for row in rows if row.pk in (chosen.keys or ()) or row.provider.slug in (chosen.providers or ())]
        await _check([row.pk for row in rows])
        checked = {row.pk for row in rows}
        return keys_of([row for row in await _rows() if row.pk in checked])


async def _check(ids: list[int]) -> None:
    from llm_gateway.actions.check_keys import acheck_keys

    await acheck_keys(ids, trigger="demand")


async def _rows() -> list[ProviderKey]:
    return [
        row
        async for row in ProviderKey.objects.select_related("provider").order_by("provider__priority", "provider__slug", "name")[:MOST_KEYS]
    ]


def keys_of(rows: Sequence[ProviderKey]) -> Keys:
    return Keys(
        overall_status=_overall([row.state for row in rows if row.enabled and row.provider.enabled]), keys=[_key(row) for row in rows]
    )


def _overall(states: Sequence[str]) -> Literal["all_valid", "degraded", "none_valid"]:
    valid = sum(state == KeyState.VALID for state in states)
    if not valid:
        return "none_valid"
    return "all_valid" if valid == len(states) else "degraded"


def _key(row: ProviderKey) -> KeyBody:
    return KeyBody(
        id=row.pk,
        provider=row.provider.slug,
        name=row.name,
        masked=row.hint,
        enabled=row.enabled and row.provider.enabled,
        state=row.state,
        reason=row.reason,
        last_check=row.checked_at,
        next_check=row.next_check_at,
    )


def _known(field: str, asked: Sequence[Any], known: set[Any]) -> None:
    if unknown := [str(one) for one in asked if one not in known]:
        raise InvalidRequest(f"`{field}` names {', '.join(unknown[:5])}, which is no enabled provider key's.", param=field)
