"""POST ``analyze``: structured findings, asked for with the provider's structured output where it has one, and validated."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Any

import msgspec
from django.http.response import HttpResponseBase
from msgspec.structs import replace
from rest_framework.request import Request
from rest_framework.response import Response

from llm_gateway.core.catalog import ModelInfo
from llm_gateway.core.chat import ChatRequest
from llm_gateway.core.errors import GatewayError, InvalidRequest, NoHealthyDeployment, OutputInvalid, UnsupportedParameter, UpstreamError
from llm_gateway.engine.calls import Call, StreamAnswer, Summary, WholeAnswer
from llm_gateway.engine.heavy import away
from llm_gateway.engine.resolve import resolve

from . import analysis_prompt as prompt
from . import render, sse
from .analysis_reading import Reading, read
from .auth import HasScope
from .calling import GeneratingView, another_id
from .contract import AnalyzeRequest, checked_metadata
from .generate import start_of
from .host import gateway
from .openapi import documented
from .shapes import Analysis, Analyzed


class Way(msgspec.Struct, frozen=True, kw_only=True):
    """How to ask. ``structured``: with the provider's JSON Schema feature; ``instead``: without it, should nobody who has it answer."""

    structured: bool
    instead: bool
    room: int


class AnalyzeView(GeneratingView):
    """Analyse code: `quality`, `security`, `performance`, `review`, `optimize`, `debug` or `document`.

    The findings are validated. An answer that does not fit is asked for once more (its cost counts); what then can still be read of it is
    returned with `"partial": true`, else the error is `invalid_model_output`. With `"stream": true`: `start`, `delta` (the model's raw
    text), then `done` with the validated analysis, or `error`.
    """

    kind = "analyze"
    body = AnalyzeRequest
    permission_classes = (HasScope("analyze"),)
    example = {"code": "def add(a, b):\n    return a - b\n", "analysis_type": "quality", "language": "python", "model": "auto"}  # noqa: RUF012
    form_fields = ("code", "analysis_type", "language", "model", "strategy", "max_tokens")

    @documented("analyze", "Analyse code", body=AnalyzeRequest, answer=Analyzed, streams=(Analyzed,), example=example, costs=True)
    async def post(self, request: Request) -> HttpResponseBase:
        asked = await self.read(AnalyzeRequest)
        self.asked = asked.model or ""
        if not asked.code.strip():
            raise InvalidRequest("`code` is blank; send the code to analyse.", param="code")
        checked_metadata(asked.metadata)
        way = way_for(asked, self._candidates(asked))
        if asked.stream:
            opened, way = await self._open(asked, way)
            source = self._events(asked, way, opened)
            return sse.EventStream(source, opened.answer.id, render.stream_headers(opened.answer))
        answer, way = await self._ask(asked, way)
        told, summaries = await self._settle(asked, way, render.text_of(answer.response), answer.summary)
        return Response(msgspec.to_builtins(told), headers=render.headers(summaries))

    def _candidates(self, asked: AnalyzeRequest) -> list[ModelInfo]:
        resolution = resolve(gateway().catalog.snapshot(), self.identity, asked.model or "", self.strategy(asked.strategy))
        return [target.model for target in resolution.targets]

    async def _chat(self, asked: AnalyzeRequest, structured: bool, room: int) -> tuple[ChatRequest, int]:
        return await away(self.size, prompt.chat_of, asked, structured=structured, room=room)

    async def _ask(self, asked: AnalyzeRequest, way: Way) -> tuple[WholeAnswer, Way]:
        try:
            return await self.whole(self._call(asked, way, *await self._chat(asked, way.structured, way.room))), way
        except GatewayError as error:
            plain = _without(way, error)
        again = self._call(asked, plain, *await self._chat(asked, False, way.room), call_id=another_id())
        return await self.whole(again), plain

    async def _open(self, asked: AnalyzeRequest, way: Way) -> tuple[sse.Opened, Way]:
        answer: StreamAnswer
        try:
            answer = await self.stream(self._call(asked, way, *await self._chat(asked, way.structured, way.room)))
        except GatewayError as error:
            way = _without(way, error)
            again = self._call(asked, way, *await self._chat(asked, False, way.room), call_id=another_id())
            answer = await self.stream(again)
        return sse.Opened(answer), way

    def _call(self, asked: AnalyzeRequest, way: Way, chat: ChatRequest, size: int, **facts: Any) -> Call:
        return self.call(
            chat,
            size,
            needs=prompt.NEEDS if way.structured else frozenset(),
            strategy=asked.strategy,
            task_type=asked.analysis_type,
            language=asked.language,
            metadata=asked.metadata,
            **facts,
        )

    async def _settle(self, asked: AnalyzeRequest, way: Way, text: str, summary: Summary) -> tuple[Analyzed, Sequence[Summary]]:
        """The answer of a readable text; one repair attempt for any other."""
        lines = asked.code.count("\n") + 1
        reading = read(text, asked.analysis_type, lines)
        if reading.analysis is not None and not reading.fault:
            return _told(asked, reading.analysis, [summary]), [summary]
        repair = await self._repair(asked, way, text, reading.fault)
        summaries = [summary] if repair is None else [summary, repair.summary]
        second = read(render.text_of(repair.response), asked.analysis_type, lines) if repair else Reading(analysis=None)
        best = _better(reading, second)
        if best is None:
            raise OutputInvalid(
                f"The model's answer is no analysis, after a second attempt as well: {second.fault or reading.fault} "
                "Try again, or name a model that is better at structured answers.",
                details={"request_ids": [str(one.id) for one in summaries]},
            )
        return _told(asked, best, summaries), summaries

    async def _repair(self, asked: AnalyzeRequest, way: Way, text: str, fault: str) -> WholeAnswer | None:
        """``None`` when the attempt itself fails: then the first answer stands as far as it can be read."""
        quiet = replace(asked, stream=False)
        chat, size = await away(self.size, prompt.repair_of, quiet, text, fault, structured=way.structured, room=way.room)
        try:
            return await self.whole(self._call(quiet, way, chat, size, call_id=another_id(), tag="repair"))
        except GatewayError:
            return None

    async def _events(self, asked: AnalyzeRequest, way: Way, opened: sse.Opened) -> AsyncGenerator[bytes, None]:
        said: list[str] = []
        async with aclosing(sse.relayed(opened, start_of(opened), said)) as chunks:
            async for chunk in chunks:
                yield chunk
        told, _ = await self._settle(asked, way, "".join(said), opened.summary())
        yield sse.event("done", told)


def way_for(asked: AnalyzeRequest, models: Sequence[ModelInfo]) -> Way:
    """A model of which nothing is known may be able to; one whose capabilities are known and lack it is asked in the prompt alone."""
    able = [not model.capabilities or model.capabilities >= prompt.NEEDS for model in models]
    return Way(structured=any(able), instead=any(able) and not all(able), room=prompt.room_for(asked, models))


def _without(way: Way, error: GatewayError) -> Way:
    """The way left after ``error``. Raises it again when there is none."""
    refused = isinstance(error, UnsupportedParameter) or error.code == "unsupported_parameter"
    away = isinstance(error, NoHealthyDeployment | UpstreamError) and error.status >= 500
    if way.structured and (refused or (way.instead and away)):
        return Way(structured=False, instead=False, room=way.room)
    raise error


def _better(first: Reading, second: Reading) -> Analysis | None:
    """A whole answer, else the one that says more."""
    if second.analysis is not None and not second.fault:
        return second.analysis
    found = [reading.analysis for reading in (first, second) if reading.analysis is not None]
    return max(found, key=lambda analysis: len(analysis.findings), default=None)


def _told(asked: AnalyzeRequest, analysis: Analysis, summaries: Sequence[Summary]) -> Analyzed:
    return Analyzed(
        analysis_type=asked.analysis_type,
        analysis=analysis,
        repaired=len(summaries) > 1,
        request_ids=[str(summary.id) for summary in summaries],
        **render.envelope(summaries),
    )
