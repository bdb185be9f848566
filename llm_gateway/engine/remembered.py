"""An answer as the cache keeps it, and back: the provider's own whole body where there was one, else the neutral answer."""

from __future__ import annotations

from uuid import UUID

import msgspec

from llm_gateway.core.chat import Audio, ChatResponse, Choice, Document, FinishReason, Image, Opaque, Refusal, Text, Thinking, ToolCall
from llm_gateway.core.errors import AttemptFailed
from llm_gateway.core.events import Event, Start, replay
from llm_gateway.core.usage import Usage
from llm_gateway.wires import renewers, wires


class _Choice(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    index: int
    parts: tuple[Text | Image | Document | Audio | ToolCall | Thinking | Refusal | Opaque, ...]
    finish: FinishReason | None
    raw_finish: str | None
    stop_sequence: str | None


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """``request_id``: whom it answered first; ``made_at`` and ``expires_at`` in Unix seconds; ``asked``: the model as it was asked for.
    ``served_model``, ``strategy``, ``finish`` and ``usage`` as in the summary of that request; ``wire``: the format of ``body``, the whole
    answer as it came. Without a body, ``choices`` hold the answer."""

    request_id: str
    made_at: float
    expires_at: float
    team_id: int
    client_key_id: int | None
    asked: str
    provider_id: int
    model_id: int
    model: str
    upstream_id: str
    served_model: str
    strategy: str
    finish: str
    wire: str
    stands_in_for: str = ""
    answer_model: str = ""
    usage: Usage | None = None
    body: bytes | None = None
    choices: tuple[_Choice, ...] = ()


_decoder = msgspec.msgpack.Decoder(Entry)


def packed(entry: Entry) -> bytes:
    return msgspec.msgpack.encode(entry)


def unpacked(data: bytes) -> Entry | None:
    """``None`` for what another version packed."""
    try:
        return _decoder.decode(data)
    except msgspec.DecodeError:
        return None


def choices_of(response: ChatResponse) -> tuple[_Choice, ...]:
    """Raises :class:`TypeError` for a part that is no answer's."""
    return tuple(
        _Choice(
            index=choice.index,
            parts=choice.parts,  # type: ignore[arg-type]  # the union is what answers are made of; encoding it finds anything else
            finish=choice.finish,
            raw_finish=choice.raw_finish,
            stop_sequence=choice.stop_sequence,
        )
        for choice in response.choices
    )


def response_of(entry: Entry) -> ChatResponse:
    """Without id and time, which belong to each answer. Raises :class:`AttemptFailed` for a body that is no conversation's answer; one
    that was given as such was read before."""
    if entry.body is None:
        choices = tuple(
            Choice(index=one.index, parts=one.parts, finish=one.finish, raw_finish=one.raw_finish, stop_sequence=one.stop_sequence)
            for one in entry.choices
        )
        return ChatResponse(model=entry.answer_model, choices=choices, usage=entry.usage)
    return msgspec.structs.replace(wires.get(entry.wire).decode_response(entry.body), id="", created=None)


def body_of(entry: Entry, request_id: UUID, now: float) -> bytes | None:
    """The body as it was, with an id and a time of its own where its format has them."""
    if entry.body is None or entry.wire not in renewers or entry.finish == "":
        return entry.body
    return renewers.get(entry.wire)(entry.body, str(request_id), int(now))


def readable(entry: Entry) -> bool:
    """Whether a stream can be made of it."""
    try:
        response_of(entry)
    except AttemptFailed:
        return False
    return True


def events_of(response: ChatResponse) -> list[Event]:
    """The stream it stands for; its beginning names the model and no id, so that the encoder gives one of its own."""
    return [Start("", event.model) if isinstance(event, Start) else event for event in replay(response)]
