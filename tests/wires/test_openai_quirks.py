"""What hosts of the OpenAI formats really stream."""

from __future__ import annotations

from typing import Any

import pytest

from llm_gateway.core import json
from llm_gateway.core.chat import FinishReason, Image, Refusal, Text, Thinking, ToolCall
from llm_gateway.core.errors import AttemptFailed, FailureClass
from llm_gateway.core.events import Done, Failed, Start, TextDelta, UsageReport, collect
from llm_gateway.core.usage import Usage
from llm_gateway.wires import openai_chat, openai_responses
from llm_gateway.wires._openai.usage import decode_usage

from . import openai as o

CHAT = openai_chat.WIRE
RESPONSES = openai_responses.WIRE


def sse(*chunks: Any, done: bool = True, end: bytes = b"\n\n") -> bytes:
    lines = [b"data: " + (chunk if isinstance(chunk, bytes) else json.dumps(chunk)) + end for chunk in chunks]
    return b"".join(lines) + (b"data: [DONE]" + end if done else b"")


def chunk(delta: dict[str, Any] | None = None, finish: str | None = None, **fields: Any) -> dict[str, Any]:
    choices = [{"index": 0, "delta": delta if delta is not None else {}, "finish_reason": finish}]
    return {"id": "c", "model": "m", "created": 1, "choices": choices} | fields


def call(**fields: Any) -> dict[str, Any]:
    return chunk({"tool_calls": [fields]})


STOP = chunk(finish="stop")
HEY = chunk({"content": "hey"})


@pytest.mark.parametrize("end", [b"\n\n", b"\r\n\r\n", b"\r\r", b" \n\n"])
def test_a_plain_stream_ends_with_its_mark(end: bytes) -> None:
    events = o.events_of(CHAT, sse(chunk({"role": "assistant", "content": ""}), HEY, STOP, end=end))
    assert [type(event).__name__ for event in events] == ["Start", "TextDelta", "Finish", "Done"]


def test_the_end_of_file_after_a_finish_reason_is_an_end() -> None:
    assert o.events_of(CHAT, sse(HEY, STOP, done=False))[-1] == Done()
    assert o.events_of(CHAT, sse(HEY, STOP, done=False).rstrip())[-1] == Done()


@pytest.mark.parametrize(
    "stream", [b"", sse(HEY, done=False), sse(HEY, chunk(finish=""), done=False), sse(HEY, done=False) + b'data: {"id":"c","cho']
)
def test_the_end_of_file_before_it_is_none(stream: bytes) -> None:
    assert Done() not in o.events_of(CHAT, stream)


def test_what_follows_the_end_keeps_its_bytes_and_means_nothing() -> None:
    events = o.events_of(CHAT, sse(HEY, STOP) + sse(HEY, STOP))
    assert events.count(Done()) == 1
    assert events[-1] == Done()
    assert collect(events).text == "hey"


def test_missing_ids_roles_indexes_and_dates_are_tolerated() -> None:
    stream = sse(
        {"choices": [{"delta": {"content": "a"}}]}, {"choices": [{"delta": {"content": "b"}, "finish_reason": "stop"}]}, done=False
    )
    response = collect(o.events_of(CHAT, stream))
    assert (response.id, response.model, response.created, response.text) == ("", "", None, "ab")


def test_an_empty_finish_reason_in_the_middle_is_none() -> None:
    events = o.events_of(CHAT, sse(chunk({"content": "a"}, ""), chunk({"content": "b"}, ""), STOP))
    assert collect(events).text == "ab"
    assert sum(type(event).__name__ == "Finish" for event in events) == 1


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("stop", FinishReason.STOP),
        ("eos", FinishReason.STOP),
        ("eos_token", FinishReason.STOP),
        ("stop_sequence", FinishReason.STOP_SEQUENCE),
        ("length", FinishReason.LENGTH),
        ("model_length", FinishReason.LENGTH),
        ("content_filter", FinishReason.CONTENT_FILTER),
        ("function_call", FinishReason.TOOL_CALLS),
        ("error", FinishReason.MODEL_FAULT),
        ("something_new", FinishReason.STOP),
    ],
)
def test_every_hosts_finish_word_is_known(word: str, reason: FinishReason) -> None:
    (choice,) = collect(o.events_of(CHAT, sse(HEY, chunk(finish=word)))).choices
    assert (choice.finish, choice.raw_finish) == (reason, word)


def test_a_matched_stop_sequence_is_told_by_vllm() -> None:
    body = {"id": "c", "choices": [{"message": {"content": "a"}, "finish_reason": "stop", "stop_reason": "###"}]}
    (choice,) = CHAT.decode_response(json.dumps(body)).choices
    assert (choice.finish, choice.stop_sequence) == (FinishReason.STOP_SEQUENCE, "###")


def test_usage_in_its_own_chunk_is_only_usage() -> None:
    usage = {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}
    azure = {"id": "", "model": "", "choices": [], "prompt_filter_results": [{}], "usage": None}
    frames = o.frames_of(CHAT, sse(azure, HEY, STOP, {"id": "c", "choices": [], "usage": usage}))
    assert [frame.usage_only for frame in frames] == [False, False, False, True, False]
    response = collect([event for frame in frames for event in frame.events])
    assert response.usage == Usage(input_tokens=5, output_tokens=2)
    assert response.id == "c"


@pytest.mark.parametrize("place", ["finish", "groq", "every"])
def test_usage_is_found_wherever_it_is(place: str) -> None:
    usage = {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}
    chunks = {
        "finish": [HEY, chunk(finish="stop", usage=usage)],
        "groq": [HEY, chunk(finish="stop", x_groq={"id": "r", "usage": usage})],
        "every": [chunk({"content": "hey"}, usage=usage | {"completion_tokens": 1, "total_tokens": 6}), chunk(finish="stop", usage=usage)],
    }[place]
    frames = o.frames_of(CHAT, sse(*chunks, done=False))
    assert not any(frame.usage_only for frame in frames)
    assert collect([event for frame in frames for event in frame.events]).usage == Usage(input_tokens=5, output_tokens=2)


@pytest.mark.parametrize(
    ("block", "usage"),
    [
        ({"prompt_tokens": 10, "completion_tokens": 4, "total_tokens": 14}, Usage(input_tokens=10, output_tokens=4)),
        # xAI leaves reasoning out of completion_tokens.
        (
            {"prompt_tokens": 10, "completion_tokens": 4, "total_tokens": 44, "completion_tokens_details": {"reasoning_tokens": 30}},
            Usage(input_tokens=10, output_tokens=34, reasoning_tokens=30),
        ),
        (
            {"prompt_tokens": 10, "completion_tokens": 4, "total_tokens": 14, "prompt_cache_hit_tokens": 6, "prompt_cache_miss_tokens": 4},
            Usage(input_tokens=4, output_tokens=4, cache_read_tokens=6),
        ),
        ({"prompt_tokens": 10, "completion_tokens": 4, "cached_tokens": 3}, Usage(input_tokens=7, output_tokens=4, cache_read_tokens=3)),
        (
            {
                "prompt_tokens": 100,
                "completion_tokens": 50,
                "total_tokens": 150,
                "prompt_tokens_details": {"cached_tokens": 20, "cache_write_tokens": 30, "audio_tokens": 10},
                "completion_tokens_details": {"audio_tokens": 5, "reasoning_tokens": None},
            },
            Usage(
                input_tokens=40,
                output_tokens=45,
                cache_read_tokens=20,
                cache_write_tokens=30,
                audio_input_tokens=10,
                audio_output_tokens=5,
            ),
        ),
        (
            {"prompt_tokens": 10, "completion_tokens": 1, "total_tokens": 11, "prompt_tokens_details": {"cached_tokens": 99}},
            Usage(input_tokens=0, output_tokens=1, cache_read_tokens=10),
        ),
        ({"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}, Usage(input_tokens=0, output_tokens=0)),
        ({"prompt_tokens": 3, "total_tokens": 3}, Usage(input_tokens=3, output_tokens=None)),
        ({"prompt_tokens": -1, "completion_tokens": 10**12}, None),
        ({"prompt_tokens": "many"}, None),
        ({}, None),
        (None, None),
        ([], None),
    ],
)
def test_usage_falls_into_disjoint_classes(block: Any, usage: Usage | None) -> None:
    assert decode_usage(block) == usage


def test_reasoning_under_either_name_is_thinking_and_think_tags_stay_text() -> None:
    stream = sse(chunk({"reasoning_content": "a"}), chunk({"reasoning": "b"}), chunk({"content": "<think>c</think>d"}), STOP)
    assert collect(o.events_of(CHAT, stream)).choices[0].parts == (Thinking(text="ab"), Text(text="<think>c</think>d"))


def test_mistrals_content_lists_are_read_in_order() -> None:
    content = [
        {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]},
        {"type": "text", "text": "a"},
        {"type": "reference", "reference_ids": [1]},
        {"type": "text", "text": "b"},
    ]
    streamed = collect(o.events_of(CHAT, sse(chunk({"content": content}, "stop"))))
    whole = CHAT.decode_response(json.dumps({"id": "c", "choices": [{"message": {"content": content}, "finish_reason": "stop"}]}))
    assert streamed.choices[0].parts == whole.choices[0].parts == (Thinking(text="hm"), Text(text="ab"))


def calls_of(*chunks: dict[str, Any]) -> tuple[ToolCall, ...]:
    (choice,) = collect(o.events_of(CHAT, sse(*chunks, chunk(finish="tool_calls")))).choices
    return choice.tool_calls


def test_parallel_calls_are_bound_by_index() -> None:
    assert calls_of(
        call(index=0, id="a", type="function", function={"name": "f", "arguments": ""}),
        call(index=0, function={"arguments": '{"x"'}),
        call(index=1, id="b", type="function", function={"name": "f", "arguments": "{}"}),
        call(index=0, function={"arguments": ":1}"}),
    ) == (ToolCall(id="a", name="f", arguments='{"x":1}'), ToolCall(id="b", name="f", arguments="{}"))


def test_whole_calls_without_index_are_calls_of_their_own() -> None:
    assert calls_of(
        chunk(
            {
                "tool_calls": [
                    {"id": "a", "function": {"name": "f", "arguments": "{}"}},
                    {"id": "b", "function": {"name": "g", "arguments": "[]"}},
                ]
            }
        )
    ) == (ToolCall(id="a", name="f", arguments="{}"), ToolCall(id="b", name="g", arguments="[]"))


def test_a_new_id_under_an_old_index_is_a_new_call() -> None:
    assert calls_of(
        call(index=0, id="a", function={"name": "f", "arguments": "{}"}), call(index=0, id="b", function={"name": "g", "arguments": "{}"})
    ) == (ToolCall(id="a", name="f", arguments="{}"), ToolCall(id="b", name="g", arguments="{}"))


def test_an_id_told_again_with_every_piece_is_one_call() -> None:
    assert calls_of(
        call(index=0, id="a", function={"name": "f", "arguments": "{"}), call(index=0, id="a", function={"name": "f", "arguments": "}"})
    ) == (ToolCall(id="a", name="f", arguments="{}"),)


def test_arguments_as_an_object_become_text_and_a_missing_id_is_made() -> None:
    (found,) = calls_of(call(index=0, id=None, function={"name": "f", "arguments": {"x": 1}}))
    assert (found.name, found.arguments) == ("f", '{"x":1}')
    assert found.id
    (empty,) = calls_of(call(index=0, id="", function={"name": "f", "arguments": None}))
    assert empty.id


def test_made_ids_differ_between_parallel_calls() -> None:
    found = calls_of(call(index=0, function={"name": "f", "arguments": "{}"}), call(index=1, function={"name": "f", "arguments": "{}"}))
    assert len({one.id for one in found}) == 2


def test_a_name_that_comes_after_the_id_is_waited_for() -> None:
    assert calls_of(
        call(index=0, id="a", function={"name": "", "arguments": ""}),
        call(index=0, function={"name": "f"}),
        call(index=0, function={"arguments": "{}"}),
    ) == (ToolCall(id="a", name="f", arguments="{}"),)


def test_free_form_calls_and_legacy_function_calls_are_calls() -> None:
    assert calls_of(
        call(index=0, id="a", type="custom", custom={"name": "patch", "input": "*** "}), call(index=0, custom={"input": "x"})
    ) == (ToolCall(id="a", name="patch", arguments="*** x", custom=True),)
    (legacy,) = calls_of(chunk({"function_call": {"name": "f", "arguments": "{"}}), chunk({"function_call": {"arguments": "}"}}))
    assert (legacy.name, legacy.arguments) == ("f", "{}")


def test_a_forced_call_that_ends_with_stop_is_a_tool_call() -> None:
    stream = sse(call(index=0, id="a", function={"name": "f", "arguments": "{}"}), STOP)
    assert collect(o.events_of(CHAT, stream)).choices[0].finish is FinishReason.TOOL_CALLS


def test_a_refusal_that_ends_with_stop_is_a_refusal() -> None:
    (choice,) = collect(o.events_of(CHAT, sse(chunk({"content": None, "refusal": "No"}), chunk({"refusal": "."}), STOP))).choices
    assert (choice.parts, choice.finish) == ((Refusal(text="No."),), FinishReason.REFUSAL)


def test_images_in_an_answer_are_parts() -> None:
    images = [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}]
    (choice,) = collect(o.events_of(CHAT, sse(chunk({"images": images}), STOP))).choices
    assert choice.parts == (Image(media_type="image/png", data="AAAA"),)


def test_answers_side_by_side_keep_their_calls_apart() -> None:
    def at(index: int, finish: str | None = None, **delta: Any) -> dict[str, Any]:
        return {"id": "c", "choices": [{"index": index, "delta": delta, "finish_reason": finish}]}

    piece = {"index": 0, "id": "a", "function": {"name": "f", "arguments": "{}"}}
    stream = sse(at(1, tool_calls=[piece]), at(0, tool_calls=[piece]), at(0, "tool_calls"), at(1, "tool_calls"), done=False)
    events = o.events_of(CHAT, stream)
    assert events[-1] == Done()
    assert [choice.tool_calls for choice in collect(events).choices] == [(ToolCall(id="a", name="f", arguments="{}"),)] * 2
    assert Done() not in o.events_of(CHAT, sse(at(1, tool_calls=[piece]), at(0, "stop"), done=False))


@pytest.mark.parametrize(
    ("stream", "kind", "text"),
    [
        (
            sse(HEY, {"error": {"message": "m", "type": "server_error", "code": None}, "obfuscation": "xx"}),
            FailureClass.SERVER_ERROR,
            "hey",
        ),
        (sse({"error": {"message": "m", "type": "insufficient_quota", "code": "insufficient_quota"}}), FailureClass.QUOTA, ""),
        (
            sse(HEY, done=False) + b'event: error\ndata: {"error":{"message":"m","code":"tool_use_failed","status_code":400}}\n\n',
            FailureClass.BAD_REQUEST,
            "hey",
        ),
        (sse(HEY, chunk({"content": ""}, "error", error={"code": 502, "message": "m"})), FailureClass.SERVER_ERROR, "hey"),
        (sse({"object": "error", "message": "m", "type": "BadRequestError", "param": None, "code": 400}), FailureClass.BAD_REQUEST, ""),
        (sse(HEY, done=False) + b"event: error\ndata: overloaded\n\n", FailureClass.ERROR_IN_200, "hey"),
        (sse(HEY, done=False) + b'{"error":{"code":503,"message":"m","status":"UNAVAILABLE"}}\n\n', FailureClass.OVERLOADED, "hey"),
    ],
)
def test_an_error_inside_the_stream_ends_it_without_done(stream: bytes, kind: FailureClass, text: str) -> None:
    events = o.events_of(CHAT, stream)
    (failed,) = [event for event in events if isinstance(event, Failed)]
    assert failed.failure.kind is kind
    assert Done() not in events
    assert not any(type(event).__name__ == "Finish" for event in events)
    assert collect(events).text == text


def test_comments_pings_and_foreign_events_mean_nothing() -> None:
    noise = b': OPENROUTER PROCESSING\n\nevent: ping\ndata: {}\n\ndata:\n\nevent: metrics\ndata: {"tps": 3}\n\n'
    events = o.events_of(CHAT, noise + sse(HEY) + b"")
    assert next(event for event in events if not isinstance(event, Start)) == TextDelta("hey")


def test_a_data_line_without_a_space_and_a_bom_are_read() -> None:
    stream = b"\xef\xbb\xbfdata:" + json.dumps(HEY) + b"\n\n" + sse(STOP)
    assert collect(o.events_of(CHAT, stream)).text == "hey"


@pytest.mark.parametrize("wire", [CHAT, RESPONSES])
def test_bytes_that_are_no_event_break_the_stream_after_what_came_before(wire: Any) -> None:
    decoder = wire.stream_decoder()
    good = sse(HEY, done=False) if wire is CHAT else b'data: {"type":"response.output_text.delta","output_index":0,"delta":"hey"}\n\n'
    frames = decoder.feed(good + b"data: {broken\n\n")
    assert TextDelta("hey") in [event for frame in frames for event in frame.events]
    with pytest.raises(AttemptFailed) as caught:
        decoder.feed(good)
    assert caught.value.failure.kind is FailureClass.BAD_EVENT


@pytest.mark.parametrize("wire", [CHAT, RESPONSES])
def test_an_event_without_end_is_given_up(wire: Any) -> None:
    decoder = wire.stream_decoder()

    def drip() -> None:
        for _ in range(40):
            decoder.feed(b"x" * 50_000)

    with pytest.raises(AttemptFailed) as caught:
        drip()
    assert caught.value.failure.kind is FailureClass.EVENT_TOO_LARGE


def test_odd_types_are_read_as_far_as_they_go() -> None:
    odd = {
        "id": 7,
        "created": "now",
        "choices": [{"index": "0", "delta": {"content": {"type": "text", "text": "hey"}}, "finish_reason": None}],
    }
    response = collect(o.events_of(CHAT, sse(odd, {"choices": [{"delta": {"content": 5, "reasoning": {}}, "finish_reason": "stop"}]})))
    assert response.text == "hey"


def test_a_padded_whole_answer_is_read() -> None:
    body = b"\n\n  \n" + json.dumps({"id": "c", "choices": [{"message": {"content": "a"}, "finish_reason": "stop"}]})
    assert CHAT.decode_response(body).text == "a"


def test_an_answer_without_choices_is_passed_as_empty() -> None:
    assert CHAT.decode_response(b'{"id":"c","choices":[]}').choices == ()


def test_usage_reports_name_their_tier() -> None:
    usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
    events = o.events_of(CHAT, sse(HEY, STOP, {"choices": [], "usage": usage, "service_tier": "flex"}))
    assert UsageReport(Usage(input_tokens=1, output_tokens=1, service_tier="flex")) in events
