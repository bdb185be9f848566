"""The base of views that generate: a parsed body becomes a :class:`Call`, the pipeline answers it. No models, no stores."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from typing_extensions import override

from llm_gateway.api.http import tag_of
from llm_gateway.core.chat import ChatRequest
from llm_gateway.engine.calls import Call, StreamAnswer, WholeAnswer, inbound_of
from llm_gateway.engine.fresh import new_id
from llm_gateway.policies.deadline import DEADLINE_HEADER, parse_deadline

from . import repeating
from .errors import request_id
from .host import gateway
from .views import AsyncAPIView

STRATEGY_HEADER = "x-cogo-strategy"
SESSION_HEADER = "x-cogo-session"
# A caller's secrets go no further than this room.
_PRIVATE = frozenset({"authorization", "x-api-key", "x-goog-api-key", "cookie", "x-csrftoken", "proxy-authorization"})


class GeneratingView(AsyncAPIView):
    """``call`` builds, ``whole`` and ``stream`` run; ``calls`` are the ids of what ran. Whatever the pipeline raises it has logged."""

    calls: tuple[UUID, ...] = ()

    @override
    def _handler(self) -> Any:
        handler = super()._handler()
        return repeating.once(self, handler) if repeating.asked_for(self) else handler

    def deadline_s(self) -> float | None:
        return parse_deadline(self.request.headers.get(DEADLINE_HEADER))

    def strategy(self, asked: str | None) -> str | None:
        """The one in the body, else the one in the header."""
        return asked or self.request.headers.get(STRATEGY_HEADER)

    def call(self, chat: ChatRequest, size: int, *, needs: frozenset[str] = frozenset(), call_id: UUID | None = None, **facts: Any) -> Call:
        """``facts`` are fields of :class:`Call`. A request's first call has the request's own id; give later ones :func:`another_id`."""
        facts.setdefault("deadline_s", self.deadline_s())
        facts.setdefault("sticky", self.request.headers.get(SESSION_HEADER, "")[:200])
        facts.setdefault("address", self.address)
        facts.setdefault("tag", tag_of(self.request.headers))
        facts["strategy"] = self.strategy(facts.get("strategy"))
        return Call(
            id=call_id or request_id(self.request),
            kind=self.kind,
            identity=self.identity,
            inbound=inbound_of(chat, size=size, needs=needs),
            stream=chat.stream,
            raw=False,
            headers={name.lower(): value for name, value in self.request.headers.items() if name.lower() not in _PRIVATE},
            user_id=self.user_id,
            **facts,
        )

    async def whole(self, call: Call) -> WholeAnswer:
        running = gateway().pipeline
        self.handed_over = True
        self.calls += (call.id,)
        return await running.whole(call)

    async def stream(self, call: Call) -> StreamAnswer:
        running = gateway().pipeline
        self.handed_over = True
        self.calls += (call.id,)
        return await running.stream(call)


def another_id() -> UUID:
    return new_id()
