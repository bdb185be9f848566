"""What every dialect's batches have in common."""

from __future__ import annotations

from typing import Any, Protocol

import msgspec

LONGEST_CUSTOM_ID = 512


class Fault(Exception):
    """A line that cannot be executed as it is: ``field`` and a sentence for the caller."""

    def __init__(self, field: str, message: str, code: str = "invalid_request") -> None:
        super().__init__(message)
        self.field = field
        self.message = message
        self.code = code


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """One line, read. ``kind``: chat, responses, embeddings, messages, generate_content,
    embed_content, generate or analyze. ``body``: its request as the endpoint of that kind takes
    it."""

    custom_id: str
    kind: str
    model: str
    body: bytes
    max_tokens: int | None = None


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """A line's end. ``state``: completed, failed, expired or cancelled; ``body`` ``None``: nobody
    answered it, and ``code`` says why."""

    batch: str
    number: int
    custom_id: str
    request_id: str
    state: str
    status: int
    code: str
    body: bytes | None


class BatchFormat(Protocol):
    """``parts``: the files its results are in, and the states of the lines in each; none where
    results have an address of the batch's."""

    name: str
    parts: tuple[tuple[str, tuple[str, ...]], ...]

    def read(self, line: bytes, endpoint: str) -> Item:
        """Raises :class:`Fault`."""
        ...

    def write(self, result: Result) -> bytes:
        """One line of JSON, without its end."""
        ...


class Wanted(msgspec.Struct):
    """What is looked at of a request before it runs; what else is wrong with it, its own execution
    says."""

    model: Any = None
    stream: Any = None
    max_tokens: Any = None
    max_completion_tokens: Any = None
    max_output_tokens: Any = None


_wanted = msgspec.json.Decoder(Wanted)

MESSAGES = {
    "batch_expired": "The request was not executed before the batch's window ended.",
    "batch_cancelled": "The batch was cancelled before the request was executed.",
    "interrupted": "The gateway's process died while it executed the request, twice; what it may have cost is charged. Send it again.",
    "insufficient_quota": "A budget refused the batch before the request was executed.",
}


def message_of(code: str) -> str:
    return MESSAGES.get(code, f"The request was not executed ({code}).")


def wanted(body: bytes) -> Wanted:
    """Raises :class:`Fault`."""
    try:
        found = _wanted.decode(body)
    except (msgspec.DecodeError, RecursionError):
        raise Fault("body", "The request is not a JSON object.") from None
    if found.stream:
        raise Fault("stream", "A line of a batch cannot stream; leave `stream` out.")
    return found


def limit_of(found: Wanted) -> int | None:
    for value in (found.max_completion_tokens, found.max_tokens, found.max_output_tokens):
        if type(value) is int and value > 0:
            return value
    return None


def model_of(found: Wanted, field: str = "model") -> str:
    if not isinstance(found.model, str) or not found.model:
        raise Fault(field, "The request names no model.")
    return found.model


def custom_id(value: Any, longest: int = LONGEST_CUSTOM_ID, field: str = "custom_id") -> str:
    if value is None or value == "":
        raise Fault(field, f"`{field}` is missing; give each request one of its own.", "missing_required_parameter")
    if not isinstance(value, str):
        raise Fault(field, f"`{field}` has to be a text.")
    if len(value) > longest:
        raise Fault(field, f"`{field}` is longer than {longest} characters.")
    if "\x00" in value:
        raise Fault(field, f"`{field}` holds a NUL.")
    return value


def read_error(error: Exception) -> Fault:
    return Fault("", f"The line is no JSON object: {str(error)[:150]}.", "invalid_json_line")
