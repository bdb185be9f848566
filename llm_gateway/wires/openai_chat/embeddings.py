"""Embeddings: read for routing, passed through, and their usage read."""

from __future__ import annotations

import msgspec

from llm_gateway.core import json
from llm_gateway.core.chat import ChatRequest
from llm_gateway.core.errors import AttemptFailed, Failure, FailureClass, InvalidRequest, UnsupportedParameter
from llm_gateway.core.usage import Usage
from llm_gateway.wires import _typed
from llm_gateway.wires._base import Inbound
from llm_gateway.wires._openai import errors, inbound
from llm_gateway.wires._openai.usage import decode_usage

from .schema import EmbeddingsBody

_body = msgspec.json.Decoder(EmbeddingsBody)
# A token given as a number stands for about four characters.
_TOKEN_CHARS = 4


def decode_embeddings(body: bytes) -> Inbound:
    request = _typed.decode(body, _body)
    if request.input is None and request.messages is None:
        raise InvalidRequest("input is missing.", param="input")
    return Inbound(
        kind="embeddings",
        dialect="openai_chat",
        model=request.model,
        stream=False,
        include_usage=False,
        max_tokens=None,
        n=1,
        size=_size(request.input) + _size(request.messages),
        needs=frozenset({"embeddings"}),
        body=body,
        chat=_no_chat,
        user=request.user,
    )


def _size(value: object) -> int:
    match value:
        case str():
            return len(value)
        case int():
            return _TOKEN_CHARS
        case list():
            return sum(_size(item) for item in value)
        case dict():
            return inbound.IMAGE_CHARS if "image_url" in value else sum(_size(item) for item in value.values())
        case _:
            return 0


def _no_chat() -> ChatRequest:
    raise UnsupportedParameter("Embeddings are passed through to providers of the OpenAI format only.", param="model")


def usage_of(body: bytes) -> Usage | None:
    """Usage of an embeddings answer (of any OpenAI-shaped whole answer). Raises :class:`AttemptFailed` for an error inside a 200 or for
    what is not JSON."""
    value = json.lenient(body)
    if not isinstance(value, dict):
        raise AttemptFailed(Failure(kind=FailureClass.BAD_JSON, message="the answer is not a JSON object"))
    if value.get("error") and "data" not in value:
        raise AttemptFailed(errors.error_in_200(value))
    return decode_usage(value.get("usage"), None)


def model_ids(body: bytes) -> tuple[str, ...]:
    """The ids of a model list in the forms hosts send: ``{"data": […]}``, a bare list, or one model."""
    value = json.lenient(body)
    if isinstance(value, dict):
        value = value.get("data", value.get("models", [value]))
    found = [item.get("id") or item.get("name") for item in value if isinstance(item, dict)] if isinstance(value, list) else []
    return tuple(name for name in found if isinstance(name, str))
