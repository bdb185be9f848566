"""How OpenAI counts the tokens of a request before it is sent."""

from __future__ import annotations

from typing import Any, Final

from llm_gateway.core import json
from llm_gateway.core.chat import ChatRequest
from llm_gateway.core.usage import count
from llm_gateway.wires._base import ModelFacts

from . import request_out


class ResponsesCounter:
    """https://platform.openai.com/docs/api-reference/responses/input-tokens: the fields that add to
    the prompt."""

    _COUNTED: Final = ("model", "input", "instructions", "tools", "tool_choice", "parallel_tool_calls", "text", "reasoning")

    def encode_request(self, chat: ChatRequest, facts: ModelFacts) -> dict[str, Any]:
        body = request_out.encode_request(chat, facts)
        return {name: body[name] for name in self._COUNTED if name in body}

    def decode_response(self, body: bytes) -> int | None:
        document = json.lenient(body)
        return count(document.get("input_tokens")) if isinstance(document, dict) else None

    def encode_response(self, tokens: int) -> bytes:
        return json.dumps({"object": "response.input_tokens", "input_tokens": tokens})
