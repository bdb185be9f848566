"""POST ``explain``: what a request would do now, without sending it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rest_framework.request import Request

from llm_gateway.core.errors import GatewayError
from llm_gateway.core.money import format_usd
from llm_gateway.engine.explain import Considered, Explanation
from llm_gateway.engine.heavy import away
from llm_gateway.stores.holds import Foreseen

from .auth import HasScope
from .calling import GeneratingView
from .contract import GenerateRequest
from .host import gateway
from .openapi import documented
from .prompts import chat_of
from .shapes import Cost, Explained, ExplainedBudget, ExplainedTarget, Refusal


class ExplainView(GeneratingView):
    """What would this request do now? Takes the body of `generate` and sends nothing to anybody.

    The candidates in order with the parts of their scores, who rests or is left out and why, what would be reserved, and which budget
    would refuse. It is a question to the operator's side: it costs nothing and leaves no row in the request log. Health is that of the
    worker that answers; a strategy that shares by chance draws anew each time.
    """

    body = GenerateRequest
    permission_classes = (HasScope("read"),)
    example = {"prompt": "Write a function that reverses a linked list.", "model": "auto", "max_tokens": 800}  # noqa: RUF012
    form_fields = ("prompt", "model", "strategy", "language", "framework", "task_type", "max_tokens")

    @documented("explain", "What a request would do now", body=GenerateRequest, answer=Explained, example=example)
    async def post(self, request: Request) -> Explained:
        asked = await self.read(GenerateRequest)
        chat, size = await away(self.size, chat_of, asked)
        call = self.call(
            chat,
            size,
            strategy=asked.strategy,
            task_type=asked.task_type,
            language=asked.language,
            framework=asked.framework,
        )
        return explained(*await gateway().explain(call))


def explained(found: Explanation, budgets: Sequence[Foreseen]) -> Explained:
    return Explained(
        would="refuse" if found.error else "try",
        error=_refusal(found.error) if found.error else None,
        asked=found.asked,
        strategy=found.strategy,
        kind=found.kind,
        names=list(found.names),
        note=found.note,
        prompt_tokens=found.prompt_tokens,
        reserves=Cost(amount=format_usd(found.hold_nusd)),
        targets=[_target(line) for line in found.considered],
        skipped=[{"target": who, "why": why} for who, why in found.skipped],
        budgets=[_budget(budget) for budget in budgets],
    )


def _target(line: Considered) -> ExplainedTarget:
    target = line.target
    score: dict[str, Any] = dict(line.score)
    return ExplainedTarget(
        place=line.place,
        provider=target.provider.slug,
        model=target.model.name,
        upstream_id=target.upstream_id,
        key=target.credential.name,
        highest_cost=None if line.estimate_nusd is None else Cost(amount=format_usd(line.estimate_nusd)),
        score=score,
        why=line.why,
        wait_s=round(line.wait_s, 1) if line.why else None,
    )


def _budget(budget: Foreseen) -> ExplainedBudget:
    return ExplainedBudget(
        name=budget.name,
        period=budget.period,
        limit=format_usd(budget.limit_nusd),
        spent=format_usd(budget.spent_nusd),
        reserved=format_usd(budget.held_nusd),
        hard=budget.hard,
        refusal=budget.refusal.code if budget.refusal else None,
        message=budget.refusal.message if budget.refusal else None,
    )


def _refusal(error: GatewayError) -> Refusal:
    return Refusal(code=error.code, status=error.status, message=error.message)
