"""Embeddings, both ways: ``embedContent`` and ``batchEmbedContents``.
https://ai.google.dev/api/embeddings"""

from __future__ import annotations

from functools import partial
from typing import Any

import msgspec

from llm_gateway.core import json
from llm_gateway.core.chat import ChatRequest
from llm_gateway.core.errors import AttemptFailed, Failure, FailureClass, InvalidRequest, UnsupportedParameter
from llm_gateway.core.usage import Usage
from llm_gateway.wires import _typed
from llm_gateway.wires._base import Embedding, Inbound, ModelFacts, Reply

from . import errors, usage
from .names import NAME
from .schema import ContentIn


class EmbedIn(msgspec.Struct, rename="camel"):
    content: ContentIn
    model: str | None = None
    task_type: str | int | None = None
    title: str | None = None
    output_dimensionality: int | None = None


class _Vector(msgspec.Struct):
    values: list[float] = []


class _Answer(msgspec.Struct, rename="camel"):
    embeddings: list[_Vector] | None = None
    embedding: _Vector | None = None
    usage_metadata: usage.UsageIn | None = None
    error: Any = None


_answer = msgspec.json.Decoder(_Answer)


def inbound(fields: dict[str, Any], model: str, body: bytes) -> Inbound:
    """``fields`` is the body in camelCase."""
    return Inbound(
        kind="embeddings",
        dialect=NAME,
        model=model,
        stream=False,
        include_usage=True,
        max_tokens=None,
        n=1,
        size=sum(len(text) for text in inputs_of(fields)[0]),
        needs=frozenset({"embeddings"}),
        body=body,
        chat=_no_chat,
        embedding=partial(_wish, fields),
        single="requests" not in fields,
    )


def _no_chat() -> ChatRequest:
    raise InvalidRequest("This request asks for embeddings.", param="content")


def inputs_of(fields: dict[str, Any]) -> tuple[list[str], int | None]:
    """The texts to embed and the number of dimensions of a caller's request."""
    several = fields.get("requests")
    if several is None:
        wanted, paths = [_typed.convert(fields, EmbedIn, "")], [""]
    else:
        wanted = _typed.convert(several, list[EmbedIn], "requests")
        paths = [f"requests[{at}]." for at in range(len(wanted))]
    if not wanted:
        raise InvalidRequest("requests: at least one is needed.", param="requests")
    return [_text(one.content, path) for one, path in zip(wanted, paths, strict=True)], wanted[0].output_dimensionality


def _text(content: ContentIn, path: str) -> str:
    texts = []
    for at, part in enumerate(content.parts or ()):
        if not isinstance(part.get("text"), str):
            where = f"{path}content.parts[{at}]"
            raise UnsupportedParameter("Only text can be embedded by this provider.", param=where)
        texts.append(part["text"])
    return "\n".join(texts)


def _wish(fields: dict[str, Any]) -> Embedding:
    """Raises :class:`UnsupportedParameter` for what only this format knows."""
    several = fields.get("requests")
    texts, dimensions = inputs_of(fields)
    if several is not None and any(one.get("outputDimensionality") != dimensions for one in several):
        raise UnsupportedParameter("This provider takes one number of dimensions for all.", param="requests[1].outputDimensionality")
    said = [name for name in ("taskType", "title") if any(one.get(name) is not None for one in several or [fields])]
    left_out = tuple(name if several is None else f"requests.{name}" for name in said)
    return Embedding(texts=tuple(texts), dimensions=dimensions, single=several is None, left_out=left_out)


class GeminiEmbedder:
    def encode_request(self, wish: Embedding, facts: ModelFacts) -> dict[str, Any]:
        """The body of ``batchEmbedContents``."""
        model = f"models/{facts.upstream_id.removeprefix('models/')}"
        more = {} if wish.dimensions is None else {"outputDimensionality": wish.dimensions}
        return {"requests": [{"model": model, "content": {"parts": [{"text": text}]}, **more} for text in wish.texts]}

    def decode_response(self, body: bytes) -> tuple[list[list[float]], Usage | None]:
        return decode_response(body)

    def encode_response(self, vectors: list[list[float]], used: Usage | None, wish: Embedding, reply: Reply) -> bytes:
        if wish.single:
            document: dict[str, Any] = {"embedding": {"values": vectors[0] if vectors else []}}
        else:
            document = {"embeddings": [{"values": vector} for vector in vectors]}
        if used:
            document["usageMetadata"] = {"promptTokenCount": used.prompt_tokens, "totalTokenCount": used.prompt_tokens}
        return json.dumps(document)


def decode_response(body: bytes) -> tuple[list[list[float]], Usage | None]:
    """The vectors in order, and what older models do not say: usage. Raises
    :class:`AttemptFailed`."""
    try:
        answer = _answer.decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        raise AttemptFailed(Failure(kind=FailureClass.BAD_JSON, message="the answer is not an embeddings response")) from None
    if answer.error is not None:
        raise AttemptFailed(errors.from_object(answer.error))
    vectors = answer.embeddings if answer.embeddings is not None else [answer.embedding] if answer.embedding else []
    used = usage.decode(answer.usage_metadata) if answer.usage_metadata else None
    return [vector.values for vector in vectors], used.without_output() if used else None


def usage_of(body: bytes) -> Usage | None:
    """What an embeddings answer says of its usage. Raises :class:`AttemptFailed`."""
    return decode_response(body)[1]
