"""The generateContent wire: contents and parts in, candidates out; frames as SSE with CRLF, or one JSON array."""

from __future__ import annotations

import base64
from typing import Any

from llm_gateway.simulator import ids
from llm_gateway.simulator.call import Call
from llm_gateway.simulator.neutral import Answer, Ask, Choice, Tool, Usage, bent
from llm_gateway.simulator.reply import Frame, Problem, Reply, dump
from llm_gateway.simulator.wires import common

FINISH = {"stop": "STOP", "stop_sequence": "STOP", "length": "MAX_TOKENS", "tool_calls": "STOP", "content_filter": "SAFETY"}


def _get(value: Any, name: str) -> Any:
    """A field by its camelCase name; snake_case is accepted as Google does."""
    if not isinstance(value, dict):
        return None
    if name in value:
        return value[name]
    return value.get("".join(f"_{char.lower()}" if char.isupper() else char for char in name))


def _parts(content: Any) -> list[dict[str, Any]]:
    parts = content.get("parts") if isinstance(content, dict) else None
    return [part for part in parts if isinstance(part, dict)] if isinstance(parts, list) else []


def _said(parts: list[dict[str, Any]]) -> str:
    return "\n".join(str(part["text"]) for part in parts if isinstance(part.get("text"), str))


def ask(body: dict[str, Any], model: str, stream: bool) -> Ask:
    """The neutral request. Raises Problem when contents are missing."""
    contents = body.get("contents")
    if isinstance(contents, dict):
        contents = [contents]
    if not isinstance(contents, list) or not contents:
        raise Problem("bad_request", "* GenerateContentRequest.contents: contents is not specified\n")
    texts: list[str] = []
    overhead = common.size_of(body.get("tools"))
    system = _get(body, "systemInstruction")
    if system:
        texts.append(_said(_parts(system)))
    last_user = ""
    results: list[str] = []
    for content in contents:
        parts = _parts(content)
        said = _said(parts)
        answered = [_result(_get(part, "functionResponse")) for part in parts if _get(part, "functionResponse") is not None]
        texts.extend([said, *answered])
        overhead += common.MESSAGE_TOKENS
        overhead += sum(common.MEDIA_TOKENS for part in parts if _get(part, "inlineData") or _get(part, "fileData"))
        overhead += sum(common.size_of(_get(part, "functionCall")) for part in parts)
        if isinstance(content, dict) and content.get("role") == "model":
            results = []
        else:
            last_user, results = said, answered
    config = _get(body, "generationConfig") or {}
    schema = _get(config, "responseJsonSchema") or _get(config, "responseSchema")
    calling = common.obj(_get(_get(body, "toolConfig"), "functionCallingConfig"))
    return Ask(
        model=model,
        texts=tuple(texts),
        last_user=last_user,
        tool_results=tuple(results),
        tools=_tools(body.get("tools")),
        choice=_choice(calling),
        schema=schema if isinstance(schema, dict) else None,
        json_mode=_get(config, "responseMimeType") == "application/json",
        max_tokens=common.whole_number({"maxOutputTokens": _get(config, "maxOutputTokens")}, "maxOutputTokens"),
        stop=common.strings(_get(config, "stopSequences")),
        n=min(8, common.whole_number({"candidateCount": _get(config, "candidateCount")}, "candidateCount") or 1),
        stream=stream,
        effort=_effort(model, _get(config, "thinkingConfig") or {}),
        show_thinking=bool(_get(_get(config, "thinkingConfig"), "includeThoughts")),
        overhead=overhead,
    )


def _result(response: Any) -> str:
    value = _get(response, "response")
    if isinstance(value, dict) and len(value) == 1:
        only = next(iter(value.values()))
        if isinstance(only, str):
            return only
    return dump(value).decode()


def _tools(offered: Any) -> tuple[Tool, ...]:
    found = []
    for group in common.objs(offered):
        for one in common.objs(_get(group, "functionDeclarations")):
            schema = _get(one, "parametersJsonSchema") or _get(one, "parameters")
            found.append(Tool(str(one.get("name")), common.obj(schema)))
    return tuple(found)


def _choice(calling: dict[str, Any]) -> str:
    mode = str(_get(calling, "mode") or "AUTO").upper()
    allowed = common.strings(_get(calling, "allowedFunctionNames"))
    if mode == "ANY":
        return f"={allowed[0]}" if allowed else "required"
    return "none" if mode == "NONE" else "auto"


def _effort(model: str, thinking: dict[str, Any]) -> str | None:
    if model.startswith(("gemini-1", "gemini-2.0", "gemma")) or not model.startswith("gemini"):
        return None
    level, budget = _get(thinking, "thinkingLevel"), _get(thinking, "thinkingBudget")
    if level:
        return str(level).lower()
    if budget == 0:
        return None
    return str(min(budget, 256)) if isinstance(budget, int) and budget > 0 else "auto"


def usage(used: Usage, tier: bool = True) -> dict[str, Any] | None:
    """The usage object: thoughts stand beside candidates, cached tokens inside the prompt."""
    spoken = used.output - used.reasoning
    shaped: dict[str, Any] = {"promptTokenCount": used.input}
    if used.cache_read:
        shaped["cachedContentTokenCount"] = used.cache_read
    if spoken:
        shaped["candidatesTokenCount"] = spoken
    shaped["totalTokenCount"] = used.input + used.output
    shaped["promptTokensDetails"] = [{"modality": "TEXT", "tokenCount": used.input}]
    if used.cache_read:
        shaped["cacheTokensDetails"] = [{"modality": "TEXT", "tokenCount": used.cache_read}]
    if used.reasoning:
        shaped["thoughtsTokenCount"] = used.reasoning
    shaped["serviceTier"] = "standard"
    return bent(shaped, used.bend)


def _thought_signature(call_id: str) -> str:
    return base64.b64encode(f"simulated-thought-{call_id}".encode()).decode()


def _call_part(call: Any, model: str) -> dict[str, Any]:
    part: dict[str, Any] = {"functionCall": {"name": call.name, "args": call.arguments}}
    if not model.startswith(("gemini-1", "gemini-2")):
        part["functionCall"] = {"id": call.id[:8].lower(), **part["functionCall"]}
        part["thoughtSignature"] = _thought_signature(call.id)
    return part


def _candidate(index: int, parts: list[dict[str, Any]], one: Choice | None) -> dict[str, Any]:
    content: dict[str, Any] = {"role": "model"}
    if parts:
        content = {"parts": parts, "role": "model"}
    candidate: dict[str, Any] = {"content": content}
    if one is not None:
        candidate["finishReason"] = FINISH[one.finish]
        if one.calls:
            candidate["finishMessage"] = "Model generated function call(s)."
    candidate["index"] = index
    return candidate


def render(call: Call, asked: Ask, made: Answer, sse: bool) -> Reply:
    """The reply in this wire: one body, SSE frames, or the frames as one JSON array when ``sse`` is false."""
    tail = {"modelVersion": asked.model, "responseId": ids.base62(23)}
    counted = usage(made.usage)
    used = {} if counted is None else {"usageMetadata": counted}
    billed = (made.usage.input, made.usage.output)
    if not asked.stream:
        body: dict[str, Any] = {}
        if made.choices:
            body["candidates"] = [_candidate(at, _whole(one, asked), one) for at, one in enumerate(made.choices)]
        return Reply(body=dump({**body, **used, **tail}), billed=billed)
    running = made.usage
    rendered: list[tuple[bytes, Any, int]] = []
    spoken = 0
    for at, one in enumerate(made.choices):
        for part, tokens in _stream_parts(one, asked):
            spoken += tokens
            so_far = Usage(running.input, min(spoken, running.output), running.cache_read, bend=running.bend)
            shown = usage(so_far)
            extra = {} if shown is None else {"usageMetadata": shown}
            value = {"candidates": [_candidate(at, [part], None)], **extra, **tail}
            rendered.append((dump(value), "content", tokens))
        closing = {"candidates": [_candidate(at, [{"text": ""}] if one.text else [], one)], **used, **tail}
        rendered.append((dump(closing), "finish", 0))
    if not made.choices:
        rendered.append((dump({**used, **tail}), "finish", 0))
    if sse:
        frames = tuple(Frame(b"data: " + data + b"\r\n\r\n", kind, tokens) for data, kind, tokens in rendered)
        return Reply(content_type="text/event-stream", frames=frames, billed=billed, error_frames=error_frames)
    listed = [Frame((b",\n" if at else b"[") + data, kind, tokens) for at, (data, kind, tokens) in enumerate(rendered)]
    listed.append(Frame(b"]\n", "terminal"))
    return Reply(
        content_type="application/json; charset=UTF-8",
        frames=tuple(listed),
        billed=billed,
        error_frames=array_error_frames,
        ping=b"\n",
    )


def _whole(one: Choice, asked: Ask) -> list[dict[str, Any]]:
    parts: list[dict[str, Any]] = []
    if one.thinking and asked.show_thinking:
        parts.append({"text": one.thinking, "thought": True})
    if one.text:
        parts.append({"text": one.text})
    return [*parts, *(_call_part(call, asked.model) for call in one.calls)]


def _stream_parts(one: Choice, asked: Ask) -> list[tuple[dict[str, Any], int]]:
    parts: list[tuple[dict[str, Any], int]] = []
    if one.thinking and asked.show_thinking:
        parts.append(({"text": one.thinking, "thought": True}, (len(one.thinking) + 3) // 4))
    parts += [({"text": piece}, (len(piece) + 3) // 4) for piece in one.pieces]
    return parts + [(_call_part(call, asked.model), common.size_of(call.arguments) + 2) for call in one.calls]


def _error(problem: Problem) -> bytes:
    text = problem.message or "The model is overloaded. Please try again later."
    return dump({"error": {"code": 503, "message": text, "status": problem.code or "UNAVAILABLE"}})


def error_frames(problem: Problem) -> tuple[Frame, ...]:
    """An error inside a 200 stream: a bare JSON object without ``data:``."""
    return (Frame(_error(problem) + b"\r\n", "error"),)


def array_error_frames(problem: Problem) -> tuple[Frame, ...]:
    """An error inside the array form."""
    return (Frame(b",\n" + _error(problem) + b"]\n", "error"),)
