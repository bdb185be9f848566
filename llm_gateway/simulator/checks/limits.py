"""Figures that the real hosts hold callers to, and their words for a value beyond them."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator
from typing import Any

from llm_gateway.simulator.reply import Problem
from llm_gateway.simulator.wires.common import obj, objs

_DATA_URL = re.compile(r"data:(?P<kind>[^;,]*)[^,]*,(?P<data>.*)", re.DOTALL)
IMAGES = frozenset(("image/jpeg", "image/png", "image/gif", "image/webp"))
OPENAI_TIERS = frozenset(("auto", "default", "flex", "scale", "priority", "fast"))
_COMBINED = ("anyOf", "oneOf", "allOf", "enum", "not")


def too_long(value: Any, most: int, param: str) -> None:
    """OpenAI's refusal of a string above its length."""
    if isinstance(value, str) and len(value) > most:
        text = (
            f"Invalid '{param}': string too long. Expected a string with maximum length {most}, but got a string with length {len(value)} "
            "instead."
        )
        raise Problem("bad_request", text, param, "string_above_max_length")


def openai_body(body: dict[str, Any]) -> None:
    too_long(body.get("user"), 64, "user")
    too_long(body.get("prompt_cache_key"), 64, "prompt_cache_key")
    tier = body.get("service_tier")
    if tier is not None and tier not in OPENAI_TIERS:
        text = f"Invalid value: '{tier}'. Supported values are: 'auto', 'default', 'flex', and 'priority'."
        raise Problem("bad_request", text, "service_tier", "invalid_value")
    for url in _urls(body.get("messages") or body.get("input")):
        match = _DATA_URL.match(url)
        # OpenAI reads the bytes; a label in another spelling is nothing to it.
        if match and not _is_known(match["data"]) and match["kind"].lower() not in IMAGES | {"image/jpg"}:
            formats = "['png', 'jpeg', 'gif', 'webp']"
            text = f"You uploaded an unsupported image. Please make sure your image has of one the following formats: {formats}."
            raise Problem("bad_request", text, None, "invalid_image_format")


def openai_parameters(schema: Any, name: str, param: str) -> None:
    """The schema of a function's arguments."""
    if schema is None:
        return
    prefix = f"Invalid schema for function '{name}': "
    found = obj(schema)
    text = ""
    if found.get("type") != "object":
        text = f"schema must be a JSON Schema of 'type: \"object\"', got 'type: \"{found.get('type')}\"'."
    elif any(word in found for word in _COMBINED):
        text = "schema must have type 'object' and not have 'oneOf'/'anyOf'/'allOf'/'enum'/'not' at the top level."
    elif not isinstance(found.get("properties"), dict):
        text = "In context=(), object schema missing properties."
    if text:
        raise Problem("bad_request", prefix + text, param, "invalid_function_parameters")


def _urls(value: Any) -> Iterator[str]:
    for message in objs(value):
        for part in objs(message.get("content")):
            image = part.get("image_url")
            url = image.get("url") if isinstance(image, dict) else image
            if isinstance(url, str):
                yield url


def _is_known(data: str) -> bool:
    try:
        head = base64.b64decode(data[:16])
    except (binascii.Error, ValueError):
        return False
    return head.startswith((b"\xff\xd8\xff", b"\x89PNG", b"GIF8", b"RIFF"))
