"""What a caller of this format speaks to us."""

from __future__ import annotations

from collections.abc import Mapping

from llm_gateway.core.chat import ChatResponse
from llm_gateway.core.errors import GatewayError
from llm_gateway.wires._base import Inbound, Reply, StreamEncoder

from . import errors, inbound, response_out
from .names import NAME
from .stream_out import Encoder


class AnthropicDialect:
    name = NAME

    def decode_request(self, body: bytes, path: Mapping[str, str]) -> Inbound:
        return inbound.decode(body, path)

    def encode_response(self, response: ChatResponse, reply: Reply) -> bytes:
        return response_out.encode(response, reply)

    def stream_encoder(self, reply: Reply) -> StreamEncoder:
        return Encoder(reply)

    def encode_error(self, error: GatewayError, request_id: str) -> tuple[int, bytes]:
        return errors.encode(error, request_id)
