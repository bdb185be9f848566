"""What the tests of both OpenAI formats share."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

import msgspec
from hypothesis import strategies as st

from llm_gateway.core import json
from llm_gateway.core.chat import Reasoning, ResponseFormat, Tool, ToolCall, ToolChoice
from llm_gateway.core.events import Event, Frame
from llm_gateway.core.usage import Usage
from llm_gateway.wires._base import ModelFacts, Wire

from . import neutral as n

MODEL = "gpt-test"
FACTS = ModelFacts(
    upstream_id=MODEL,
    thinking="effort",
    max_tokens_field="max_completion_tokens",
    capabilities=frozenset({"tools", "images", "documents", "audio", "json_schema", "n"}),
    extensions=frozenset({"reasoning_content", "thought_signature", "cache_control", "system_anywhere", "tool_result_parts"}),
)


def frames_of(wire: Wire, body: bytes, cuts: Iterable[int] = ()) -> list[Frame]:
    """Frames of a stream that arrives in pieces; joined they are what was fed."""
    decoder = wire.stream_decoder()
    edges = [0, *sorted({cut for cut in cuts if cut < len(body)}), len(body)]
    frames = [frame for start, end in pairwise(edges) for frame in decoder.feed(body[start:end])]
    frames += decoder.close()
    assert b"".join(frame.raw for frame in frames) == body
    return frames


def events_of(wire: Wire, body: bytes, cuts: Iterable[int] = ()) -> list[Event]:
    return [event for frame in frames_of(wire, body, cuts) for event in frame.events]


def data_of(stream: bytes) -> list[object]:
    """The decoded data lines of a stream of single-line events."""
    lines = [line[6:] for line in stream.split(b"\n") if line.startswith(b"data: ")]
    return [line.decode() if line == b"[DONE]" else json.loads(line) for line in lines]


function_tools = st.builds(Tool, name=n.names, description=st.none() | n.words, parameters=n.schemas, strict=st.sampled_from([True, False]))
custom_tools = st.builds(
    Tool, name=n.names, description=st.none() | n.words, custom=st.just(True), format=st.sampled_from([None, {"type": "text"}])
)


@st.composite
def tools(draw: st.DrawFn, *more: st.SearchStrategy[Tool]) -> tuple[tuple[Tool, ...], ToolChoice | None]:
    found = tuple(draw(st.lists(st.one_of(function_tools, custom_tools, *more), max_size=3, unique_by=lambda tool: tool.name)))
    if not found:
        return (), None
    named = [tool.name for tool in found if not tool.builtin]
    choices: list[ToolChoice | None] = [None, *(ToolChoice(mode=mode) for mode in ("auto", "none", "required"))]
    if named:
        choices += [ToolChoice(mode="tool", name=named[0]), ToolChoice(mode="required", allowed=tuple(named))]
    return found, draw(st.sampled_from(choices))


calls = st.builds(ToolCall, id=n.names, name=n.names, arguments=n.objects.map(n.arguments_of), signature=st.none()) | st.builds(
    ToolCall, id=n.names, name=n.names, arguments=n.words, custom=st.just(True)
)
formats = (
    st.none()
    | st.sampled_from([ResponseFormat(kind="text"), ResponseFormat(kind="json")])
    | st.builds(
        ResponseFormat,
        kind=st.just("json_schema"),
        name=n.names,
        schema=n.schemas,
        strict=st.none() | st.booleans(),
        description=st.none() | n.words,
    )
)
efforts = st.none() | st.builds(Reasoning, effort=st.sampled_from(["none", "minimal", "low", "medium", "high", "xhigh", "max"]))


@st.composite
def usages(draw: st.DrawFn) -> Usage:
    return msgspec.structs.replace(
        draw(n.usages),
        cache_write_tokens=draw(st.none() | n.counts),
        reasoning_tokens=draw(st.none() | n.counts),
        audio_input_tokens=draw(st.none() | n.counts),
        audio_output_tokens=draw(st.none() | n.counts),
        image_input_tokens=draw(st.none() | n.counts),
        image_output_tokens=draw(st.none() | n.counts),
        service_tier=draw(st.sampled_from([None, "default", "priority"])),
    )
