"""The Responses wire: items in, items out, and the full sequence of stream events with rising sequence numbers."""

from __future__ import annotations

import time
from typing import Any

from llm_gateway.simulator import ids
from llm_gateway.simulator.call import Call
from llm_gateway.simulator.content import arguments
from llm_gateway.simulator.neutral import Answer, Ask, Usage, bent
from llm_gateway.simulator.reply import Frame, Problem, Reply, dump
from llm_gateway.simulator.wires import common
from llm_gateway.simulator.wires.openai_chat import tool_choice, tools

_ECHOED: dict[str, Any] = {
    "completed_at": None,
    "frequency_penalty": 0.0,
    "instructions": None,
    "max_output_tokens": None,
    "max_tool_calls": None,
    "parallel_tool_calls": True,
    "presence_penalty": 0.0,
    "previous_response_id": None,
    "prompt_cache_key": None,
    "prompt_cache_retention": None,
    "reasoning": {"effort": None, "summary": None},
    "safety_identifier": None,
    "service_tier": "default",
    "store": True,
    "temperature": 1.0,
    "text": {"format": {"type": "text"}, "verbosity": "medium"},
    "tool_choice": "auto",
    "tools": [],
    "top_logprobs": 0,
    "top_p": 1.0,
    "truncation": "disabled",
    "user": None,
    "metadata": {},
}


def ask(body: dict[str, Any], effort: str | None) -> Ask:
    """The neutral request. Raises Problem for missing input, a role "tool", or too low a limit."""
    given = body.get("input")
    if given is None and not body.get("prompt"):
        raise Problem("bad_request", "Missing required parameter: 'input'.", "input", "missing_required_parameter")
    items = [{"role": "user", "content": given}] if isinstance(given, str) else given
    if not isinstance(items, list):
        raise Problem("bad_request", "Invalid type for 'input': expected a string or an array.", "input", "invalid_type")
    texts = [common.text_of(body.get("instructions"))] if body.get("instructions") else []
    shape = common.obj(common.obj(body.get("text")).get("format"))
    overhead = common.size_of(body.get("tools")) + common.size_of(shape)
    offered = list(tools(body.get("tools")))
    last_user = ""
    results: list[str] = []
    for place, item in enumerate(items):
        if not isinstance(item, dict):
            raise Problem("bad_request", f"Invalid type for 'input[{place}]'.", f"input[{place}]", "invalid_type")
        kind, role = item.get("type", "message"), item.get("role")
        if role == "tool":
            text = "Invalid value: 'tool'. Supported values are: 'assistant', 'system', 'developer', and 'user'."
            raise Problem("bad_request", text, f"input[{place}]", "invalid_value")
        overhead += common.MESSAGE_TOKENS + common.MEDIA_TOKENS * common.media_in(item.get("content"))
        if kind in ("function_call_output", "custom_tool_call_output"):
            results.append(common.text_of(item.get("output")))
            texts.append(results[-1])
        elif kind == "additional_tools":
            offered += tools(item.get("tools"))
        elif kind == "message":
            texts.append(common.text_of(item.get("content")))
            if role == "user":
                last_user, results = texts[-1], []
        elif kind in ("function_call", "custom_tool_call"):
            overhead += common.size_of(item.get("arguments") or item.get("input"))
            results = []
    return Ask(
        model=str(body.get("model") or ""),
        texts=tuple(texts),
        last_user=last_user,
        tool_results=tuple(results),
        tools=tuple(offered),
        choice=tool_choice(body.get("tool_choice")),
        parallel=body.get("parallel_tool_calls") is not False,
        schema=shape.get("schema") if isinstance(shape.get("schema"), dict) else None,
        json_mode=shape.get("type") in ("json_object", "json_schema"),
        max_tokens=common.whole_number(body, "max_output_tokens", 16),
        stream=bool(body.get("stream")),
        effort=effort,
        overhead=overhead,
    )


def usage(used: Usage) -> dict[str, Any] | None:
    """The usage object of a finished response."""
    shaped = {
        "input_tokens": used.input,
        "input_tokens_details": {"cached_tokens": used.cache_read, "cache_write_tokens": used.cache_write},
        "output_tokens": used.output,
        "output_tokens_details": {"reasoning_tokens": used.reasoning},
        "total_tokens": used.input + used.output,
    }
    return bent(shaped, used.bend)


def _output(asked: Ask, made: Answer, body: dict[str, Any]) -> list[dict[str, Any]]:
    if not made.choices:
        return []
    one = made.first
    items: list[dict[str, Any]] = []
    if asked.effort not in (None, "none"):
        wanted = common.obj(body.get("reasoning")).get("summary")
        summary = [{"type": "summary_text", "text": one.thinking}] if wanted and one.thinking else []
        item = {"id": f"rs_{ids.hexed(50)}", "type": "reasoning", "summary": summary}
        if "reasoning.encrypted_content" in common.strings(body.get("include")):
            item["encrypted_content"] = ids.base62(120)
        items.append(item)
    if one.text or not one.calls:
        part = {"type": "output_text", "annotations": [], "logprobs": [], "text": one.text}
        status = "completed" if one.finish in ("stop", "stop_sequence", "tool_calls") else "incomplete"
        message = {"id": f"msg_{ids.hexed(50)}", "type": "message", "status": status, "role": "assistant", "content": [part]}
        items.append(message)
    for each in one.calls:
        call = {"status": "completed", "call_id": f"call_{each.id}", "name": each.name}
        if each.freeform:
            said = str(each.arguments.get("input", ""))
            items.append({"id": f"ctc_{ids.hexed(50)}", "type": "custom_tool_call", **call, "input": said})
        else:
            items.append({"id": f"fc_{ids.hexed(50)}", "type": "function_call", **call, "arguments": arguments(each)})
    return items


def _declared(tool: dict[str, Any]) -> dict[str, Any]:
    """A tool as it is echoed: functions with every field present."""
    return {"description": None, "strict": True, "parameters": None, **tool} if tool.get("type") == "function" else tool


def render(call: Call, asked: Ask, made: Answer, model: str) -> Reply:
    """The reply in this wire, whole or streamed as asked."""
    echoed = {name: call.body.get(name, default) for name, default in _ECHOED.items()}
    effort = asked.effort if asked.effort != "auto" else "medium"
    echoed["reasoning"] = {"effort": effort, "summary": None, **common.obj(call.body.get("reasoning"))}
    echoed["tools"] = [_declared(tool) for tool in common.objs(call.body.get("tools"))]
    base = {
        "id": f"resp_{ids.hexed(50)}",
        "object": "response",
        "created_at": int(time.time()),
        "status": "in_progress",
        "background": False,
        "error": None,
        "incomplete_details": None,
        **echoed,
        "model": model,
        "output": [],
        "usage": None,
    }
    output = _output(asked, made, call.body)
    reason = {"length": "max_output_tokens", "content_filter": "content_filter"}.get(made.first.finish)
    final = {
        **base,
        "status": "incomplete" if reason else "completed",
        "completed_at": None if reason else int(time.time()),
        "incomplete_details": {"reason": reason} if reason else None,
        "output": output,
        "usage": usage(made.usage),
    }
    billed = (made.usage.input, made.usage.output)
    if not asked.stream:
        return Reply(body=dump(final), billed=billed)
    frames = _frames(base, output, final, made)
    return Reply(content_type="text/event-stream; charset=utf-8", frames=frames, billed=billed, error_frames=error_frames)


class _Events:
    """Frames with rising sequence numbers."""

    def __init__(self) -> None:
        self.frames: list[Frame] = []

    def add(self, type_: str, kind: Any = "open", tokens: int = 0, **fields: Any) -> None:
        event = {"type": type_, "sequence_number": len(self.frames), **fields}
        self.frames.append(Frame(common.named_frame(type_, event), kind, tokens))


def _frames(base: dict[str, Any], output: list[dict[str, Any]], final: dict[str, Any], made: Answer) -> tuple[Frame, ...]:
    events = _Events()
    events.add("response.created", response=base)
    events.add("response.in_progress", response=base)
    for index, item in enumerate(output):
        at = {"item_id": item["id"], "output_index": index}
        if item["type"] == "message":
            _message(events, at, item, made.first.pieces)
        elif item["type"] == "reasoning":
            _reasoning(events, at, item)
        else:
            _tool_call(events, at, item)
        events.add("response.output_item.done", output_index=index, item=item)
    events.add(f"response.{final['status']}", "terminal", response=final)
    return tuple(events.frames)


def _message(events: _Events, at: dict[str, Any], item: dict[str, Any], pieces: tuple[str, ...]) -> None:
    part = item["content"][0]
    opened = {**item, "status": "in_progress", "content": []}
    events.add("response.output_item.added", output_index=at["output_index"], item=opened)
    events.add("response.content_part.added", **at, content_index=0, part={**part, "text": ""})
    for piece in pieces:
        count = (len(piece) + 3) // 4
        extra = {"content_index": 0, "delta": piece, "logprobs": [], "obfuscation": common.PADDING[count:]}
        events.add("response.output_text.delta", "content", count, **at, **extra)
    events.add("response.output_text.done", **at, content_index=0, text=part["text"], logprobs=[])
    events.add("response.content_part.done", **at, content_index=0, part=part)


def _reasoning(events: _Events, at: dict[str, Any], item: dict[str, Any]) -> None:
    events.add("response.output_item.added", output_index=at["output_index"], item={**item, "summary": []})
    for place, part in enumerate(item["summary"]):
        where = {**at, "summary_index": place}
        events.add("response.reasoning_summary_part.added", **where, part={**part, "text": ""})
        for start in range(0, len(part["text"]), 40):
            events.add("response.reasoning_summary_text.delta", "content", 10, **where, delta=part["text"][start : start + 40])
        events.add("response.reasoning_summary_text.done", **where, text=part["text"])
        events.add("response.reasoning_summary_part.done", **where, part=part)


def _tool_call(events: _Events, at: dict[str, Any], item: dict[str, Any]) -> None:
    field = "arguments" if item["type"] == "function_call" else "input"
    stem = "response.function_call_arguments" if field == "arguments" else "response.custom_tool_call_input"
    opened = {**item, "status": "in_progress", field: ""}
    events.add("response.output_item.added", output_index=at["output_index"], item=opened)
    said = item[field]
    for start in range(0, len(said), 12):
        part = said[start : start + 12]
        padding = common.PADDING[len(part) :]
        events.add(f"{stem}.delta", "content", (len(part) + 3) // 4, **at, delta=part, obfuscation=padding)
    events.add(f"{stem}.done", **at, **{field: said})


def error_frames(problem: Problem) -> tuple[Frame, ...]:
    """An error inside a 200 stream: an error event, then response.failed with no usage."""
    code, message = problem.code or "server_error", problem.message or "The model produced an error."
    error = {"type": code, "code": code, "message": message, "param": None}
    failed = {"id": f"resp_{ids.hexed(50)}", "object": "response", "created_at": int(time.time()), "status": "failed"}
    failed |= {"error": {"code": code, "message": message}, "incomplete_details": None, "output": [], "usage": None}
    failed |= {**_ECHOED, "model": problem.model}
    return (
        Frame(common.named_frame("error", {"type": "error", "sequence_number": 900, "error": error}), "error"),
        Frame(
            common.named_frame("response.failed", {"type": "response.failed", "sequence_number": 901, "response": failed}),
            "error",
        ),
    )
