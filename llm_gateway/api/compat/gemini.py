"""Gemini's paths, below ``/v1beta`` and, as google-genai calls them with only a base URL, below ``/v1``. Google's older SDKs leave
``models/`` out before a name that has a slash of its own."""

from __future__ import annotations

import re
from collections.abc import Mapping

from llm_gateway.api.http import JSON, HttpCall, HttpReply, id_headers, page_size
from llm_gateway.core import json
from llm_gateway.core.catalog import ModelInfo
from llm_gateway.core.errors import ModelNotFound, NotFound
from llm_gateway.engine.resolve import described, usable_names
from llm_gateway.wires import dialects
from llm_gateway.wiring import gateway

from ._count import count
from ._generate import generate, refuse
from ._routes import routes

GENERATE = "gemini_generate"
_CALLED = r"/v1(?:beta)?/.+"
_NAME = re.compile(r"/v1(?:beta)?/(?:models/)?(?P<model>.+?)(?::(?P<verb>[A-Za-z]+))?")
_METHODS = ["generateContent", "streamGenerateContent", "countTokens"]


async def generate_content(http: HttpCall) -> HttpReply:
    return await generate(http, dialects.get(GENERATE), _path(http, "chat", ""))


async def stream_generate_content(http: HttpCall) -> HttpReply:
    return await generate(http, dialects.get(GENERATE), _path(http, "chat", "sse" if http.query.get("alt") == "sse" else "array"))


async def count_tokens(http: HttpCall) -> HttpReply:
    return await count(http, dialects.get(GENERATE), _path(http, "count_tokens", ""))


async def embed(http: HttpCall) -> HttpReply:
    return await generate(http, dialects.get(GENERATE), _path(http, "embeddings", ""))


async def unknown_verb(http: HttpCall) -> HttpReply:
    """A path that only looks like a model's, which could be read but not called."""
    return refuse(dialects.get(GENERATE), NotFound(f"There is nothing at {http.path[:200]}; see docs/clients.md for the paths."), http)


async def models(http: HttpCall) -> HttpReply:
    snapshot = gateway().catalog.snapshot()
    names = sorted(set(usable_names(snapshot, http.identity)))
    limit = page_size(http.query.get("pageSize"), usual=50, most=1000)
    token = http.query.get("pageToken", "")
    start = names.index(token) if token in names else 0
    listed: dict[str, object] = {
        "models": [_model(name, described(snapshot, http.identity, name)) for name in names[start : start + limit]]
    }
    if start + limit < len(names):
        listed["nextPageToken"] = names[start + limit]
    return _json(listed, http)


async def model(http: HttpCall) -> HttpReply:
    snapshot = gateway().catalog.snapshot()
    name = _path(http, "", "")["model"]
    try:
        return _json(_model(name, described(snapshot, http.identity, name)), http)
    except ModelNotFound as error:
        return refuse(dialects.get(GENERATE), error, http)


def _path(http: HttpCall, kind: str, stream: str) -> Mapping[str, str]:
    match = _NAME.fullmatch(http.path)
    assert match is not None  # the route matched
    return {"kind": kind, "model": match["model"], "stream": stream, "verb": match["verb"] or ""}


def _model(name: str, found: ModelInfo) -> dict[str, object]:
    shown: dict[str, object] = {
        "name": f"models/{name}",
        "baseModelId": name,
        "version": "001",
        "displayName": found.title,
        "supportedGenerationMethods": _METHODS,
    }
    if found.context_window:
        shown["inputTokenLimit"] = found.context_window
    if found.max_output_tokens:
        shown["outputTokenLimit"] = found.max_output_tokens
    return shown


def _json(value: object, http: HttpCall) -> HttpReply:
    return HttpReply(headers=(JSON, *id_headers(http.id)), body=json.dumps(value))


routes.add("POST", _CALLED + r":generateContent", GENERATE, generate_content)
routes.add("POST", _CALLED + r":streamGenerateContent", GENERATE, stream_generate_content)
routes.add("POST", _CALLED + r":countTokens", GENERATE, count_tokens)
routes.add("POST", _CALLED + r":(?:embedContent|batchEmbedContents)", GENERATE, embed)
routes.add("POST", _CALLED + r":(?!(?:batchGenerateContent|asyncBatchEmbedContent|cancel)$)[A-Za-z]+", GENERATE, unknown_verb)
routes.add("GET", r"/v1beta/models", GENERATE, models)
routes.add("GET", r"/v1beta/models/.+", GENERATE, model)
routes.add("GET", r"/v1/models", GENERATE, models, when="x-goog-api-key")
routes.add("GET", r"/v1/models/.+", GENERATE, model, when="x-goog-api-key")
