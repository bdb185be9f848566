"""What a glance at Anthropic's and Google's answers says is what reading them in full says."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm_gateway.core.errors import AttemptFailed
from llm_gateway.core.events import Frame, replay
from llm_gateway.engine.tally import Tally
from llm_gateway.wires import Counted, glances, wires

from . import neutral as n

CLAUDE, GEMINI = "anthropic_messages", "gemini_generate"
PART: dict[str, Any] = {"text": "hi"}
CANDIDATE: dict[str, Any] = {"content": {"parts": [PART], "role": "model"}, "finishReason": "STOP", "index": 0}
ANSWERS: dict[str, dict[str, Any]] = {
    CLAUDE: {
        "id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": [{"type": "text", "text": "hi"}],
        "stop_reason": "end_turn", "stop_sequence": None,
        "usage": {"input_tokens": 7, "output_tokens": 2, "cache_read_input_tokens": 3, "service_tier": "standard"},
    },
    GEMINI: {
        "candidates": [CANDIDATE], "modelVersion": "m", "responseId": "r",
        "usageMetadata": {"promptTokenCount": 7, "candidatesTokenCount": 2, "totalTokenCount": 12, "thoughtsTokenCount": 3},
    },
}  # fmt: skip


def in_full(wire: str, body: bytes) -> Counted:
    tally = Tally(marked=bool(wires.get(wire).end_mark))
    tally.add([Frame(b"", tuple(replay(wires.get(wire).decode_response(body))))])
    assert tally.done
    assert tally.finish is not None
    return Counted(model=tally.model, finish=tally.finish, chars=tally.chars, content=tally.content, usage=tally.usage)


PLAIN = [
    (CLAUDE, {}),
    (CLAUDE, {"usage": None}),
    (CLAUDE, {"stop_reason": "max_tokens", "container": None, "content": [{"type": "text", "text": "ünï 🙂", "citations": None}]}),
    (CLAUDE, {"stop_reason": "stop_sequence", "stop_sequence": "END", "content": []}),
    (GEMINI, {}),
    (GEMINI, {"usageMetadata": None}),
    (GEMINI, {"candidates": [CANDIDATE | {"content": {"parts": [{"text": "hm", "thought": True}, {"text": "ünï 🙂"}]}}]}),
    (GEMINI, {"candidates": [CANDIDATE | {"finishReason": "MAX_TOKENS", "content": {"parts": [], "role": "model"}}]}),
]
ODD = [
    (CLAUDE, {"type": "error", "error": {"type": "overloaded_error"}}),
    (CLAUDE, {"error": {"message": "no"}}),
    (CLAUDE, {"content": [{"type": "thinking", "thinking": "hm", "signature": "s"}]}),
    (CLAUDE, {"content": [{"type": "tool_use", "id": "t", "name": "f", "input": {}}]}),
    (CLAUDE, {"content": [{"type": "text", "text": "hi", "citations": [{"type": "page_location"}]}]}),
    (CLAUDE, {"content": [{"type": "text", "text": "half \ud83d"}]}),
    (CLAUDE, {"content": None}),
    (CLAUDE, {"stop_reason": None}),
    (CLAUDE, {"stop_reason": "refusal", "stop_details": {"explanation": "no"}}),
    (CLAUDE, {"model": None}),
    (GEMINI, {"candidates": []}),
    (GEMINI, {"candidates": None, "promptFeedback": {"blockReason": "SAFETY"}}),
    (GEMINI, {"candidates": [CANDIDATE, CANDIDATE | {"index": 1}]}),
    (GEMINI, {"candidates": [CANDIDATE | {"finishReason": "SAFETY"}]}),
    (GEMINI, {"candidates": [CANDIDATE | {"groundingMetadata": {"webSearchQueries": ["q"]}}]}),
    (GEMINI, {"candidates": [CANDIDATE | {"content": {"parts": [PART | {"thoughtSignature": "s"}]}}]}),
    (GEMINI, {"candidates": [CANDIDATE | {"content": {"parts": [{"functionCall": {"name": "f", "args": {}}}]}}]}),
    (GEMINI, {"candidates": [CANDIDATE | {"content": {"parts": [{"text": "half \ud83d"}]}}]}),
    (GEMINI, {"error": {"code": 500}}),
]


@pytest.mark.parametrize(("wire", "more"), PLAIN)
def test_plain_answers_are_counted(wire: str, more: dict[str, Any]) -> None:
    body = json.dumps(ANSWERS[wire] | more).encode()
    counted = glances.get(wire)(body)
    assert counted is not None
    assert counted == in_full(wire, body)


@pytest.mark.parametrize(("wire", "more"), ODD)
def test_everything_else_is_read_in_full(wire: str, more: dict[str, Any]) -> None:
    assert glances.get(wire)(json.dumps(ANSWERS[wire] | more).encode()) is None


@pytest.mark.parametrize("wire", [CLAUDE, GEMINI])
@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b'"x"', b"\xff", b"[{}]"])
def test_what_is_no_answer_is_read_in_full(wire: str, body: bytes) -> None:
    assert glances.get(wire)(body) is None


def _objects(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _objects(inner)


@st.composite
def mutated(draw: st.DrawFn) -> tuple[str, bytes]:
    """An answer of which some fields are missing, of another type or joined by others."""
    wire = draw(st.sampled_from([CLAUDE, GEMINI]))
    value: Any = json.loads(json.dumps(ANSWERS[wire]))
    for _ in range(draw(st.integers(0, 4))):
        inner = draw(st.sampled_from(list(_objects(value))))
        name = draw(
            st.sampled_from([*inner, "thought", "thoughtSignature", "index", "signature", "stop_details", "promptFeedback", "extra"])
        )
        match draw(st.sampled_from(["drop", "set", "text"])):
            case "drop":
                inner.pop(name, None)
            case "set":
                inner[name] = draw(n.values)
            case _:
                inner[name] = draw(st.text(max_size=6).filter(lambda text: text.isprintable()))
    return wire, json.dumps(value).encode()


@given(mutated())
@settings(max_examples=300, deadline=None)
def test_a_glance_never_says_anything_else(given_: tuple[str, bytes]) -> None:
    wire, body = given_
    counted = glances.get(wire)(body)
    if counted is None:
        return
    try:
        assert counted == in_full(wire, body)
    except AttemptFailed as error:
        raise AssertionError(f"read in full it is an error: {error.failure}") from error
