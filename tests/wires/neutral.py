"""Hypothesis strategies of neutral values that Anthropic's and Gemini's formats can both express."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from hypothesis import strategies as st

from llm_gateway.core import json
from llm_gateway.core.chat import Document, Image, Message, Part, Text, Tool, ToolCall, ToolResult
from llm_gateway.core.usage import Usage

words = st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=20).filter(lambda text: bool(text.strip()))
names = st.from_regex(r"[a-z][a-zA-Z0-9_-]{0,15}", fullmatch=True)
tokens = st.from_regex(r"[A-Za-z0-9+/]{4,16}", fullmatch=True)
counts = st.integers(0, 10_000_000)
_scalars = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8)
values = st.recursive(
    _scalars.filter(lambda value: not isinstance(value, str) or value.isascii()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=6,
)
objects = st.dictionaries(names, values, max_size=3)
schemas = st.builds(
    lambda properties: {"type": "object", "properties": properties, "additionalProperties": False},
    st.dictionaries(names, st.sampled_from([{"type": "string"}, {"type": "integer"}, {"type": ["string", "null"]}]), max_size=3),
)


def arguments_of(value: dict[str, Any]) -> str:
    return json.dumps(value).decode()


def texts(caches: st.SearchStrategy[str | None]) -> st.SearchStrategy[Part]:
    return st.builds(Text, text=words, cache=caches)


def media(caches: st.SearchStrategy[str | None]) -> st.SearchStrategy[Part]:
    return st.builds(Image, media_type=st.sampled_from(["image/png", "image/jpeg"]), data=tokens, cache=caches) | st.builds(
        Document, media_type=st.just("application/pdf"), data=tokens, cache=caches
    )


def calls(signatures: st.SearchStrategy[str | None]) -> st.SearchStrategy[ToolCall]:
    return st.builds(ToolCall, id=names, name=names, arguments=objects.map(arguments_of), signature=signatures)


def tools(caches: st.SearchStrategy[str | None], strict: st.SearchStrategy[bool | None]) -> st.SearchStrategy[tuple[Tool, ...]]:
    one = st.builds(Tool, name=names, description=st.none() | words, parameters=schemas, strict=strict, cache=caches)
    return st.lists(one, max_size=2, unique_by=lambda tool: tool.name).map(tuple)


@st.composite
def conversations(
    draw: st.DrawFn,
    said: st.SearchStrategy[Part],
    answered: st.SearchStrategy[Part],
    results: st.SearchStrategy[ToolResult] | None,
    system: st.SearchStrategy[Part],
) -> tuple[Message, ...]:
    """Turns alternate, begin and end with the user; results of calls stand before anything else."""
    messages = []
    if head := draw(st.lists(system, max_size=2)):
        messages.append(Message(role="system", parts=tuple(head)))
    for _ in range(draw(st.integers(0, 2))):
        messages.append(_user(draw, said, results))
        messages.append(Message(role="assistant", parts=tuple(draw(st.lists(answered, min_size=1, max_size=3)))))
    messages.append(_user(draw, said, results))
    return tuple(messages)


def _user(draw: st.DrawFn, said: st.SearchStrategy[Part], results: st.SearchStrategy[ToolResult] | None) -> Message:
    parts: list[Part] = [*(draw(st.lists(results, max_size=2)) if results is not None else []), *draw(st.lists(said, max_size=2))]
    return Message(role="user", parts=tuple(parts) or (draw(said),))


def lonely_text(parts: tuple[Part, ...]) -> bool:
    """No two texts beside each other: a stream cannot tell them from one."""
    return not any(isinstance(one, Text) and isinstance(two, Text) for one, two in pairwise(parts))


usages = st.builds(
    Usage,
    input_tokens=counts,
    output_tokens=counts,
    cache_read_tokens=st.none() | counts,
    service_tier=st.sampled_from([None, "standard", "priority"]),
)
