"""``x-cogo-score: true`` in a dialect: the quality of the answer beside the answer.

In a whole answer it is one more field, ``quality``, and the header ``x-cogo-quality`` has the score alone. At the end of an event stream
it is a comment, which no client takes for an event: ``: x-cogo-quality {…}``.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping

import msgspec

from llm_gateway.actions.score_answer import score_answer, score_calls
from llm_gateway.core.chat import ChatResponse
from llm_gateway.core.errors import AttemptFailed, InvalidRequest
from llm_gateway.core.events import CONTENT, Frame, RefusalDelta, TextDelta
from llm_gateway.engine.calls import Call, FrameStream, StreamAnswer, WholeAnswer
from llm_gateway.engine.spoken import Spoken
from llm_gateway.scorers import Quality
from llm_gateway.wires import wires
from llm_gateway.wiring import Gateway

HEADER = "x-cogo-score"


def wished(headers: Mapping[str, str]) -> bool:
    """Raises :class:`InvalidRequest` for a value that is neither true nor false."""
    told = headers.get(HEADER)
    if told is None:
        return False
    value = told.strip().lower()
    if value not in ("true", "false"):
        raise InvalidRequest(f"`{HEADER}` is `true` or `false`.", param=HEADER)
    return value == "true"


async def whole(found: Gateway, call: Call, answer: WholeAnswer, body: bytes) -> tuple[bytes, tuple[tuple[bytes, bytes], ...]]:
    """The body with its quality, and the header. As it was, where the answer cannot be read or is no JSON object."""
    target = answer.summary.target
    response = answer.response
    if response is None and answer.body is not None and target is not None and call.inbound.kind == "chat":
        response = _read(target.provider.wire, answer.body)
    trimmed = body.rstrip()
    if response is None or not trimmed.endswith(b"}"):
        return body, ()
    quality = await score_answer(found, call, target, response, answer.summary.finish_reason)
    score = b"unknown" if quality.score is None else str(quality.score).encode()
    return trimmed[:-1] + b',"quality":' + _shown(quality) + b"}", ((b"x-cogo-quality", score),)


def _read(wire: str, body: bytes) -> ChatResponse | None:
    try:
        return wires.get(wire).decode_response(body)
    except AttemptFailed:
        return None


class Listening:
    """An answer's frames, unchanged; what they say is kept."""

    def __init__(self, frames: FrameStream) -> None:
        self._frames = frames
        self.spoken = Spoken()

    def __aiter__(self) -> Listening:
        return self

    async def __anext__(self) -> list[Frame]:
        batch = await self._frames.__anext__()
        for frame in batch:
            for event in frame.events:
                if isinstance(event, TextDelta | RefusalDelta):
                    self.spoken.text(event)
                elif isinstance(event, CONTENT):
                    self.spoken.call(event)
        return batch

    async def aclose(self, stalled: bool = False) -> None:
        await self._frames.aclose(stalled)


async def ended(found: Gateway, call: Call, answer: StreamAnswer, heard: Listening, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """``chunks``, then the comment; none where the stream failed."""
    async for chunk in chunks:
        yield chunk
    if answer.summary is not None and heard.spoken.whole:
        text, calls = heard.spoken.read()
        quality = await score_calls(found, call, answer.target, text, calls, answer.summary.finish_reason)
        yield b": x-cogo-quality " + _shown(quality) + b"\n\n"


def _shown(quality: Quality) -> bytes:
    return msgspec.json.encode({"score": quality.score, "scorers": quality.scorers, "formula": quality.formula})
