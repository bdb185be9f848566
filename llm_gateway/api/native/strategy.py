"""GET ``strategy`` and POST ``strategy/set``."""

from __future__ import annotations

from typing import Any

from asgiref.sync import sync_to_async
from rest_framework.request import Request

from llm_gateway.core.errors import InvalidRequest
from llm_gateway.models import StrategyActivation
from llm_gateway.strategies import strategies

from .auth import HasScope
from .contract import SetStrategyRequest
from .host import gateway
from .openapi import documented
from .shapes import Strategies, StrategyBody, StrategySet
from .views import AsyncAPIView


class StrategyView(AsyncAPIView):
    """The active strategy, every strategy there is, and who put it in force when."""

    permission_classes = (HasScope("read"),)

    @documented("strategy", "The strategy in force", answer=Strategies)
    async def get(self, request: Request) -> Strategies:
        snapshot = gateway().catalog.snapshot()
        latest = await StrategyActivation.objects.select_related("by", "strategy").order_by("-at", "-id").afirst()
        active = latest.strategy.name if latest else snapshot.active_strategy
        return Strategies(
            active=active,
            active_since=latest.at if latest else None,
            active_by=_who(latest),
            strategies=[
                StrategyBody(
                    name=info.name,
                    title=strategies.get(info.kind).title if info.kind in strategies else info.name,
                    summary=strategies.get(info.kind).summary if info.kind in strategies else "",
                    kind=info.kind,
                    settings=info.settings,
                    revision=info.revision,
                    active=info.name == active,
                )
                for info in sorted(snapshot.strategies.values(), key=lambda info: info.name)
            ],
        )


class SetStrategyView(AsyncAPIView):
    """Put a strategy in force for the whole gateway; every worker follows within 2 seconds."""

    permission_classes = (HasScope("manage"),)
    body = SetStrategyRequest
    example = {"strategy": "enterprise"}  # noqa: RUF012

    @documented("strategy_set", "Switch the strategy", body=SetStrategyRequest, answer=StrategySet, example=example)
    async def post(self, request: Request) -> StrategySet:
        asked = await self.read(SetStrategyRequest)
        snapshot = gateway().catalog.snapshot()
        name = _named(asked.strategy, snapshot.strategies)
        if name is None:
            known = ", ".join(sorted(snapshot.strategies))
            raise InvalidRequest(f"There is no strategy `{asked.strategy}`. Known: {known}.", param="strategy")
        via = "browsable API" if self.user_id else f"client key {self.identity.name}"
        try:
            previous = await sync_to_async(_activate)(name, request.user if self.user_id else None, via)
        except ValueError as error:
            raise InvalidRequest(str(error), param="strategy") from None
        return StrategySet(active=name, previous=previous, changed=previous != name)


def _activate(name: str, user: Any, via: str) -> str:
    """Returns what was in force before, from the history: this worker's snapshot may be two seconds old."""
    from llm_gateway.actions.activate_strategy import activate_strategy

    newest = StrategyActivation.objects.order_by("-pk").values_list("pk", flat=True).first()
    activation = activate_strategy(name, user=user, via=via)
    return name if activation.pk == newest else activation.previous


def _named(asked: str, known: Any) -> str | None:
    """``ab-testing`` and ``ab_testing`` mean the same."""
    wanted = asked.strip().lower().replace("_", "-")
    return next((name for name in known if name.lower().replace("_", "-") == wanted), None)


def _who(activation: StrategyActivation | None) -> str | None:
    if activation is None:
        return None
    return str(activation.by) if activation.by else activation.via or None
