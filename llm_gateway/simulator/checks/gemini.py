"""What Gemini refuses: foreign fields, unknown part and schema fields, calls without answers or without signatures."""

from __future__ import annotations

import re
from typing import Any

from llm_gateway.simulator.checks.foreign import foreign
from llm_gateway.simulator.reply import Problem
from llm_gateway.simulator.wires.common import obj, objs

_PARTS = frozenset({
    "text", "inlineData", "inline_data", "fileData", "file_data", "functionCall", "function_call", "functionResponse",
    "function_response", "executableCode", "executable_code", "codeExecutionResult", "code_execution_result", "thought",
    "thoughtSignature", "thought_signature", "videoMetadata", "video_metadata", "mediaResolution", "media_resolution",
    "partMetadata", "part_metadata",
})  # fmt: skip
_NOT_READ = frozenset(("image/gif", "image/jpg", "image/tiff", "image/bmp", "image/svg+xml", "application/octet-stream"))
_SCHEMA = frozenset({
    "type", "format", "title", "description", "nullable", "enum", "maxItems", "max_items", "minItems", "min_items", "properties",
    "required", "minProperties", "min_properties", "maxProperties", "max_properties", "minLength", "min_length", "maxLength",
    "max_length", "pattern", "example", "anyOf", "any_of", "propertyOrdering", "property_ordering", "default", "items", "minimum",
    "maximum",
})  # fmt: skip
_LATER = frozenset({"additionalProperties", "additional_properties", "$ref", "ref", "$defs", "defs"})
_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_.:-]{0,63}")
_NAME_TEXT = (
    "Invalid function name. Must start with a letter or an underscore. Must be alphanumeric (a-z, A-Z, 0-9), underscores (_), dots (.), "
    "colons (:), or dashes (-), with a maximum length of 64."
)
_TIERS = ("standard", "flex", "priority", "unspecified")
_OLD = ("gemini-1", "gemini-2")


def check_generate(body: dict[str, Any], model: str) -> None:
    """Raises Problem as generateContent would."""
    if name := foreign("generate", body):
        raise _unknown(name, "")
    tier = body.get("serviceTier") or body.get("service_tier")
    if tier is not None and str(tier).lower() not in _TIERS:
        raise Problem("bad_request", f"Invalid value at 'service_tier' (TYPE_ENUM), \"{tier}\"")
    known = _SCHEMA if model.startswith(_OLD) else _SCHEMA | _LATER
    for at, group in enumerate(objs(body.get("tools"))):
        declared = objs(group.get("functionDeclarations") or group.get("function_declarations"))
        for place, one in enumerate(declared):
            if not _NAME.fullmatch(str(one.get("name", ""))):
                raise Problem("bad_request", f"* GenerateContentRequest.tools[{at}].function_declarations[{place}].name: {_NAME_TEXT}")
            _check_schema(one.get("parameters"), known, f"tools[{at}].function_declarations[{place}].parameters")
    config = obj(body.get("generationConfig") or body.get("generation_config"))
    _check_schema(config.get("responseSchema") or config.get("response_schema"), known, "generation_config.response_schema")
    contents = body.get("contents")
    _check_turns([contents] if isinstance(contents, dict) else objs(contents), model)


def _unknown(name: str, where: str) -> Problem:
    place = f" at '{where}'" if where else ""
    return Problem("bad_request", f'Invalid JSON payload received. Unknown name "{name}"{place}: Cannot find field.')


def _check_schema(schema: Any, known: frozenset[str], where: str) -> None:
    if not isinstance(schema, dict):
        return
    for name in schema:
        if name not in known:
            raise _unknown(name, where)
    for name, part in obj(schema.get("properties")).items():
        _check_schema(part, known, f"{where}.properties[{name}].value")
    _check_schema(schema.get("items"), known, f"{where}.items")
    for at, part in enumerate(objs(schema.get("anyOf") or schema.get("any_of"))):
        _check_schema(part, known, f"{where}.any_of[{at}]")


def _check_turns(contents: list[dict[str, Any]], model: str) -> None:
    waiting = 0
    last_user = max((at for at, one in enumerate(contents) if _asks(one)), default=-1)
    for at, content in enumerate(contents):
        parts = objs(content.get("parts"))
        for place, part in enumerate(parts):
            for name in part:
                if name not in _PARTS:
                    raise _unknown(name, f"contents[{at}].parts[{place}]")
        for part in parts:
            _check_part(part)
        calls = [part for part in parts if "functionCall" in part or "function_call" in part]
        answers = [part for part in parts if "functionResponse" in part or "function_response" in part]
        if waiting != len(answers):
            text = (
                "Please ensure that the number of function response parts is equal to the number of function call parts of the "
                "function call turn."
            )
            raise Problem("bad_request", text)
        waiting = len(calls)
        signed = not calls or "thoughtSignature" in calls[0] or "thought_signature" in calls[0]
        if not signed and at > last_user and not model.startswith(_OLD) and model.startswith("gemini"):
            called = obj(calls[0].get("functionCall") or calls[0].get("function_call")).get("name")
            text = (
                "Function call is missing a thought_signature in functionCall parts. This is required for tools to work correctly, "
                f"and missing thought_signature may lead to degraded model performance. Additional data, function call `{called}`."
            )
            raise Problem("bad_request", text)


def _check_part(part: dict[str, Any]) -> None:
    blob = obj(part.get("inlineData") or part.get("inline_data"))
    kind = str(blob.get("mimeType") or blob.get("mime_type") or "")
    if blob and (kind in _NOT_READ or not kind):
        raise Problem("bad_request", f"Unsupported MIME type: {kind}")
    file = obj(part.get("fileData") or part.get("file_data"))
    where = str(file.get("fileUri") or file.get("file_uri") or "")
    if file and not where.startswith(("https://", "gs://")):
        raise Problem("bad_request", f"Invalid or unsupported file uri: {where}")
    answer = obj(part.get("functionResponse") or part.get("function_response"))
    if _refers(answer.get("response")):
        raise Problem("bad_request", "Function response contains a $ref to a display name that no part of it has.")


def _refers(value: Any) -> bool:
    if isinstance(value, list):
        return any(_refers(one) for one in value)
    return isinstance(value, dict) and ("$ref" in value or any(_refers(one) for one in value.values()))


def _asks(content: dict[str, Any]) -> bool:
    """Is it a user's turn with words in it, after which a new exchange begins?"""
    return content.get("role") != "model" and any(part.get("text") for part in objs(content.get("parts")))
