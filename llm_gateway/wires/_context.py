"""How hosts say that a prompt does not fit the model's context window: data, with where each
wording was seen.

The status is 400 nearly everywhere and says nothing. Only the words tell a full window, which a
larger model or a shorter history cures, from a request that fails everywhere. A row's pattern is
narrow on purpose: a rate limit in tokens must not match.
"""
# ruff: noqa: E501  # addresses of pages

from __future__ import annotations

import re
from typing import Final

import msgspec


class Wording(msgspec.Struct, frozen=True):
    """``pattern`` may name groups: ``used`` tokens, the ``window``, and ``over``, by how much the
    prompt is too long. ``seen``: where, and the day it was looked up."""

    host: str
    pattern: str
    seen: str


_N = r"[\d,._]+"
_2026 = "2026-11-30"
_PI = f"https://github.com/badlogic/pi-mono packages/ai/src/utils/overflow.ts, {_2026}"

WORDINGS: Final = (
    Wording("Anthropic", rf"(?:prompt|input) is too long(?:: (?P<used>{_N}) tokens > (?P<window>{_N}) maximum)?",
            f"https://docs.claude.com/en/api/errors, {_2026}"),
    Wording("Anthropic", rf"exceed(?:s|ed)? (?:the )?context limit(?::? \(?(?:i\.e\.?,? )?(?P<used>{_N}) \+ {_N} > (?P<window>{_N}))?",
            f"https://docs.claude.com/en/docs/build-with-claude/context-windows, {_2026}"),
    Wording("Fireworks", rf"prompt is too long: (?P<used>{_N}),? model maximum context length:? (?P<window>{_N})",
            f"https://docs.fireworks.ai/guides/inference-error-codes, {_2026}"),
    Wording("vLLM", rf"maximum (?:context|model) length (?:is|of) (?P<window>{_N}) tokens\D+(?P<used>{_N})(?: input)? tokens",
            f"https://github.com/vllm-project/vllm vllm/entrypoints/openai/serving_engine.py, {_2026}"),
    Wording("vLLM", rf"(?:prompt|decoder prompt) \((?:length |total length )?(?P<used>{_N})\D*is longer than the maximum model length of (?P<window>{_N})",
            f"https://github.com/vllm-project/vllm vllm/v1/engine/processor.py, {_2026}"),
    Wording("OpenRouter", rf"maximum context length is (?P<window>{_N}) tokens\D+(?:requested|resulted in) (?:about )?(?P<used>{_N})",
            f"https://openrouter.ai/docs/api-reference/errors, {_2026}"),
    Wording("OpenAI, Azure", r"exceeds the context window|context[_ ]length[_ ]exceeded|maximum context length",
            f"https://platform.openai.com/docs/guides/error-codes, {_2026}"),
    Wording("SGLang", rf"input \((?P<used>{_N}) tokens\) is longer than the model'?s context length \((?P<window>{_N}) tokens\)",
            f"https://github.com/sgl-project/sglang python/sglang/srt/managers/tokenizer_manager.py, {_2026}"),
    Wording("SGLang", rf"requested token count exceeds the model'?s maximum context length of (?P<window>{_N}) tokens\.?(?: you requested a "
            rf"total of (?P<used>{_N}))?", f"https://github.com/sgl-project/sglang python/sglang/srt/managers/tokenizer_manager.py, {_2026}"),
    Wording("llama.cpp", rf"request(?: \((?P<used>{_N}) tokens\))? exceeds (?:the )?available context size(?: \((?P<window>{_N}) tokens\))?",
            f"https://github.com/ggml-org/llama.cpp tools/server/server.cpp, {_2026}"),
    Wording("llama.cpp", r"context size has been exceeded", f"https://github.com/ggml-org/llama.cpp tools/server/server.cpp, {_2026}"),
    Wording("Ollama", rf"(?:prompt too long; )?exceeded (?:max )?context length(?: by (?P<over>{_N}) tokens)?",
            f"https://github.com/ollama/ollama, {_2026}"),
    Wording("Ollama", r"input (?:length )?exceeds (?:the )?(?:maximum )?context length", f"https://github.com/ollama/ollama server/routes.go, {_2026}"),
    Wording("LM Studio", rf"tokens to keep from the initial prompt(?: \((?P<used>{_N})\))? is greater than the context length(?: \((?P<window>{_N})"
            rf"\))?|greater than the context length (?:of )?(?P<window2>{_N})?|context length of only (?P<window3>{_N}) tokens", _PI),
    Wording("Groq", r"reduce the length of the messages", f"https://console.groq.com/docs/errors, {_2026}"),
    Wording("Mistral", rf"(?:prompt contains )?(?P<used>{_N})? ?tokens.{{0,60}}too large for model with (?P<window>{_N}) maximum context length", _PI),
    Wording("xAI", rf"maximum prompt length is (?P<window>{_N})(?: but the request contains (?P<used>{_N}) tokens)?",
            f"https://docs.x.ai/docs/key-information/debugging, {_2026}"),
    Wording("Together", rf"`?inputs`? tokens \+ `?max_new_tokens`? must be <= ?(?P<window>{_N})\.? given:? (?P<used>{_N})",
            f"https://docs.together.ai/docs/error-codes, {_2026}"),
    Wording("Moonshot", rf"exceeded model token limit(?:: (?P<window>{_N}))?(?: \(requested: (?P<used>{_N})\))?",
            f"https://platform.moonshot.ai/docs/api/chat, {_2026}"),
    Wording("Z.ai", r"prompt exceeds max(?:imum)? length|prompt 超长|model_context_window_exceeded", f"https://docs.z.ai/api-reference/api-code, {_2026}"),
    Wording("MiniMax", r"context window exceeds limit", f"https://platform.minimax.io/docs/api-reference/errorcode, {_2026}"),
    Wording("Alibaba", rf"range of input length should be \[\d+, ?(?P<window>{_N})\]",
            f"https://www.alibabacloud.com/help/en/model-studio/error-code, {_2026}"),
    Wording("Bedrock", rf"input is too long for requested model|too many input tokens(?:\. max input tokens: (?P<window>{_N}), request input token count: "
            rf"(?P<used>{_N}))?",
            f"https://docs.aws.amazon.com/bedrock/latest/userguide/troubleshooting-api-error-codes.html, {_2026}"),
    Wording("Gemini", rf"input token count(?: \((?P<used>{_N})\))? exceeds the maximum number of tokens allowed(?: \(?(?P<window>{_N})\)?)?",
            f"https://ai.google.dev/gemini-api/docs/troubleshooting, {_2026}"),
    Wording("Vertex AI", rf"input token count is (?P<used>{_N}) but model only supports up to (?P<window>{_N})",
            f"https://github.com/google-gemini/gemini-cli/issues/19727, {_2026}"),
    Wording("Cohere", rf"total number of tokens in the prompt cannot exceed (?P<window>{_N})(?: - received (?P<used>{_N}))?",
            f"https://docs.cohere.com/reference/errors, {_2026}"),
    Wording("TabbyAPI", rf"prompt length (?P<used>{_N}) is greater than max_seq_len (?P<window>{_N})",
            f"https://github.com/theroyallab/tabbyAPI, {_2026}"),
    Wording("GitHub", rf"prompt token count of (?P<used>{_N}) exceeds the limit of (?P<window>{_N})", _PI),
    Wording("any", rf"exceed(?:s|ed)? (?:the )?(?:model'?s? )?(?:max(?:imum)? |available )?context (?:length|window|size)(?: of (?P<window>{_N}))?",
            f"{_PI}; hosts that reword the others"),
    Wording("any", r"input context is too long|request size exceeds model context window|maximum allowed input length|configured context size"
            r"|context window|input length .{0,60}exceed", f"{_PI}; hosts that reword the others"),
)  # fmt: skip
# The codes that mean the same, lower-case.
CODES: Final = frozenset({
    "context_length_exceeded", "exceed_context_size_error", "context_window_exceeded", "model_context_window_exceeded",
    "1261",  # Z.ai: https://docs.z.ai/api-reference/api-code
    "1039",  # MiniMax: https://platform.minimax.io/docs/api-reference/errorcode
})  # fmt: skip

_PATTERNS: Final = tuple(re.compile(row.pattern, re.IGNORECASE | re.DOTALL) for row in WORDINGS)


def overflows(text: str, *codes: str) -> bool:
    """Whether an error says that the prompt does not fit."""
    return any(code.lower() in CODES for code in codes) or any(pattern.search(text) for pattern in _PATTERNS)


class Numbers(msgspec.Struct, frozen=True):
    """Tokens as an error tells them; ``over``: how many more the prompt has than fit."""

    used: int | None = None
    window: int | None = None
    over: int | None = None


def numbers_in(text: str) -> Numbers:
    """From the wording that tells most."""
    found = [_numbers(match) for pattern in _PATTERNS if (match := pattern.search(text))]
    return max(found, key=lambda one: sum(value is not None for value in (one.used, one.window, one.over)), default=Numbers())


def _numbers(match: re.Match[str]) -> Numbers:
    told = {name.rstrip("23"): value for name, group in match.groupdict().items() if (value := _count(group)) is not None}
    return Numbers(**told)


def _count(digits: str | None) -> int | None:
    plain = re.sub(r"\D", "", digits or "")
    return int(plain) if plain and len(plain) < 12 else None


def as_anthropic_says(text: str, estimate: int | None, window: int | None) -> str:
    """The words of a full window that agents of Anthropic's format know: they make the history
    shorter when they read them. ``estimate`` and ``window`` stand where the host tells no
    numbers."""
    told = numbers_in(text)
    limit = told.window or window
    used = told.used or estimate or 0
    if limit is None:
        limit = used - told.over if told.over and used > told.over else max(used - 1, 1)
    if used <= limit:
        used = limit + (told.over or 1)
    return f"prompt is too long: {used} tokens > {limit} maximum"
