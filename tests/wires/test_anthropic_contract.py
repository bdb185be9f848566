"""The contracts of every wire, for the Messages format."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from llm_gateway.core import json
from llm_gateway.core.chat import (
    ChatRequest,
    ChatResponse,
    Choice,
    Document,
    FinishReason,
    Image,
    Opaque,
    Part,
    Reasoning,
    Refusal,
    ResponseFormat,
    Text,
    Thinking,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from llm_gateway.core.events import Done, Event, collect, replay
from llm_gateway.wires._base import ModelFacts, Reply
from llm_gateway.wires.anthropic_messages import DIALECT, WIRE
from llm_gateway.wires.anthropic_messages.names import FINISH, NAME, finish_of

from . import neutral as n

MODEL = "claude-test"
FACTS = ModelFacts(upstream_id=MODEL, thinking="adaptive")
REPLY = Reply(request_id="req", model=MODEL, created=0)
CHAT = {"kind": "chat"}

caches = st.sampled_from([None, None, "5m", "1h"])
thinking: st.SearchStrategy[Part] = st.builds(Thinking, text=n.words, signature=n.tokens, wire=st.just(NAME)) | st.builds(
    Thinking, redacted=n.tokens, wire=st.just(NAME)
)
foreign: st.SearchStrategy[Part] = st.builds(
    Thinking,
    text=n.words,
    signature=st.none() | n.tokens,
    wire=st.sampled_from(["openai_responses", "gemini_generate"]),
    id=st.none() | n.names,
)
hosted: st.SearchStrategy[Part] = st.builds(
    lambda name, value: Opaque(wire=NAME, raw={"type": "server_tool_use", "id": name, "name": "web_search", "input": value}),
    n.names,
    n.objects,
)
said = (
    n.texts(caches)
    | n.media(caches)
    | st.builds(Image, url=st.just("https://example.com/a.png"))
    | st.builds(Document, text=n.words, media_type=st.just("text/plain"), name=st.none() | n.words)
)
results = st.builds(
    ToolResult,
    call_id=n.names,
    content=st.lists(n.texts(caches) | n.media(st.none()), max_size=2).map(tuple),
    is_error=st.booleans(),
    cache=caches,
)
reasoning = (
    st.none()
    | st.just(Reasoning(effort="none"))
    | st.builds(
        Reasoning,
        effort=st.sampled_from([None, "low", "medium", "high", "max"]),
        budget=st.just(-1),
        include=st.sampled_from([None, True, False]),
    )
)


@st.composite
def chats(draw: st.DrawFn) -> ChatRequest:
    tools = draw(n.tools(caches, st.sampled_from([None, True])))
    choice: ToolChoice | None = None
    if tools:
        choice = draw(
            st.sampled_from([None, ToolChoice(mode="auto"), ToolChoice(mode="required"), ToolChoice(mode="tool", name=tools[0].name)])
        )
    forced = choice is not None and choice.mode != "auto"
    wish = None if forced else draw(reasoning)
    cool = wish is None or wish.effort == "none"
    return ChatRequest(
        model=MODEL,
        messages=draw(n.conversations(said, thinking | n.texts(caches) | n.calls(st.none()) | hosted, results, n.texts(caches))),
        tools=tools,
        tool_choice=choice,
        parallel_tool_calls=draw(st.sampled_from([None, True, False])) if choice else None,
        max_tokens=draw(st.integers(1, 100_000)),
        temperature=draw(st.none() | st.floats(0 if cool else 1, 1)),
        top_p=draw(st.none() | st.floats(0 if cool else 0.95, 1)),
        top_k=draw(st.none() | st.integers(1, 100)) if cool else None,
        stop=tuple(draw(st.lists(n.words, max_size=2))),
        response_format=draw(st.none() | n.schemas.map(lambda schema: ResponseFormat(kind="json_schema", schema=schema))),
        reasoning=wish,
        user=draw(st.none() | n.words),
        service_tier=draw(st.sampled_from([None, "auto", "standard_only"])),
        stream=draw(st.booleans()),
        include_usage=True,
        extras=draw(st.sampled_from([{}, {"container": "c1"}, {"brand_new": {"x": 1}}])),
        hints=draw(st.sampled_from([{}, {"context_management": {"edits": []}}])),
        origin=NAME,
    )


@st.composite
def responses(draw: st.DrawFn) -> ChatResponse:
    parts = tuple(
        draw(st.lists(thinking | foreign | n.texts(st.none()) | n.calls(st.none()) | hosted, max_size=4).map(tuple).filter(n.lonely_text))
    )
    raw = draw(st.sampled_from([word for word in FINISH if word != "refusal"]))
    if draw(st.booleans()) and not any(isinstance(part, ToolCall) for part in parts):
        raw, parts = "refusal", (*parts, Refusal(text=draw(n.words)))
    usage = msgspec.structs.replace(
        draw(n.usages),
        cache_read_tokens=draw(n.counts),
        cache_write_tokens=draw(n.counts),
        cache_write_1h_tokens=draw(st.none() | n.counts),
        reasoning_tokens=draw(st.none() | n.counts),
        web_searches=draw(st.none() | st.integers(0, 9)),
    )
    calls = sum(isinstance(part, ToolCall) for part in parts)
    raw = "tool_use" if calls and raw == "end_turn" else raw
    choice = Choice(parts=parts, finish=finish_of(raw, calls), raw_finish=raw, stop_sequence=draw(st.none() | n.words))
    return ChatResponse(id=draw(n.names), model=MODEL, choices=(choice,), usage=usage)


def as_told(response: ChatResponse) -> ChatResponse:
    """The words of a refusal stand in the text as well: Messages clients read nothing else."""
    (choice,) = response.choices
    if not (choice.parts and isinstance(choice.parts[-1], Refusal)):
        return response
    *rest, refusal = choice.parts
    if rest and isinstance(rest[-1], Text):
        rest[-1] = msgspec.structs.replace(rest[-1], text=rest[-1].text + refusal.text)
    else:
        rest.append(Text(text=refusal.text))
    return msgspec.structs.replace(response, choices=(msgspec.structs.replace(choice, parts=(*rest, refusal)),))


def events_of(body: bytes, cuts: list[int]) -> list[Event]:
    decoder = WIRE.stream_decoder()
    frames = []
    edges = [0, *sorted(cut for cut in cuts if cut < len(body)), len(body)]
    for start, end in pairwise(edges):
        frames += decoder.feed(body[start:end])
    frames += decoder.close()
    assert b"".join(frame.raw for frame in frames) == body
    return [event for frame in frames for event in frame.events]


@settings(max_examples=40, deadline=None)
@given(chats())
def test_a_chat_survives_the_wire(chat: ChatRequest) -> None:
    body = json.dumps(WIRE.encode_request(chat, FACTS))
    inbound = DIALECT.decode_request(body, CHAT)
    assert inbound.chat() == chat
    assert (inbound.model, inbound.stream, inbound.max_tokens) == (MODEL, chat.stream, chat.max_tokens)
    assert inbound.needs >= ({"tools"} if chat.tools else set())


@settings(max_examples=40, deadline=None)
@given(responses())
def test_an_answer_survives_the_dialect(response: ChatResponse) -> None:
    assert WIRE.decode_response(DIALECT.encode_response(response, REPLY)) == as_told(response)


@settings(max_examples=40, deadline=None)
@given(responses(), st.lists(st.integers(0, 4000), max_size=6))
def test_a_stream_survives_the_dialect_however_it_is_cut(response: ChatResponse, cuts: list[int]) -> None:
    body = DIALECT.stream_encoder(REPLY).encode(replay(response))
    events = events_of(body, cuts)
    assert collect(events) == as_told(response)
    assert events.count(Done()) == 1
    assert events[-1] == Done()


@settings(max_examples=15, deadline=None)
@given(responses(), st.data())
def test_a_stream_that_merely_stops_is_never_done(response: ChatResponse, data: Any) -> None:
    body = DIALECT.stream_encoder(REPLY).encode(replay(response)[:-1])
    assert Done() not in events_of(body, [])
    whole = DIALECT.stream_encoder(REPLY).encode(replay(response))
    cut = data.draw(st.integers(0, len(whole) - len(b'event: message_stop\ndata: {"type":"message_stop"}\n\n')))
    assert Done() not in events_of(whole[:cut], [])


def test_every_byte_is_a_good_place_to_cut() -> None:
    call = ToolCall(id="t", name="f", arguments='{"city":"Łódź\u2028"}')
    response = ChatResponse(
        id="msg",
        model=MODEL,
        choices=(Choice(parts=(Text(text="a\u0085b\u2028c"), call), finish=FinishReason.TOOL_CALLS, raw_finish="tool_use"),),
    )
    body = DIALECT.stream_encoder(REPLY).encode(replay(response)).replace(b"\n", b"\r\n")
    whole = events_of(body, [])
    assert collect(whole).choices == response.choices
    for cut in range(1, len(body)):
        assert events_of(body, [cut]) == whole
