"""The compatible routes in the OpenAPI document, beside the native ones. A test holds the table to the routes that are served."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import msgspec

from llm_gateway.api.schema import completed

from . import _shapes as s
from ._described_batches import BATCHES

_REF = "#/components/schemas/{name}"
OPENAI, ANTHROPIC, GEMINI = "openai-compatible", "anthropic-compatible", "gemini-compatible"


class Described(NamedTuple):
    """``streams``: it can answer as server-sent events."""

    id: str
    summary: str
    tag: str
    body: type[s.Open] | None = None
    answer: type[s.Open] = s.AnyObject
    streams: bool = False


ROUTES: Final[Mapping[tuple[str, str], Described]] = {
    ("POST", "/v1/chat/completions"): Described(
        "chat_completions", "OpenAI chat completions, by any provider.", OPENAI, s.ChatCompletionRequest, s.ChatCompletion, True
    ),
    ("POST", "/v1/responses"): Described(
        "responses", "OpenAI Responses, by any provider.", OPENAI, s.ResponsesRequest, s.ResponseObject, True
    ),
    ("GET", "/v1/responses/{response_id}"): Described("response_get", "A stored response.", OPENAI, None, s.ResponseObject),
    ("DELETE", "/v1/responses/{response_id}"): Described("response_delete", "Forget a stored response.", OPENAI),
    ("GET", "/v1/responses/{response_id}/input_items"): Described("response_input_items", "What a stored response answered.", OPENAI),
    ("POST", "/v1/responses/input_tokens"): Described("response_input_tokens", "How many tokens a prompt has.", OPENAI, s.ResponsesRequest),
    ("POST", "/v1/responses/compact"): Described(
        "response_compact", "A conversation as its user's words and a summary.", OPENAI, s.ResponsesRequest, s.CompactedResponse
    ),
    ("POST", "/v1/responses/{response_id}/cancel"): Described("response_cancel", "Says why nothing can be cancelled.", OPENAI),
    ("POST", "/v1/completions"): Described(
        "completions", "OpenAI's legacy completions, answered by chat models.", OPENAI, s.CompletionRequest, s.Completion, True
    ),
    ("POST", "/v1/embeddings"): Described("embeddings", "Texts as vectors.", OPENAI, s.EmbeddingsRequest, s.Embeddings),
    ("GET", "/v1/models"): Described(
        "compatible_models", "The names this key may call, in the dialect of its headers.", OPENAI, None, s.ModelListing
    ),
    ("GET", "/v1/models/{model}"): Described("compatible_model", "One model.", OPENAI, None, s.ModelEntry),
    ("POST", "/v1/messages"): Described(
        "messages", "Anthropic Messages, by any provider.", ANTHROPIC, s.MessagesRequest, s.MessagesAnswer, True
    ),
    ("POST", "/v1/messages/count_tokens"): Described(
        "messages_count_tokens", "How many tokens a prompt has.", ANTHROPIC, s.AnyObject, s.AnyObject
    ),
    ("POST", "/v1beta/models/{model}:generateContent"): Described(
        "generate_content", "Gemini generateContent, by any provider.", GEMINI, s.GenerateContentRequest, s.GenerateContentAnswer
    ),
    ("POST", "/v1beta/models/{model}:streamGenerateContent"): Described(
        "stream_generate_content",
        "The same as a stream; ask with `alt=sse`.",
        GEMINI,
        s.GenerateContentRequest,
        s.GenerateContentAnswer,
        True,
    ),
    ("POST", "/v1beta/models/{model}:countTokens"): Described("gemini_count_tokens", "How many tokens a prompt has.", GEMINI, s.AnyObject),
    ("POST", "/v1beta/models/{model}:embedContent"): Described("embed_content", "A text as a vector.", GEMINI, s.AnyObject),
    ("POST", "/v1beta/models/{model}:batchEmbedContents"): Described("batch_embed_contents", "Texts as vectors.", GEMINI, s.AnyObject),
    ("GET", "/v1beta/models"): Described("gemini_models", "The names this key may call.", GEMINI, None, s.GeminiModelListing),
    ("GET", "/v1beta/models/{model}"): Described("gemini_model", "One model.", GEMINI),
    **{route: Described(*told, answer=s.AnyObject) for route, told in BATCHES.items()},
}
_MEANINGS: Final = {
    "400": "The request is wrong; the message names the field.",
    "401": "No key, or one that is unknown, expired or revoked.",
    "404": "No such model, or this key may not use it.",
    "429": "A rate, concurrency or budget limit.",
    "502": "The provider failed and no other could answer.",
    "503": "Nothing can answer now.",
}
_NAMED = re.compile(r"\{(\w+)\}")


def with_compatible(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """A hook of drf-spectacular: adds what it cannot find, because no Django view serves it."""
    schemas = result.setdefault("components", {}).setdefault("schemas", {})
    kinds = {kind for one in ROUTES.values() for kind in (one.body, one.answer) if kind is not None} | {s.CompatibleError}
    structs = msgspec.json.schema_components(sorted(kinds, key=lambda kind: kind.__name__), ref_template=_REF)[1]
    for name, schema in structs.items():
        schema.pop("title", None)
        schemas.setdefault(name, completed(schema))
    for (method, path), one in ROUTES.items():
        result["paths"].setdefault(path, {})[method.lower()] = _operation(path, one)
    return result


def _ref(kind: type[s.Open]) -> dict[str, Any]:
    return {"schema": {"$ref": _REF.format(name=kind.__name__)}}


def _operation(path: str, one: Described) -> dict[str, Any]:
    content: dict[str, Any] = {"application/json": _ref(one.answer)}
    if one.streams:
        content["text/event-stream"] = {"schema": {"type": "string"}}
    found: dict[str, Any] = {
        "operationId": one.id,
        "summary": one.summary,
        "tags": [one.tag],
        "security": [{"clientKey": []}],
        "responses": {
            "200": {"description": one.summary, "content": content},
            **{
                status: {"description": text, "content": {"application/json": _ref(s.CompatibleError)}}
                for status, text in _MEANINGS.items()
            },
        },
    }
    if names := _NAMED.findall(path):
        found["parameters"] = [{"in": "path", "name": name, "required": True, "schema": {"type": "string"}} for name in names]
    if one.body is not None:
        found["requestBody"] = {"required": True, "content": {"application/json": _ref(one.body)}}
    return found
