"""Embeddings: read for routing, passed through, and their usage read."""

from __future__ import annotations

import base64
import sys
from array import array
from functools import partial
from typing import Annotated, Any

import msgspec

from llm_gateway.core import json
from llm_gateway.core.chat import ChatRequest
from llm_gateway.core.errors import AttemptFailed, Failure, FailureClass, InvalidRequest, UnsupportedParameter
from llm_gateway.core.usage import Usage
from llm_gateway.wires import _typed
from llm_gateway.wires._base import Embedding, Inbound, ModelFacts, Reply
from llm_gateway.wires._openai import errors, inbound
from llm_gateway.wires._openai.usage import decode_usage

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=512)]


class EmbeddingsBody(msgspec.Struct, gc=False):
    model: Name
    input: str | list[str | int | list[int] | dict[str, Any]] | None = None
    messages: list[dict[str, Any]] | None = None  # vLLM: a chat to embed
    encoding_format: str | None = None
    dimensions: Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1)] | None = None
    user: str | None = None


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
        embedding=partial(_wish, request, body),
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
    raise InvalidRequest("This request asks for embeddings.", param="input")


def _wish(request: EmbeddingsBody, body: bytes) -> Embedding:
    """Raises :class:`UnsupportedParameter` for what other formats cannot embed."""
    texts = [request.input] if isinstance(request.input, str) else request.input
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise UnsupportedParameter("Only text can be embedded by this provider, not tokens or pictures.", param="input")
    if not texts:
        raise InvalidRequest("input is empty.", param="input")
    for name in inbound.unknown(body, EmbeddingsBody.__struct_fields__):
        raise UnsupportedParameter(f"`{name}` cannot be sent to a provider of another format; leave it out.", param=name)
    if request.encoding_format not in (None, "float", "base64"):
        raise InvalidRequest("encoding_format must be float or base64.", param="encoding_format")
    return Embedding(texts=tuple(str(text) for text in texts), dimensions=request.dimensions, base64=request.encoding_format == "base64")


class OpenAIEmbedder:
    def encode_request(self, wish: Embedding, facts: ModelFacts) -> dict[str, Any]:
        body: dict[str, Any] = {"model": facts.upstream_id, "input": list(wish.texts), "encoding_format": "float"}
        return body if wish.dimensions is None else body | {"dimensions": wish.dimensions}

    def decode_response(self, body: bytes) -> tuple[list[list[float]], Usage | None]:
        used = usage_of(body)
        try:
            answer = _answer.decode(body)
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
            raise AttemptFailed(Failure(kind=FailureClass.BAD_JSON, message="the answer is not a list of embeddings")) from None
        return [one.values for one in sorted(answer.data, key=lambda one: one.index)], used

    def encode_response(self, vectors: list[list[float]], used: Usage | None, wish: Embedding, reply: Reply) -> bytes:
        shown = [_packed(vector) if wish.base64 else vector for vector in vectors]
        data = [{"object": "embedding", "index": at, "embedding": vector} for at, vector in enumerate(shown)]
        tokens = used.prompt_tokens if used else 0
        usage = {"prompt_tokens": tokens, "total_tokens": tokens}
        return json.dumps({"object": "list", "data": data, "model": reply.model, "usage": usage})


class _Vector(msgspec.Struct):
    embedding: list[float] | str
    index: int = 0

    @property
    def values(self) -> list[float]:
        """Some hosts send base64 whatever was asked for."""
        if isinstance(self.embedding, list):
            return self.embedding
        found = array("f", base64.b64decode(self.embedding))
        if sys.byteorder == "big":
            found.byteswap()
        return found.tolist()


class _Answer(msgspec.Struct):
    data: list[_Vector]


_answer = msgspec.json.Decoder(_Answer)


def _packed(vector: list[float]) -> str:
    found = array("f", vector)
    if sys.byteorder == "big":
        found.byteswap()
    return base64.b64encode(found.tobytes()).decode()


def usage_of(body: bytes) -> Usage | None:
    """Usage of an embeddings answer. Raises :class:`AttemptFailed` for an error inside a 200 or for
    what is not JSON."""
    value = json.lenient(body)
    if not isinstance(value, dict):
        raise AttemptFailed(Failure(kind=FailureClass.BAD_JSON, message="the answer is not a JSON object"))
    if value.get("error") and "data" not in value:
        raise AttemptFailed(errors.error_in_200(value))
    block = value.get("usage")
    if isinstance(block, dict) and block.get("prompt_tokens") is None and block.get("input_tokens") is None:
        # Voyage and older Jina name only the total, which is all input:
        # https://docs.voyageai.com/reference/embeddings-api
        block = block | {"prompt_tokens": block.get("total_tokens")}
    used = decode_usage(block, None)
    return used.without_output() if used else None
