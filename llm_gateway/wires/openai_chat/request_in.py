"""A caller's chat request: facts for routing at once, the neutral conversation when somebody asks
for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from llm_gateway.core.chat import ChatRequest, Reasoning, ResponseFormat
from llm_gateway.core.errors import InvalidRequest
from llm_gateway.core.json import dumps, edit_object
from llm_gateway.wires import _searches, _typed, dialects
from llm_gateway.wires._base import Inbound, Once
from llm_gateway.wires._openai import inbound

from . import schema
from .messages_in import function_choice_of, functions_of, messages_of, tool_choice_of, tools_of
from .odd_parts import thought_of

NAME = "openai_chat"
_NOTHING: Final = object()
# Values that SDKs spell out although they are the default.
_NO_EFFECT: Final[dict[str, Any]] = {"modalities": ["text"], "logprobs": False, "top_logprobs": 0, "logit_bias": {}}
_FOREIGN_PARTS: Final = frozenset({"input_text", "output_text", "input_image"})
_body = msgspec.json.Decoder(schema.Body)


def decode_request(body: bytes, path: Mapping[str, str]) -> Inbound:
    if b'"input"' in body and (moved := _of_the_other_format(body, path)):
        return moved
    request = _typed.decode(body, _body)
    size, needs = _weigh(request, body)
    options = request.stream_options
    return Inbound(
        kind="chat",
        dialect=NAME,
        model=request.model,
        stream=bool(request.stream),
        include_usage=bool(request.stream and options and options.include_usage),
        max_tokens=request.token_limit,
        n=request.n or 1,
        size=size,
        needs=needs,
        # What is mixed from both formats is no host's own: it is always written anew.
        body=b"" if _mixed(request) else body,
        chat=Once(to_chat, request, body),
        affinity=request.prompt_cache_key or _head(request),
        user=request.user or request.safety_identifier,
        service_tier=request.service_tier,
        searches=_searches.UNBOUNDED if b'"web_search_options"' in body else 0,
    )


def _of_the_other_format(body: bytes, path: Mapping[str, str]) -> Inbound | None:
    """A body of the Responses format, which Cursor's agent sends here: read as what it is, answered
    as chat."""
    fields = inbound.fields(body) if body.lstrip()[:1] == b"{" else {}
    if "input" not in fields or "messages" in fields:
        return None
    options = inbound.value_of(fields.get("stream_options"))
    usage = isinstance(options, dict) and bool(options.get("include_usage"))
    body = edit_object(body, {}, ("stream_options",))
    read = dialects.get("openai_responses").decode_request(body, path)
    return msgspec.structs.replace(read, dialect=NAME, body=b"", include_usage=read.stream and usage)


def _mixed(request: schema.Body) -> bool:
    """Whether tools or parts are in the form of the Responses format."""
    if request.tools and any(tool.name for tool in request.tools):
        return True
    for message in request.messages:
        if isinstance(message.content, list) and any(part.type in _FOREIGN_PARTS for part in message.content):
            return True
    return False


def _weigh(request: schema.Body, body: bytes) -> tuple[int, frozenset[str]]:
    size = 0
    needs: set[str] = set()
    for message in request.messages:
        size += 16
        if isinstance(message.content, str):
            size += len(message.content)
        elif message.content:
            for part in message.content:
                size += _weigh_part(part, needs)
        if message.tool_calls:
            for call in message.tool_calls:
                if call.function:
                    arguments = call.function.arguments or ""
                    size += len(call.function.name) + len(arguments if isinstance(arguments, str) else dumps(arguments))
                elif call.custom:
                    size += len(call.custom.input)
        if message.reasoning_content or message.reasoning:
            size += len(thought_of(message.reasoning_content) or thought_of(message.reasoning))
    if request.tools or request.functions or request.response_format:
        raw = inbound.fields(body)
        size += sum(len(bytes(raw[name])) for name in ("tools", "functions", "response_format") if name in raw)
    if request.tools or request.functions:
        needs.add("tools")
    kind = request.response_format.type if request.response_format else "text"
    if kind in ("json_schema", "json_object"):
        needs.add("json_schema" if kind == "json_schema" else "json")
    if request.reasoning_effort not in (None, "none"):
        needs.add("reasoning")
    if (request.n or 1) > 1:
        needs.add("n")
    if "audio" in (request.modalities or ()):
        needs.add("audio")
    return size, frozenset(needs)


def _weigh_part(part: schema.ContentPart, needs: set[str]) -> int:
    if part.image_url is not None:
        needs.add("images")
        return inbound.IMAGE_CHARS
    if part.input_audio is not None:
        needs.add("audio")
        return inbound.audio_chars(part.input_audio.data)
    if part.file is not None:
        needs.add("documents")
        return inbound.document_chars(part.file.file_data)
    return len(part.text or part.refusal or "")


def _head(request: schema.Body) -> str:
    """The first system and user text: the same in every turn of a session."""
    heads: list[str] = []
    for message in request.messages[:4]:
        content = message.content
        text = content if isinstance(content, str) else "".join(part.text or "" for part in content or ())
        heads.append(text[: inbound.AFFINITY_CHARS])
        if message.role == "user":
            break
    return "\n".join(heads)


def to_chat(request: schema.Body, body: bytes) -> ChatRequest:
    extras = {name: value for name, value in inbound.unknown(body, schema.KNOWN).items() if _NO_EFFECT.get(name, _NOTHING) != value}
    hints = {name: extras.pop(name) for name in schema.HINTS & extras.keys()}
    raw = inbound.fields(body)
    for name in ("safety_identifier", "prompt_cache_key"):
        if getattr(request, name) is not None:
            hints[name] = getattr(request, name)
    if request.stream_options and request.stream_options.include_obfuscation is not None:
        hints["stream_options"] = {"include_obfuscation": request.stream_options.include_obfuscation}
    tier = request.service_tier
    if tier in schema.PLAIN_TIERS:
        hints["service_tier"], tier = tier, None
    answer, other_format = _format(request.response_format)
    if other_format:
        extras["response_format"] = inbound.value_of(raw.get("response_format"))
    choice = tool_choice_of(request.tool_choice)
    if request.tool_choice is not None and choice is None:
        extras["tool_choice"] = request.tool_choice
    functions = functions_of(request.functions)
    return ChatRequest(
        model=request.model,
        messages=tuple(messages_of(request.messages, raw)),
        tools=tools_of(request.tools, raw) + functions,
        tool_choice=choice or function_choice_of(request.function_call),
        # The first form of calls has room for one.
        parallel_tool_calls=False if functions else request.parallel_tool_calls,
        functions=bool(functions),
        max_tokens=request.token_limit,
        temperature=request.temperature,
        top_p=request.top_p,
        top_k=request.top_k,
        presence_penalty=request.presence_penalty,
        frequency_penalty=request.frequency_penalty,
        stop=(request.stop,) if isinstance(request.stop, str) else tuple(request.stop or ()),
        seed=request.seed,
        n=request.n or 1,
        response_format=answer,
        reasoning=_reasoning(request),
        user=request.user,
        service_tier=tier,
        stream=bool(request.stream),
        include_usage=bool(request.stream and request.stream_options and request.stream_options.include_usage),
        extras=extras,
        hints=hints,
        origin=NAME,
    )


def _reasoning(request: schema.Body) -> Reasoning | None:
    effort, budget = request.reasoning_effort, None
    if request.thinking:
        budget = 0 if request.thinking.type == "disabled" else request.thinking.budget_tokens or -1
    include: bool | None = None
    if isinstance(wish := request.reasoning, dict):
        # OpenRouter's form. https://openrouter.ai/docs/use-cases/reasoning-tokens
        told, most = wish.get("effort"), wish.get("max_tokens")
        effort = effort or (told if isinstance(told, str) else "none" if wish.get("enabled") is False else None)
        if budget is None and type(most) is int:
            budget = max(most, 0)
        elif budget is None and effort is None and wish.get("enabled") is True:
            budget = -1
        include = False if wish.get("exclude") is True else None
    if effort is None and budget is None:
        return None
    return Reasoning(effort=effort, budget=budget, include=include)


def _format(wish: schema.Format | None) -> tuple[ResponseFormat | None, bool]:
    """The neutral format, and whether the caller's is one that only its own wire knows (a
    grammar)."""
    match wish:
        case None:
            return None, False
        case schema.Format(type="text"):
            return ResponseFormat(kind="text"), False
        case schema.Format(type="json_object"):
            return ResponseFormat(kind="json"), False
        case schema.Format(type="json_schema", json_schema=schema.JsonSchema() as js):
            return ResponseFormat(kind="json_schema", name=js.name, schema=js.schema, strict=js.strict, description=js.description), False
        case schema.Format(type="json_schema"):
            raise InvalidRequest("response_format.json_schema is missing.", param="response_format.json_schema")
        case _:
            return None, True
