"""The contracts of every wire, for Gemini's format."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import msgspec
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from llm_gateway.core import json
from llm_gateway.core.chat import (
    Audio,
    ChatRequest,
    ChatResponse,
    Choice,
    FinishReason,
    Image,
    Message,
    Opaque,
    Part,
    Reasoning,
    ResponseFormat,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from llm_gateway.core.events import Done, Event, collect, replay
from llm_gateway.wires._base import ModelFacts, Reply
from llm_gateway.wires.gemini_generate import DIALECT, WIRE
from llm_gateway.wires.gemini_generate.names import FINISH, NAME, finish_of

from . import neutral as n

MODEL = "gemini-test"
REPLY = Reply(request_id="req", model=MODEL, created=0)

none = st.none()
said = (
    n.texts(none)
    | n.media(none)
    | st.builds(Audio, data=n.tokens, format=st.sampled_from(["wav", "mp3"]))
    | st.builds(Image, media_type=st.just("image/png"), file_id=st.just("https://generativelanguage.googleapis.com/v1beta/files/a"))
)
thinking: st.SearchStrategy[Part] = st.builds(Thinking, text=n.words, signature=n.tokens, wire=st.just(NAME))
foreign: st.SearchStrategy[Part] = st.builds(
    Thinking, text=n.words, signature=n.tokens, wire=st.sampled_from(["openai_responses", "anthropic_messages"]), id=st.none() | n.names
)
hosted: st.SearchStrategy[Part] = st.builds(
    lambda code: Opaque(wire=NAME, raw={"executableCode": {"language": "PYTHON", "code": code}}), n.words
)


@st.composite
def chats(draw: st.DrawFn, thought: str) -> ChatRequest:
    signed = draw(st.booleans())
    calls = n.calls(n.tokens if thought == "level" else st.none() | n.tokens)
    answered = n.conversations(said, thinking | n.texts(none) | calls | hosted, None, n.texts(none))
    messages = _answer_calls(draw, draw(answered)) if signed else draw(answered)
    functions = draw(n.tools(none, none))
    tools = (*functions, *draw(st.sampled_from([(), (Tool(name="googleSearch", builtin="googleSearch", raw={"googleSearch": {}}),)])))
    choices = [None]
    if functions:
        choices = [None, ToolChoice(mode="auto"), ToolChoice(mode="none"), ToolChoice(mode="required")]
        choices.append(ToolChoice(mode="tool", name=functions[0].name))
    wish = {
        "level": st.builds(Reasoning, effort=st.sampled_from(["minimal", "low", "medium", "high"]), include=st.sampled_from([None, True])),
        "budget": st.builds(Reasoning, budget=st.integers(-1, 30_000), include=st.sampled_from([None, False])),
    }[thought]
    return ChatRequest(
        model=MODEL,
        messages=messages,
        tools=tools,
        tool_choice=draw(st.sampled_from(choices)),
        max_tokens=draw(st.none() | st.integers(1, 100_000)),
        temperature=draw(st.none() | st.floats(0, 0.9)),
        top_p=draw(st.none() | st.floats(0, 0.9)),
        top_k=draw(st.none() | st.integers(1, 60)),
        presence_penalty=draw(st.none() | st.floats(-2, 2)),
        seed=draw(st.none() | st.integers(0, 2**31)),
        n=draw(st.integers(1, 3)),
        stop=tuple(draw(st.lists(n.words, max_size=2))),
        response_format=draw(
            st.none()
            | st.just(ResponseFormat(kind="json"))
            | n.schemas.map(lambda schema: ResponseFormat(kind="json_schema", schema=schema))
        ),
        reasoning=draw(st.none() | wish),
        service_tier=draw(st.sampled_from([None, "flex"])),
        stream=draw(st.booleans()),
        include_usage=True,
        extras=draw(st.sampled_from([{}, {"cachedContent": "cachedContents/x"}, {"generationConfig": {"responseModalities": ["IMAGE"]}}])),
        hints=draw(st.sampled_from([{}, {"labels": {"a_b": "c"}}, {"toolConfig": {"includeServerSideToolInvocations": True}}])),
        origin=NAME,
    )


def _answer_calls(draw: st.DrawFn, messages: tuple[Message, ...]) -> tuple[Message, ...]:
    """Puts a result for every call at the head of the next user turn."""
    found = []
    results: list[Part] = []
    for message in messages:
        if message.role == "user":
            found.append(msgspec.structs.replace(message, parts=(*results, *message.parts)))
            results = []
            continue
        found.append(message)
        for call in {part.id: part for part in message.parts if isinstance(part, ToolCall)}.values():
            text = draw(
                n.words | n.objects.filter(lambda value: value and not value.keys() & {"result", "output", "error"}).map(n.arguments_of)
            )
            images = draw(st.lists(st.builds(Image, media_type=st.just("image/png"), data=n.tokens), max_size=1))
            results.append(ToolResult(call_id=call.id, name=call.name, content=(Text(text=text), *images), is_error=False))
    return tuple(found)


@st.composite
def responses(draw: st.DrawFn) -> ChatResponse:
    sound: st.SearchStrategy[Part] = st.builds(Audio, data=n.tokens, format=st.just("wav"))
    pieces = thinking | foreign | n.texts(none) | n.calls(none | n.tokens) | hosted | sound
    choices = []
    ids: set[str] = set()
    for index in range(draw(st.integers(1, 2))):
        parts = draw(st.lists(pieces, max_size=4).map(tuple).filter(n.lonely_text))
        found = [part.id for part in parts if isinstance(part, ToolCall)]
        assume(len({*ids, *found}) == len(ids) + len(found))
        ids.update(found)
        raw = draw(st.sampled_from([*FINISH, "OTHER", "MALFORMED_FUNCTION_CALL", "LANGUAGE"]))
        calls = sum(isinstance(part, ToolCall) for part in parts)
        choices.append(Choice(index=index, parts=parts, finish=finish_of(raw, calls), raw_finish=raw))
    used = draw(n.usages)
    thoughts = draw(st.none() | n.counts)
    usage = msgspec.structs.replace(
        used,
        output_tokens=(used.output_tokens or 0) + (thoughts or 0),
        reasoning_tokens=thoughts,
        audio_input_tokens=draw(st.none() | n.counts),
        audio_output_tokens=draw(st.none() | n.counts),
        image_input_tokens=draw(st.none() | n.counts),
        image_output_tokens=draw(st.none() | n.counts),
    )
    return ChatResponse(id=draw(n.names), model=MODEL, choices=tuple(choices), usage=usage)


def events_of(body: bytes, cuts: list[int]) -> list[Event]:
    decoder = WIRE.stream_decoder()
    frames = []
    edges = [0, *sorted(cut for cut in cuts if cut < len(body)), len(body)]
    for start, end in pairwise(edges):
        frames += decoder.feed(body[start:end])
    frames += decoder.close()
    assert b"".join(frame.raw for frame in frames) == body
    return [event for frame in frames for event in frame.events]


@pytest.mark.parametrize("thought", ["level", "budget"])
@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_a_chat_survives_the_wire(thought: str, data: Any) -> None:
    chat = data.draw(chats(thought))
    body = json.dumps(WIRE.encode_request(chat, ModelFacts(upstream_id=MODEL, thinking=thought)))
    path = {"kind": "chat", "model": MODEL, "stream": "sse" if chat.stream else ""}
    inbound = DIALECT.decode_request(body, path)
    assert inbound.chat() == _beside(chat, inside=thought == "level")
    assert (inbound.model, inbound.stream, inbound.max_tokens, inbound.n) == (MODEL, chat.stream, chat.max_tokens, chat.n)


def _beside(chat: ChatRequest, *, inside: bool) -> ChatRequest:
    """Models before the third generation take a result's images beside it."""
    if inside:
        return chat
    messages = []
    for message in chat.messages:
        parts: list[Part] = []
        for part in message.parts:
            if isinstance(part, ToolResult):
                parts.append(msgspec.structs.replace(part, content=part.content[:1]))
                parts += part.content[1:]
            else:
                parts.append(part)
        messages.append(msgspec.structs.replace(message, parts=tuple(parts)))
    return msgspec.structs.replace(chat, messages=tuple(messages))


@settings(max_examples=40, deadline=None)
@given(responses())
def test_an_answer_survives_the_dialect(response: ChatResponse) -> None:
    assert WIRE.decode_response(DIALECT.encode_response(response, REPLY)) == response


@settings(max_examples=40, deadline=None)
@given(responses(), st.lists(st.integers(0, 4000), max_size=6), st.sampled_from(["sse", "array"]))
def test_a_stream_survives_the_dialect_however_it_is_cut(response: ChatResponse, cuts: list[int], form: str) -> None:
    encoder = DIALECT.stream_encoder(msgspec.structs.replace(REPLY, stream_form=form))
    body = encoder.encode(replay(response))
    events = events_of(body, cuts)
    assert collect(events) == response
    assert events.count(Done()) == 1
    assert events[-1] == Done()


@settings(max_examples=15, deadline=None)
@given(responses(), st.data())
def test_a_stream_that_merely_stops_is_never_done(response: ChatResponse, data: Any) -> None:
    whole = DIALECT.stream_encoder(REPLY).encode(replay(response))
    last = whole.rstrip().rindex(b"data: ")
    cut = data.draw(st.integers(0, last))
    assert Done() not in events_of(whole[:cut], [])


@pytest.mark.parametrize("form", ["sse", "array"])
def test_every_byte_is_a_good_place_to_cut(form: str) -> None:
    call = ToolCall(id="t", name="f", arguments='{"city":"Łódź\u2028 \\"]}"}')
    response = ChatResponse(
        id="r",
        model=MODEL,
        choices=(Choice(parts=(Text(text='a\u0085b\u2028c"}]'), call), finish=FinishReason.TOOL_CALLS, raw_finish="STOP"),),
    )
    body = DIALECT.stream_encoder(msgspec.structs.replace(REPLY, stream_form=form)).encode(replay(response))
    whole = events_of(body, [])
    assert collect(whole).choices == response.choices
    for cut in range(1, len(body)):
        assert events_of(body, [cut]) == whole
