"""OpenAI's error bodies, by kind of problem; also the base of what compatible hosts say."""

from __future__ import annotations

from dataclasses import dataclass

from llm_gateway.simulator import ids
from llm_gateway.simulator.reply import Problem, Reply, json_reply

QUOTA = (
    "You exceeded your current quota, please check your plan and billing details. For more information on this error, "
    "read the docs: https://platform.openai.com/docs/guides/error-codes/api-errors."
)
PLAIN_503 = b"upstream connect error or disconnect/reset before headers. reset reason: connection termination"


@dataclass(frozen=True, slots=True)
class Words:
    status: int
    type: str
    code: str | None
    message: str


_BAD = "invalid_request_error"
WORDS: dict[str, Words] = {
    "invalid_key": Words(401, _BAD, "invalid_api_key", ""),
    "no_key": Words(
        401,
        _BAD,
        None,
        "You didn't provide an API key. You need to provide your API key in an Authorization header using Bearer auth "
        "(i.e. Authorization: Bearer YOUR_KEY).",
    ),
    "no_permission": Words(403, _BAD, None, "You are not allowed to sample from this model"),
    "no_list": Words(
        403,
        _BAD,
        None,
        "You have insufficient permissions for this operation. Missing scopes: api.model.read. Check that you have the correct "
        "role in your organization and project, and if you're using a restricted API key, that it has the necessary scopes.",
    ),
    "region": Words(403, "request_forbidden", "unsupported_country_region_territory", "Country, region, or territory not supported"),
    "no_money": Words(429, "insufficient_quota", "insufficient_quota", QUOTA),
    "billing": Words(402, "insufficient_quota", "insufficient_quota", "Payment required."),
    "rate_limited": Words(
        429,
        "requests",
        "rate_limit_exceeded",
        "Rate limit reached for this model on requests per min (RPM): Limit 500, Used 500, Requested 1. Please try again in 2s.",
    ),
    "unknown_model": Words(404, _BAD, "model_not_found", "The model `{model}` does not exist or you do not have access to it."),
    "retired_model": Words(
        404,
        _BAD,
        "model_not_found",
        "The model `{model}` has been deprecated, learn more here: https://platform.openai.com/docs/deprecations",
    ),
    "unknown_path": Words(404, _BAD, None, "Invalid URL ({message})"),
    "method": Words(405, _BAD, "method_not_supported", "Not allowed to {message}."),
    "bad_json": Words(
        400,
        _BAD,
        None,
        "We could not parse the JSON body of your request. (HINT: This likely means you aren't using your HTTP library "
        "correctly. The OpenAI API expects a JSON payload, but what was sent was not valid JSON.)",
    ),
    "bad_request": Words(400, _BAD, None, "Invalid request."),
    "too_large": Words(413, _BAD, None, "Maximum content size limit exceeded."),
    "context": Words(
        400,
        _BAD,
        "context_length_exceeded",
        "Your input exceeds the context window of this model. Please adjust your input and try again.",
    ),
    "filtered": Words(
        400,
        _BAD,
        "content_policy_violation",
        "Your request was rejected as a result of our safety system.",
    ),
    "timeout": Words(408, "server_error", "timeout", "Request timed out."),
    "conflict": Words(409, _BAD, "conflict", "The resource was modified by another request."),
    "overloaded": Words(503, "server_error", "overloaded", "The engine is currently overloaded, please try again later"),
    "server": Words(
        500,
        "server_error",
        "server_error",
        "An error occurred while processing your request. You can retry your request, or contact us through our help center "
        "at help.openai.com if the error persists. Please include the request ID {request} in your message.",
    ),
}


def masked(key: str) -> str:
    """A key as OpenAI repeats it: its ends, stars between."""
    return f"{key[:8]}{'*' * 10}{key[-4:]}" if len(key) > 12 else f"{key[:2]}***"


def _code(problem: Problem) -> str | None:
    """The code given, unless it is a detail that this provider does not tell."""
    return None if problem.kind == "invalid_key" else problem.code


def refuse(problem: Problem) -> Reply:
    """The reply for ``problem``: status, body, and the headers it carries."""
    words = WORDS.get(problem.kind, WORDS["server"])
    message = problem.message if problem.message and "{message}" not in words.message else words.message
    if problem.kind == "invalid_key" and not problem.message:
        message = (
            f"Incorrect API key provided: {masked(problem.key)}. You can find your API key at https://platform.openai.com/account/api-keys."
        )
    message = message.replace("{model}", problem.model).replace("{message}", problem.message).replace("{request}", f"req_{ids.hexed(32)}")
    error = {"message": message, "type": words.type, "param": problem.param, "code": _code(problem) or words.code}
    headers = problem.headers
    if problem.kind == "rate_limited" and any(name == "retry-after" and value.isdigit() for name, value in headers):
        seconds = next(int(value) for name, value in headers if name == "retry-after" and value.isdigit())
        headers = (*headers, ("retry-after-ms", str(seconds * 1000)))
    return json_reply({"error": error}, problem.status or words.status, headers)
