"""The chat completions wire: request to Ask, Answer to body or frames. Hosts differ by a Flavor."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from llm_gateway.simulator import ids
from llm_gateway.simulator.call import Call
from llm_gateway.simulator.content import arguments
from llm_gateway.simulator.neutral import Answer, Ask, Choice, Tool, Usage, bent
from llm_gateway.simulator.reply import Frame, Headers, Problem, Reply, dump
from llm_gateway.simulator.wires import common

FINISH = {
    "stop": "stop",
    "stop_sequence": "stop",
    "length": "length",
    "tool_calls": "tool_calls",
    "content_filter": "content_filter",
}


@dataclass(frozen=True, slots=True)
class Flavor:
    """What one host does its own way."""

    id_prefix: str = "chatcmpl-"
    reasoning_field: str = ""
    openai_extras: bool = False
    usage_at_finish: bool = False
    choice_extras: tuple[tuple[str, Any], ...] = ()


def ask(body: dict[str, Any], effort: str | None) -> Ask:
    """The neutral request. Raises Problem when messages are missing or are no list of objects."""
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise Problem("bad_request", "Missing required parameter: 'messages'.", "messages", "missing_required_parameter")
    texts: list[str] = []
    overhead = common.size_of(body.get("tools")) + common.size_of(body.get("response_format"))
    last_user = ""
    results: list[str] = []
    for place, message in enumerate(messages):
        if not isinstance(message, dict) or not isinstance(message.get("role"), str):
            raise Problem("bad_request", f"Invalid type for 'messages[{place}]'.", f"messages[{place}]", "invalid_type")
        said = common.text_of(message.get("content"))
        texts.append(said)
        overhead += common.MESSAGE_TOKENS + common.MEDIA_TOKENS * common.media_in(message.get("content"))
        overhead += common.size_of(message.get("tool_calls"))
        if message["role"] == "user":
            last_user, results = said, []
        elif message["role"] in ("tool", "function"):
            results.append(said)
        elif message["role"] == "assistant":
            results = []
    count = common.whole_number(body, "n") or 1
    if count > 128:
        text = f"Invalid 'n': integer above maximum value. Expected a value <= 128, but got {count} instead."
        raise Problem("bad_request", text, "n", "integer_above_max_value")
    limit = common.whole_number(body, "max_completion_tokens")
    if limit is None:
        limit = common.whole_number(body, "max_tokens")
    shape = common.obj(body.get("response_format"))
    schema = common.obj(shape.get("json_schema")).get("schema")
    return Ask(
        model=str(body.get("model") or ""),
        texts=tuple(texts),
        last_user=last_user,
        tool_results=tuple(results),
        tools=tools(body.get("tools")),
        choice=tool_choice(body.get("tool_choice")),
        parallel=body.get("parallel_tool_calls") is not False,
        schema=schema if isinstance(schema, dict) else None,
        json_mode=shape.get("type") in ("json_object", "json_schema"),
        max_tokens=limit,
        stop=common.strings(body.get("stop")),
        n=count,
        stream=bool(body.get("stream")),
        effort=effort,
        overhead=overhead,
    )


def tools(offered: Any) -> tuple[Tool, ...]:
    """Function and custom tools, in the nested chat form or the flat one of Responses."""
    found = []
    for one in common.objs(offered):
        kind = one.get("type", "function")
        nested = one.get(kind)
        inner = nested if isinstance(nested, dict) else one
        if kind in ("function", "custom") and inner.get("name"):
            found.append(Tool(str(inner["name"]), common.obj(inner.get("parameters")), freeform=kind == "custom"))
    return tuple(found)


def tool_choice(value: Any) -> str:
    """auto, none, required or =name."""
    if isinstance(value, dict):
        inner = common.obj(value.get("function") or value.get("custom") or value)
        if inner.get("name"):
            return f"={inner['name']}"
        return "required" if value.get("mode") == "required" else "auto"
    return value if value in ("none", "required") else "auto"


def usage(used: Usage, flavor: Flavor) -> dict[str, Any] | None:
    """The usage object: cached tokens inside prompt tokens, reasoning inside completion tokens."""
    prompt: dict[str, Any] = {"cached_tokens": used.cache_read}
    shaped: dict[str, Any] = {
        "prompt_tokens": used.input,
        "completion_tokens": used.output,
        "total_tokens": used.input + used.output,
        "prompt_tokens_details": prompt,
    }
    if flavor.openai_extras:
        prompt |= {"cache_write_tokens": used.cache_write, "audio_tokens": 0}
        shaped["completion_tokens_details"] = {
            "reasoning_tokens": used.reasoning,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        }
    return bent(shaped, used.bend)


def render(call: Call, asked: Ask, made: Answer, flavor: Flavor, model: str, *, headers: Headers = ()) -> Reply:
    """The reply in this wire, whole or streamed as asked."""
    head = {"id": flavor.id_prefix + ids.base62(29), "created": int(time.time()), "model": model}
    billed = (made.usage.input, made.usage.output)
    if asked.stream:
        frames = _frames(call, made, flavor, head)
        return Reply(
            content_type="text/event-stream; charset=utf-8",
            headers=headers,
            frames=frames,
            billed=billed,
            error_frames=error_frames,
        )
    body: dict[str, Any] = {"id": head["id"], "object": "chat.completion", "created": head["created"], "model": model}
    body["choices"] = [_choice(index, one, flavor, call) for index, one in enumerate(made.choices)]
    counted = usage(made.usage, flavor)
    if counted is not None:
        body["usage"] = counted
    if flavor.openai_extras:
        body |= {"service_tier": "default", "system_fingerprint": "fp_simulated"}
    return Reply(body=dump(body), headers=headers, billed=billed)


def _tool_call(one: Any) -> dict[str, Any]:
    if one.freeform:
        return {"id": f"call_{one.id}", "type": "custom", "custom": {"name": one.name, "input": one.arguments.get("input", "")}}
    return {"id": f"call_{one.id}", "type": "function", "function": {"name": one.name, "arguments": arguments(one)}}


def _finish(choice: Choice, call: Call) -> str:
    forced = isinstance(call.body.get("tool_choice"), dict)
    if choice.finish == "tool_calls" and forced and call.provider == "openai":
        # A call forced by name ends with "stop" in 54 of 60 recorded answers.
        return "stop"
    return FINISH[choice.finish]


def _choice(index: int, one: Choice, flavor: Flavor, call: Call) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": one.text or (None if one.calls else "")}
    if flavor.openai_extras:
        message |= {"refusal": None, "annotations": []}
    if one.thinking and flavor.reasoning_field:
        if one.finish == "length" and not one.text and call.provider == "fireworks":
            # Fireworks hands out cut reasoning as content when it does not stream.
            message["content"] = one.thinking
        else:
            message[flavor.reasoning_field] = one.thinking
    if one.calls:
        message["tool_calls"] = [_tool_call(item) for item in one.calls]
    return {"index": index, "message": message, **dict(flavor.choice_extras), "finish_reason": _finish(one, call)}


def _frames(call: Call, made: Answer, flavor: Flavor, head: dict[str, Any]) -> tuple[Frame, ...]:
    options = common.obj(call.body.get("stream_options"))
    wanted = bool(options.get("include_usage"))
    padded = flavor.openai_extras and options.get("include_obfuscation") is not False
    base: dict[str, Any] = {"id": head["id"], "object": "chat.completion.chunk", "created": head["created"]}
    base["model"] = head["model"]
    extras = dict(flavor.choice_extras)
    if flavor.openai_extras:
        base |= {"service_tier": "default", "system_fingerprint": "fp_simulated"}
    tail: dict[str, Any] = {"usage": None} if wanted or not flavor.openai_extras else {}

    def chunk(index: int, delta: dict[str, Any], finish: str | None = None) -> bytes:
        choice = {"index": index, "delta": delta, **extras, "finish_reason": finish}
        padding = {"obfuscation": common.PADDING[len(frames) % 17 :]} if padded else {}
        return common.data_frame({**base, "choices": [choice], **tail, **padding})

    frames: list[Frame] = []
    for index, one in enumerate(made.choices):
        opening: dict[str, Any] = {"role": "assistant", "content": "" if not one.calls else None}
        if flavor.openai_extras:
            opening["refusal"] = None
        frames.append(Frame(chunk(index, opening), "open"))
        if flavor.reasoning_field and one.thinking:
            for start in range(0, len(one.thinking), 40):
                part = one.thinking[start : start + 40]
                frames.append(Frame(chunk(index, {flavor.reasoning_field: part}), "content", (len(part) + 3) // 4))
        frames += [Frame(chunk(index, {"content": piece}), "content", (len(piece) + 3) // 4) for piece in one.pieces]
        for place, item in enumerate(one.calls):
            whole = _tool_call(item)
            kind = whole["type"]
            field = "input" if kind == "custom" else "arguments"
            said = whole[kind][field]
            first = {"index": place, **whole, kind: {**whole[kind], field: ""}}
            frames.append(Frame(chunk(index, {"tool_calls": [first]}), "content", 1))
            for start in range(0, len(said), 12):
                part = said[start : start + 12]
                delta = {"tool_calls": [{"index": place, kind: {field: part}}]}
                frames.append(Frame(chunk(index, delta), "content", (len(part) + 3) // 4))
        frames.append(Frame(chunk(index, {}, _finish(one, call)), "finish"))
    counted = usage(made.usage, flavor)
    if flavor.usage_at_finish and counted is not None:
        # Hosts of 2025 sent usage with the finish reason, asked or not, and no chunk of its own.
        wanted = False
        tail["usage"] = counted
        frames[-1] = Frame(chunk(len(made.choices) - 1, {}, _finish(made.first, call)), "finish")
    if wanted and counted is not None:
        frames.append(Frame(common.data_frame({**base, "choices": [], "usage": counted}), "usage"))
    frames.append(common.DONE)
    return tuple(frames)


def error_frames(problem: Problem) -> tuple[Frame, ...]:
    """An error inside a 200 stream; no [DONE] follows."""
    error = {"message": problem.message or "The server had an error while processing your request.", "type": "server_error"}
    return (Frame(common.data_frame({"error": {**error, "param": None, "code": problem.code or "server_error"}}), "error"),)
