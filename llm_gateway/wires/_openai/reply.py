"""Errors to a caller in the OpenAI shape."""

from __future__ import annotations

from typing import Any

from llm_gateway.core import json
from llm_gateway.core.errors import GatewayError


def error_object(error: GatewayError) -> dict[str, Any]:
    return {"message": error.message, "type": error.type, "param": error.param, "code": error.code}


def encode_error(error: GatewayError, request_id: str) -> tuple[int, bytes]:
    return error.status, json.dumps({"error": error_object(error)})
