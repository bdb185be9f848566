"""Google Gemini, Developer API: generateContent and its kin under /gemini/v1beta. An invalid key is a 400 here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from typing_extensions import override

from llm_gateway.simulator import tokens
from llm_gateway.simulator.call import Call, Handler
from llm_gateway.simulator.catalogue import Model
from llm_gateway.simulator.checks.gemini import check_generate
from llm_gateway.simulator.http11 import Request
from llm_gateway.simulator.providers import gemini_batches
from llm_gateway.simulator.providers.base import Provider
from llm_gateway.simulator.reply import Headers, Problem, Reply, dump, json_reply
from llm_gateway.simulator.wires import common, embeddings, gemini_generate

_RPC = "type.googleapis.com/google.rpc."
_SERVICE = {"service": "generativelanguage.googleapis.com"}
_GENERATES = (":generateContent", ":streamGenerateContent", ":embedContent", ":batchEmbedContents")
_STATUS = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    409: "ABORTED",
    429: "RESOURCE_EXHAUSTED",
    499: "CANCELLED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
_KEY_BAD = "API key not valid. Please pass a valid API key."
WORDS: dict[str, tuple[int, str]] = {
    "invalid_key": (400, _KEY_BAD),
    "no_key": (
        403,
        "Method doesn't allow unregistered callers (callers without established identity). Please use API Key or other form "
        "of API consumer identity to call this API.",
    ),
    "no_permission": (403, "Requests to this API method are blocked."),
    "no_list": (403, "Requests to this API method are blocked."),
    "region": (400, "User location is not supported for the API use."),
    "no_money": (
        429,
        "You exceeded your current quota, please check your plan and billing details. For more information on this error, "
        "head to: https://ai.google.dev/gemini-api/docs/rate-limits.",
    ),
    "billing": (402, "Billing is required for this project."),
    "rate_limited": (429, "Resource exhausted. Please try again later."),
    "unknown_model": (
        404,
        "models/{model} is not found for API version v1beta, or is not supported for {method}. Call ListModels to see the "
        "list of available models and their supported methods.",
    ),
    "unknown_path": (404, "Requested entity was not found."),
    "method": (404, "Requested entity was not found."),
    "bad_json": (400, "Invalid JSON payload received. Unexpected end of string. Expected an object."),
    "bad_request": (400, "Request contains an invalid argument."),
    "too_large": (413, "Request payload size exceeds the limit."),
    "context": (400, "The input token count ({used}) exceeds the maximum number of tokens allowed ({limit})."),
    "timeout": (504, "Deadline expired before operation could complete."),
    "conflict": (409, "The operation was aborted."),
    "overloaded": (503, "The model is overloaded. Please try again later."),
    "server": (500, "An internal error has occurred. Please retry or report in https://developers.generativeai.google/"),
}


class Gemini(Provider):
    name: ClassVar[str] = "gemini"
    base_path: ClassVar[str] = "/gemini/v1beta"
    # google-genai 3.4 speaks v1 unless told otherwise.
    also: ClassVar[tuple[str, ...]] = ("/gemini/v1",)
    generation: ClassVar[tuple[str, ...]] = _GENERATES

    @override
    def key(self, request: Request) -> str:
        return request.headers.get("x-goog-api-key", "") or request.query.get("key", "") or request.bearer

    @override
    def read(self, call: Call) -> None:
        super().read(call)
        if call.path.startswith("/models/"):
            name, _, method = call.path.removeprefix("/models/").rpartition(":")
            # A fault name has colons of its own; only what follows the last one can be a method.
            call.model = name if call.request.method == "POST" else call.path.removeprefix("/models/")
            call.stream = method == "streamGenerateContent"
            if method == "batchGenerateContent":
                # A fault in the name is its lines', not the batch's.
                call.model = ""

    @override
    def route(self, call: Call) -> Handler:
        method, path = call.request.method, call.path
        if path == "/models" and method in ("GET", "HEAD"):
            return self.models
        if path.startswith("/batches") or path.endswith(":batchGenerateContent"):
            return gemini_batches.route(call, self.execute)
        if not path.startswith("/models/"):
            raise Problem("unknown_path")
        if method in ("GET", "HEAD"):
            return self.model
        handlers: dict[str, Callable[[Call], Reply]] = {
            "generateContent": self.generate,
            "streamGenerateContent": self.generate,
            "countTokens": self.count_tokens,
            "embedContent": self.embed,
            "batchEmbedContents": self.batch_embed,
        }
        name = path.rpartition(":")[2]
        if method != "POST" or name not in handlers:
            raise Problem("unknown_path")
        return handlers[name]

    @override
    def refuse(self, problem: Problem, call: Call) -> Reply:
        kind = "unknown_model" if problem.kind == "retired_model" else problem.kind
        if kind == "filtered":
            return self._blocked(call)
        status, words = WORDS.get(kind, WORDS["server"])
        if problem.code == "expired":
            problem = Problem("invalid_key", "API key expired. Please renew the API key.")
            details_of_key = "API_KEY_EXPIRED"
        else:
            details_of_key = "API_KEY_INVALID" if kind == "invalid_key" else "API_KEY_SERVICE_BLOCKED"
        if kind == "region":
            problem.code = "FAILED_PRECONDITION"
        method = call.path.rpartition(":")[2]
        message = problem.worded(words).replace("{method}", method)
        status = problem.status or status
        error: dict[str, Any] = {"code": status, "message": message, "status": problem.code or _STATUS.get(status, "UNKNOWN")}
        details = self._details(kind, problem, details_of_key)
        if details:
            error["details"] = details
        array = call.stream and call.request.query.get("alt") != "sse"
        body = dump([{"error": error}] if array else {"error": error})
        kind_of_body = "text/event-stream" if call.stream and not array else "application/json; charset=UTF-8"
        # Google sends no retry-after: the wait stands in RetryInfo.
        headers = tuple(pair for pair in problem.headers if pair[0] != "retry-after")
        return Reply(status=status, body=body, content_type=kind_of_body, headers=headers)

    @staticmethod
    def _details(kind: str, problem: Problem, reason: str) -> list[dict[str, Any]]:
        if kind in ("invalid_key", "no_permission", "no_list"):
            info = {"@type": _RPC + "ErrorInfo", "reason": reason, "domain": "googleapis.com", "metadata": _SERVICE}
            said = {"@type": _RPC + "LocalizedMessage", "locale": "en-US", "message": problem.message or WORDS[kind][1]}
            return [info, said]
        if kind in ("rate_limited", "no_money"):
            per = "PerDay" if kind == "no_money" else "PerMinute"
            violation = {
                "quotaMetric": "generativelanguage.googleapis.com/generate_content_requests",
                "quotaId": f"GenerateRequests{per}PerProjectPerModel",
                "quotaDimensions": {"location": "global"},
                "quotaValue": "0" if kind == "no_money" else "150",
            }
            wait = next((value for name, value in problem.headers if name == "retry-after"), "")
            found: list[dict[str, Any]] = [{"@type": _RPC + "QuotaFailure", "violations": [violation]}]
            if wait and kind == "rate_limited":
                found.append({"@type": _RPC + "RetryInfo", "retryDelay": f"{wait}s"})
            return found
        return []

    @staticmethod
    def _blocked(call: Call) -> Reply:
        """A blocked prompt is a 200 without candidates."""
        body = dump(
            {
                "promptFeedback": {"blockReason": "PROHIBITED_CONTENT"},
                "usageMetadata": {"promptTokenCount": 8, "totalTokenCount": 8},
                "modelVersion": call.model,
                "responseId": "simulatedblocked",
            }
        )
        if call.stream and call.request.query.get("alt") == "sse":
            return Reply(body=b"data: " + body + b"\r\n\r\n", content_type="text/event-stream")
        return Reply(body=b"[" + body + b"]" if call.stream else body, content_type="application/json; charset=UTF-8")

    @override
    def headers(self, call: Call) -> Headers:
        return (("server", "scaffolding on HTTPServer2"), ("vary", "Origin, X-Origin, Referer"), ("x-xss-protection", "0"))

    def generate(self, call: Call) -> Reply:
        model = self.require_model(call)
        asked = gemini_generate.ask(call.body, call.model, call.stream)
        if asked.max_tokens is not None and asked.max_tokens > model.output:
            text = (
                f"Unable to submit request because it has a maxOutputTokens value of {asked.max_tokens} but the supported range is "
                f"from 1 (inclusive) to {model.output + 1} (exclusive). Update the value and try again."
            )
            raise Problem("bad_request", text)
        check_generate(call.body, call.model)
        return gemini_generate.render(call, asked, call.answer(asked), call.request.query.get("alt") == "sse")

    def count_tokens(self, call: Call) -> Reply:
        self.require_model(call)
        inner = call.body.get("generateContentRequest") or call.body
        counted = gemini_generate.ask(inner, call.model, False).input_tokens()
        details = [{"modality": "TEXT", "tokenCount": counted}]
        return json_reply({"totalTokens": counted, "promptTokensDetails": details})

    def embed(self, call: Call) -> Reply:
        self.require_model(call)
        values, counted = self._embedded(call.body)
        return json_reply({"embedding": {"values": values}}, billed=(counted, 0))

    def batch_embed(self, call: Call) -> Reply:
        self.require_model(call)
        requests = call.body.get("requests")
        if not isinstance(requests, list) or not requests:
            raise Problem("bad_request", "* BatchEmbedContentsRequest.requests: requests is not specified\n")
        made = [self._embedded(one) for one in requests if isinstance(one, dict)]
        total = sum(counted for _, counted in made)
        body: dict[str, Any] = {"embeddings": [{"values": values} for values, _ in made]}
        if call.model.endswith("-2"):
            body["usageMetadata"] = {"promptTokenCount": total, "totalTokenCount": total}
        return json_reply(body, billed=(total, 0))

    @staticmethod
    def _embedded(body: dict[str, Any]) -> tuple[list[float], int]:
        content = body.get("content")
        if not isinstance(content, dict):
            raise Problem("bad_request", "* EmbedContentRequest.content: contents is not specified\n")
        text = common.text_of(content.get("parts"))
        dimensions = common.whole_number(body, "outputDimensionality") or 3072
        return embeddings.vector(text, min(dimensions, 3072)), tokens.count(text)

    def models(self, call: Call) -> Reply:
        listed = [one for one in call.state.models(self.name) if not one.retired]
        size, token = call.request.query.get("pageSize", "50"), call.request.query.get("pageToken", "0")
        if not size.isdigit() or not token.isdigit():
            raise Problem("bad_request")
        start, count = int(token), max(1, min(int(size), 1000))
        page: dict[str, Any] = {"models": [self._described(one) for one in listed[start : start + count]]}
        if start + count < len(listed):
            page["nextPageToken"] = str(start + count)
        return json_reply(page)

    def model(self, call: Call) -> Reply:
        call.model = call.path.removeprefix("/models/")
        return json_reply(self._described(self.require_model(call)))

    @staticmethod
    def _described(one: Model) -> dict[str, Any]:
        methods = ["embedContent", "batchEmbedContents"] if one.embedding else ["generateContent", "countTokens"]
        return {
            "name": f"models/{one.id}",
            "version": "001",
            "displayName": one.title or one.id,
            "description": f"{one.title or one.id}, simulated.",
            "inputTokenLimit": one.context,
            "outputTokenLimit": one.output,
            "supportedGenerationMethods": methods,
            "temperature": 1,
            "topP": 0.95,
            "topK": 64,
            "maxTemperature": 2,
            "thinking": not one.embedding,
        }
