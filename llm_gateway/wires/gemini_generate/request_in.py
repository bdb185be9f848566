"""A caller's request as the neutral conversation.

Hints (other wires leave them out): labels, ``store``, how finely media is read, whether
provider-side calls are shown, and safety settings that only loosen the filters, for without them
the answer can merely be stricter. Settings that tighten the filters, cached content and every field
that is not known are extras, which other wires refuse. Sampling values that are the format's own
defaults are hints: Gemini CLI sends them to every model, and other models have other defaults or
take none.
"""

from __future__ import annotations

from typing import Any

from llm_gateway.core.chat import ChatRequest, Message, Reasoning, ResponseFormat, Text, Tool, ToolChoice
from llm_gateway.core.errors import InvalidRequest
from llm_gateway.wires import _typed

from .casing import enum_word
from .contents_in import messages_of, system_of
from .names import NAME
from .openapi import to_json_schema
from .schema import ConfigIn, DeclarationIn, RequestIn, ThinkingIn, ToolConfigIn

_KNOWN = frozenset(RequestIn.__struct_encode_fields__) - {"safetySettings"}
_HINTS = frozenset(("labels", "store", "model"))
_CONFIG = frozenset(ConfigIn.__struct_encode_fields__)
_CONFIG_HINTS = frozenset(("mediaResolution", "enableEnhancedCivicAnswers"))
# https://ai.google.dev/gemini-api/docs/models: what the models of the format do without being told.
_DEFAULTS = {"temperature": 1.0, "topP": 0.95, "topK": 64.0}
_LOOSE = frozenset(("BLOCK_NONE", "OFF", "BLOCK_ONLY_HIGH", "HARM_BLOCK_THRESHOLD_UNSPECIFIED", None))
_THRESHOLDS = (
    "HARM_BLOCK_THRESHOLD_UNSPECIFIED",
    "BLOCK_LOW_AND_ABOVE",
    "BLOCK_MEDIUM_AND_ABOVE",
    "BLOCK_ONLY_HIGH",
    "BLOCK_NONE",
    "OFF",
)
_MODES = ("MODE_UNSPECIFIED", "AUTO", "ANY", "NONE", "VALIDATED")
_DECLARATION = frozenset(DeclarationIn.__struct_encode_fields__)


def chat_of(request: RequestIn, fields: dict[str, Any], model: str, stream: bool) -> ChatRequest:
    extras = {name: value for name, value in fields.items() if name not in _KNOWN and value is not None}
    hints = {name: extras.pop(name) for name in _HINTS & extras.keys()}
    hints.pop("model", None)  # countTokens repeats it; the path decides
    if "safetySettings" in extras and all(enum_word(one.threshold, _THRESHOLDS) in _LOOSE for one in request.safety_settings or ()):
        hints["safetySettings"] = extras.pop("safetySettings")
    config = request.generation_config or ConfigIn()
    _sort_config(fields.get("generationConfig") or {}, extras, hints)
    choice = _tool_choice(request.tool_config, fields.get("toolConfig") or {}, hints)
    system = request.system_instruction
    messages = [Message(role="system", parts=(Text(text=system),))] if isinstance(system, str) else system_of(system)
    return ChatRequest(
        model=model,
        messages=(*messages, *messages_of(request.contents)),
        tools=tuple(_tools(request.tools or ())),
        tool_choice=choice,
        max_tokens=config.max_output_tokens,
        temperature=_told(config.temperature, "temperature"),
        top_p=_told(config.top_p, "topP"),
        top_k=int(top_k) if (top_k := _told(config.top_k, "topK")) is not None else None,
        presence_penalty=config.presence_penalty,
        frequency_penalty=config.frequency_penalty,
        stop=tuple(config.stop_sequences or ()),
        seed=config.seed,
        n=config.candidate_count or 1,
        response_format=_format(config),
        reasoning=_reasoning(config.thinking_config),
        service_tier=request.service_tier,
        stream=stream,
        include_usage=True,
        extras=extras,
        hints=hints,
        origin=NAME,
    )


def _told(value: float | None, name: str) -> float | None:
    return None if value == _DEFAULTS[name] else value


def _sort_config(config: dict[str, Any], extras: dict[str, Any], hints: dict[str, Any]) -> None:
    rest = {name: value for name, value in config.items() if name not in _CONFIG and value is not None}
    kept = {name: rest.pop(name) for name in _CONFIG_HINTS & rest.keys()}
    kept |= {name: config[name] for name, value in _DEFAULTS.items() if config.get(name) == value}
    modes = rest.get("responseModalities")
    if isinstance(modes, list) and [str(mode).upper() for mode in modes] in ([], ["TEXT"]):
        kept["responseModalities"] = rest.pop("responseModalities")
    if config.get("responseMimeType") not in (None, "text/plain", "application/json"):
        rest["responseMimeType"] = config["responseMimeType"]
    if kept:
        hints["generationConfig"] = kept
    if rest:
        extras["generationConfig"] = rest


def _tool_choice(config: ToolConfigIn | None, raw: dict[str, Any], hints: dict[str, Any]) -> ToolChoice | None:
    kept = {name: value for name, value in raw.items() if name != "functionCallingConfig"}
    calling = config.function_calling_config if config else None
    mode = str(enum_word(calling.mode, _MODES) or "").upper() if calling else ""
    names = tuple(calling.allowed_function_names or ()) if calling else ()
    if mode == "VALIDATED":  # as AUTO, with the arguments held to their schema
        kept["functionCallingConfig"] = raw["functionCallingConfig"]
    if kept:
        hints["toolConfig"] = kept
    match mode:
        case "" | "MODE_UNSPECIFIED":
            return None
        case "AUTO" | "VALIDATED":
            return ToolChoice(mode="auto", allowed=names)
        case "NONE":
            return ToolChoice(mode="none")
        case "ANY":
            return ToolChoice(mode="tool", name=names[0]) if len(names) == 1 else ToolChoice(mode="required", allowed=names)
    where = "toolConfig.functionCallingConfig.mode"
    raise InvalidRequest(f"{where}: must be AUTO, ANY, NONE or VALIDATED.", param=where)


def _tools(tools: list[dict[str, Any]] | tuple[()]) -> list[Tool]:
    found = []
    for at, tool in enumerate(tools):
        for kind, body in tool.items():
            if kind == "functionDeclarations" and body is not None:
                declared = _typed.convert(body, list[dict[str, Any]], f"tools[{at}].{kind}")
                found += [_function(one, f"tools[{at}].{kind}[{position}]") for position, one in enumerate(declared)]
            elif body is not None:
                found.append(Tool(name=kind, builtin=kind, raw={kind: body}))
    return found


def _function(declared: dict[str, Any], path: str) -> Tool:
    known = _typed.convert(declared, DeclarationIn, path)
    schema = known.parameters_json_schema
    if schema is None and known.parameters is not None:
        schema = to_json_schema(known.parameters)
    more = {name: value for name, value in declared.items() if name not in _DECLARATION}
    return Tool(name=known.name, description=known.description, parameters=schema, raw=more or None)


def _format(config: ConfigIn) -> ResponseFormat | None:
    schema = config.response_json_schema
    if schema is None and config.response_schema is not None:
        schema = to_json_schema(config.response_schema)
    if config.response_mime_type == "application/json":
        return ResponseFormat(kind="json_schema", schema=schema) if schema is not None else ResponseFormat(kind="json")
    if schema is not None:
        raise InvalidRequest(
            "generationConfig.responseMimeType: a schema needs application/json.", param="generationConfig.responseMimeType"
        )
    return None


def _reasoning(config: ThinkingIn | None) -> Reasoning | None:
    if config is None:
        return None
    level = (config.thinking_level or "").lower()
    effort = level if level and level != "thinking_level_unspecified" else None
    return Reasoning(effort=effort, budget=config.thinking_budget, include=config.include_thoughts)
