"""Responses as callers speak them to us."""

from __future__ import annotations

from collections.abc import Mapping

from llm_gateway.core.chat import ChatResponse
from llm_gateway.core.errors import GatewayError
from llm_gateway.wires._base import Inbound, Reply, StreamEncoder
from llm_gateway.wires._openai import reply as errors

from . import names, request_in, response_out, stream_out


class ResponsesDialect:
    name = names.NAME

    def decode_request(self, body: bytes, path: Mapping[str, str]) -> Inbound:
        return request_in.decode_request(body, path)

    def encode_response(self, response: ChatResponse, reply: Reply) -> bytes:
        return response_out.encode_response(response, reply)

    def stream_encoder(self, reply: Reply) -> StreamEncoder:
        return stream_out.ResponsesStreamEncoder(reply)

    def encode_error(self, error: GatewayError, request_id: str) -> tuple[int, bytes]:
        return errors.encode_error(error, request_id, errors.RESPONSES_NAMES)


DIALECT = ResponsesDialect()
