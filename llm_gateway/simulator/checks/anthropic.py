"""What Anthropic refuses: foreign fields, tool turns without their results, empty blocks, too many breakpoints."""

from __future__ import annotations

import re
from typing import Any

from llm_gateway.simulator.checks.foreign import foreign
from llm_gateway.simulator.checks.limits import IMAGES
from llm_gateway.simulator.reply import Problem
from llm_gateway.simulator.wires.common import obj, objs

_REFUSED = frozenset((
    "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minLength", "maxLength", "pattern", "maxItems",
    "uniqueItems", "minProperties", "maxProperties", "patternProperties", "propertyNames", "oneOf", "not", "if", "$schema",
))  # fmt: skip
_CALL = re.compile(r"[a-zA-Z0-9_-]+")
_KEY = re.compile(r"[a-zA-Z0-9_.-]{1,64}")
_NAME = re.compile(r"[a-zA-Z0-9_-]{1,128}")


def check_messages(body: dict[str, Any]) -> None:
    """Raises Problem as the messages endpoint would."""
    if name := foreign("messages", body):
        raise Problem("bad_request", f"{name}: Extra inputs are not permitted")
    for at, tool in enumerate(objs(body.get("tools"))):
        if tool.get("type", "custom") == "custom":
            if not _NAME.fullmatch(str(tool.get("name", ""))):
                text = f"tools.{at}.custom.name: String should match pattern '^[a-zA-Z0-9_-]{{1,128}}$'"
                raise Problem("bad_request", text)
            if obj(tool.get("input_schema")).get("type") != "object":
                raise Problem("bad_request", f"tools.{at}.custom.input_schema.type: Field required")
            if any(word in obj(tool.get("input_schema")) for word in ("anyOf", "oneOf", "allOf")):
                text = f"tools.{at}.custom.input_schema: input_schema does not support oneOf, allOf, or anyOf at the top level"
                raise Problem("bad_request", text)
            _check_keys(obj(tool.get("input_schema")), f"tools.{at}.custom.input_schema")
    if len(str(obj(body.get("metadata")).get("user_id") or "")) > 256:
        raise Problem("bad_request", "metadata.user_id: String should have at most 256 characters")
    if body.get("service_tier") not in (None, "auto", "standard_only"):
        raise Problem("bad_request", "service_tier: Input should be 'auto' or 'standard_only'")
    shape = obj(body.get("output_format") or obj(body.get("output_config")).get("format"))
    _check_answer(shape.get("schema"))
    temperature = body.get("temperature")
    if isinstance(temperature, int | float) and not 0 <= temperature <= 1:
        raise Problem("bad_request", "temperature: Input should be less than or equal to 1")
    forced = obj(body.get("tool_choice")).get("type") in ("any", "tool")
    if forced and obj(body.get("thinking")).get("type") in ("enabled", "adaptive"):
        raise Problem("bad_request", "Thinking may not be enabled when tool_choice forces tool use.")
    breakpoints = _breakpoints([body.get("system"), body.get("tools"), body.get("messages")])
    if breakpoints > 4:
        raise Problem("bad_request", f"A maximum of 4 blocks with cache_control may be provided. Found {breakpoints}.")
    _check_turns(objs(body.get("messages")))


def _check_keys(schema: dict[str, Any], where: str) -> None:
    """Names of arguments, at every depth."""
    for name, value in schema.items():
        if name == "properties" and isinstance(value, dict):
            if not all(_KEY.fullmatch(key) for key in value):
                text = f"{where}.properties: Property keys should match pattern '^[a-zA-Z0-9_.-]{{1,64}}$'"
                raise Problem("bad_request", text)
            for key, one in value.items():
                _check_keys(obj(one), f"{where}.properties.{key}")
        elif name not in ("enum", "const", "default", "examples"):
            for one in value if isinstance(value, list) else [value]:
                _check_keys(obj(one), where)


def _check_answer(schema: Any) -> None:
    """What the schema of a structured answer may not say: figures, lengths, patterns, further properties."""
    if isinstance(schema, list):
        for one in schema:
            _check_answer(one)
    if not isinstance(schema, dict):
        return
    for name, value in schema.items():
        if name in _REFUSED or (name == "minItems" and value not in (0, 1)):
            kind = schema.get("type", "object")
            raise Problem("bad_request", f"output_config.format.schema: For '{kind}' type, property '{name}' is not supported")
        if name in ("properties", "$defs", "definitions"):
            _check_answer(list(obj(value).values()))
        elif name not in ("enum", "const", "default"):
            _check_answer(value)
    if (schema.get("type") == "object" or "properties" in schema) and schema.get("additionalProperties") is not False:
        text = "output_config.format.schema: For 'object' type, 'additionalProperties' must be explicitly set to false"
        raise Problem("bad_request", text)


def _check_media(blocks: list[dict[str, Any]], at: int) -> None:
    for place, block in enumerate(blocks):
        source = obj(block.get("source"))
        if block.get("type") == "image" and source.get("type") == "base64" and source.get("media_type") not in IMAGES:
            kinds = "'image/jpeg', 'image/png', 'image/gif' or 'image/webp'"
            raise Problem("bad_request", f"messages.{at}.content.{place}.image.source.base64.media_type: Input should be {kinds}")
        inner = objs(block.get("content")) if isinstance(block.get("content"), list) else []
        if block.get("is_error") and any(one.get("type") != "text" for one in inner):
            raise Problem(
                "bad_request", f"messages.{at}.content.{place}.tool_result: all content must be type `text` if `is_error` is true"
            )
        _check_media(inner, at)


def _check_tokens(blocks: list[dict[str, Any]], at: int) -> None:
    """Thinking comes back with what it was signed or encrypted with."""
    for place, block in enumerate(blocks):
        mark = {"thinking": "signature", "redacted_thinking": "data"}.get(str(block.get("type")))
        if mark and mark not in block:
            raise Problem("bad_request", f"messages.{at}.content.{place}.{block['type']}.{mark}: Field required")


def _breakpoints(value: Any) -> int:
    if isinstance(value, list):
        return sum(map(_breakpoints, value))
    if isinstance(value, dict):
        return (1 if value.get("cache_control") else 0) + _breakpoints(value.get("content"))
    return 0


def _check_turns(messages: list[dict[str, Any]]) -> None:
    turns: list[tuple[int, str, list[dict[str, Any]]]] = []
    for at, message in enumerate(messages):
        content = message.get("content")
        blocks = objs(content) if isinstance(content, list) else [{"type": "text", "text": content}]
        for block in blocks:
            if block.get("type") == "text" and not block.get("text"):
                raise Problem("bad_request", f"messages.{at}: text content blocks must be non-empty")
        _check_media(blocks, at)
        _check_tokens(blocks, at)
        role = str(message.get("role"))
        if turns and turns[-1][1] == role:
            # Consecutive turns of one role are merged before anything is checked.
            turns[-1][2].extend(blocks)
        else:
            turns.append((at, role, list(blocks)))
    made: set[str] = set()
    waiting: list[str] = []
    for at, role, blocks in turns:
        if role == "system":
            continue
        begun = [str(block.get("tool_use_id")) for block in _leading_results(blocks)] if role == "user" else []
        if missing := [name for name in waiting if name not in begun]:
            text = (
                f"messages.{at - 1}: `tool_use` ids were found without `tool_result` blocks immediately after: {', '.join(missing)}. "
                "Each `tool_use` block must have a corresponding `tool_result` block in the next message."
            )
            raise Problem("bad_request", text)
        for place, block in enumerate(blocks):
            if block.get("type") == "tool_result" and block.get("tool_use_id") not in waiting:
                text = (
                    f"messages.{at}.content.{place}: unexpected `tool_use_id` found in `tool_result` blocks: "
                    f"{block.get('tool_use_id')}. Each `tool_result` block must have a corresponding `tool_use` block in the "
                    "previous message."
                )
                raise Problem("bad_request", text)
        waiting = [str(block.get("id")) for block in blocks if block.get("type") == "tool_use"] if role == "assistant" else []
        _check_ids(waiting, made, at)


def _check_ids(names: list[str], made: set[str], at: int) -> None:
    for name in names:
        if not _CALL.fullmatch(name):
            raise Problem("bad_request", f"messages.{at}.content.0.tool_use.id: String should match pattern '^[a-zA-Z0-9_-]+$'")
        if name in made:
            raise Problem("bad_request", f"messages.{at}.content.0: `tool_use` ids must be unique")
        made.add(name)


def _leading_results(blocks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    found = []
    for block in blocks:
        if block.get("type") != "tool_result":
            break
        found.append(block)
    return found
