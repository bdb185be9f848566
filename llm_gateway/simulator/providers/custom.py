"""A lenient OpenAI-compatible host under /custom/v1, in the manner of vLLM: no key needed, FastAPI's validation errors."""

from __future__ import annotations

from typing import Any, ClassVar

from typing_extensions import override

from llm_gateway.simulator.call import Call, Handler
from llm_gateway.simulator.catalogue import Model
from llm_gateway.simulator.checks import hosts
from llm_gateway.simulator.http11 import Request
from llm_gateway.simulator.providers import custom_quirks
from llm_gateway.simulator.providers.base import Provider
from llm_gateway.simulator.providers.fireworks import effort_of
from llm_gateway.simulator.reply import Headers, Problem, Reply, json_reply
from llm_gateway.simulator.wires import embeddings, openai_chat, openai_responses

FLAVOR = openai_chat.Flavor(id_prefix="chatcmpl-", reasoning_field="reasoning_content")
_STATUS = {
    "no_permission": 403,
    "no_list": 403,
    "region": 403,
    "no_money": 402,
    "billing": 402,
    "rate_limited": 429,
    "unknown_model": 404,
    "retired_model": 404,
    "too_large": 413,
    "context": 400,
    "filtered": 400,
    "timeout": 504,
    "conflict": 409,
    "overloaded": 503,
    "server": 500,
}
_TEXT = {
    "no_permission": "This token may not use the model.",
    "no_money": "Insufficient Balance",
    "rate_limited": "Too many requests",
    "unknown_model": "The model `{model}` does not exist.",
    "retired_model": "The model `{model}` does not exist.",
    "context": "This model's maximum context length is {limit} tokens. However, you requested {used} tokens in the messages. "
    "Please reduce the length of the messages.",
    "filtered": "The request was rejected by the content filter.",
    "overloaded": "The server is overloaded, please try again later.",
}
_CODES = {"filtered": "content_filter"}


class Custom(Provider):
    name: ClassVar[str] = "custom"
    base_path: ClassVar[str] = "/custom/v1"
    generation: ClassVar[tuple[str, ...]] = ("/chat/completions", "/responses", "/embeddings")
    key_optional: ClassVar[bool] = True

    @override
    def key(self, request: Request) -> str:
        return request.bearer

    @override
    def route(self, call: Call) -> Handler:
        method, path = call.request.method, call.path
        posts = {"/chat/completions": self.chat, "/responses": self.responses, "/embeddings": self.embeddings}
        if path in posts:
            if method != "POST":
                raise Problem("method")
            return posts[path]
        if path == "/models":
            return self.models
        if path.startswith("/models/"):
            return self.model
        raise Problem("unknown_path")

    @override
    def refuse(self, problem: Problem, call: Call) -> Reply:
        if problem.kind in ("invalid_key", "no_key"):
            return json_reply({"error": problem.message or "Unauthorized"}, problem.status or 401)
        if problem.kind in ("unknown_path", "method"):
            missing = problem.kind == "unknown_path"
            return json_reply({"detail": "Not Found" if missing else "Method Not Allowed"}, 404 if missing else 405)
        if problem.kind == "bad_json":
            detail = [{"type": "json_invalid", "loc": ["body", 0], "msg": "JSON decode error", "input": {}}]
            return json_reply({"detail": detail}, 422)
        if problem.kind == "bad_request":
            where = ["body", *(problem.param or "").split(".")]
            text = problem.message or "Invalid"
            wrong: dict[str, Any] = {"type": problem.code or "value_error", "loc": where, "msg": text, "input": None}
            return json_reply({"detail": [wrong]}, problem.status or 422, problem.headers)
        status = problem.status or _STATUS.get(problem.kind, 500)
        text = problem.worded(_TEXT.get(problem.kind, "Internal Server Error"))
        kind = {404: "NotFoundError", 400: "BadRequestError", 429: "RateLimitError"}.get(status, "InternalServerError")
        code: Any = problem.code or _CODES.get(problem.kind, status)
        body = {"object": "error", "message": text, "type": kind, "param": problem.param, "code": code}
        return json_reply(body, status, problem.headers)

    @override
    def headers(self, call: Call) -> Headers:
        return (("server", "uvicorn"),)

    def chat(self, call: Call) -> Reply:
        self.require_model(call)
        hosts.check(call.body, call.model)
        asked = openai_chat.ask(call.body, effort_of(call.body, call.model) or ("low" if hosts.thinks(call.model) else None))
        reply = openai_chat.render(call, asked, call.answer(asked), FLAVOR, call.model)
        return custom_quirks.bend(reply, call.model) if custom_quirks.MARK in call.model else reply

    def responses(self, call: Call) -> Reply:
        self.require_model(call)
        asked = openai_responses.ask(call.body, None)
        return openai_responses.render(call, asked, call.answer(asked), call.model)

    def embeddings(self, call: Call) -> Reply:
        self.require_model(call)
        return embeddings.embed(call.body, 384)

    def models(self, call: Call) -> Reply:
        listed = [self._described(one) for one in call.state.models(self.name) if not one.retired]
        return json_reply({"object": "list", "data": listed})

    def model(self, call: Call) -> Reply:
        call.model = call.path.removeprefix("/models/")
        return json_reply(self._described(self.require_model(call)))

    @staticmethod
    def _described(one: Model) -> dict[str, Any]:
        return {"id": one.id, "object": "model", "created": 1780000000, "owned_by": "vllm", "max_model_len": one.context}
