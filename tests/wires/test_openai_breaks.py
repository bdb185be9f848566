"""Chat hosts that break their own format: what a caller of another format reads, and what one of the same format gets instead."""

from __future__ import annotations

from typing import Any

import pytest
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from llm_gateway.core import json
from llm_gateway.core.chat import FinishReason, Text, Thinking, ToolCall
from llm_gateway.core.errors import AttemptFailed, FailureClass
from llm_gateway.core.events import Done, Failed, TextDelta, collect
from llm_gateway.wires import dialects, menders, openai_chat
from llm_gateway.wires._base import Reply
from llm_gateway.wires._turns import InTurn

from . import openai as o
from .test_openai_quirks import HEY, STOP, call, calls_of, chunk, sse

CHAT = openai_chat.WIRE
FORMATS = ("anthropic_messages", "gemini_generate", "openai_chat", "openai_responses")


def shown(body: bytes, cuts: tuple[int, ...] = ()) -> bytes:
    """What a caller of the same format gets."""
    return b"".join(frame.shown for frame in o.frames_of(CHAT, body, cuts))


def strict(body: bytes) -> list[ChatCompletionChunk]:
    """The chunks as a strict reader takes them; raises for what it refuses."""
    return [ChatCompletionChunk.model_validate(data, strict=True) for data in o.data_of(body) if data != "[DONE]"]


def whole(**fields: Any) -> dict[str, Any]:
    return {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"} | fields


def told(dialect: str, stream: bytes) -> bytes:
    """The stream as a caller of ``dialect`` gets it."""
    encoder = dialects.get(dialect).stream_encoder(Reply(request_id="r", model="m", created=1))
    return encoder.encode(InTurn()(o.events_of(CHAT, stream)))


@pytest.mark.parametrize(
    "noise",
    [
        b"null",
        b"{}",
        b'"ping"',
        b'"keep-alive"',
        b"ping",
        b"[]",
        b"1",
        b"true",
        b'{"type":"ping"}',
        b'{"choices":null}',
        b"keepalive",
        b'""',
    ],
)
@pytest.mark.parametrize("dialect", FORMATS)
def test_what_only_keeps_a_connection_open_is_skipped(noise: bytes, dialect: str) -> None:
    beat = b"data: " + noise + b"\n\n"
    stream = beat + sse(HEY, done=False) + beat + sse(chunk({"content": " you"}), done=False) + beat + sse(STOP)
    assert collect(o.events_of(CHAT, stream)).text == "hey you"
    assert told(dialect, stream) == told(dialect, sse(HEY, chunk({"content": " you"}), STOP))
    # A caller of the same format would trip over it.
    assert shown(stream) == shown(sse(HEY, chunk({"content": " you"}), STOP))


@pytest.mark.parametrize("noise", [b"{broken", b"upstream connect error", b'{"id":"c","cho'])
def test_what_is_no_event_still_breaks_the_stream(noise: bytes) -> None:
    with pytest.raises(AttemptFailed) as caught:
        o.events_of(CHAT, b"data: " + noise + b"\n\n")
    assert caught.value.failure.kind is FailureClass.BAD_EVENT


@pytest.mark.parametrize(
    "pieces",
    [
        [{"index": 0, "id": "a", "function": {"name": "Re"}}, {"index": 0, "function": {"name": "ad"}}],
        [{"index": 0, "id": "a", "function": {"name": "R", "arguments": ""}}, *({"index": 0, "function": {"name": one}} for one in "ead")],
        [{"index": 0, "id": "a", "function": {"name": "Read"}}, {"index": 0, "id": "a", "function": {"name": "Read"}}],
        [{"index": 0, "id": "a", "function": {"name": "Re"}}, {"index": 0, "id": "a", "function": {"name": "Read"}}],
        # The id comes with the second delta.
        [
            {"index": 0, "function": {"name": "Read", "arguments": ""}},
            {"index": 0, "id": "a", "function": {"name": "Read", "arguments": ""}},
        ],
        [{"index": 0, "function": {"name": "Read"}}, {"index": 0, "id": "a", "function": {"name": "Read"}}],
        [{"function": {"name": "Read"}}, {"id": "a", "function": {"name": "Read"}}],
        [{"index": 0, "function": {"name": "Read"}}, {"index": 0, "id": "a", "function": {"arguments": ""}}],
    ],
)
def test_a_call_told_in_pieces_is_one_call(pieces: list[dict[str, Any]]) -> None:
    more = {"index": 0} if "index" in pieces[0] else {"id": "a"}
    end = call(**more, function={"arguments": '{"p":1}'})
    assert calls_of(*(call(**piece) for piece in pieces), end) == (ToolCall(id="a", name="Read", arguments='{"p":1}'),)


def test_a_name_told_again_beside_every_piece_of_arguments_is_one_call() -> None:
    pieces = [call(index=0, function={"name": "Read", "arguments": part}) for part in ('{"a"', ":1", "}")]
    (found,) = calls_of(*pieces)
    assert (found.name, found.arguments) == ("Read", '{"a":1}')


@pytest.mark.parametrize("numbered", [True, False])
def test_calls_without_ids_under_one_number_are_told_apart(numbered: bool) -> None:
    at = {"index": 0} if numbered else {}
    found = calls_of(
        call(**at, function={"name": "f", "arguments": '{"a":1}'}),
        call(**at, function={"name": "f", "arguments": '{"a":2}'}),
        call(**at, function={"name": "g", "arguments": "{}"}),
    )
    assert [(one.name, one.arguments) for one in found] == [("f", '{"a":1}'), ("f", '{"a":2}'), ("g", "{}")]
    assert len({one.id for one in found}) == 3


def test_calls_of_two_answers_that_their_host_gives_no_id_have_ids_of_their_own() -> None:
    """A history with both must not hold one id twice."""
    first, second = (calls_of(chunk({"tool_calls": [{"function": {"name": "f", "arguments": "{}"}}]}, created=at)) for at in (1, 2))
    assert first[0].id != second[0].id


def finished_twice() -> bytes:
    return sse(
        HEY, STOP, call(index=0, id="a", type="function", function={"name": "f", "arguments": "{}"}), STOP, chunk(finish="tool_calls"),
        {"id": "c", "choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}},
    )  # fmt: skip


def test_the_last_finish_counts_and_all_content_passes() -> None:
    (choice,) = collect(o.events_of(CHAT, finished_twice())).choices
    assert choice.parts == (Text(text="hey"), ToolCall(id="a", name="f", arguments="{}"))
    assert choice.finish is FinishReason.TOOL_CALLS


@pytest.mark.parametrize(
    ("dialect", "mark"),
    [("anthropic_messages", b'"stop_reason":'), ("openai_chat", b'"finish_reason":"'), ("gemini_generate", b'"finishReason":')],
)
def test_a_caller_of_another_format_hears_of_one_end(dialect: str, mark: bytes) -> None:
    answer = told(dialect, finished_twice()).replace(b'"stop_reason":null', b"")
    assert answer.count(mark) == 1
    assert b'"f"' in answer


@pytest.mark.parametrize("dialect", FORMATS)
@pytest.mark.parametrize("finish", [{}, {"finish_reason": ""}])
def test_a_call_before_an_end_mark_without_finish_reason_is_a_call(dialect: str, finish: dict[str, Any]) -> None:
    piece = {"index": 0, "id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    stream = sse({"id": "c", "model": "m", "created": 1, "choices": [{"index": 0, "delta": {"tool_calls": [piece]}, **finish}]})
    word = {"anthropic_messages": b'"tool_use"', "openai_chat": b'"finish_reason":"tool_calls"', "gemini_generate": b'"STOP"'}
    assert word.get(dialect, b'"response.completed"') in told(dialect, stream)
    (choice,) = collect(o.events_of(CHAT, stream)).choices
    assert choice.finish is FinishReason.TOOL_CALLS
    # On the same wire the finish comes right before the mark.
    *_, last, mark = o.data_of(shown(stream))
    assert mark == "[DONE]"
    assert isinstance(last, dict)
    assert last["choices"] == [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]


def test_a_whole_call_without_finish_reason_is_a_call() -> None:
    message = {"role": "assistant", "tool_calls": [{"id": "a", "function": {"name": "f", "arguments": {"x": 1}}}]}
    body = json.dumps({"id": "c", "choices": [{"message": message, "finish_reason": None}]})
    assert CHAT.decode_response(body).choices[0].finish is FinishReason.TOOL_CALLS
    found = ChatCompletion.model_validate(json.loads(menders.get("openai_chat")(body)), strict=True)
    assert found.choices[0].finish_reason == "tool_calls"
    assert found.choices[0].message.tool_calls is not None
    assert found.choices[0].message.tool_calls[0].model_dump()["function"] == {"name": "f", "arguments": '{"x":1}'}


DELTA = {"index": 0, "delta": {"role": "assistant", "content": "a"}, "finish_reason": None, "new": [1.50]}


@pytest.mark.parametrize(
    ("broken", "mended"),
    [
        (whole(choices=[DELTA | {"finish_reason": "eos"}]), whole(choices=[DELTA | {"finish_reason": "stop"}])),
        (whole(choices=[DELTA | {"finish_reason": "eos_token"}]), whole(choices=[DELTA | {"finish_reason": "stop"}])),
        (whole(choices=[DELTA | {"finish_reason": "stop_sequence"}]), whole(choices=[DELTA | {"finish_reason": "stop"}])),
        (whole(choices=[DELTA | {"finish_reason": "model_length"}]), whole(choices=[DELTA | {"finish_reason": "length"}])),
        (whole(choices=[DELTA | {"finish_reason": "STOP"}]), whole(choices=[DELTA | {"finish_reason": "stop"}])),
        (whole(choices=[DELTA | {"finish_reason": "MAX_TOKENS"}]), whole(choices=[DELTA | {"finish_reason": "length"}])),
        (whole(choices=[DELTA | {"finish_reason": "sensitive"}]), whole(choices=[DELTA | {"finish_reason": "content_filter"}])),
        (whole(choices=[DELTA | {"finish_reason": 1}]), whole(choices=[DELTA | {"finish_reason": "stop"}])),
        (whole(choices=[DELTA | {"finish_reason": 2}]), whole(choices=[DELTA | {"finish_reason": "length"}])),
        (whole(choices=[DELTA | {"finish_reason": ""}]), whole(choices=[DELTA])),
        (whole(choices=[DELTA | {"finish_reason": 0}]), whole(choices=[DELTA])),
        (whole(choices=[DELTA], object="text_completion"), whole(choices=[DELTA])),
        (whole(choices=[DELTA], object=""), whole(choices=[DELTA])),
        (whole(choices=[DELTA], created="1"), whole(choices=[DELTA])),
        (whole(choices=[DELTA], created=1.5), whole(choices=[DELTA], created=1)),
        (whole(choices=[{**DELTA, "delta": {"content": "a"}}]), whole(choices=[DELTA])),
        (whole(choices=[{name: value for name, value in DELTA.items() if name != "index"}]), whole(choices=[DELTA])),
        (whole(choices=[{"text": "a", "finish_reason": "eos"}]), whole(choices=[
            {"index": 0, "delta": {"role": "assistant", "content": "a"}, "finish_reason": "stop"}])),
        (whole(choices=[{"index": 0, "message": DELTA["delta"], "finish_reason": None, "new": [1.5]}]), whole(choices=[DELTA])),
    ],
)  # fmt: skip
def test_a_chunk_that_breaks_its_format_is_mended_and_keeps_everything_else(broken: dict[str, Any], mended: dict[str, Any]) -> None:
    before, after = sse(whole(choices=[DELTA | {"index": 1}]), done=False), sse(whole(choices=[DELTA | {"delta": {}}]))
    second = o.data_of(shown(before + sse(broken, done=False, end=b"\r\n\r\n") + after))[1]
    assert second == mended
    assert strict(sse(second))
    # Its neighbours keep their bytes.
    assert shown(before + sse(broken, done=False) + after).startswith(before)
    assert shown(before + sse(broken, done=False) + after).endswith(after)


def test_missing_ids_times_and_models_are_the_same_in_every_chunk() -> None:
    bare = sse({"choices": [{"delta": {"content": "a"}}]}, {"choices": [{"delta": {"content": "b"}, "finish_reason": "eos"}]})
    first, second = strict(shown(bare))
    assert first.id == second.id
    assert first.id.startswith("chatcmpl-")
    assert first.choices[0].delta.role == "assistant"
    assert second.choices[0].delta.role is None
    named = sse(
        {"id": "c", "object": "chat.completion.chunk", "created": 7, "model": "m", "choices": []},
        {"choices": [{"delta": {"content": "b"}}]},
    )
    assert [(one.id, one.created, one.model) for one in strict(shown(named))] == [("c", 7, "m")] * 2


@pytest.mark.parametrize(
    ("deltas", "indexes", "ids"),
    [
        # Mistral: whole calls without index.
        (
            [[{"id": "a", "function": {"name": "f", "arguments": "{}"}}, {"id": "b", "function": {"name": "g", "arguments": "{}"}}]],
            [0, 1],
            "ab",
        ),
        # An id begins the next call, what follows belongs to it.
        (
            [
                [{"id": "a", "type": "function", "function": {"name": "f", "arguments": ""}}],
                [{"function": {"arguments": "{}"}}],
                [{"id": "b", "function": {"name": "g", "arguments": ""}}],
                [{"function": {"arguments": "{}"}}],
            ],
            [0, 0, 1, 1],
            "ab",
        ),
        # Every call is number 0.
        (
            [
                [{"index": 0, "id": "a", "function": {"name": "f", "arguments": "{}"}}],
                [{"index": 0, "id": "b", "function": {"name": "g", "arguments": "{"}}],
                [{"index": 0, "function": {"arguments": "}"}}],
            ],
            [0, 1, 1],
            "ab",
        ),
        # Numbers that begin elsewhere are the host's own.
        ([[{"index": 3, "id": "a", "function": {"name": "f", "arguments": "{}"}}]], [3], "a"),
    ],
)
def test_tool_deltas_are_numbered_as_they_belong(deltas: list[list[dict[str, Any]]], indexes: list[int], ids: str) -> None:
    first = whole(choices=[{"index": 0, "delta": {"role": "assistant", "content": None}, "finish_reason": None}])
    stream = sse(first, *(whole(choices=[{"index": 0, "delta": {"tool_calls": one}, "finish_reason": None}]) for one in deltas))
    found = [piece for one in strict(shown(stream)) for piece in one.choices[0].delta.tool_calls or ()]
    assert [piece.index for piece in found] == indexes
    assert "".join(piece.id or "" for piece in found) == ids


def test_a_call_without_an_id_gets_one_and_arguments_become_text() -> None:
    stream = sse(
        whole(
            choices=[
                {
                    "index": 0,
                    "delta": {
                        "role": "assistant",
                        "tool_calls": [{"index": 0, "id": None, "function": {"name": "f", "arguments": {"x": 1}}}],
                    },
                }
            ]
        )
    )
    (found,) = strict(shown(stream))[0].choices[0].delta.tool_calls or ()
    assert found.id
    assert found.function is not None
    assert found.function.arguments == '{"x":1}'


def test_a_failing_model_is_not_said_to_have_stopped() -> None:
    frame = whole(choices=[DELTA | {"finish_reason": "insufficient_system_resource"}])
    assert shown(sse(frame, done=False)) == sse(frame, done=False)


@pytest.mark.parametrize("finish", ["eos", "eos_token", "model_length", "STOP", "", 1])
def test_a_whole_answer_that_breaks_its_format_is_mended(finish: Any) -> None:
    body = json.dumps(
        {"object": "text_completion", "choices": [{"message": {"content": "a"}, "finish_reason": finish, "new": 1}], "x": [1]}
    )
    mended = json.loads(menders.get("openai_chat")(body))
    assert ChatCompletion.model_validate(mended, strict=True).choices[0].message.content == "a"
    assert mended["x"] == [1]
    assert mended["choices"][0]["new"] == 1


def test_a_whole_answer_as_the_format_says_keeps_its_bytes() -> None:
    body = (
        b'{"id":"c", "object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant",'
        b'"content":"h\\u00e9"},"finish_reason":"stop","x":1.50}]}'
    )
    assert menders.get("openai_chat")(body) is body


SMILE = "\U0001f600"


@pytest.mark.parametrize("where", ["content", "reasoning_content", "refusal", "arguments"])
@pytest.mark.parametrize(
    "halves", [(rb"a\ud83d", rb"\ude00b"), (b"a\xf0\x9f", b"\x98\x80b"), (b"a\xf0", b"\x9f\x98\x80b"), (b"a\xf0\x9f\x98", b"\x80b")]
)
def test_a_character_cut_in_two_is_whole_again(where: str, halves: tuple[bytes, bytes]) -> None:
    def piece(text: bytes) -> bytes:
        if where == "arguments":
            delta = b'{"tool_calls":[{"index":0,"id":"c","function":{"name":"f","arguments":"' + text + b'"}}]}'
        else:
            delta = b'{"' + where.encode() + b'":"' + text + b'"}'
        return b'{"id":"c","choices":[{"index":0,"delta":' + delta + b"}]}"

    stream = sse(piece(halves[0]), piece(halves[1]), STOP)
    (choice,) = collect(o.events_of(CHAT, stream)).choices
    (part,) = choice.parts
    assert (part.arguments if isinstance(part, ToolCall) else part.text) == f"a{SMILE}b"  # type: ignore[attr-defined]
    if where == "content":
        for dialect in FORMATS:
            assert SMILE.encode() in told(dialect, stream)
            assert "\ufffd".encode() not in told(dialect, stream)


def test_half_a_character_that_stays_alone_is_told_as_one() -> None:
    alone = b'{"id":"c","choices":[{"index":0,"delta":{"content":"a\\ud83d"}}]}'
    assert collect(o.events_of(CHAT, sse(alone, STOP))).text == "a\ufffd"
    assert collect(o.events_of(CHAT, sse(alone))).text == "a\ufffd"
    mixed = sse(alone, chunk({"reasoning_content": "hm"}), chunk({"content": "b"}), STOP)
    assert [part for part in collect(o.events_of(CHAT, mixed)).choices[0].parts if isinstance(part, Thinking)] == [Thinking(text="hm")]
    assert collect(o.events_of(CHAT, mixed)).text == "a\ufffdb"


@pytest.mark.parametrize(
    ("code", "text", "kind"),
    [
        (1004, "login fail", FailureClass.AUTH),
        (2049, "invalid api key", FailureClass.AUTH),
        (1008, "insufficient balance", FailureClass.QUOTA),
        (1002, "rate limit", FailureClass.RATE_LIMITED),
        (1039, "token limit exceeded", FailureClass.CONTEXT_LENGTH),
        (2013, "invalid params, context window exceeds limit", FailureClass.CONTEXT_LENGTH),
        (1026, "input new_sensitive", FailureClass.CONTENT_FILTER),
        (1013, "unknown error", FailureClass.SERVER_ERROR),
        (9999, "new", FailureClass.ERROR_IN_200),
    ],
)
def test_minimaxs_errors_beside_the_answer_are_errors(code: int, text: str, kind: FailureClass) -> None:
    body = {"id": "c", "choices": None, "base_resp": {"status_code": code, "status_msg": text}}
    with pytest.raises(AttemptFailed) as caught:
        CHAT.decode_response(json.dumps(body))
    assert caught.value.failure.kind is kind
    events = o.events_of(CHAT, sse(HEY, body))
    assert [event.failure.kind for event in events if isinstance(event, Failed)] == [kind]
    assert Done() not in events
    assert TextDelta("hey") in o.events_of(CHAT, sse(HEY, chunk(base_resp={"status_code": 0, "status_msg": ""}), STOP))
