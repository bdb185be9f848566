"""Fireworks: the OpenAI wire with strict fields and a cap on unstreamed answers, under /fireworks/inference/v1.

The Anthropic-compatible endpoint (/messages) is served too, and the control plane's model list beside it.
"""

from __future__ import annotations

from typing import Any, ClassVar

from typing_extensions import override

from llm_gateway.simulator import ids
from llm_gateway.simulator.call import Call, Handler
from llm_gateway.simulator.catalogue import FIREWORKS, Model
from llm_gateway.simulator.checks.fireworks import check_fields
from llm_gateway.simulator.http11 import Request
from llm_gateway.simulator.providers import anthropic as anthropic_provider
from llm_gateway.simulator.providers.base import Provider
from llm_gateway.simulator.reply import Headers, Problem, Reply, json_reply
from llm_gateway.simulator.wires import anthropic_messages, embeddings, openai_chat

CAP = 4096
CONTROL = "/fireworks/v1/accounts/fireworks/models"
FLAVOR = openai_chat.Flavor(id_prefix="", reasoning_field="reasoning_content", choice_extras=(("raw_output", None),))
OLD = openai_chat.Flavor(id_prefix="", reasoning_field="reasoning_content", usage_at_finish=True)
WORDS: dict[str, tuple[int, str, str]] = {
    "invalid_key": (401, "UNAUTHORIZED", "The API key you provided is invalid."),
    "no_key": (401, "UNAUTHORIZED", "Missing API key: pass it as a bearer token in the Authorization header."),
    "no_permission": (403, "FORBIDDEN", "This API key has no permission for the requested resource."),
    "no_list": (500, "INTERNAL", "Error listing deployed models"),
    "region": (403, "FORBIDDEN", "This service is not available in your region."),
    "no_money": (
        412,
        "PRECONDITION_FAILED",
        "Account simulated is suspended, possibly due to reaching the monthly spending limit or failure to pay past invoices. "
        "Please go to https://fireworks.ai/account/billing for more information.",
    ),
    "billing": (402, "PAYMENT_REQUIRED", "This account is not on a paid plan."),
    "rate_limited": (429, "RESOURCE_EXHAUSTED", "Rate limit exceeded, please try again later"),
    "unknown_model": (404, "NOT_FOUND", "Model not found, inaccessible, and/or not deployed"),
    "retired_model": (404, "NOT_FOUND", "Model not found, inaccessible, and/or not deployed"),
    "unknown_path": (404, "NOT_FOUND", "Path not found"),
    "method": (405, "METHOD_NOT_ALLOWED", "Method Not Allowed"),
    "bad_json": (400, "BAD_REQUEST", "Request body is not valid JSON"),
    "too_large": (413, "REQUEST_TOO_LARGE", "Request body is too large"),
    "context": (400, "BAD_REQUEST", "The prompt is too long: {used}, model maximum context length: {limit}"),
    "filtered": (400, "BAD_REQUEST", "The request was rejected by the content filter"),
    "timeout": (408, "TIMEOUT", "Request timed out"),
    "conflict": (409, "CONFLICT", "The resource was modified by another request"),
    "overloaded": (503, "UNAVAILABLE", "Service is overloaded, please try again later"),
    "server": (500, "INTERNAL", "Internal server error"),
}
_THINKERS = ("deepseek", "gpt-oss", "minimax", "kimi-k3", "thinking", "reason")


def effort_of(body: dict[str, Any], model: str) -> str | None:
    """How these hosts are told to reason: by effort, by a thinking object, or by the model's own habit."""
    effort, thinking = body.get("reasoning_effort"), body.get("thinking")
    if effort in (False, "none") or (isinstance(thinking, dict) and thinking.get("type") == "disabled"):
        return None
    if effort is not None and effort is not True:
        return str(effort)
    if effort is True or isinstance(thinking, dict) or any(word in model for word in _THINKERS):
        return "auto"
    return None


class Fireworks(Provider):
    name: ClassVar[str] = "fireworks"
    base_path: ClassVar[str] = "/fireworks/inference/v1"
    generation: ClassVar[tuple[str, ...]] = ("/chat/completions", "/completions", "/embeddings", "/messages")

    @override
    def key(self, request: Request) -> str:
        return request.bearer or request.headers.get("x-api-key", "")

    @override
    def read(self, call: Call) -> None:
        super().read(call)
        short = call.model.removeprefix("fireworks/")
        if short != call.model:
            call.model = FIREWORKS + short

    @override
    def route(self, call: Call) -> Handler:
        method, path = call.request.method, call.path
        if call.request.path == CONTROL:
            return self.control_models
        posts = {
            "/chat/completions": self.chat,
            "/completions": self.completions,
            "/embeddings": self.embeddings,
            "/messages": self.messages,
        }
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
        if call.path == "/messages":
            return anthropic_provider.refuse(problem)
        if problem.kind == "bad_request":
            error: dict[str, Any] = {
                "object": "error",
                "type": "invalid_request_error",
                "code": "invalid_request_error",
                "message": problem.message or "Invalid request",
            }
            if problem.code == "BAD_REQUEST":
                error = {"message": problem.message, "param": problem.param, "code": "BAD_REQUEST", "type": "error"}
            return json_reply({"error": error}, problem.status or 400, problem.headers)
        status, code, words = WORDS.get(problem.kind, WORDS["server"])
        param = "model" if problem.kind in ("unknown_model", "retired_model") else problem.param
        told = code if problem.kind == "invalid_key" else problem.code or code
        fault: dict[str, Any] = {"message": problem.worded(words), "param": param, "code": told, "type": "error"}
        body = {"error": fault, "request_id": ids.base62(16)}
        return json_reply(body, problem.status or status, problem.headers)

    @override
    def headers(self, call: Call) -> Headers:
        over = "yes" if "limited" in call.key else "no"
        return (
            ("x-ratelimit-limit-requests", "600"),
            ("x-ratelimit-remaining-requests", "599"),
            ("x-ratelimit-limit-tokens-prompt", "60000"),
            ("x-ratelimit-remaining-tokens-prompt", "59000"),
            ("x-ratelimit-limit-tokens-generated", "6000"),
            ("x-ratelimit-remaining-tokens-generated", "5900"),
            ("x-ratelimit-over-limit", over),
            ("fireworks-server-time-to-first-token", "0.030"),
        )

    def chat(self, call: Call) -> Reply:
        check_fields(call.body)
        self.require_model(call)
        body = call.body
        if body.get("max_tokens") is not None and body.get("max_completion_tokens") is not None:
            raise Problem("bad_request", "Only one of max_tokens and max_completion_tokens may be set", code="BAD_REQUEST")
        asked = openai_chat.ask(body, effort_of(body, call.model))
        if asked.max_tokens is not None and asked.max_tokens > CAP and not asked.stream:
            text = f"Requests with max_tokens > {CAP} must have stream=true"
            raise Problem("bad_request", text, "max_tokens", "BAD_REQUEST")
        made = call.answer(asked)
        headers = (
            ("fireworks-prompt-tokens", str(made.usage.input)),
            ("fireworks-cached-prompt-tokens", str(made.usage.cache_read)),
        )
        flavor = OLD if "deepseek-r1" in call.model or "legacy" in call.model else FLAVOR
        return openai_chat.render(call, asked, made, flavor, call.model, headers=headers)

    def completions(self, call: Call) -> Reply:
        """The legacy text endpoint, unstreamed."""
        self.require_model(call)
        prompt = call.body.get("prompt")
        text = prompt if isinstance(prompt, str) else "\n".join(map(str, prompt or ()))
        plain: dict[str, Any] = {name: call.body[name] for name in ("model", "max_tokens", "stop", "n") if name in call.body}
        asked = openai_chat.ask({**plain, "messages": [{"role": "user", "content": text}]}, None)
        made = call.answer(asked)
        choices = [
            {"index": at, "text": one.text, "logprobs": None, "finish_reason": openai_chat.FINISH[one.finish]}
            for at, one in enumerate(made.choices)
        ]
        body = {"id": ids.base62(20), "object": "text_completion", "created": 0, "model": call.model, "choices": choices}
        counted = openai_chat.usage(made.usage, FLAVOR)
        return json_reply({**body, "usage": counted}, billed=(made.usage.input, made.usage.output))

    def messages(self, call: Call) -> Reply:
        self.require_model(call)
        asked = anthropic_messages.ask(call.body)
        return anthropic_messages.render(call, asked, call.answer(asked), call.model)

    def embeddings(self, call: Call) -> Reply:
        self.require_model(call)
        return embeddings.embed(call.body, 1024)

    def models(self, call: Call) -> Reply:
        listed = [self._described(one) for one in call.state.models(self.name) if not one.retired]
        return json_reply({"object": "list", "data": listed})

    def model(self, call: Call) -> Reply:
        call.model = call.path.removeprefix("/models/")
        return json_reply(self._described(self.require_model(call)))

    def control_models(self, call: Call) -> Reply:
        """The control plane's list: another shape, the same models."""
        listed = [
            {"name": one.id, "displayName": one.title, "state": "READY", "contextLength": one.context, "kind": "HF_BASE_MODEL"}
            for one in call.state.models(self.name)
            if not one.retired
        ]
        size = call.request.query.get("pageSize", "50")
        count = int(size) if size.isdigit() else 50
        token = "page-2" if count < len(listed) else ""
        return json_reply({"models": listed[:count], "nextPageToken": token, "totalSize": len(listed)})

    @staticmethod
    def _described(one: Model) -> dict[str, Any]:
        return {
            "id": one.id,
            "object": "model",
            "owned_by": "fireworks",
            "created": 1780000000,
            "kind": "HF_BASE_MODEL",
            "supports_chat": not one.embedding,
            "supports_image_input": False,
            "supports_tools": not one.embedding,
            "context_length": one.context,
        }
