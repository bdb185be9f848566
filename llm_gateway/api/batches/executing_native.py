"""Lines of native batches: ``generate`` and ``analyze`` without a request of their own."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

import msgspec
from typing_extensions import override

from llm_gateway.actions.score_answer import score_calls
from llm_gateway.api.native import contract, render
from llm_gateway.api.native.analyze import AnalyzeView, Way, way_for
from llm_gateway.api.native.parsing import fit
from llm_gateway.api.native.prompts import chat_of, code_blocks
from llm_gateway.api.native.quality_shapes import quality_body
from llm_gateway.api.native.shapes import Generated, QualityBody
from llm_gateway.core import json
from llm_gateway.core.catalog import Identity
from llm_gateway.core.chat import ChatRequest
from llm_gateway.core.errors import GatewayError, InvalidRequest
from llm_gateway.engine.batch_lines import Line
from llm_gateway.engine.calls import Call, Summary, WholeAnswer, inbound_of
from llm_gateway.wires._batch import Item
from llm_gateway.wiring import Gateway

from .executing import Done, bare, flexible


async def _generate(line: Line, item: Item, identity: Identity, found: Gateway) -> Done:
    try:
        asked = _generation(item)
        call = _call_for(asked, line, identity, found)
    except GatewayError as error:
        await found.pipeline.reject(bare(line, found), error)
        raise
    answer = await found.pipeline.whole(call)
    return Done(body=await _generated(asked, call, answer, found), summaries=(answer.summary,))


async def _generated(asked: contract.GenerateRequest, call: Call, answer: WholeAnswer, found: Gateway) -> bytes:
    content, summary = render.text_of(answer.response), answer.summary
    quality: QualityBody | msgspec.UnsetType = msgspec.UNSET
    if asked.score:
        quality = quality_body(await score_calls(found, call, summary.target, content, (), summary.finish_reason), QualityBody)
    return json.dumps(Generated(content=content, code_blocks=code_blocks(content), quality=quality, **render.envelope([summary])))


def generation(line: Line, item: Item, identity: Identity, found: Gateway) -> tuple[Call, Callable[[WholeAnswer], Awaitable[bytes]]]:
    """The one request that the line is, and how its answer is written."""
    asked = _generation(item)
    call = _call_for(asked, line, identity, found)

    async def written(answer: WholeAnswer) -> bytes:
        return await _generated(asked, call, answer, found)

    return call, written


async def _generate_call(line: Line, item: Item, identity: Identity, found: Gateway) -> Call:
    return _call_for(_generation(item), line, identity, found)


def _generation(item: Item) -> contract.GenerateRequest:
    return fit(contract.settled(_decoded(item)), contract.GenerateRequest)


def _call_for(asked: contract.GenerateRequest, line: Line, identity: Identity, found: Gateway) -> Call:
    chat, size = chat_of(asked)
    return _call(
        line,
        identity,
        found,
        chat,
        size,
        line.request_id,
        strategy=asked.strategy,
        task_type=asked.task_type,
        language=asked.language,
        framework=asked.framework,
        metadata=contract.checked_metadata(asked.metadata),
    )


async def _analyze(line: Line, item: Item, identity: Identity, found: Gateway) -> Done:
    try:
        view, asked, way = _analysis(line, item, identity, found)
    except GatewayError as error:
        await found.pipeline.reject(bare(line, found), error)
        raise
    answer, way = await view._ask(asked, way)
    told, _ = await view._settle(asked, way, render.text_of(answer.response), answer.summary)
    return Done(body=json.dumps(told), summaries=tuple(view.summaries))


async def _analyze_call(line: Line, item: Item, identity: Identity, found: Gateway) -> Call:
    view, asked, way = _analysis(line, item, identity, found)
    return view._call(asked, way, *await view._chat(asked, way.structured, way.room))


def _analysis(line: Line, item: Item, identity: Identity, found: Gateway) -> tuple[_Analysis, contract.AnalyzeRequest, Way]:
    asked = fit(contract.settled(_decoded(item)), contract.AnalyzeRequest)
    contract.checked_metadata(asked.metadata)
    view = _Analysis(line, identity, found, len(item.body))
    return view, asked, way_for(asked, view._candidates(asked))


class _Analysis(AnalyzeView):
    """The view's walk (structured output, repair) for a line: what it would read of its request stands here."""

    def __init__(self, line: Line, identity: Identity, found: Gateway, size: int) -> None:
        super().__init__()
        self._line, self._caller, self._found, self._size = line, identity, found, size
        self.summaries: list[Summary] = []

    @property
    @override
    def identity(self) -> Identity:
        return self._caller

    @property
    @override
    def size(self) -> int:
        return self._size

    @override
    def strategy(self, asked: str | None) -> str | None:
        return asked

    @override
    def call(self, chat: ChatRequest, size: int, *, needs: frozenset[str] = frozenset(), call_id: UUID | None = None, **facts: Any) -> Call:
        return _call(self._line, self._caller, self._found, chat, size, call_id or self._line.request_id, needs=needs, **facts)

    @override
    async def whole(self, call: Call) -> WholeAnswer:
        answer = await self._found.pipeline.whole(call)
        self.summaries.append(answer.summary)
        return answer


def _call(
    line: Line,
    identity: Identity,
    found: Gateway,
    chat: ChatRequest,
    size: int,
    call_id: UUID,
    *,
    needs: frozenset[str] = frozenset(),
    **facts: Any,
) -> Call:
    inbound = inbound_of(chat, size=size, needs=needs)
    if line.economy:
        inbound = flexible(inbound, identity, found.catalog.snapshot())
    return Call(id=call_id, kind=line.kind, identity=identity, inbound=inbound, raw=False, origin="batch", batch_id=line.batch, **facts)


def _decoded(item: Item) -> dict[str, Any]:
    try:
        value = json.loads(item.body)
    except json.InvalidJson as error:
        raise InvalidRequest(f"The request is not acceptable JSON: {error}.") from None
    assert isinstance(value, dict)
    return value


WAYS = {"generate": _generate, "analyze": _analyze}
CALLS = {"generate": _generate_call, "analyze": _analyze_call}
