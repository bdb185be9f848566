"""A prompt that does not fit, in the words of every host: one class, and numbers where they are told."""

from __future__ import annotations

from typing import Any

import pytest

from llm_gateway.core import json
from llm_gateway.core.errors import Failure, FailureClass, from_failure
from llm_gateway.wires import dialects, wires
from llm_gateway.wires._context import WORDINGS, Numbers, as_anthropic_says, numbers_in, overflows

# host, status, body, numbers
FULL: tuple[tuple[str, int, Any, Numbers], ...] = (
    ("Moonshot", 400, {"error": {"message": "Invalid request: Your request exceeded model token limit: 262144 (requested: 291351)", "type": "invalid_request_error"}}, Numbers(291351, 262144)),
    ("Z.ai", 400, {"error": {"code": "1261", "message": "Prompt exceeds max length"}}, Numbers()),
    ("Z.ai, in other words", 400, {"error": {"code": "1261", "message": "输入过长"}}, Numbers()),
    ("Ollama", 400, {"error": {"message": "prompt too long; exceeded max context length by 1475 tokens", "type": "api_error", "code": None}}, Numbers(over=1475)),
    ("Ollama's embeddings", 400, {"error": "input length exceeds the context length"}, Numbers()),
    ("vLLM", 400, {"object": "error", "message": "This model's maximum context length is 4096 tokens. However, you requested 5234 tokens (5134 in the messages, 100 in the completion). Please reduce the length of the messages or completion.", "type": "BadRequestError", "code": 400}, Numbers(5234, 4096)),
    ("vLLM of 2025", 400, {"error": {"message": "'max_tokens' or 'max_completion_tokens' is too large: 2000. This model's maximum context length is 4096 tokens and your request has 2104 input tokens (2000 > 4096 - 2104).", "code": 400}}, Numbers(2104, 4096)),
    ("vLLM's engine", 400, {"error": {"message": "The decoder prompt (length 40000) is longer than the maximum model length of 32768. Make sure that `max_model_len` is no smaller", "code": 400}}, Numbers(40000, 32768)),
    ("SGLang", 400, {"object": "error", "message": "The input (40000 tokens) is longer than the model's context length (32768 tokens).", "code": 400}, Numbers(40000, 32768)),
    ("SGLang, with an answer", 400, {"message": "Requested token count exceeds the model's maximum context length of 32768 tokens. You requested a total of 40000 tokens: 30000 tokens from the input messages and 10000 tokens for the completion."}, Numbers(40000, 32768)),
    ("llama.cpp", 400, {"error": {"code": 400, "message": "the request exceeds the available context size, try increasing it", "type": "exceed_context_size_error", "n_prompt_tokens": 5000, "n_ctx": 4096}}, Numbers()),
    ("llama.cpp, newer", 400, {"error": {"code": 400, "message": "request (5000 tokens) exceeds the available context size (4096 tokens), try increasing it", "type": "exceed_context_size_error"}}, Numbers(5000, 4096)),
    ("llama.cpp, while it answers", 500, {"error": {"code": 500, "message": "Context size has been exceeded.", "type": "server_error"}}, Numbers()),
    ("LM Studio", 400, {"error": "Trying to keep the first 8421 tokens when context the overflows. However, the model is loaded with context length of only 4096 tokens, which is not enough."}, Numbers(window=4096)),
    ("LM Studio, older", 400, {"error": "The number of tokens to keep from the initial prompt is greater than the context length. Try to load the model with a larger context length."}, Numbers()),
    ("Groq", 400, {"error": {"message": "Please reduce the length of the messages or completion.", "type": "invalid_request_error", "param": "messages", "code": "context_length_exceeded"}}, Numbers()),
    ("Mistral", 400, {"object": "error", "message": "Prompt contains 40000 tokens and 0 draft tokens, too large for model with 32768 maximum context length", "type": "invalid_request_prompt", "code": "3051"}, Numbers(40000, 32768)),
    ("xAI", 400, {"code": "Client specified an invalid argument", "error": "This model's maximum prompt length is 131072 but the request contains 537812 tokens."}, Numbers(537812, 131072)),
    ("OpenRouter", 400, {"error": {"message": "This endpoint's maximum context length is 131072 tokens. However, you requested about 132463 tokens (1463 of text input, 131000 in the output). Please reduce the length of either one.", "code": 400}}, Numbers(132463, 131072)),
    ("OpenRouter, hiding it", 400, {"error": {"message": "Provider returned error", "code": 400, "metadata": {"raw": '{"error":{"message":"Your request exceeded model token limit: 262144 (requested: 291351)"}}', "provider_name": "X"}}}, Numbers(291351, 262144)),
    ("Together", 422, {"error": {"message": "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 8193. Given: 9000 `inputs` tokens and 512 `max_new_tokens`", "type": "invalid_request_error"}}, Numbers(9000, 8193)),
    ("MiniMax", 400, {"error": {"message": "invalid params, context window exceeds limit (2013)", "type": "bad_request_error"}}, Numbers()),
    ("Alibaba", 400, {"error": {"code": "invalid_parameter_error", "message": "<400> InternalError.Algo.InvalidParameter: Range of input length should be [1, 129024]"}}, Numbers(window=129024)),
    ("Azure", 400, {"error": {"message": "This model's maximum context length is 8192 tokens. However, your messages resulted in 9000 tokens. Please reduce the length of the messages.", "code": "context_length_exceeded"}}, Numbers(9000, 8192)),
    ("OpenAI's Responses", 400, {"error": {"message": "Your input exceeds the context window of this model. Please adjust your input and try again.", "type": "invalid_request_error", "code": "context_length_exceeded"}}, Numbers()),
    ("Fireworks", 400, {"error": {"message": "The prompt is too long: 140000, model maximum context length: 131071", "code": "BAD_REQUEST"}}, Numbers(140000, 131071)),
    ("DeepSeek", 400, {"error": {"message": "This model's maximum context length is 131072 tokens. However, you requested 150000 tokens (142000 in the messages, 8000 in the completion). Please reduce the length of the messages or completion.", "type": "invalid_request_error"}}, Numbers(150000, 131072)),
    ("Bedrock", 400, {"message": "Input is too long for requested model."}, Numbers()),
    ("Bedrock's Titan", 400, {"message": "Too many input tokens. Max input tokens: 8192, request input token count: 9001"}, Numbers(9001, 8192)),
    ("GitHub", 400, {"error": {"message": "prompt token count of 70000 exceeds the limit of 64000", "code": "model_max_prompt_tokens_exceeded"}}, Numbers(70000, 64000)),
    ("Vertex AI", 400, {"error": {"code": 400, "message": "Unable to submit request because the input token count is 1251952 but model only supports up to 1048576. Reduce the input token count and try again.", "status": "INVALID_ARGUMENT"}}, Numbers(1251952, 1048576)),
    ("Cohere", 400, {"message": "too many tokens: total number of tokens in the prompt cannot exceed 4081 - received 5000. Try using a shorter prompt."}, Numbers(5000, 4081)),
    ("TabbyAPI", 400, {"error": {"message": "Prompt length 9000 is greater than max_seq_len 8192"}}, Numbers(9000, 8192)),
    ("Google's compatible API", 400, [{"error": {"code": 400, "message": "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).", "status": "INVALID_ARGUMENT"}}], Numbers(1200000, 1048576)),
    ("Anthropic, behind a proxy", 400, {"error": {"message": "prompt is too long: 213462 tokens > 200000 maximum"}}, Numbers(213462, 200000)),
    ("Anthropic, with an answer", 400, {"error": {"message": "input length and `max_tokens` exceed context limit: 190000 + 21333 > 200000, decrease input length"}}, Numbers(190000, 200000)),
)  # fmt: skip  # bodies as they travel, a line each
# ruff: noqa: E501
OTHERS = (
    (400, "max_tokens is too large: 99999. This model supports at most 16384 completion tokens."),
    (400, "Invalid 'user': string too long. Expected a string with maximum length 64, but got a string with length 191 instead."),
    (400, "Invalid 'tools[0].function.name': string too long."),
    (429, "Rate limit reached for model on tokens per minute (TPM): Limit 6000, Used 5000, Requested 2000."),
    (413, "Request too large for model on tokens per minute (TPM): Limit 6000, Requested 8000"),
    (400, "n exceeds the limit of 8"),
    (500, "The server had an error."),
)


@pytest.mark.parametrize(("host", "status", "body", "numbers"), FULL, ids=[row[0] for row in FULL])
def test_every_hosts_words_for_a_full_context_are_known(host: str, status: int, body: Any, numbers: Numbers) -> None:
    for wire in ("openai_chat", "openai_responses"):
        failure = wires.get(wire).decode_error(status, {}, json.dumps(body))
        assert failure.kind is FailureClass.CONTEXT_LENGTH
        assert numbers_in(failure.message) == numbers


@pytest.mark.parametrize(("host", "status", "body", "numbers"), FULL, ids=[row[0] for row in FULL])
def test_hosts_that_speak_other_formats_say_it_in_the_same_words(host: str, status: int, body: Any, numbers: Numbers) -> None:
    """Moonshot, Z.ai, MiniMax and others speak Anthropic's format beside OpenAI's."""
    text = wires.get("openai_chat").decode_error(status, {}, json.dumps(body)).message
    if status == 400 and overflows(text):
        error = {"type": "error", "error": {"type": "invalid_request_error", "message": text}}
        assert wires.get("anthropic_messages").decode_error(400, {}, json.dumps(error)).kind is FailureClass.CONTEXT_LENGTH
        google = {"error": {"code": 400, "message": text, "status": "INVALID_ARGUMENT"}}
        assert wires.get("gemini_generate").decode_error(400, {}, json.dumps(google)).kind is FailureClass.CONTEXT_LENGTH


@pytest.mark.parametrize(("status", "text"), OTHERS)
def test_other_limits_are_not_a_full_context(status: int, text: str) -> None:
    for wire in ("openai_chat", "anthropic_messages", "gemini_generate"):
        body = json.dumps({"error": {"message": text, "type": "invalid_request_error"}})
        assert wires.get(wire).decode_error(status, {}, body).kind is not FailureClass.CONTEXT_LENGTH


@pytest.mark.parametrize("wording", WORDINGS, ids=lambda row: row.host)
def test_every_wording_says_where_and_when_it_was_seen(wording: Any) -> None:
    assert "https://" in wording.seen
    assert "2026-" in wording.seen


@pytest.mark.parametrize(
    ("text", "estimate", "window", "said"),
    [
        ("exceeded model token limit: 262144 (requested: 291351)", 5, 7, "prompt is too long: 291351 tokens > 262144 maximum"),
        ("Prompt exceeds max length", 300_000, 202_752, "prompt is too long: 300000 tokens > 202752 maximum"),
        ("exceeded max context length by 1475 tokens", 9000, 8192, "prompt is too long: 9000 tokens > 8192 maximum"),
        ("exceeded max context length by 1475 tokens", 100, 8192, "prompt is too long: 9667 tokens > 8192 maximum"),
        ("exceeded max context length by 1475 tokens", 9000, None, "prompt is too long: 9000 tokens > 7525 maximum"),
        # The estimate says it fits, the host that it does not.
        ("context window exceeds limit", 100, 200, "prompt is too long: 201 tokens > 200 maximum"),
        ("context window exceeds limit", None, None, "prompt is too long: 2 tokens > 1 maximum"),
        ("total 190000 + 21333 exceed context limit: 190000 + 21333 > 200000", 1, 1, "prompt is too long: 200001 tokens > 200000 maximum"),
    ],
)
def test_a_messages_caller_reads_anthropics_words(text: str, estimate: int | None, window: int | None, said: str) -> None:
    assert as_anthropic_says(text, estimate, window) == said
    failure = Failure(kind=FailureClass.CONTEXT_LENGTH, message=text, status=400, prompt_tokens=estimate, window=window)
    status, body = dialects.get("anthropic_messages").encode_error(from_failure(failure), "r")
    error = json.loads(body)["error"]
    assert (status, error["type"], error["message"]) == (400, "invalid_request_error", said)
    assert text in json.loads(dialects.get("openai_chat").encode_error(from_failure(failure), "r")[1])["error"]["message"]
