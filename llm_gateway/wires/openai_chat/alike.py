"""A chunk that is the one before it but for its text, which nearly every chunk of a stream is: read
by comparing bytes.

What a chunk means follows from its bytes and from what came before it. Where the chunk before was
nothing but a piece of one text, and this one has the same bytes around another piece, it is nothing
but a piece of the same text. Everything else is decoded.
"""

from __future__ import annotations

from typing import Final

from llm_gateway.core.events import Event, Frame, TextDelta

from .chunks import Chunk

_KEY: Final = b'"content"'
# What OpenAI adds so that the size of a chunk tells nothing: letters that mean nothing.
# https://platform.openai.com/docs/api-reference/chat-streaming
_PADDING: Final = b'"obfuscation":"'
# A longer read is decoded: the sizes of events are judged there.
_MOST_BYTES: Final = 64 << 10
_END: Final = b"\n\n"


class Alike:
    """``before``, a text, ``between``, padding, ``after``; without padding the last two are empty
    and ``between`` ends the frame."""

    __slots__ = ("_after", "_before", "_between", "_choice")

    def __init__(self, before: bytes, between: bytes, after: bytes, choice: int) -> None:
        self._before = before
        self._between = between
        self._after = after
        self._choice = choice

    def frames(self, data: bytes) -> list[Frame] | None:
        """Of whole frames alone; ``None``: one of them says something else, or is not all there."""
        if data[-2:] != _END or len(data) > _MOST_BYTES:
            return None
        end = data.find(_END) + 2
        if end == len(data):
            frame = self._frame(data)
            return None if frame is None else [frame]
        found = []
        start = 0
        while start < len(data):
            frame = self._frame(data[start:end])
            if frame is None:
                return None
            found.append(frame)
            start, end = end, data.find(_END, end) + 2
        return found

    def _frame(self, raw: bytes) -> Frame | None:
        before, between, after = self._before, self._between, self._after
        begin = len(before)
        at = raw.find(between, begin)
        if at <= begin or not raw.startswith(before):
            return None
        rest = at + len(between)
        if after:
            padding = raw[rest : -len(after)]
            if not (raw.endswith(after) and len(raw) >= rest + len(after) and (not padding or padding.isalnum())):
                return None
        elif rest != len(raw):
            return None
        piece = raw[begin:at]
        if b'"' in piece or b"\\" in piece:
            return None
        try:
            text = piece.decode()
        except UnicodeDecodeError:
            return None
        # A control character is no JSON; a private one may stand for half a character.
        return Frame(raw, (TextDelta(text, self._choice),)) if text.isprintable() else None


def alike(raw: bytes, chunk: Chunk, events: list[Event]) -> Alike | None:
    """What the next frame is compared with after ``raw``, which was read as ``chunk``, sound and
    with all its fields of their usual types, and said ``events``. ``None``: it was more, or other,
    than a piece of text."""
    if len(events) != 1 or type(said := events[0]) is not TextDelta or not chunk.choices or len(chunk.choices) != 1:
        return None
    delta = chunk.choices[0].delta
    if delta is None or delta.content != said.text or chunk.usage or chunk.x_groq or chunk.choices[0].finish_reason:
        return None
    at = raw.find(_KEY)
    # Without escapes a key is spelt in one way, and quotes stand nowhere but around keys and texts.
    if b"\\" in raw or raw.count(_KEY) != 1 or not raw.startswith(b"data: ") or raw.find(b"\n") != len(raw) - 2 or b"\r" in raw:
        return None
    text = said.text.encode("utf-8", "surrogatepass")
    begin = raw.find(b'"', at + len(_KEY)) + 1
    end = begin + len(text)
    if raw[at + len(_KEY) : begin - 1].strip() != b":" or raw[begin:end] != text or raw[end : end + 1] != b'"':
        return None
    padded = raw.find(_PADDING, end)
    if padded < 0:
        return Alike(raw[:begin], raw[end:], b"", said.choice)
    open_at = padded + len(_PADDING)
    close_at = raw.find(b'"', open_at)
    return Alike(raw[:begin], raw[end:open_at], raw[close_at:], said.choice)
