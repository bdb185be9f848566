"""Endpoints that programs ask for and that no gateway for chat and code can serve: each says so, and what there is instead."""

from __future__ import annotations

from typing import Final

from llm_gateway.api.http import HttpCall, HttpReply
from llm_gateway.core.errors import NotFound
from llm_gateway.wires import dialects

from ._generate import refuse
from ._routes import routes

_OPENAI, _RESPONSES, _ANTHROPIC, _GEMINI = "openai_chat", "openai_responses", "anthropic_messages", "gemini_generate"
_METHODS: Final = ("GET", "POST", "PUT", "PATCH", "DELETE")
_CHAT = "chat is at /v1/chat/completions, /v1/responses, /v1/messages and /v1beta/models/MODEL:generateContent"


class NotServed(NotFound):
    """A known endpoint of a dialect that this gateway does not have."""

    code = "endpoint_not_served"


# (paths, dialect of the error, what it is, what there is instead, a header it must carry)
_KNOWN: Final[tuple[tuple[str, str, str, str, str | None], ...]] = (
    (r"/v1/chat/completions/.+", _OPENAI, "Stored chat completions", "answers of /v1/responses are stored: GET /v1/responses/ID", None),
    (r"/v1/moderations", _OPENAI, "Moderation", f"ask a model to judge the text; {_CHAT}", None),
    (r"/v1/audio/.+", _OPENAI, "Audio", "models that hear take recordings as `input_audio` parts of /v1/chat/completions", None),
    (r"/v1/images/.+", _OPENAI, "Picture generation", "pictures can be sent in messages, and models write SVG as text", None),
    (r"/v1/videos(?:/.+)?", _OPENAI, "Video generation", _CHAT, None),
    (r"/v1/rerank", _OPENAI, "Reranking", "/v1/embeddings has vectors to rank by", None),
    (r"/v1/conversations(?:/.+)?", _RESPONSES, "Conversations", "go on with `previous_response_id` of /v1/responses", None),
    (r"/v1/(?:assistants|threads)(?:/.+)?", _OPENAI, "Assistants", "use /v1/responses with tools and `previous_response_id`", None),
    (r"/v1/vector_stores(?:/.+)?", _OPENAI, "Vector stores", "/v1/embeddings has the vectors; keep them yourself", None),
    (r"/v1/(?:fine_tuning|evals|graders|containers|skills|chatkit|realtime)(?:/.+)?", _OPENAI, "This endpoint", _CHAT, None),
    (r"/v1/files(?:/.*)?", _ANTHROPIC, "Anthropic's files", "put the content into the message", "anthropic-version"),
    (r"/v1/uploads(?:/.*)?", _OPENAI, "Uploads in parts", "send the file whole to /v1/files", None),
    (r"/v1/complete", _ANTHROPIC, "Anthropic's legacy completions", "use /v1/messages", None),
    (r"/v1beta/interactions(?:/.+)?", _GEMINI, "Interactions", "use generateContent, or /v1/responses, which keeps turns", None),
    (r"/v1beta/cachedContents(?:/.+)?", _GEMINI, "Explicit caches", "send the contents whole: providers cache by themselves", None),
)  # fmt: skip


def _add(pattern: str, dialect: str, what: str, instead: str, when: str | None) -> None:
    async def endpoint(http: HttpCall) -> HttpReply:
        error = NotServed(f"{what}: this gateway does not serve {http.path[:100]}. Instead: {instead}.")
        return refuse(dialects.get(dialect), error, http)

    for method in _METHODS:
        routes.add(method, pattern, dialect, endpoint, when=when)


for known in _KNOWN:
    _add(*known)
