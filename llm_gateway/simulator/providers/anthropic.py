"""Anthropic: messages, token counts and models under /anthropic/v1."""

from __future__ import annotations

import time
from typing import Any, ClassVar

from typing_extensions import override

from llm_gateway.simulator import ids
from llm_gateway.simulator.call import Call, Handler
from llm_gateway.simulator.catalogue import SNAPSHOTS, Model
from llm_gateway.simulator.checks.anthropic import check_messages
from llm_gateway.simulator.http11 import Request
from llm_gateway.simulator.providers import anthropic_batches
from llm_gateway.simulator.providers.base import Provider
from llm_gateway.simulator.reply import Headers, Problem, Reply, json_reply
from llm_gateway.simulator.wires import anthropic_messages, common

BAD = "invalid_request_error"
WORDS: dict[str, tuple[int, str, str]] = {
    "invalid_key": (401, "authentication_error", "invalid x-api-key"),
    "no_key": (401, "authentication_error", "x-api-key header is required"),
    "no_permission": (403, "permission_error", "Your API key does not have permission to use the specified resource."),
    "no_list": (403, "permission_error", "Your API key does not have permission to list models."),
    "region": (403, "forbidden", "Request not allowed"),
    "no_money": (
        400,
        BAD,
        "Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing to upgrade or purchase credits.",
    ),
    "billing": (402, "billing_error", "Your organization has an unpaid invoice."),
    "rate_limited": (
        429,
        "rate_limit_error",
        "This request would exceed the rate limit for your organization of 50 requests per minute. For details, refer to: "
        "https://docs.claude.com/en/api/rate-limits.",
    ),
    "unknown_model": (404, "not_found_error", "model: {model}"),
    "retired_model": (404, "not_found_error", "model: {model}"),
    "unknown_path": (404, "not_found_error", "Not found"),
    "method": (405, BAD, "Method Not Allowed"),
    "bad_json": (400, BAD, "The request body is not valid JSON: expected an object"),
    "bad_request": (400, BAD, "Invalid request."),
    "too_large": (413, "request_too_large", "Request exceeds the maximum size"),
    "context": (400, BAD, "prompt is too long: {used} tokens > {limit} maximum"),
    "filtered": (400, BAD, "Output blocked by content filtering policy"),
    "timeout": (504, "timeout_error", "The request timed out."),
    "conflict": (409, BAD, "The resource was modified by another request."),
    "overloaded": (529, "overloaded_error", "Overloaded"),
    "server": (500, "api_error", "Internal server error"),
}
_RETRY = frozenset({"rate_limited", "overloaded", "timeout"})
_FIVE = ("claude-sonnet-5", "claude-opus-5", "claude-haiku-5", "claude-fable-5", "claude-mythos-5", "claude-opus-4-7")


def _supported(yes: bool) -> dict[str, bool]:
    return {"supported": yes}


class Anthropic(Provider):
    name: ClassVar[str] = "anthropic"
    base_path: ClassVar[str] = "/anthropic"
    generation: ClassVar[tuple[str, ...]] = ("/v1/messages",)

    @override
    def key(self, request: Request) -> str:
        return request.headers.get("x-api-key", "") or request.bearer

    @override
    def route(self, call: Call) -> Handler:
        method, path = call.request.method, call.path
        if path.startswith("/v1/messages/batches"):
            return anthropic_batches.route(call, self.execute)
        posts = {"/v1/messages": self.messages, "/v1/messages/count_tokens": self.count_tokens}
        if path in posts:
            if method != "POST":
                raise Problem("method")
            return posts[path]
        if path == "/v1/models":
            return self.models
        if path.startswith("/v1/models/"):
            return self.model
        raise Problem("unknown_path")

    @override
    def refuse(self, problem: Problem, call: Call) -> Reply:
        return refuse(problem)

    @override
    def headers(self, call: Call) -> Headers:
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        limits = (("requests", "4000"), ("input-tokens", "400000"), ("output-tokens", "80000"), ("tokens", "480000"))
        return (
            ("request-id", f"req_011C{ids.base62(20)}"),
            ("anthropic-organization-id", "00000000-0000-0000-0000-000000000000"),
            *(
                (f"anthropic-ratelimit-{kind}-{part}", value)
                for kind, limit in limits
                for part, value in (("limit", limit), ("remaining", limit), ("reset", now))
            ),
        )

    @override
    def admit(self, call: Call) -> None:
        super().admit(call)
        if "anthropic-version" not in call.request.headers:
            raise Problem("bad_request", "anthropic-version: header is required")

    def messages(self, call: Call) -> Reply:
        if not call.model:
            raise Problem("bad_request", "model: Field required")
        model = self.require_model(call)
        asked = anthropic_messages.ask(call.body)
        check_messages(call.body)
        if asked.max_tokens is not None and asked.max_tokens > model.output:
            text = f"max_tokens: {asked.max_tokens} > {model.output}, which is the maximum allowed number of output tokens for "
            raise Problem("bad_request", text + call.model)
        self._check_family(call)
        return anthropic_messages.render(call, asked, call.answer(asked), SNAPSHOTS.get(call.model, call.model))

    @staticmethod
    def _check_family(call: Call) -> None:
        body = call.body
        if not call.model.startswith(_FIVE):
            return
        for name, default in (("temperature", 1), ("top_p", 1), ("top_k", 0)):
            if body.get(name) not in (None, default):
                raise Problem("bad_request", f"`{name}` is not supported for this model.")
        if common.obj(body.get("thinking")).get("type") == "enabled":
            raise Problem("bad_request", "thinking.type: enabled is not supported for this model; use adaptive.")
        if body["messages"][-1].get("role") == "assistant":
            raise Problem(
                "bad_request",
                "This model does not support assistant message prefill. The conversation must end with a user message.",
            )

    def count_tokens(self, call: Call) -> Reply:
        self.require_model(call)
        return json_reply({"input_tokens": anthropic_messages.ask(call.body, counting=True).input_tokens()})

    def models(self, call: Call) -> Reply:
        listed = [self._described(one) for one in call.state.models(self.name)]
        after, limit = call.request.query.get("after_id"), call.request.query.get("limit", "20")
        if not limit.isdigit() or not 1 <= int(limit) <= 1000:
            raise Problem("bad_request", "limit: Input should be between 1 and 1000")
        if after:
            place = next((at for at, one in enumerate(listed) if one["id"] == after), len(listed) - 1)
            listed = listed[place + 1 :]
        page = listed[: int(limit)]
        return json_reply(
            {
                "data": page,
                "has_more": len(listed) > len(page),
                "first_id": page[0]["id"] if page else None,
                "last_id": page[-1]["id"] if page else None,
            }
        )

    def model(self, call: Call) -> Reply:
        call.model = call.path.removeprefix("/v1/models/")
        found = call.state.find_model(self.name, call.model)
        if found is None:
            raise Problem("unknown_model", model=call.model)
        return json_reply(self._described(found))

    @staticmethod
    def _described(one: Model) -> dict[str, Any]:
        lifecycle = "retired" if one.retired else "deprecated" if one.ends else "active"
        modern = one.id.startswith(_FIVE)
        efforts = {level: _supported(modern) for level in ("low", "medium", "high", "xhigh", "max")}
        thinking = {"types": {"adaptive": _supported(modern), "enabled": _supported(not modern)}}
        return {
            "type": "model",
            "id": one.id,
            "display_name": one.title or one.id,
            "created_at": one.created,
            "max_input_tokens": one.context,
            "max_tokens": one.output,
            "capabilities": {
                "batch": _supported(True),
                "citations": _supported(True),
                "code_execution": _supported(False),
                "context_management": _supported(False),
                "effort": {**_supported(modern), **efforts},
                "image_input": _supported(True),
                "pdf_input": _supported(True),
                "server_tools": _supported(False),
                "structured_outputs": _supported(True),
                "thinking": {**_supported(True), **thinking},
            },
            "lifecycle": lifecycle,
            "line": one.id.split("-")[1] if one.id.count("-") and not one.id.startswith("claude-3") else None,
            "deprecated_at": "2026-06-01T00:00:00Z" if one.ends else None,
            "retires_at": f"{one.ends}T00:00:00Z" if one.ends else None,
        }


def refuse(problem: Problem) -> Reply:
    """Anthropic's error body, with x-should-retry as it sends it."""
    status, kind, message = WORDS.get(problem.kind, WORDS["server"])
    message = problem.worded(message)
    status = problem.status or status
    body = {
        "type": "error",
        "error": {"type": kind if problem.kind == "invalid_key" else problem.code or kind, "message": message},
        "request_id": f"req_011C{ids.base62(20)}",
    }
    retry = "true" if problem.kind in _RETRY or status >= 500 else "false"
    return json_reply(body, status, (*problem.headers, ("x-should-retry", retry)))
