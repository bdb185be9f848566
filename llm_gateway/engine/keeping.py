"""From an answer that has just been given to what is kept of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from llm_gateway.core.chat import ChatResponse, FinishReason
from llm_gateway.core.errors import AttemptFailed
from llm_gateway.core.events import Event, Frame, PartAdded, collect
from llm_gateway.policies.cache_consent import Wish
from llm_gateway.policies.cacheable import LARGEST_ANSWER, unfit
from llm_gateway.wires import wires

from .calls import Call, StreamAnswer, Summary, WholeAnswer
from .remembered import Entry, choices_of, packed

_ENDS: dict[str, FinishReason] = {reason.value: reason for reason in FinishReason}


def entry_of(call: Call, wish: Wish, answer: WholeAnswer, made_at: float) -> Entry | None:
    """``None``: this answer is not to be kept."""
    summary, response = answer.summary, answer.response
    if call.inbound.kind == "embeddings":
        ends: Sequence[FinishReason | None] = (FinishReason.STOP,)
    elif response is not None:
        ends = [choice.finish for choice in response.choices]
    elif call.inbound.n > 1:
        ends = _all_ends(answer)
    else:
        ends = (_ENDS.get(summary.finish_reason),)
    if summary.state != "ok" or summary.target is None or unfit(ends, summary.flags, len(answer.body or b"")):
        return None
    return _entry(call, wish, summary, made_at, answer.body, response)


def events_entry(call: Call, wish: Wish, summary: Summary, events: Sequence[Event], made_at: float) -> Entry | None:
    """Of a stream that came to its end."""
    response = collect(events)
    ends = [choice.finish for choice in response.choices]
    if summary.state != "ok" or summary.target is None or unfit(ends, summary.flags, 0):
        return None
    return _entry(call, wish, summary, made_at, None, response)


def _all_ends(answer: WholeAnswer) -> list[FinishReason | None]:
    assert answer.summary.target is not None
    assert answer.body is not None
    try:
        found = wires.get(answer.summary.target.provider.wire).decode_response(answer.body)
    except AttemptFailed:
        return []
    return [choice.finish for choice in found.choices]


def _entry(call: Call, wish: Wish, summary: Summary, made_at: float, body: bytes | None, response: ChatResponse | None) -> Entry | None:
    target = summary.target
    assert target is not None
    entry = Entry(
        request_id=str(summary.id),
        made_at=made_at,
        expires_at=made_at + wish.ttl_s,
        team_id=call.identity.team_id,
        client_key_id=call.identity.client_key_id,
        asked=call.inbound.model,
        provider_id=target.provider.id,
        model_id=target.model.id,
        model=target.model.name,
        upstream_id=target.upstream_id,
        served_model=summary.served_model,
        strategy=summary.strategy,
        finish=summary.finish_reason,
        stands_in_for=str(summary.decision.get("stands_in_for") or ""),
        wire=target.provider.wire,
        answer_model=response.model if response is not None else "",
        usage=(response.usage if response is not None else None) or summary.usage,
        body=body,
        choices=choices_of(response) if response is not None and body is None else (),
    )
    try:
        return entry if body is not None or len(packed(entry)) <= LARGEST_ANSWER else None
    except (TypeError, ValueError, msgspec.EncodeError):
        return None


class Recorder:
    """A stream on its way, remembered as far as it is not too long; ``ended`` hears of its events as soon as it is settled, before its last
    bytes leave: who asks again at once finds it."""

    __slots__ = ("_answer", "_ended", "_events", "_frames", "_size")

    def __init__(self, answer: StreamAnswer, ended: Callable[[Sequence[Any]], None]) -> None:
        self._answer = answer
        self._frames = answer.frames
        self._ended: Callable[[Sequence[Any]], None] | None = ended
        self._events: list[Event] = []
        self._size = 0

    def __aiter__(self) -> Recorder:
        return self

    async def __anext__(self) -> list[Frame]:
        batch = await self._frames.__anext__()
        if self._ended is not None:
            for frame in batch:
                self._events += frame.events
                self._size += len(frame.raw) + sum(len(repr(event)) for event in frame.events if isinstance(event, PartAdded))
            if self._size > 8 * LARGEST_ANSWER:
                self._ended = None
                self._events = []
            elif self._answer.summary is not None:
                ended, self._ended = self._ended, None
                ended(self._events)
        return batch

    async def aclose(self, stalled: bool = False) -> None:
        await self._frames.aclose(stalled)
