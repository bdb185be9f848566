"""One wish, written by hand in each dialect. ``None`` where a dialect has no word for it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

Part = tuple[Any, ...]
Turn = tuple[str, list[Part]]
WEATHER = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"], "additionalProperties": False}
SCHEMA = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
    "required": ["name", "age"],
    "additionalProperties": False,
}


class Unspeakable(Exception):
    """The dialect has no word for this."""


@dataclass(frozen=True)
class Wish:
    """``turns``: (role, parts); a part is ``("text", words)``, ``("image", base64)``, ``("link", url)``, ``("pdf", base64)``,
    ``("audio", base64)``, ``("call", id, name, arguments)``, ``("result", id, name, words)``,
    ``("failed", …)``, ``("shown", id, name, base64)`` or ``("own", what the dialect said)``."""

    turns: tuple[Turn, ...] = (("user", [("text", "Say hello.")]),)
    system: str = ""
    max_tokens: int = 600
    tools: tuple[str, ...] = ()
    choice: str = ""
    parallel: bool | None = None
    schema: bool = False
    json: bool = False
    stop: tuple[str, ...] = ()
    think: bool = False
    cache: bool = False
    n: int = 1
    more: dict[str, dict[str, Any]] = field(default_factory=dict)


def request(dialect: str, model: str, wish: Wish, stream: bool) -> tuple[str, dict[str, Any]]:
    """Path and body. Raises :class:`Unspeakable`."""
    body = {"openai_chat": _chat, "openai_responses": _responses, "anthropic_messages": _messages, "gemini_generate": _gemini}[dialect](
        wish
    )
    if wish.more:
        if dialect not in wish.more:
            raise Unspeakable
        body = _merged(body, wish.more[dialect])
    match dialect:
        case "gemini_generate":
            return f"/v1beta/models/{model}:{'streamGenerateContent?alt=sse' if stream else 'generateContent'}", body
        case "openai_chat":
            extra = {"stream_options": {"include_usage": True}} if stream else {}
            return "/v1/chat/completions", {"model": model, "stream": stream, **extra, **body}
        case "openai_responses":
            return "/v1/responses", {"model": model, "stream": stream, **body}
    return "/v1/messages", {"model": model, "stream": stream, **body}


def _merged(body: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    return {**body, **{name: {**body[name], **value} if isinstance(body.get(name), dict) else value for name, value in more.items()}}


def _function(name: str) -> dict[str, Any]:
    return {"name": name, "description": f"Calls {name}.", "parameters": WEATHER}


def _chat(wish: Wish) -> dict[str, Any]:
    messages: list[dict[str, Any]] = [{"role": "system", "content": wish.system}] if wish.system else []
    for role, parts in wish.turns:
        content: list[dict[str, Any]] = []
        calls = []
        for part in parts:
            match part:
                case ("text", words):
                    content.append({"type": "text", "text": words} | ({"cache_control": {"type": "ephemeral"}} if wish.cache else {}))
                case ("image", data):
                    content.append({"type": "image_url", "image_url": {"url": f"data:image/png;base64,{data}"}})
                case ("link", url):
                    content.append({"type": "image_url", "image_url": {"url": url}})
                case ("pdf", data):
                    content.append({"type": "file", "file": {"filename": "a.pdf", "file_data": f"data:application/pdf;base64,{data}"}})
                case ("audio", data):
                    content.append({"type": "input_audio", "input_audio": {"data": data, "format": "wav"}})
                case ("call", id_, name, arguments):
                    calls.append({"id": id_, "type": "function", "function": {"name": name, "arguments": arguments}})
                case ("result", id_, _, words):
                    messages.append({"role": "tool", "tool_call_id": id_, "content": words})
                case ("failed", _, _, _) | ("shown", _, _, _):
                    raise Unspeakable  # the format holds neither
                case ("own", turn):
                    messages.append({name: value for name, value in turn.items() if value is not None})
        if calls:
            messages.append({"role": role, "content": None, "tool_calls": calls})
        if content:
            plain = len(content) == 1 and content[0].keys() == {"type", "text"}
            messages.append({"role": role, "content": content[0]["text"] if plain else content})
    body: dict[str, Any] = {"messages": messages, "max_tokens": wish.max_tokens}
    if wish.tools:
        body["tools"] = [{"type": "function", "function": _function(name)} for name in wish.tools]
    if wish.choice:
        body["tool_choice"] = {"type": "function", "function": {"name": wish.choice[1:]}} if wish.choice[0] == "=" else wish.choice
    if wish.parallel is not None:
        body["parallel_tool_calls"] = wish.parallel
    if wish.schema:
        body["response_format"] = {"type": "json_schema", "json_schema": {"name": "person", "schema": SCHEMA, "strict": True}}
    if wish.json:
        body["response_format"] = {"type": "json_object"}
    if wish.stop:
        body["stop"] = list(wish.stop)
    if wish.think:
        body["reasoning_effort"] = "low"
        body["max_tokens"] = 4000
    if wish.n > 1:
        body["n"] = wish.n
    return body


def _responses(wish: Wish) -> dict[str, Any]:
    if wish.n > 1 or wish.stop:
        raise Unspeakable
    items: list[dict[str, Any]] = []
    for role, parts in wish.turns:
        content: list[dict[str, Any]] = []
        for part in parts:
            match part:
                case ("text", words):
                    content.append({"type": "output_text" if role == "assistant" else "input_text", "text": words})
                case ("image", data):
                    content.append({"type": "input_image", "image_url": f"data:image/png;base64,{data}"})
                case ("link", url):
                    content.append({"type": "input_image", "image_url": url})
                case ("pdf", data):
                    content.append({"type": "input_file", "filename": "a.pdf", "file_data": f"data:application/pdf;base64,{data}"})
                case ("audio", data):
                    content.append({"type": "input_audio", "input_audio": {"data": data, "format": "wav"}})
                case ("call", id_, name, arguments):
                    items.append({"type": "function_call", "call_id": id_, "name": name, "arguments": arguments})
                case ("result", id_, _, words):
                    items.append({"type": "function_call_output", "call_id": id_, "output": words})
                case ("failed", _, _, _):
                    raise Unspeakable
                case ("shown", id_, _, data):
                    shown = [{"type": "input_image", "image_url": f"data:image/png;base64,{data}"}]
                    items.append({"type": "function_call_output", "call_id": id_, "output": shown})
                case ("own", turn):
                    items += turn
        if content:
            items.append({"type": "message", "role": role, "content": content})
    body: dict[str, Any] = {"input": items, "max_output_tokens": wish.max_tokens, "store": False}
    if wish.system:
        body["instructions"] = wish.system
    if wish.tools:
        body["tools"] = [{"type": "function", "strict": True, **_function(name)} for name in wish.tools]
    if wish.choice:
        body["tool_choice"] = {"type": "function", "name": wish.choice[1:]} if wish.choice[0] == "=" else wish.choice
    if wish.parallel is not None:
        body["parallel_tool_calls"] = wish.parallel
    if wish.schema:
        body["text"] = {"format": {"type": "json_schema", "name": "person", "schema": SCHEMA, "strict": True}}
    if wish.json:
        body["text"] = {"format": {"type": "json_object"}}
    if wish.think:
        body["reasoning"] = {"effort": "low", "summary": "auto"}
        body["include"] = ["reasoning.encrypted_content"]
        body["max_output_tokens"] = 4000
    return body


def _messages(wish: Wish) -> dict[str, Any]:
    if wish.n > 1 or wish.json:
        raise Unspeakable
    messages: list[dict[str, Any]] = []
    for role, parts in wish.turns:
        content: list[dict[str, Any]] = []
        for part in parts:
            match part:
                case ("text", words):
                    content.append({"type": "text", "text": words} | ({"cache_control": {"type": "ephemeral"}} if wish.cache else {}))
                case ("image", data):
                    content.append({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": data}})
                case ("link", url):
                    content.append({"type": "image", "source": {"type": "url", "url": url}})
                case ("pdf", data):
                    content.append({"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": data}})
                case ("audio", _):
                    raise Unspeakable
                case ("call", id_, name, arguments):
                    content.append({"type": "tool_use", "id": id_, "name": name, "input": json.loads(arguments)})
                case ("result", id_, _, words):
                    content.append({"type": "tool_result", "tool_use_id": id_, "content": words})
                case ("failed", id_, _, words):
                    content.append({"type": "tool_result", "tool_use_id": id_, "content": words, "is_error": True})
                case ("shown", id_, _, data):
                    shown = [{"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": data}}]
                    content.append({"type": "tool_result", "tool_use_id": id_, "content": shown})
                case ("own", turn):
                    content += turn
        if role == "system":
            raise Unspeakable  # the newest models alone
        messages.append({"role": role, "content": content})
    body: dict[str, Any] = {"messages": messages, "max_tokens": wish.max_tokens}
    if wish.system:
        body["system"] = wish.system
    if wish.tools:
        body["tools"] = [{"name": name, "description": f"Calls {name}.", "input_schema": WEATHER} for name in wish.tools]
    if wish.choice:
        body["tool_choice"] = (
            {"type": "tool", "name": wish.choice[1:]}
            if wish.choice[0] == "="
            else {"type": {"required": "any"}.get(wish.choice, wish.choice)}
        )
    if wish.parallel is not None:
        body["tool_choice"] = {"type": "auto", "disable_parallel_tool_use": not wish.parallel}
    if wish.schema:
        body["output_config"] = {"format": {"type": "json_schema", "schema": SCHEMA}}
    if wish.stop:
        body["stop_sequences"] = list(wish.stop)
    if wish.think:
        body["thinking"] = {"type": "enabled", "budget_tokens": 1024}
        body["max_tokens"] = 3000
    return body


def _gemini(wish: Wish) -> dict[str, Any]:
    if wish.parallel is not None:
        raise Unspeakable
    contents: list[dict[str, Any]] = []
    for role, parts in wish.turns:
        content: list[dict[str, Any]] = []
        for part in parts:
            match part:
                case ("text", words):
                    content.append({"text": words})
                case ("image" | "pdf" | "audio" as kind, data):
                    mime = {"image": "image/png", "pdf": "application/pdf", "audio": "audio/wav"}[kind]
                    content.append({"inlineData": {"mimeType": mime, "data": data}})
                case ("link", url):
                    content.append({"fileData": {"mimeType": "image/png", "fileUri": url}})
                case ("call", id_, name, arguments):
                    # As Gemini CLI marks the calls of another model.
                    call = {"functionCall": {"id": id_, "name": name, "args": json.loads(arguments)}}
                    content.append(call if content else call | {"thoughtSignature": "skip_thought_signature_validator"})
                case ("result", id_, name, words):
                    content.append({"functionResponse": {"id": id_, "name": name, "response": {"result": words}}})
                case ("failed", id_, name, words):
                    content.append({"functionResponse": {"id": id_, "name": name, "response": {"error": words}}})
                case ("shown", id_, name, data):
                    shown = [{"inlineData": {"mimeType": "image/png", "data": data}}]
                    content.append({"functionResponse": {"id": id_, "name": name, "response": {}, "parts": shown}})
                case ("own", turn):
                    content += turn
        if role == "system":
            raise Unspeakable
        contents.append({"role": "model" if role == "assistant" else "user", "parts": content})
    config: dict[str, Any] = {"maxOutputTokens": wish.max_tokens}
    body: dict[str, Any] = {"contents": contents, "generationConfig": config}
    if wish.system:
        body["systemInstruction"] = {"parts": [{"text": wish.system}]}
    if wish.tools:
        declared = [{"name": name, "description": f"Calls {name}.", "parametersJsonSchema": WEATHER} for name in wish.tools]
        body["tools"] = [{"functionDeclarations": declared}]
    if wish.choice:
        calling = (
            {"mode": "ANY", "allowedFunctionNames": [wish.choice[1:]]}
            if wish.choice[0] == "="
            else {"mode": {"required": "ANY", "none": "NONE"}[wish.choice]}
        )
        body["toolConfig"] = {"functionCallingConfig": calling}
    if wish.schema:
        config |= {"responseMimeType": "application/json", "responseJsonSchema": SCHEMA}
    if wish.json:
        config["responseMimeType"] = "application/json"
    if wish.stop:
        config["stopSequences"] = list(wish.stop)
    if wish.think:
        config["thinkingConfig"] = {"includeThoughts": True, "thinkingBudget": 1024}
        config["maxOutputTokens"] = 3000
    if wish.n > 1:
        config["candidateCount"] = wish.n
    return body
