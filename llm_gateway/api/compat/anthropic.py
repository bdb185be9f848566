"""Anthropic's paths: messages, token counts, model lists."""

from __future__ import annotations

from datetime import UTC, datetime

from llm_gateway.api.http import JSON, HttpCall, HttpReply, id_headers, page_size
from llm_gateway.core import json
from llm_gateway.core.catalog import ModelInfo
from llm_gateway.core.errors import ModelNotFound
from llm_gateway.engine.resolve import described, usable_names
from llm_gateway.wires import dialects
from llm_gateway.wiring import gateway

from ._count import count
from ._generate import generate, refuse
from ._routes import routes

MESSAGES = "anthropic_messages"
_CREATED = datetime(2023, 11, 14, tzinfo=UTC).isoformat().replace("+00:00", "Z")


async def messages(http: HttpCall) -> HttpReply:
    return await generate(http, dialects.get(MESSAGES), {"kind": "chat"})


async def count_tokens(http: HttpCall) -> HttpReply:
    return await count(http, dialects.get(MESSAGES), {"kind": "count_tokens"})


async def models(http: HttpCall) -> HttpReply:
    snapshot = gateway().catalog.snapshot()
    names = sorted(set(usable_names(snapshot, http.identity)))
    after, before = http.query.get("after_id"), http.query.get("before_id")
    limit = page_size(http.query.get("limit"), usual=20, most=1000)
    if after in names:
        names = names[names.index(after) + 1 :]
    if before in names:
        names = names[: names.index(before)][-limit:]
    page = names[:limit]
    listed = {
        "data": [_model(name, described(snapshot, http.identity, name)) for name in page],
        "has_more": len(names) > len(page),
        "first_id": page[0] if page else None,
        "last_id": page[-1] if page else None,
    }
    return _json(listed, http)


async def model(http: HttpCall) -> HttpReply:
    snapshot = gateway().catalog.snapshot()
    name = http.path.removeprefix("/v1/models/")
    try:
        return _json(_model(name, described(snapshot, http.identity, name)), http)
    except ModelNotFound as error:
        return refuse(dialects.get(MESSAGES), error, http)


def _model(name: str, found: ModelInfo) -> dict[str, object]:
    return {
        "type": "model",
        "id": name,
        "display_name": found.title,
        "created_at": _CREATED,
        "max_input_tokens": found.context_window,
        "max_tokens": found.max_output_tokens,
        "lifecycle": found.lifecycle.value,
    }


def _json(value: object, http: HttpCall) -> HttpReply:
    return HttpReply(headers=(JSON, *id_headers(http.id)), body=json.dumps(value))


routes.add("POST", r"/v1/messages", MESSAGES, messages)
routes.add("POST", r"/v1/messages/count_tokens", MESSAGES, count_tokens)
routes.add("GET", r"/v1/models", MESSAGES, models, when="anthropic-version")
routes.add("GET", r"/v1/models/(?P<id>[^:]+)", MESSAGES, model, when="anthropic-version")
