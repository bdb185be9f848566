"""The Messages wire: blocks in, blocks out, and the stream of named events."""

from __future__ import annotations

import base64
import zlib
from typing import Any

from llm_gateway.simulator import ids
from llm_gateway.simulator.call import Call
from llm_gateway.simulator.content import arguments
from llm_gateway.simulator.neutral import Answer, Ask, Choice, Tool, Usage, bent
from llm_gateway.simulator.reply import Frame, Problem, Reply, dump
from llm_gateway.simulator.wires import common

STOP = {
    "stop": "end_turn",
    "stop_sequence": "stop_sequence",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "content_filter": "refusal",
}


_STARTS: dict[str, dict[str, Any]] = {
    "thinking": {"thinking": "", "signature": ""},
    "text": {"text": ""},
    "tool_use": {"input": {}},
}


def ask(body: dict[str, Any], counting: bool = False) -> Ask:
    """The neutral request. Raises Problem for missing max_tokens (unless counting), messages, or bad roles."""
    if not counting and body.get("max_tokens") is None:
        raise Problem("bad_request", "max_tokens: Field required")
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise Problem("bad_request", "messages: at least one message is required" if messages == [] else "messages: Field required")
    texts, marks = [], []
    overhead = common.size_of(body.get("tools"))
    if body.get("system"):
        texts.append(common.text_of(body["system"]))
        marks.append(_marked(body["system"]))
    last_user = ""
    results: list[str] = []
    for place, message in enumerate(messages):
        role = message.get("role") if isinstance(message, dict) else None
        if role not in ("user", "assistant", "system"):
            raise Problem("bad_request", f'messages.{place}.role: Input should be "user" or "assistant"')
        content = message.get("content")
        if content is None:
            raise Problem("bad_request", f"messages.{place}.content: Field required")
        blocks = content if isinstance(content, list) else []
        answered = [common.text_of(one.get("content")) for one in blocks if _is(one, "tool_result")]
        said = common.text_of([one for one in blocks if not _is(one, "tool_result")]) if blocks else common.text_of(content)
        texts.append(common.text_of(content))
        marks.append(_marked(content))
        overhead += common.MESSAGE_TOKENS + common.MEDIA_TOKENS * common.media_in(content)
        overhead += sum(common.size_of(one.get("input")) for one in blocks if _is(one, "tool_use"))
        if role == "user":
            last_user, results = said, answered
        elif role == "assistant":
            results = []
    shape = common.obj(body.get("output_format") or common.obj(body.get("output_config")).get("format"))
    choice = common.obj(body.get("tool_choice"))
    cacheable, ttl = _cacheable(body, texts, marks)
    return Ask(
        model=str(body.get("model") or ""),
        texts=tuple(texts),
        last_user=last_user,
        tool_results=tuple(results),
        tools=tuple(
            Tool(str(one["name"]), common.obj(one.get("input_schema")))
            for one in common.objs(body.get("tools"))
            if one.get("name") and one.get("type", "custom") == "custom"
        ),
        choice=_choice(choice),
        parallel=not choice.get("disable_parallel_tool_use"),
        schema=shape.get("schema") if isinstance(shape.get("schema"), dict) else None,
        max_tokens=None if counting else common.whole_number(body, "max_tokens"),
        stop=common.strings(body.get("stop_sequences")),
        stream=bool(body.get("stream")),
        effort=_effort(body),
        show_thinking=common.obj(body.get("thinking")).get("display") != "omitted",
        overhead=overhead,
        cacheable=cacheable,
        cache_ttl="1h" if ttl == "1h" else "5m",
    )


def _is(block: Any, kind: str) -> bool:
    return isinstance(block, dict) and block.get("type") == kind


def _marked(content: Any) -> str | None:
    """The lifetime of a cache breakpoint inside ``content``, or None."""
    for block in content if isinstance(content, list) else ():
        control = block.get("cache_control") if isinstance(block, dict) else None
        if isinstance(control, dict):
            return str(control.get("ttl") or "5m")
    return None


def _cacheable(body: dict[str, Any], texts: list[str], marks: list[str | None]) -> tuple[int, str]:
    """Characters up to the last breakpoint, and its lifetime. Without a breakpoint nothing is cached."""
    whole = body.get("cache_control")
    if isinstance(whole, dict):
        return sum(map(len, texts)) + len(texts), str(whole.get("ttl") or "5m")
    last = max((place for place, mark in enumerate(marks) if mark), default=-1)
    if last < 0:
        return 0, "5m"
    return sum(len(text) + 1 for text in texts[: last + 1]), marks[last] or "5m"


def _choice(choice: dict[str, Any]) -> str:
    kind = choice.get("type", "auto")
    if kind == "tool":
        return f"={choice.get('name')}"
    return {"any": "required", "none": "none"}.get(kind, "auto")


def _effort(body: dict[str, Any]) -> str | None:
    thinking = body.get("thinking")
    if not isinstance(thinking, dict):
        return None
    if thinking.get("type") == "enabled":
        budget = thinking.get("budget_tokens")
        if not isinstance(budget, int) or budget < 1024:
            raise Problem("bad_request", "thinking.enabled.budget_tokens: Input should be greater than or equal to 1024")
        if isinstance(body.get("max_tokens"), int) and budget >= body["max_tokens"]:
            raise Problem("bad_request", "`max_tokens` must be greater than `thinking.budget_tokens`.")
        return "low"
    if thinking.get("type") == "adaptive":
        effort = common.obj(body.get("output_config")).get("effort")
        return str(effort) if effort else "auto"
    return None


def usage(used: Usage) -> dict[str, Any] | None:
    """The usage object: cached tokens stand beside input tokens, not inside them."""
    fresh = max(0, used.input - used.cache_read - used.cache_write)
    long = used.cache_ttl == "1h"
    shaped: dict[str, Any] = {
        "input_tokens": fresh,
        "cache_creation_input_tokens": used.cache_write,
        "cache_read_input_tokens": used.cache_read,
        "cache_creation": {
            "ephemeral_5m_input_tokens": 0 if long else used.cache_write,
            "ephemeral_1h_input_tokens": used.cache_write if long else 0,
        },
        "output_tokens": used.output,
        "service_tier": "standard",
        "inference_geo": "not_available",
    }
    if used.reasoning:
        shaped["output_tokens_details"] = {"thinking_tokens": used.reasoning}
    return bent(shaped, used.bend)


def _blocks(one: Choice, asked: Ask) -> list[dict[str, Any]]:
    blocks: list[dict[str, Any]] = []
    if one.thinking and asked.effort not in (None, "none"):
        shown = one.thinking if asked.show_thinking else ""
        blocks.append({"type": "thinking", "thinking": shown, "signature": _signature(one.thinking)})
    if one.text:
        blocks.append({"type": "text", "text": one.text})
    calls = ({"type": "tool_use", "id": f"toolu_{call.id}", "name": call.name, "input": call.arguments} for call in one.calls)
    return [*blocks, *calls]


def _signature(thinking: str) -> str:
    """A signature that can be checked: it depends on the thinking alone."""
    return base64.b64encode(b"simulated-signature-%08x" % zlib.crc32(thinking.encode()) * 4).decode()


def render(call: Call, asked: Ask, made: Answer, model: str) -> Reply:
    """The reply in this wire, whole or streamed as asked."""
    one = made.first
    blocks = _blocks(one, asked)
    message: dict[str, Any] = {
        "id": f"msg_01{ids.base62(22)}",
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": blocks,
        "stop_reason": STOP[one.finish],
        "stop_sequence": one.stop_sequence,
        "stop_details": None,
    }
    if one.finish == "content_filter":
        message["stop_details"] = {"type": "refusal", "category": None, "explanation": None}
    counted = usage(made.usage)
    billed = (made.usage.input, made.usage.output)
    if not asked.stream:
        return Reply(body=dump(message if counted is None else {**message, "usage": counted}), billed=billed)
    return Reply(
        content_type="text/event-stream; charset=utf-8",
        frames=_frames(message, blocks, one, counted),
        billed=billed,
        error_frames=error_frames,
        ping=_event("ping", {}),
    )


def _event(name: str, fields: dict[str, Any]) -> bytes:
    """One event. Anthropic pads its JSON with spaces; readers must not mind."""
    frame = common.named_frame(name, {"type": name, **fields})
    return frame[:-2] + b" " * (len(frame) % 13) + b"\n\n"


def _frames(message: dict[str, Any], blocks: list[dict[str, Any]], one: Choice, counted: dict[str, Any] | None) -> tuple[Frame, ...]:
    ended = {name: message[name] for name in ("stop_reason", "stop_sequence", "stop_details")}
    opened = {**message, "content": [], "stop_reason": None, "stop_sequence": None, "stop_details": None}
    if counted is not None:
        first = {name: value for name, value in counted.items() if name != "output_tokens_details"}
        opened["usage"] = {**first, "output_tokens": _first_output(counted["output_tokens"])}
    frames = [Frame(_event("message_start", {"message": opened}), "open")]
    for index, block in enumerate(blocks):
        start = _STARTS[block["type"]]
        frames.append(Frame(_event("content_block_start", {"index": index, "content_block": {**block, **start}}), "open"))
        if index == 0:
            frames.append(Frame(_event("ping", {}), "open"))
        for delta, tokens in _deltas(block, one):
            frames.append(Frame(_event("content_block_delta", {"index": index, "delta": delta}), "content", tokens))
        frames.append(Frame(_event("content_block_stop", {"index": index}), "open"))
    last: dict[str, Any] = {"delta": ended}
    if counted is not None:
        last["usage"] = {name: counted[name] for name in counted if name.endswith(("_tokens", "_details"))}
    frames.append(Frame(_event("message_delta", last), "finish"))
    frames.append(Frame(_event("message_stop", {}), "terminal"))
    return tuple(frames)


def _first_output(output: Any) -> Any:
    return min(output, 1) if isinstance(output, int) and output >= 0 else output


def _deltas(block: dict[str, Any], one: Choice) -> list[tuple[dict[str, Any], int]]:
    if block["type"] == "text":
        return [({"type": "text_delta", "text": piece}, (len(piece) + 3) // 4) for piece in one.pieces]
    if block["type"] == "thinking":
        said = block["thinking"]
        parts = [said[start : start + 40] for start in range(0, len(said), 40)]
        deltas = [({"type": "thinking_delta", "thinking": part}, (len(part) + 3) // 4) for part in parts]
        return [*deltas, ({"type": "signature_delta", "signature": block["signature"]}, 0)]
    call = next(each for each in one.calls if f"toolu_{each.id}" == block["id"])
    said = arguments(call) if call.arguments else ""
    parts = ["", *(said[start : start + 12] for start in range(0, len(said), 12))]
    return [({"type": "input_json_delta", "partial_json": part}, (len(part) + 3) // 4) for part in parts]


def error_frames(problem: Problem) -> tuple[Frame, ...]:
    """An error inside a 200 stream; the stream just ends after it."""
    kind, text = problem.code or "overloaded_error", problem.message or "Overloaded"
    return (Frame(_event("error", {"error": {"details": None, "type": kind, "message": text}}), "error"),)
