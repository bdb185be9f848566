"""GET and POST ``test``: one tiny real call per model, and what it cost."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import msgspec
from rest_framework.request import Request

from llm_gateway.api.refusal import native_body
from llm_gateway.core.catalog import Identity, Lifecycle, Snapshot
from llm_gateway.core.chat import ChatRequest, Message, Text
from llm_gateway.core.errors import GatewayError
from llm_gateway.engine.resolve import keyed_names

from . import render
from .auth import HasScope
from .calling import GeneratingView, another_id
from .contract import TestRequest
from .errors import as_gateway_error, request_id
from .host import gateway
from .openapi import documented
from .shapes import ErrorBody, TestReport, TestResult

PROMPT = "Reply with the word OK."
# The least every provider takes as a limit.
MAX_TOKENS = 16
MOST_MODELS = 10
AT_ONCE = 3
DEADLINE_S = 60.0


class TestView(GeneratingView):
    """Call models once each, with a tiny prompt, and see what answers, how fast and at what cost.

    GET calls every model a strategy may choose (at most 10), POST those you name. These are real calls that cost money: a GET from the
    browser only shows which models it would call, since a link must not spend; use the form below.
    """

    __test__ = False

    kind = "test"
    body = TestRequest
    permission_classes = (HasScope("generate"),)
    example = {"models": ["auto"]}  # noqa: RUF012

    @documented("test_all", "Test the models strategies may choose", answer=TestReport, costs=True)
    async def get(self, request: Request) -> TestReport:
        names = routable(gateway().catalog.snapshot(), self.identity)
        note = None if len(names) <= MOST_MODELS else f"Only the first {MOST_MODELS} of {len(names)} models were called; POST names others."
        if self.identity.client_key_id is None:
            return TestReport(
                results=[], succeeded=0, failed=0, cost=None, note=f"POST to call {', '.join(names[:MOST_MODELS]) or 'models'}."
            )
        return await self._report(names[:MOST_MODELS], note)

    @documented("test", "Test chosen models", body=TestRequest, answer=TestReport, example=example, costs=True)
    async def post(self, request: Request) -> TestReport:
        asked = await self.read(TestRequest)
        return await self._report(list(dict.fromkeys(asked.models)), None)

    async def _report(self, names: Sequence[str], note: str | None) -> TestReport:
        self.deadline_s()  # a wrong header is refused before anything is spent
        places = asyncio.Semaphore(AT_ONCE)

        async def one(name: str) -> tuple[TestResult, int | None]:
            async with places:
                return await self._try(name, first=name == names[0])

        tried = await asyncio.gather(*(one(name) for name in names))
        results = [result for result, _ in tried]
        return TestReport(
            results=results,
            succeeded=sum(result.ok for result in results),
            failed=sum(not result.ok for result in results),
            cost=render.cost_body(render.total(cost for _, cost in tried)),
            note=note,
        )

    async def _try(self, name: str, *, first: bool) -> tuple[TestResult, int | None]:
        """The result and its cost in nano-USD; a call that failed may have cost something nobody knows."""
        chat = ChatRequest(model=name, messages=(Message(role="user", parts=(Text(text=PROMPT),)),), max_tokens=MAX_TOKENS)
        call_id = request_id(self.request) if first else another_id()
        deadline = min(self.deadline_s() or DEADLINE_S, DEADLINE_S)
        try:
            answer = await self.whole(self.call(chat, len(PROMPT), call_id=call_id, deadline_s=deadline))
        except GatewayError as error:
            told = msgspec.convert(native_body(as_gateway_error(error), call_id)["error"], ErrorBody)
            return TestResult(model=name, ok=False, id=str(call_id), error=told), 0 if error.status < 500 else None
        done = answer.summary
        result = TestResult(
            model=name,
            ok=True,
            id=str(done.id),
            served_by=render.model_name(done.target, done.served_model),
            provider=done.target.provider.slug if done.target else None,
            latency_ms=done.latency_ms,
            ttft_ms=done.ttft_ms,
            cost=render.cost_body(done.cost_nusd),
        )
        return result, done.cost_nusd


def routable(snapshot: Snapshot, identity: Identity) -> list[str]:
    """Models a strategy may choose for this key, the preferred ones first."""
    usable = set(keyed_names(snapshot, identity))
    models = [m for m in snapshot.models.values() if m.auto and not m.pattern and m.lifecycle is not Lifecycle.RETIRED and m.name in usable]
    return [m.name for m in sorted(models, key=lambda m: (snapshot.providers[m.provider_id].priority, m.position, m.name))]
