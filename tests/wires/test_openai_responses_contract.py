"""The contracts of every wire, for OpenAI's Responses format."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
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
    Opaque,
    Part,
    Reasoning,
    Refusal,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolResult,
)
from llm_gateway.core.errors import RateLimited
from llm_gateway.core.events import Done, Event, Failed, Finish, Start, ToolDelta, ToolStart, collect, replay
from llm_gateway.wires._base import Reply
from llm_gateway.wires.openai_responses import DIALECT, WIRE
from llm_gateway.wires.openai_responses.names import NAME

from . import neutral as n
from . import openai as o

REPLY = Reply(request_id="req", model=o.MODEL, created=0)
HOSTED = Opaque(wire=NAME, raw={"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"type": "open_page"}})

SAID: st.SearchStrategy[Part] = st.one_of(
    st.builds(Text, text=n.words),
    st.builds(Image, media_type=st.just("image/png"), data=n.tokens, detail=st.sampled_from([None, "low"])),
    st.builds(Image, url=st.just("https://example.com/a.png")),
    st.builds(Image, file_id=n.names),
    st.builds(Document, media_type=st.just("application/pdf"), data=n.tokens, name=n.names),
    st.builds(Document, url=st.just("https://example.com/a.pdf"), name=st.none() | n.names),
    st.builds(Document, file_id=n.names),
    st.builds(Audio, data=n.tokens, format=st.sampled_from(["wav", "mp3"])),
)
THOUGHTS = st.builds(Thinking, text=n.words | st.just(""), signature=n.tokens, wire=st.just(NAME), id=st.none() | n.names)
ANSWERED: st.SearchStrategy[Part] = st.one_of(
    THOUGHTS, st.builds(Text, text=n.words), st.builds(Refusal, text=n.words), o.calls, st.just(HOSTED)
)
RESULTS = st.builds(ToolResult, call_id=n.names, content=st.lists(SAID, max_size=2).map(tuple), custom=st.booleans())
BUILTIN = st.just(Tool(name="web_search", builtin="web_search", raw={"type": "web_search", "search_context_size": "low"}))
SPACED = st.builds(
    lambda name, schema, custom: Tool(
        name=f"mcp__x__{name}",
        parameters=None if custom else schema,
        strict=None if custom else False,
        custom=custom,
        raw={"namespace": "mcp__x", "about": "X's tools", "name": name},
    ),
    n.names,
    n.schemas,
    st.booleans(),
)


@st.composite
def conversations(draw: st.DrawFn) -> tuple[Message, ...]:
    messages = [Message(role="system", parts=(Text(text=text),)) for text in draw(st.lists(n.words, max_size=2))]
    for _ in range(draw(st.integers(1, 2))):
        messages.append(Message(role="user", parts=tuple(draw(st.lists(SAID, max_size=3)))))
        messages.append(Message(role="assistant", parts=tuple(draw(st.lists(ANSWERED, min_size=1, max_size=4)))))
        if results := draw(st.lists(RESULTS, max_size=2)):
            messages.append(Message(role="user", parts=tuple(results)))
    return tuple(messages)


REASONING = st.none() | st.builds(
    lambda effort, summary: Reasoning(effort=effort, summary=summary, include=True if summary else None),
    st.sampled_from(["none", "low", "xhigh"]),
    st.sampled_from([None, "auto", "detailed"]),
)


@st.composite
def chats(draw: st.DrawFn) -> ChatRequest:
    # A namespace is written at one place, so its functions stand together.
    tools, choice = draw(o.tools(BUILTIN))
    spaced = draw(st.lists(SPACED, max_size=2, unique_by=lambda tool: tool.name))
    tools = (*tools, *spaced)
    kept = {"store": False, "include": ["reasoning.encrypted_content"]}
    hints = draw(st.sampled_from([{}, kept, {"service_tier": "auto"}, {"reasoning.context": "auto"}]))
    return ChatRequest(
        model=o.MODEL,
        messages=draw(conversations()),
        tools=tools,
        tool_choice=choice,
        parallel_tool_calls=draw(st.sampled_from([None, True, False])) if tools else None,
        max_tokens=draw(st.none() | st.integers(1, 100_000)),
        temperature=draw(st.none() | st.floats(0, 2)),
        top_p=draw(st.none() | st.floats(0, 1)),
        response_format=draw(o.formats),
        reasoning=draw(REASONING),
        user=draw(st.none() | n.words),
        service_tier=draw(st.sampled_from([None, "flex"])) if "service_tier" not in hints else None,
        stream=draw(st.booleans()),
        include_usage=True,
        extras=draw(st.sampled_from([{}, {"verbosity": "low"}, {"previous_response_id": "resp_1"}, {"reasoning": {"mode": "standard"}}])),
        hints=hints,
        origin=NAME,
    )


def numbered(parts: list[Part]) -> tuple[Part, ...]:
    """Thoughts carry the ids that an encoder gives to the items at their places; no two items share one."""
    found: list[Part] = []
    items = 0
    for part in parts:
        if isinstance(part, Text | Refusal) and found and isinstance(found[-1], Text | Refusal):
            if type(part) is type(found[-1]):
                continue
            found.append(part)
            continue
        if isinstance(part, Thinking):
            part = msgspec.structs.replace(part, id=f"rs_cogo_req_{items}")  # noqa: PLW2901  # the copy takes the place of the drawn one
        elif isinstance(part, ToolCall):
            part = msgspec.structs.replace(part, id=f"call_{items}")  # noqa: PLW2901  # likewise
        elif isinstance(part, Opaque):
            part = msgspec.structs.replace(part, raw={**part.raw, "id": f"ws_{items}"})  # noqa: PLW2901  # likewise
        found.append(part)
        items += 1
    return tuple(found)


@st.composite
def responses(draw: st.DrawFn) -> ChatResponse:
    image: st.SearchStrategy[Part] = st.builds(Image, media_type=st.just("image/png"), data=n.tokens)
    foreign = st.builds(Thinking, text=n.words, signature=st.none() | n.tokens, wire=st.just(NAME))
    parts = numbered(draw(st.lists(ANSWERED | image | foreign, max_size=5)))
    raw, finish = draw(
        st.sampled_from(
            [
                ("completed", FinishReason.STOP),
                ("max_output_tokens", FinishReason.LENGTH),
                ("content_filter", FinishReason.CONTENT_FILTER),
            ]
        )
    )
    if raw == "completed":
        if any(isinstance(part, ToolCall) for part in parts):
            finish = FinishReason.TOOL_CALLS
        elif any(isinstance(part, Refusal) for part in parts):
            finish = FinishReason.REFUSAL
    usage = msgspec.structs.replace(
        draw(o.usages()),
        cache_read_tokens=draw(n.counts),
        cache_write_tokens=draw(n.counts),
        reasoning_tokens=draw(n.counts),
        web_searches=draw(st.none() | st.integers(1, 9)),
        service_tier=draw(st.sampled_from(["default", "priority"])),  # the object always names one
    )
    choice = Choice(parts=parts, finish=finish, raw_finish=raw)
    created = draw(st.integers(0, 2**33))
    return ChatResponse(id=f"resp_{draw(n.names)}", model=o.MODEL, choices=(choice,), usage=usage, created=created)


def stream_of(response: ChatResponse) -> bytes:
    return DIALECT.stream_encoder(REPLY).encode(replay(response))


@given(chats())
@settings(max_examples=80, deadline=None)
def test_a_request_that_was_written_reads_as_itself(chat: ChatRequest) -> None:
    body = json.dumps(WIRE.encode_request(chat, o.FACTS))
    inbound = DIALECT.decode_request(body, {"kind": "chat"})
    assert inbound.chat() == chat
    assert (inbound.model, inbound.stream, inbound.max_tokens) == (chat.model, chat.stream, chat.max_tokens)


@given(responses())
@settings(max_examples=80, deadline=None)
def test_a_response_that_was_written_reads_as_itself(response: ChatResponse) -> None:
    assert WIRE.decode_response(DIALECT.encode_response(response, REPLY)) == response


@given(responses(), st.lists(st.integers(1, 6000), max_size=5))
@settings(max_examples=60, deadline=None)
def test_a_stream_that_was_written_collects_to_the_response(response: ChatResponse, cuts: list[int]) -> None:
    stream = stream_of(response)
    events = o.events_of(WIRE, stream, cuts)
    assert events[-1] == Done()
    assert collect(events) == response
    final: Any = o.data_of(stream)[-1]
    assert WIRE.decode_response(json.dumps(final["response"])) == response


@given(responses())
@settings(max_examples=3, deadline=None)
def test_a_stream_split_at_every_byte_has_the_same_events(response: ChatResponse) -> None:
    stream = stream_of(response)
    whole = o.frames_of(WIRE, stream)
    assert o.frames_of(WIRE, stream, range(len(stream))) == whole
    for cut in range(0, len(stream), 7):
        assert o.frames_of(WIRE, stream, [cut]) == whole


@given(responses(), st.floats(0, 0.999))
@settings(max_examples=40, deadline=None)
def test_a_stream_cut_short_is_never_done(response: ChatResponse, share: float) -> None:
    stream = stream_of(response).rstrip(b"\n")[:-1]
    assert Done() not in o.events_of(WIRE, stream[: int(len(stream) * share)])


@given(responses())
@settings(max_examples=60, deadline=None)
def test_events_come_in_the_order_that_the_official_sdk_accumulates(response: ChatResponse) -> None:
    events: list[Any] = o.data_of(stream_of(response))
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    assert [event["type"] for event in events[:2]] == ["response.created", "response.in_progress"]
    assert events[-1]["type"] in ("response.completed", "response.incomplete")
    added = [event for event in events if event["type"] == "response.output_item.added"]
    done = {event["output_index"]: event["item"] for event in events if event["type"] == "response.output_item.done"}
    assert [event["output_index"] for event in added] == list(range(len(added)))
    assert [done[index] for index in range(len(added))] == events[-1]["response"]["output"]
    for event in added:
        assert done[event["output_index"]]["id"] == event["item"]["id"]
    open_items: set[int] = set()
    for event in events[2:-1]:
        index = event["output_index"]
        if event["type"] == "response.output_item.added":
            open_items.add(index)
        assert index in open_items
        if event["type"] == "response.output_item.done":
            open_items.remove(index)
    assert not open_items


@given(responses())
@settings(max_examples=30, deadline=None)
def test_the_official_sdk_builds_the_same_answer_from_the_stream(response: ChatResponse) -> None:
    lib = pytest.importorskip("openai.lib.streaming.responses._responses")
    types = pytest.importorskip("openai.types.responses")
    models = pytest.importorskip("openai._models")
    state = lib.ResponseStreamState(input_tools=[], text_format=pytest.importorskip("openai").NOT_GIVEN)
    for data in o.data_of(stream_of(response)):
        state.handle_event(models.construct_type(type_=types.ResponseStreamEvent, value=data))
    snapshot = state._completed_response if response.choices[0].raw_finish == "completed" else None
    if snapshot is not None:
        assert snapshot.output_text == "".join(part.text for part in response.choices[0].parts if isinstance(part, Text))


@given(responses())
@settings(max_examples=30, deadline=None)
def test_an_error_ends_a_stream_as_failed(response: ChatResponse) -> None:
    encoder = DIALECT.stream_encoder(REPLY)
    stream = encoder.encode(replay(response)[:-2]) + encoder.error(RateLimited("Slow down."))
    assert encoder.encode([Done()]) == b""
    events = o.events_of(WIRE, stream)
    assert isinstance(events[-1], Failed)
    assert Done() not in events
    last: Any = o.data_of(stream)[-1]
    assert last["type"] == "response.failed"
    assert last["response"]["error"] == {"code": "rate_limited", "message": "Slow down."}


def test_calls_whose_arguments_mix_stay_whole() -> None:
    events: list[Event] = [
        Start("resp_1", o.MODEL, 0),
        ToolStart(0, "a", "f"),
        ToolDelta(0, '{"x"'),
        ToolStart(1, "b", "g"),
        ToolDelta(1, "{}"),
        ToolDelta(0, ":1}"),
        Finish(FinishReason.TOOL_CALLS, "completed"),
        Done(),
    ]
    read = o.events_of(WIRE, DIALECT.stream_encoder(REPLY).encode(events))
    assert collect(read).choices[0].tool_calls == (
        ToolCall(id="a", name="f", arguments='{"x":1}'),
        ToolCall(id="b", name="g", arguments="{}"),
    )
