"""POST ``generate``."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import msgspec
from django.http.response import HttpResponseBase
from rest_framework.request import Request
from rest_framework.response import Response

from llm_gateway.actions.score_answer import score_calls
from llm_gateway.core.errors import InvalidRequest
from llm_gateway.engine.calls import Call, Summary
from llm_gateway.engine.heavy import away

from . import render, sse
from .auth import HasScope
from .calling import GeneratingView
from .contract import GenerateRequest, checked_metadata
from .host import gateway
from .openapi import documented
from .prompts import chat_of, code_blocks
from .quality_shapes import quality_body
from .shapes import Generated, GeneratedDone, QualityBody


class GenerateView(GeneratingView):
    """Generate code, or answer any prompt, through the model or strategy you name or the active strategy.

    With `"stream": true` the answer is `text/event-stream`: `start`, `delta` … (and `thinking` where the provider shows the model's
    reasoning), then `done` with everything but the content, or `error`.
    """

    kind = "generate"
    body = GenerateRequest
    permission_classes = (HasScope("generate"),)
    example = {"prompt": "Write a function that reverses a linked list.", "language": "python", "model": "auto", "max_tokens": 800}  # noqa: RUF012
    form_fields = ("prompt", "model", "strategy", "system", "language", "framework", "context", "task_type", "max_tokens", "temperature")

    @documented("generate", "Generate code", body=GenerateRequest, answer=Generated, streams=(GeneratedDone,), example=example, costs=True)
    async def post(self, request: Request) -> HttpResponseBase:
        asked = await self.read(GenerateRequest)
        self.asked = asked.model or ""
        if not asked.prompt.strip():
            raise InvalidRequest("`prompt` is blank; say what to do.", param="prompt")
        chat, size = await away(self.size, chat_of, asked)
        call = self.call(
            chat,
            size,
            strategy=asked.strategy,
            task_type=asked.task_type,
            language=asked.language,
            framework=asked.framework,
            metadata=checked_metadata(asked.metadata),
        )
        return await (self._stream(call, asked.score) if asked.stream else self._whole(call, asked.score))

    async def _whole(self, call: Call, score: bool) -> HttpResponseBase:
        answer = await self.whole(call)
        content = render.text_of(answer.response)
        quality = await _quality(call, answer.summary, content) if score else msgspec.UNSET
        told = Generated(content=content, code_blocks=code_blocks(content), quality=quality, **render.envelope([answer.summary]))
        return Response(msgspec.to_builtins(told), headers=render.headers([answer.summary]))

    async def _stream(self, call: Call, score: bool) -> HttpResponseBase:
        opened = sse.Opened(await self.stream(call))
        return sse.EventStream(_events(opened, call if score else None), call.id, render.stream_headers(opened.answer))


def start_of(opened: sse.Opened) -> dict[str, Any]:
    answer = opened.answer
    return {
        "id": str(answer.id),
        "model": render.model_name(answer.target, answer.model),
        "provider": answer.target.provider.slug,
        "strategy": answer.strategy or None,
    }


async def _quality(call: Call, summary: Summary, text: str) -> QualityBody:
    return quality_body(await score_calls(gateway(), call, summary.target, text, (), summary.finish_reason), QualityBody)


async def _events(opened: sse.Opened, scored: Call | None) -> AsyncGenerator[bytes, None]:
    """``scored``: the call, where its answer is to be scored."""
    said: list[str] = []
    async with aclosing(sse.relayed(opened, start_of(opened), said)) as chunks:
        async for chunk in chunks:
            yield chunk
    text, summary = "".join(said), opened.summary()
    quality = await _quality(scored, summary, text) if scored else msgspec.UNSET
    done = GeneratedDone(code_blocks=code_blocks(text), quality=quality, **render.envelope([summary]))
    yield sse.event("done", done)
