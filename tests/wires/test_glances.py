"""A glance at a plain whole answer says what reading it in full says, or nothing."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm_gateway.core.errors import AttemptFailed
from llm_gateway.core.events import Frame, replay
from llm_gateway.engine.tally import Tally
from llm_gateway.wires import Counted, glances, menders, wires

from . import neutral as n

CHAT = "openai_chat"
USAGE = {"prompt_tokens": 7, "completion_tokens": 2, "total_tokens": 9, "prompt_tokens_details": {"cached_tokens": 3}}
MESSAGE: dict[str, Any] = {"role": "assistant", "content": "hi"}
CHOICE: dict[str, Any] = {"index": 0, "message": MESSAGE, "finish_reason": "stop"}
ANSWER: dict[str, Any] = {"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [CHOICE], "usage": USAGE}


def in_full(body: bytes) -> Counted:
    tally = Tally(marked=True)
    tally.add([Frame(b"", tuple(replay(wires.get(CHAT).decode_response(body))))])
    assert tally.done
    assert tally.finish is not None
    return Counted(model=tally.model, finish=tally.finish, chars=tally.chars, content=tally.content, usage=tally.usage)


def check(body: bytes) -> Counted | None:
    """What the glance says, which is what the full reading says; and then nothing of the body needs mending."""
    counted = glances.get(CHAT)(body)
    if counted is not None:
        assert counted == in_full(body)
        assert menders.get(CHAT)(body) == body
    return counted


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"usage": None},
        {"service_tier": "flex", "system_fingerprint": "f"},
        {"choices": [CHOICE | {"finish_reason": "length", "logprobs": None}]},
        {"choices": [CHOICE | {"finish_reason": "content_filter"}]},
        {"choices": [CHOICE | {"message": MESSAGE | {"content": ""}}]},
        {"choices": [CHOICE | {"message": MESSAGE | {"content": None, "reasoning_content": "hm"}}]},
        {"choices": [CHOICE | {"message": MESSAGE | {"content": "ünï 🙂", "reasoning": "hm", "refusal": None, "annotations": []}}]},
    ],
)
def test_plain_answers_are_counted(more: dict[str, Any]) -> None:
    assert check(json.dumps(ANSWER | more).encode()) is not None


@pytest.mark.parametrize(
    "more",
    [
        {"id": ""},
        {"id": None},
        {"object": "text_completion"},
        {"created": 1.5},
        {"created": "1"},
        {"model": None},
        {"choices": []},
        {"choices": None},
        {"choices": [CHOICE, CHOICE | {"index": 1}]},
        {"choices": [CHOICE | {"index": 1}]},
        {"choices": [CHOICE | {"finish_reason": "eos"}]},
        {"choices": [CHOICE | {"finish_reason": None}]},
        {"choices": [CHOICE | {"stop_reason": "END"}]},
        {"choices": [CHOICE | {"error": {"message": "no"}}]},
        {"choices": [CHOICE | {"message": MESSAGE | {"refusal": "no"}}]},
        {"choices": [CHOICE | {"message": MESSAGE | {"tool_calls": [{"id": "a", "type": "function", "function": {"name": "f"}}]}}]},
        {"choices": [CHOICE | {"message": MESSAGE | {"function_call": {"name": "f", "arguments": "{}"}}}]},
        {"choices": [CHOICE | {"message": MESSAGE | {"content": [{"type": "text", "text": "hi"}]}}]},
        {"choices": [CHOICE | {"message": MESSAGE | {"images": [{"image_url": {"url": "data:x"}}]}}]},
        {"choices": [CHOICE | {"message": {"content": "hi"}}]},
        {"choices": [CHOICE | {"message": MESSAGE | {"content": "half \ud83d"}}]},
        {"error": {"message": "no"}},
        {"base_resp": {"status_code": 1004}},
        {"x_groq": {"usage": USAGE}},
    ],
)
def test_everything_else_is_read_in_full(more: dict[str, Any]) -> None:
    assert glances.get(CHAT)(json.dumps(ANSWER | more).encode()) is None


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b'"x"', b"\xff", json.dumps(ANSWER).encode()[:-3]])
def test_what_is_no_answer_is_read_in_full(body: bytes) -> None:
    assert glances.get(CHAT)(body) is None


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """An answer of which some fields are missing, of another type or joined by others."""
    value: Any = json.loads(json.dumps(ANSWER))
    for _ in range(draw(st.integers(0, 4))):
        choices = [one for one in value.get("choices") or () if isinstance(one, dict)] if isinstance(value.get("choices"), list) else []
        place = draw(st.sampled_from([value, *choices]))
        inner = place.get("message") if isinstance(place.get("message"), dict) and draw(st.booleans()) else place
        name = draw(st.sampled_from([*inner, "refusal", "tool_calls", "reasoning_content", "service_tier", "logprobs", "extra"]))
        match draw(st.sampled_from(["drop", "set", "text"])):
            case "drop":
                inner.pop(name, None)
            case "set":
                inner[name] = draw(n.values)
            case _:
                inner[name] = draw(st.text(max_size=6).filter(lambda text: text.isprintable()))
    return json.dumps(value).encode()


@given(mutated())
@settings(max_examples=300, deadline=None)
def test_a_glance_never_says_anything_else(body: bytes) -> None:
    counted = glances.get(CHAT)(body)
    if counted is None:
        return
    try:
        assert counted == in_full(body)
    except AttemptFailed as error:
        raise AssertionError(f"read in full it is an error: {error.failure}") from error
    assert menders.get(CHAT)(body) == body


def test_openais_own_usage_is_the_same_at_a_glance_and_with_care(monkeypatch: pytest.MonkeyPatch) -> None:
    from llm_gateway.wires._openai import usage

    draw = random.Random(7)

    def number(likely: float = 0.92) -> Any:
        return draw.choice([0, 1, 5, 12]) if draw.random() < likely else draw.choice([None, True, 2.0, -1, 10**9, "3"])

    blocks = []
    for _ in range(3000):
        prompt, output = number(), number()
        plain = type(prompt) is type(output) is int and draw.random() < 0.9
        inputs = {name: number() for name in ("cached_tokens", "audio_tokens", "image_tokens") if draw.random() < 0.5}
        outputs = {name: number() for name in ("reasoning_tokens", "audio_tokens", "rejected_prediction_tokens") if draw.random() < 0.5}
        blocks.append(
            {
                "prompt_tokens": prompt, "completion_tokens": output, "total_tokens": prompt + output if plain else number(),
                "prompt_tokens_details": inputs, "completion_tokens_details": outputs,
            }
        )  # fmt: skip
    glanced = [usage.decode_usage(block) for block in blocks]
    seen = [usage._plain_details(block, None, None) is not None for block in blocks]
    assert 0.1 < sum(seen) / len(seen) < 0.9
    monkeypatch.setattr(usage, "_plain_details", lambda *_: None)
    assert glanced == [usage.decode_usage(block) for block in blocks]
