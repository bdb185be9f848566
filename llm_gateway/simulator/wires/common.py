"""Small readings of request JSON that several wires share. Lenient: what is not understood counts as absent."""

from __future__ import annotations

from typing import Any

from llm_gateway.simulator.reply import Frame, Problem, dump

# What OpenAI calls obfuscation: noise that hides the size of a chunk.
PADDING = "q7Zk2mVx9RtB4wLpN"
MEDIA_TOKENS = 256
MESSAGE_TOKENS = 4


def obj(value: Any) -> dict[str, Any]:
    """``value`` if it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}


def objs(value: Any) -> list[dict[str, Any]]:
    """The objects in a list; nothing when it is none."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def text_of(content: Any) -> str:
    """The text of a content value: a string, or a list of parts with ``text`` in them."""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "\n".join(filter(None, (text_of(part) for part in content)))
    if isinstance(content, dict):
        for name in ("text", "refusal", "output", "content", "thinking"):
            if isinstance(content.get(name), str | list):
                return text_of(content[name])
    return ""


def media_in(content: Any) -> int:
    """How many images, files or sounds a content value holds."""
    if not isinstance(content, list):
        return 0
    kinds = ("image", "image_url", "input_image", "input_audio", "file", "input_file", "document")
    return sum(1 for part in content if isinstance(part, dict) and part.get("type") in kinds)


def size_of(value: Any) -> int:
    """Tokens of a JSON value sent along, such as tools."""
    return (len(dump(value)) + 3) // 4 if value else 0


def whole_number(body: dict[str, Any], name: str, least: int = 1) -> int | None:
    """An integer field, or None. Raises Problem when it is something else or too small."""
    value = body.get(name)
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool):
        raise Problem("bad_request", f"Invalid type for '{name}': expected an integer.", param=name, code="invalid_type")
    if value < least:
        text = f"Invalid '{name}': integer below minimum value. Expected a value >= {least}, but got {value} instead."
        raise Problem("bad_request", text, param=name, code="integer_below_min_value")
    return value


def strings(value: Any) -> tuple[str, ...]:
    """Stop sequences: a string, a list of them, or nothing."""
    if isinstance(value, str):
        return (value,)
    return tuple(str(item) for item in value) if isinstance(value, list) else ()


def data_frame(value: Any) -> bytes:
    """One SSE event without a name."""
    return b"data: " + dump(value) + b"\n\n"


def named_frame(name: str, value: Any) -> bytes:
    """One SSE event with its name."""
    return b"event: " + name.encode() + b"\ndata: " + dump(value) + b"\n\n"


DONE = Frame(b"data: [DONE]\n\n", "terminal")
