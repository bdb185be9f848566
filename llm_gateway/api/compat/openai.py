"""OpenAI's paths: chat completions, responses, embeddings, model lists."""

from __future__ import annotations

from collections.abc import Awaitable

from llm_gateway.api.http import JSON, HttpCall, HttpReply, id_headers
from llm_gateway.core import json
from llm_gateway.core.catalog import ModelInfo, Snapshot
from llm_gateway.core.errors import ModelNotFound
from llm_gateway.engine.resolve import described, usable_names
from llm_gateway.wires import dialects
from llm_gateway.wiring import gateway

from . import _compact, _responses
from ._count import count
from ._generate import generate, refuse
from ._routes import routes

CHAT = "openai_chat"
RESPONSES = "openai_responses"
# Models carry no creation date here; clients only want an integer.
_CREATED = 1_700_000_000


def chat_completions(http: HttpCall) -> Awaitable[HttpReply]:
    return generate(http, dialects.get(CHAT), {"kind": "chat"})


async def responses(http: HttpCall) -> HttpReply:
    turn = _responses.Turn(http)
    return await generate(turn.http, dialects.get(RESPONSES), {"kind": "chat"}, keeper=turn)


async def input_tokens(http: HttpCall) -> HttpReply:
    turn = _responses.Turn(http, counting=True)
    return await count(turn.http, dialects.get(RESPONSES), {"kind": "count_tokens"}, keeper=turn)


async def embeddings(http: HttpCall) -> HttpReply:
    return await generate(http, dialects.get(CHAT), {"kind": "embeddings"})


async def models(http: HttpCall) -> HttpReply:
    snapshot = gateway().catalog.snapshot()
    data = [_model(snapshot, name, described(snapshot, http.identity, name)) for name in sorted(set(usable_names(snapshot, http.identity)))]
    return _json({"object": "list", "data": data}, http)


async def model(http: HttpCall) -> HttpReply:
    snapshot = gateway().catalog.snapshot()
    name = http.path.partition("/models/")[2]
    try:
        return _json(_model(snapshot, name, described(snapshot, http.identity, name)), http)
    except ModelNotFound as error:
        return refuse(dialects.get(CHAT), error, http)


def _model(snapshot: Snapshot, name: str, found: ModelInfo) -> dict[str, object]:
    return {"id": name, "object": "model", "created": _CREATED, "owned_by": snapshot.providers[found.provider_id].slug}


def _json(value: object, http: HttpCall) -> HttpReply:
    return HttpReply(headers=(JSON, *id_headers(http.id)), body=json.dumps(value))


# Google's own OpenAI-compatible prefix has the same endpoints: programs written for Gemini change only the host.
for prefix in ("/v1", "/v1beta/openai"):
    routes.add("POST", f"{prefix}/chat/completions", CHAT, chat_completions)
    routes.add("POST", f"{prefix}/embeddings", CHAT, embeddings)
    routes.add("GET", f"{prefix}/models", CHAT, models)
    routes.add("GET", f"{prefix}/models/(?P<id>[^:]+)", CHAT, model)
routes.add("POST", r"/v1/responses", RESPONSES, responses)
routes.add("POST", r"/v1/responses/input_tokens", RESPONSES, input_tokens)
routes.add("POST", r"/v1/responses/compact", RESPONSES, _compact.compact)
routes.add("GET", r"/v1/responses/(?!(?:input_tokens|compact)$)[^/]+", RESPONSES, _responses.retrieve)
routes.add("DELETE", r"/v1/responses/(?!(?:input_tokens|compact)$)[^/]+", RESPONSES, _responses.delete)
routes.add("GET", r"/v1/responses/[^/]+/input_items", RESPONSES, _responses.input_items)
routes.add("POST", r"/v1/responses/[^/]+/cancel", RESPONSES, _responses.cancel)
