"""What an answer says, read naively in each dialect, whole or streamed, without the gateway's decoders."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from .speaking import Answer, events_of

FINISH = {
    "stop": "stop", "eos": "stop", "eos_token": "stop", "length": "length", "tool_calls": "tools", "content_filter": "filtered",
    "completed": "stop", "max_output_tokens": "length",
    "end_turn": "stop", "stop_sequence": "stop", "max_tokens": "length", "tool_use": "tools", "refusal": "filtered",
    "STOP": "stop", "MAX_TOKENS": "length", "SAFETY": "filtered", "RECITATION": "filtered", "PROHIBITED_CONTENT": "filtered",
    "BLOCKLIST": "filtered", "SPII": "filtered",
}  # fmt: skip


@dataclass
class Call:
    id: str = ""
    name: str = ""
    arguments: Any = None


@dataclass
class Said:
    """Of the first choice, but for ``choices``, every choice's text. ``finish`` in words of our own; ``usage`` is (prompt with cache,
    completion with thoughts, cached, reasoning), ``None`` where it was not told.
    ``turn``: the assistant's turn in the dialect's words, to send back."""

    text: str = ""
    thinking: str = ""
    calls: list[Call] = field(default_factory=list)
    finish: str = ""
    usage: tuple[int, int, int, int] | None = None
    choices: list[str] = field(default_factory=list)
    turn: Any = None
    refused: str = ""

    @property
    def plain_calls(self) -> list[tuple[str, Any]]:
        return [(call.name, call.arguments) for call in self.calls]


def read(answer: Answer) -> Said:
    return read_body(answer.dialect, answer.body, answer.stream)


def read_body(dialect: str, body: bytes, stream: bool) -> Said:
    match dialect:
        case "openai_chat":
            return _chat(_chat_whole(body) if stream else json.loads(body))
        case "openai_responses":
            return _responses(_last_response(body) if stream else json.loads(body))
        case "anthropic_messages":
            return _messages(_message_whole(body) if stream else json.loads(body))
        case "gemini_generate":
            return _gemini(gemini_chunks(body) if stream else [json.loads(body)])
    raise AssertionError(dialect)


def _arguments(text: str) -> Any:
    try:
        return json.loads(text or "{}")
    except ValueError:
        return text


def _finish(word: str | None, calls: list[Call]) -> str:
    said = FINISH.get(word or "", word or "")
    return "tools" if calls and said == "stop" else said


def _text(content: Any) -> str:
    if isinstance(content, list):
        return "".join(part.get("text") or "" for part in content)
    return content or ""


def _chat_whole(body: bytes) -> dict[str, Any]:
    """The completion that chunks add up to."""
    choices: dict[int, dict[str, Any]] = {}
    whole: dict[str, Any] = {"usage": None}
    for _, chunk in events_of(body):
        if not isinstance(chunk, dict):
            continue
        if chunk.get("usage"):
            whole["usage"] = chunk["usage"]
        elif (chunk.get("x_groq") or {}).get("usage"):
            whole["usage"] = chunk["x_groq"]["usage"]
        for choice in chunk.get("choices") or ():
            at = choices.setdefault(
                choice.get("index", 0), {"message": {"role": "assistant", "content": "", "_calls": {}}, "finish_reason": None}
            )
            message, delta = at["message"], choice.get("delta") or {}
            message["content"] += _text(delta.get("content"))
            for name in ("reasoning_content", "reasoning", "refusal"):
                if delta.get(name):
                    message[name] = message.get(name, "") + delta[name]
            for call in delta.get("tool_calls") or ():
                known = message["_calls"].setdefault(
                    call.get("index", 0), {"id": "", "type": "function", "function": {"name": "", "arguments": ""}}
                )
                known["id"] = known["id"] or call.get("id") or ""
                if call.get("extra_content"):
                    known["extra_content"] = call["extra_content"]
                if custom := call.get("custom"):
                    whole_custom = known.setdefault("custom", {"name": "", "input": ""})
                    whole_custom["name"] += custom.get("name") or ""
                    whole_custom["input"] += custom.get("input") or ""
                function = call.get("function") or {}
                known["function"]["name"] += function.get("name") or ""
                known["function"]["arguments"] += function.get("arguments") or ""
            at["finish_reason"] = at["finish_reason"] or choice.get("finish_reason") or None
    for at in choices.values():
        if calls := list(at["message"].pop("_calls").values()):
            at["message"]["tool_calls"] = calls
    whole["choices"] = [{"index": index, **at} for index, at in sorted(choices.items())]
    return whole


def _chat(document: dict[str, Any]) -> Said:
    said = Said(choices=[_text(choice["message"].get("content")) for choice in document["choices"]])
    if document["choices"]:
        choice = document["choices"][0]
        message = choice["message"]
        said.text = _text(message.get("content"))
        said.refused = message.get("refusal") or ""
        said.thinking = message.get("reasoning_content") or message.get("reasoning") or ""
        said.calls = [_chat_call(call) for call in message.get("tool_calls") or ()]
        said.finish = "filtered" if said.refused else _finish(choice.get("finish_reason"), said.calls)
        said.turn = message
    if used := document.get("usage"):
        prompt, completion = used["prompt_tokens"], used.get("completion_tokens") or 0
        total = used.get("total_tokens") or 0
        cached = (
            (used.get("prompt_tokens_details") or {}).get("cached_tokens")
            or used.get("prompt_cache_hit_tokens")
            or used.get("cached_tokens")
            or used.get("num_cached_tokens")
            or 0
        )
        reasoning = (used.get("completion_tokens_details") or {}).get("reasoning_tokens") or used.get("reasoning_tokens") or 0
        said.usage = (prompt, max(completion, total - prompt), min(cached, prompt), reasoning)
    return said


def _chat_call(call: dict[str, Any]) -> Call:
    if custom := call.get("custom"):
        return Call(call["id"], custom["name"], custom["input"])
    return Call(call["id"], call["function"]["name"], _arguments(call["function"]["arguments"]))


def _last_response(body: bytes) -> dict[str, Any]:
    for name, data in events_of(body):
        if name in ("response.completed", "response.incomplete") or (
            isinstance(data, dict) and data.get("type") in ("response.completed", "response.incomplete")
        ):
            return dict(data["response"])
    raise AssertionError("no end")


def _responses(document: dict[str, Any]) -> Said:
    said = Said(turn=document["output"])
    for item in document["output"]:
        match item["type"]:
            case "message":
                for part in item["content"]:
                    said.text += part.get("text") or ""
                    said.refused += part.get("refusal") or ""
            case "reasoning":
                said.thinking += "\n\n".join(part["text"] for part in item.get("content") or item.get("summary") or ())
            case "function_call":
                said.calls.append(Call(item["call_id"], item["name"], _arguments(item["arguments"])))
            case "custom_tool_call":
                said.calls.append(Call(item["call_id"], item["name"], item["input"]))
    reason = (document.get("incomplete_details") or {}).get("reason") if document["status"] == "incomplete" else document["status"]
    said.finish = "filtered" if said.refused else _finish(reason, said.calls)
    said.choices = [said.text]
    if used := document.get("usage"):
        details, outputs = used.get("input_tokens_details") or {}, used.get("output_tokens_details") or {}
        said.usage = (used["input_tokens"], used["output_tokens"], details.get("cached_tokens") or 0, outputs.get("reasoning_tokens") or 0)
    return said


def _message_whole(body: bytes) -> dict[str, Any]:
    message: dict[str, Any] = {"content": [], "stop_reason": None, "usage": {}}
    blocks: dict[int, dict[str, Any]] = {}
    for _, event in events_of(body):
        match event.get("type"):
            case "message_start":
                message |= event["message"]
                message["usage"] = dict(event["message"].get("usage") or {})
            case "content_block_start":
                blocks[event["index"]] = dict(event["content_block"], _json="")
            case "content_block_delta":
                block, delta = blocks[event["index"]], event["delta"]
                for name in ("text", "thinking", "signature"):
                    if delta["type"] == f"{name}_delta":
                        block[name] = block.get(name, "") + delta[name]
                if delta["type"] == "input_json_delta":
                    block["_json"] += delta["partial_json"]
            case "message_delta":
                message |= event["delta"]
                message["usage"] |= {name: value for name, value in (event.get("usage") or {}).items() if value is not None}
    for block in blocks.values():
        if text := block.pop("_json"):
            block["input"] = json.loads(text)
    message["content"] = list(blocks.values())
    return message


def _messages(document: dict[str, Any]) -> Said:
    said = Said(turn=document["content"])
    for block in document["content"]:
        match block["type"]:
            case "text":
                said.text += block["text"]
            case "thinking":
                said.thinking += block["thinking"]
            case "tool_use":
                said.calls.append(Call(block["id"], block["name"], block["input"]))
    said.finish = _finish(document.get("stop_reason"), said.calls)
    said.choices = [said.text]
    if used := document.get("usage"):
        cached = used.get("cache_read_input_tokens") or 0
        prompt = (used.get("input_tokens") or 0) + cached + (used.get("cache_creation_input_tokens") or 0)
        reasoning = (used.get("output_tokens_details") or {}).get("thinking_tokens") or 0
        said.usage = (prompt, used.get("output_tokens") or 0, cached, reasoning)
    return said


def gemini_chunks(body: bytes) -> list[dict[str, Any]]:
    if body.lstrip().startswith(b"["):
        return list(json.loads(body))
    return [json.loads(line[5:]) for line in re.split(r"\r?\n", body.decode()) if line.startswith("data:")]


def _gemini(chunks: Iterable[dict[str, Any]]) -> Said:
    said = Said()
    texts: dict[int, str] = {}
    turn: list[dict[str, Any]] = []
    word = ""
    for chunk in chunks:
        for candidate in chunk.get("candidates") or ():
            at = candidate.get("index", 0)
            texts.setdefault(at, "")
            for part in (candidate.get("content") or {}).get("parts") or ():
                if not part.get("thought"):
                    texts[at] += part.get("text") or ""
                if at == 0:
                    turn.append(part)
                    if part.get("thought"):
                        said.thinking += part.get("text") or ""
                    if call := part.get("functionCall"):
                        said.calls.append(Call(call.get("id", ""), call["name"], call.get("args") or {}))
            if at == 0 and candidate.get("finishReason"):
                word = {1: "STOP", 2: "MAX_TOKENS"}.get(candidate["finishReason"], candidate["finishReason"])
        used = chunk.get("usageMetadata")
        if used and used.get("promptTokenCount") is not None:
            thoughts = used.get("thoughtsTokenCount") or 0
            prompt = used["promptTokenCount"] + (used.get("toolUsePromptTokenCount") or 0)
            cached = max(used.get("cachedContentTokenCount") or 0, said.usage[2] if said.usage else 0)
            said.usage = (prompt, (used.get("candidatesTokenCount") or 0) + thoughts, cached, thoughts)
    said.text = texts.get(0, "")
    said.choices = [text for _, text in sorted(texts.items())]
    said.finish = _finish(word, said.calls)
    said.turn = turn
    return said
