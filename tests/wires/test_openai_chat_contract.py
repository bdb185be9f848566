"""The contracts of every wire, for OpenAI's chat format."""

from __future__ import annotations

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from llm_gateway.core import json
from llm_gateway.core.chat import (
    Audio,
    ChatRequest,
    ChatResponse,
    Choice,
    Document,
    FinishReason,
    Image,
    Message,
    Part,
    Reasoning,
    Refusal,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)
from llm_gateway.core.errors import RateLimited
from llm_gateway.core.events import Done, Failed, collect, replay
from llm_gateway.wires._base import Reply
from llm_gateway.wires.openai_chat import DIALECT, WIRE

from . import neutral as n
from . import openai as o

CACHES = st.sampled_from([None, None, "5m", "1h"])
SAID: st.SearchStrategy[Part] = st.one_of(
    st.builds(Text, text=n.words, cache=CACHES),
    st.builds(Image, media_type=st.just("image/png"), data=n.tokens, detail=st.sampled_from([None, "low"]), cache=CACHES),
    st.builds(Image, url=st.just("https://example.com/a.png"), cache=CACHES),
    st.builds(Document, media_type=st.just("application/pdf"), data=n.tokens, name=n.names, cache=CACHES),
    st.builds(Document, file_id=n.names),
    st.builds(Audio, data=n.tokens, format=st.sampled_from(["wav", "mp3"])),
)
SIGNED = st.builds(ToolCall, id=n.names, name=n.names, arguments=n.objects.map(n.arguments_of), signature=st.none() | n.tokens)


def maybe(strategy: st.SearchStrategy[Part]) -> st.SearchStrategy[list[Part]]:
    return st.lists(strategy, max_size=1)


@st.composite
def assistants(draw: st.DrawFn) -> tuple[Part, ...]:
    parts = draw(maybe(st.builds(Thinking, text=n.words))) + draw(maybe(st.builds(Text, text=n.words)))
    parts += draw(maybe(st.builds(Refusal, text=n.words)))
    found = draw(st.lists(o.calls | SIGNED, max_size=2, unique_by=lambda call: call.id))
    return (*parts, *found) or (Text(text="ok"),)


@st.composite
def conversations(draw: st.DrawFn) -> tuple[Message, ...]:
    names = st.none() | n.names
    messages = [Message(role="system", parts=(Text(text=text),)) for text in draw(st.lists(n.words, max_size=2))]
    for _ in range(draw(st.integers(1, 2))):
        messages.append(Message(role="user", parts=tuple(draw(st.lists(SAID, max_size=3))), name=draw(names)))
        said = draw(assistants())
        messages.append(Message(role="assistant", parts=said, name=draw(names)))
        results = tuple(
            ToolResult(
                call_id=part.id,
                content=tuple(Text(text=text) for text in draw(st.lists(n.words, max_size=2))),
                name=draw(names),
                custom=part.custom,
            )
            for part in said
            if isinstance(part, ToolCall)
        )
        if results:
            messages.append(Message(role="user", parts=results))
    # An id that two turns give to calls of different kinds cannot say which one a result answers.
    kinds = {(part.id, part.custom) for message in messages for part in message.parts if isinstance(part, ToolCall)}
    return tuple(messages) if len(kinds) == len({call for call, _ in kinds}) else tuple(messages[:2])


@st.composite
def chats(draw: st.DrawFn) -> ChatRequest:
    tools, choice = draw(o.tools())
    stream = draw(st.booleans())
    hints: dict[str, object] = draw(
        st.sampled_from([{}, {"metadata": {"a": "b"}, "store": True}, {"prompt_cache_key": "k", "service_tier": "auto"}])
    )
    return ChatRequest(
        model=o.MODEL,
        messages=draw(conversations()),
        tools=tools,
        tool_choice=choice,
        parallel_tool_calls=draw(st.sampled_from([None, True, False])) if tools else None,
        max_tokens=draw(st.none() | st.integers(1, 100_000)),
        temperature=draw(st.none() | st.floats(0, 2)),
        top_p=draw(st.none() | st.floats(0, 1)),
        top_k=draw(st.none() | st.integers(1, 100)),
        presence_penalty=draw(st.none() | st.floats(-2, 2)),
        frequency_penalty=draw(st.none() | st.floats(-2, 2)),
        stop=tuple(draw(st.lists(n.words, max_size=2))),
        seed=draw(st.none() | st.integers(0, 2**40)),
        n=draw(st.integers(1, 3)),
        response_format=draw(o.formats),
        reasoning=draw(o.efforts),
        user=draw(st.none() | n.words),
        service_tier=draw(st.sampled_from([None, "flex", "priority"])) if "service_tier" not in hints else None,
        stream=stream,
        include_usage=stream and draw(st.booleans()),
        extras=draw(st.sampled_from([{}, {"logit_bias": {"50256": -100}, "logprobs": True}, {"brand_new": {"x": [1, None]}}])),
        hints=hints,
        origin="openai_chat",
    )


@st.composite
def choices(draw: st.DrawFn, index: int) -> Choice:
    parts = draw(maybe(st.builds(Thinking, text=n.words))) + draw(maybe(st.builds(Text, text=n.words)))
    parts += draw(maybe(st.builds(Refusal, text=n.words)))
    calls = draw(st.lists(o.calls | SIGNED, max_size=3))
    parts += [*calls, *draw(maybe(st.builds(Image, media_type=st.just("image/png"), data=n.tokens)))]
    raw, finish = draw(
        st.sampled_from([("stop", FinishReason.STOP), ("length", FinishReason.LENGTH), ("content_filter", FinishReason.CONTENT_FILTER)])
    )
    if calls:
        raw, finish = "tool_calls", FinishReason.TOOL_CALLS
    elif raw == "stop" and any(isinstance(part, Refusal) for part in parts):
        finish = FinishReason.REFUSAL
    return Choice(index=index, parts=tuple(parts), finish=finish, raw_finish=raw)


@st.composite
def responses(draw: st.DrawFn) -> ChatResponse:
    return ChatResponse(
        id=draw(n.names),
        model=o.MODEL,
        choices=tuple(draw(choices(index)) for index in range(draw(st.integers(1, 2)))),
        usage=draw(o.usages()),
        created=draw(st.integers(0, 2**33)),
    )


REPLY = Reply(request_id="req", model=o.MODEL, created=0, include_usage=True)


@given(chats())
@settings(max_examples=80, deadline=None)
def test_a_request_that_was_written_reads_as_itself(chat: ChatRequest) -> None:
    body = json.dumps(WIRE.encode_request(chat, o.FACTS))
    inbound = DIALECT.decode_request(body, {"kind": "chat"})
    assert inbound.chat() == chat
    assert (inbound.model, inbound.stream, inbound.include_usage) == (chat.model, chat.stream, chat.include_usage)
    assert (inbound.max_tokens, inbound.n, inbound.body) == (chat.max_tokens, chat.n, body)


@given(st.sampled_from([-1, 0, 1024, 9000]))
@settings(max_examples=4, deadline=None)
def test_a_thinking_budget_is_written_where_the_host_takes_one(budget: int) -> None:
    chat = ChatRequest(model=o.MODEL, messages=(), reasoning=Reasoning(budget=budget), origin="openai_chat")
    body = WIRE.encode_request(chat, msgspec.structs.replace(o.FACTS, thinking="budget"))
    assert DIALECT.decode_request(json.dumps(body), {}).chat() == chat


@given(responses())
@settings(max_examples=80, deadline=None)
def test_a_response_that_was_written_reads_as_itself(response: ChatResponse) -> None:
    assert WIRE.decode_response(DIALECT.encode_response(response, REPLY)) == response


@given(responses(), st.lists(st.integers(1, 4000), max_size=5))
@settings(max_examples=60, deadline=None)
def test_a_stream_that_was_written_collects_to_the_response(response: ChatResponse, cuts: list[int]) -> None:
    events = o.events_of(WIRE, DIALECT.stream_encoder(REPLY).encode(replay(response)), cuts)
    assert events[-1] == Done()
    assert collect(events) == response


@given(responses())
@settings(max_examples=4, deadline=None)
def test_a_stream_split_at_every_byte_has_the_same_events(response: ChatResponse) -> None:
    stream = DIALECT.stream_encoder(REPLY).encode(replay(response))
    whole = o.frames_of(WIRE, stream)
    assert o.frames_of(WIRE, stream, range(len(stream))) == whole
    for cut in range(0, len(stream), 3):
        assert o.frames_of(WIRE, stream, [cut]) == whole


@given(responses(), st.integers(0, 3000))
@settings(max_examples=60, deadline=None)
def test_a_stream_cut_short_is_done_only_if_every_answer_had_finished(response: ChatResponse, cut: int) -> None:
    stream = DIALECT.stream_encoder(REPLY).encode(replay(response))
    events = o.events_of(WIRE, stream[:cut])
    finished = [choice.finish for choice in collect(events).choices]
    if Done() in events:
        assert finished
        assert all(finished)


@given(responses())
@settings(max_examples=30, deadline=None)
def test_an_error_ends_a_stream_without_its_mark(response: ChatResponse) -> None:
    encoder = DIALECT.stream_encoder(REPLY)
    stream = encoder.encode(replay(response)[:-2]) + encoder.error(RateLimited("Slow down."))
    assert encoder.encode([Done()]) == b""
    assert encoder.error(RateLimited("again")) == b""
    assert b"[DONE]" not in stream
    events = o.events_of(WIRE, stream)
    assert isinstance(events[-1], Failed)
    assert Done() not in events


@given(chats())
@settings(max_examples=30, deadline=None)
def test_the_size_counts_what_is_billed_and_the_needs_name_what_is_asked(chat: ChatRequest) -> None:
    inbound = DIALECT.decode_request(json.dumps(WIRE.encode_request(chat, o.FACTS)), {})
    images = sum(isinstance(part, Image) for message in chat.messages for part in message.parts)
    assert inbound.size >= 4000 * images + sum(len(message.text) for message in chat.messages)
    assert ("images" in inbound.needs) == bool(images)
    assert ("tools" in inbound.needs) == bool(chat.tools)
    assert ("n" in inbound.needs) == (chat.n > 1)
    assert ("reasoning" in inbound.needs) == bool(chat.reasoning and chat.reasoning.effort != "none")
