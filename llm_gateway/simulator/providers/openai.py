"""OpenAI: chat completions, responses, embeddings and models under /openai/v1."""

from __future__ import annotations

import calendar
import re
import time
from typing import Any, ClassVar

from typing_extensions import override

from llm_gateway.simulator import ids
from llm_gateway.simulator.call import Call, Handler
from llm_gateway.simulator.catalogue import SNAPSHOTS, Model
from llm_gateway.simulator.checks.openai import check_chat, check_responses
from llm_gateway.simulator.http11 import Request
from llm_gateway.simulator.providers import openai_batches, openai_errors
from llm_gateway.simulator.providers.base import Provider
from llm_gateway.simulator.reply import Headers, Problem, Reply, json_reply
from llm_gateway.simulator.wires import embeddings, openai_chat, openai_responses

_REASONING = re.compile(r"(^|/)(gpt-[56]|o\d)")
_UNSUPPORTED = ("top_p", "presence_penalty", "frequency_penalty", "logprobs", "top_logprobs", "logit_bias", "stop")
FLAVOR = openai_chat.Flavor(openai_extras=True, choice_extras=(("logprobs", None),))


def reasons(model: str) -> bool:
    """Is it one of the reasoning families: o-series, gpt-5 and later?"""
    return _REASONING.search(model) is not None


def effort_of(model: str, asked: Any) -> str | None:
    """The effort to think with: none for other models, auto when a reasoning model is asked without one."""
    if not reasons(model):
        return None
    return str(asked) if asked else "auto"


class OpenAI(Provider):
    name: ClassVar[str] = "openai"
    base_path: ClassVar[str] = "/openai/v1"
    generation: ClassVar[tuple[str, ...]] = ("/chat/completions", "/responses", "/embeddings")

    @override
    def key(self, request: Request) -> str:
        return request.bearer

    @override
    def read(self, call: Call) -> None:
        if call.path != "/files":  # a form, no JSON
            super().read(call)

    @override
    def route(self, call: Call) -> Handler:
        method, path = call.request.method, call.path
        if path.startswith(("/files", "/batches")):
            return openai_batches.route(call, self.execute)
        posts = {
            "/chat/completions": self.chat,
            "/responses": self.responses,
            "/responses/input_tokens": self.input_tokens,
            "/embeddings": self.embeddings,
        }
        if path in posts:
            if method != "POST":
                raise Problem("method", f"{method} on {path}")
            return posts[path]
        if path == "/models" or path.startswith("/models/"):
            return self.models if path == "/models" else self.model
        raise Problem("unknown_path", f"{method} {call.request.path}")

    @override
    def refuse(self, problem: Problem, call: Call) -> Reply:
        if problem.kind in ("unknown_model", "retired_model") and call.path.startswith("/responses"):
            # The responses endpoint says 400 where chat says 404.
            text = f"The requested model '{problem.model}' does not exist."
            problem = Problem("unknown_model", text, param="model", status=problem.status or 400)
        if problem.kind == "filtered" and call.path.startswith("/responses"):
            problem = Problem(
                "filtered", "Invalid prompt: your prompt was flagged as potentially violating our usage policy.", code="invalid_prompt"
            )
        if problem.kind == "context" and not problem.param:
            problem.param = "input" if call.path.startswith("/responses") else "messages"
        return openai_errors.refuse(problem)

    @override
    def headers(self, call: Call) -> Headers:
        return (
            ("x-request-id", f"req_{ids.hexed(32)}"),
            ("openai-processing-ms", "12"),
            ("openai-version", "2020-10-01"),
            ("openai-organization", "org-simulated"),
            ("x-ratelimit-limit-requests", "5000"),
            ("x-ratelimit-remaining-requests", "4999"),
            ("x-ratelimit-reset-requests", "12ms"),
            ("x-ratelimit-limit-tokens", "2000000"),
            ("x-ratelimit-remaining-tokens", "1999000"),
            ("x-ratelimit-reset-tokens", "0s"),
        )

    def chat(self, call: Call) -> Reply:
        model = self.require_model(call)
        if model.embedding:
            text = "This is not a chat model and thus not supported in the v1/chat/completions endpoint."
            raise Problem("unknown_model", text, param="model")
        check_chat(call.body)
        if reasons(call.model):
            self._reject_for_reasoning(call.body)
        asked = openai_chat.ask(call.body, effort_of(call.model, call.body.get("reasoning_effort")))
        if asked.max_tokens is not None and asked.max_tokens > model.output:
            text = (
                f"max_tokens is too large: {asked.max_tokens}. This model supports at most {model.output} completion tokens, "
                f"whereas you provided {asked.max_tokens}."
            )
            raise Problem("bad_request", text, "max_tokens", "invalid_value")
        if asked.json_mode and asked.schema is None and not any("json" in text.lower() for text in asked.texts):
            text = "'messages' must contain the word 'json' in some form, to use 'response_format' of type 'json_object'."
            raise Problem("bad_request", text, "messages")
        return openai_chat.render(call, asked, call.answer(asked), FLAVOR, SNAPSHOTS.get(call.model, call.model))

    @staticmethod
    def _reject_for_reasoning(body: dict[str, Any]) -> None:
        if body.get("max_tokens") is not None:
            text = "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead."
            raise Problem("bad_request", text, "max_tokens", "unsupported_parameter")
        for name in _UNSUPPORTED:
            if body.get(name) not in (None, False) and not (name in ("top_p",) and body[name] == 1):
                text = f"Unsupported parameter: '{name}' is not supported with this model."
                raise Problem("bad_request", text, name, "unsupported_parameter")
        if body.get("temperature") not in (None, 1):
            text = (
                f"Unsupported value: 'temperature' does not support {body['temperature']} with this model. Only the default "
                "(1) value is supported."
            )
            raise Problem("bad_request", text, "temperature", "unsupported_value")

    def responses(self, call: Call) -> Reply:
        self.require_model(call)
        check_responses(call.body)
        reasoning = call.body.get("reasoning")
        effort = reasoning.get("effort") if isinstance(reasoning, dict) else None
        asked = openai_responses.ask(call.body, effort_of(call.model, effort))
        return openai_responses.render(call, asked, call.answer(asked), SNAPSHOTS.get(call.model, call.model))

    def input_tokens(self, call: Call) -> Reply:
        self.require_model(call)
        counted = openai_responses.ask(call.body, None).input_tokens()
        return json_reply({"object": "response.input_tokens", "input_tokens": counted})

    def embeddings(self, call: Call) -> Reply:
        self.require_model(call)
        if call.body.get("dimensions") is not None and "ada-002" in call.model:
            raise Problem("bad_request", "This model does not support specifying dimensions.", "dimensions")
        return embeddings.embed(call.body, 3072 if call.model.endswith("large") else 1536)

    def models(self, call: Call) -> Reply:
        listed = [self._described(one) for one in call.state.models(self.name) if not one.retired]
        return json_reply({"object": "list", "data": listed})

    def model(self, call: Call) -> Reply:
        call.model = call.path.removeprefix("/models/")
        return json_reply(self._described(self.require_model(call)))

    @staticmethod
    def _described(one: Model) -> dict[str, Any]:
        created = calendar.timegm(time.strptime(one.created[:10], "%Y-%m-%d"))
        return {"id": one.id, "object": "model", "created": created, "owned_by": "system", "shutdown_date": one.ends}
