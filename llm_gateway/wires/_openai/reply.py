"""Errors to a caller in the OpenAI shape."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from llm_gateway.core import json
from llm_gateway.core.errors import GatewayError
from llm_gateway.wires._fields import in_callers_words

# The noun has the chat format's names; the Responses format has a few of its own.
RESPONSES_NAMES: Final = {"messages": "input", "response_format": "text.format", "max_tokens": "max_output_tokens"}


def error_object(error: GatewayError, names: Mapping[str, str] | None = None) -> dict[str, Any]:
    message, param = in_callers_words(error, names or {})
    return {"message": message, "type": error.type, "param": param, "code": error.code}


def encode_error(error: GatewayError, request_id: str, names: Mapping[str, str] | None = None) -> tuple[int, bytes]:
    return error.status, json.dumps({"error": error_object(error, names)})
