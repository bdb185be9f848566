"""What is promised: for each feature one line per dialect (chat, Responses, Messages, Gemini), in it one word per wire, in the same order.

``passes``; ``emulated``: it works, by the means that :data:`EMULATED` tells; ``left out``: a hint that the provider is not told
of, which the header ``x-cogo-left-out`` names; ``refused FIELD``: 400
``unsupported_parameter`` naming the caller's field;
``-``: the dialect has no word for it. ``docs/square.md`` is made of this table, ``test_square.py`` holds the gateway to it.
"""

from __future__ import annotations

EMULATED = {
    "one tool call at a time": "Gemini cannot be asked for it: the first call of an answer is given, later ones are left out.",
    "JSON, any": "Claude gives JSON only to a schema: it is asked for in the system prompt, and what comes is not checked.",
    "stop sequences": "The gateway cuts the answer itself, streamed, too; the provider's usage is told as it is.",
    "free-text tool": "The tool becomes a function with one text argument `input`, and its calls become free text again.",
    "system text in the middle": "It becomes a user's text in `<system>` tags at its place.",
    "reasoning": "Efforts and token budgets are turned into each other (low 2048, medium 8192, high 16384 tokens for Claude).",
    "reasoning in a tool loop": "The chat format has no place for the provider's signed thoughts: the model goes on without them.",
    "failed tool result": "These formats have no mark for a failure: the result's text begins with `Error: `.",
    "picture in a tool result": "Tool messages hold only text: the picture follows in a user's message that names the call.",
}

# What the gateway does by itself, so that no word of it reaches a provider.
DONE_HERE = frozenset({"stop sequences"})

EXPECTED: dict[str, tuple[tuple[str, str, str, str], ...]] = {
    "text": (
        ("passes", "passes", "passes", "passes"),
        ("passes", "passes", "passes", "passes"),
        ("passes", "passes", "passes", "passes"),
        ("passes", "passes", "passes", "passes"),
    ),
    "system prompt": (
        ("passes", "passes", "passes", "passes"),
        ("passes", "passes", "passes", "passes"),
        ("passes", "passes", "passes", "passes"),
        ("passes", "passes", "passes", "passes"),
    ),
    "several turns": (
        ("passes", "passes", "passes", "passes"),
        ("passes", "passes", "passes", "passes"),
        ("passes", "passes", "passes", "passes"),
        ("passes", "passes", "passes", "passes"),
    ),
    "image, inline": (
        ("passes", "passes", "passes", "passes"),
        ("passes", "passes", "passes", "passes"),
        ("passes", "passes", "passes", "passes"),
        ("passes", "passes", "passes", "passes"),
    ),
    "image, by URL": (
        ("passes", "passes", "passes", "passes"),
        ("passes", "passes", "passes", "passes"),
        ("passes", "passes", "passes", "passes"),
        ("passes", "passes", "passes", "passes"),
    ),
    "PDF, inline": (
        ("passes", "passes", "passes", "passes"),
        ("passes", "passes", "passes", "passes"),
        ("passes", "passes", "passes", "passes"),
        ("passes", "passes", "passes", "passes"),
    ),
    "audio, inline": (
        ("passes", "passes", "refused messages[0].content", "passes"),
        ("passes", "passes", "refused input", "passes"),
        ("-", "-", "-", "-"),
        ("passes", "passes", "refused contents[0].parts", "passes"),
    ),
    "tool call": (
        ("passes", "passes", "passes", "passes"),
        ("passes", "passes", "passes", "passes"),
        ("passes", "passes", "passes", "passes"),
        ("passes", "passes", "passes", "passes"),
    ),
    "parallel tool calls": (
        ("passes", "passes", "passes", "passes"),
        ("passes", "passes", "passes", "passes"),
        ("passes", "passes", "passes", "passes"),
        ("passes", "passes", "passes", "passes"),
    ),
    "one tool call at a time": (
        ("passes", "passes", "passes", "emulated"),
        ("passes", "passes", "passes", "emulated"),
        ("passes", "passes", "passes", "emulated"),
        ("-", "-", "-", "-"),
    ),
    "tool results": (
        ("passes", "passes", "passes", "passes"),
        ("passes", "passes", "passes", "passes"),
        ("passes", "passes", "passes", "passes"),
        ("passes", "passes", "passes", "passes"),
    ),
    "parallel tool results": (
        ("passes", "passes", "passes", "passes"),
        ("passes", "passes", "passes", "passes"),
        ("passes", "passes", "passes", "passes"),
        ("passes", "passes", "passes", "passes"),
    ),
    "some tool forced": (
        ("passes", "passes", "passes", "passes"),
        ("passes", "passes", "passes", "passes"),
        ("passes", "passes", "passes", "passes"),
        ("passes", "passes", "passes", "passes"),
    ),
    "one tool forced": (
        ("passes", "passes", "passes", "passes"),
        ("passes", "passes", "passes", "passes"),
        ("passes", "passes", "passes", "passes"),
        ("passes", "passes", "passes", "passes"),
    ),
    "tools forbidden": (
        ("passes", "passes", "passes", "passes"),
        ("passes", "passes", "passes", "passes"),
        ("passes", "passes", "passes", "passes"),
        ("passes", "passes", "passes", "passes"),
    ),
    "JSON by schema": (
        ("passes", "passes", "passes", "passes"),
        ("passes", "passes", "passes", "passes"),
        ("passes", "passes", "passes", "passes"),
        ("passes", "passes", "passes", "passes"),
    ),
    "JSON, any": (
        ("passes", "passes", "emulated", "passes"),
        ("passes", "passes", "emulated", "passes"),
        ("-", "-", "-", "-"),
        ("passes", "passes", "emulated", "passes"),
    ),
    "stop sequences": (
        ("passes", "emulated", "passes", "passes"),
        ("-", "-", "-", "-"),
        ("passes", "emulated", "passes", "passes"),
        ("passes", "emulated", "passes", "passes"),
    ),
    "length limit": (
        ("passes", "passes", "passes", "passes"),
        ("passes", "passes", "passes", "passes"),
        ("passes", "passes", "passes", "passes"),
        ("passes", "passes", "passes", "passes"),
    ),
    "reasoning": (
        ("passes", "passes", "emulated", "passes"),
        ("passes", "passes", "emulated", "passes"),
        ("emulated", "emulated", "passes", "emulated"),
        ("emulated", "emulated", "passes", "passes"),
    ),
    "reasoning in a tool loop": (
        ("passes", "emulated", "emulated", "passes"),
        ("passes", "passes", "passes", "passes"),
        ("passes", "passes", "passes", "passes"),
        ("passes", "passes", "passes", "passes"),
    ),
    "free-text tool": (
        ("passes", "passes", "emulated", "emulated"),
        ("passes", "passes", "emulated", "emulated"),
        ("-", "-", "-", "-"),
        ("-", "-", "-", "-"),
    ),
    "system text in the middle": (
        ("passes", "passes", "emulated", "emulated"),
        ("passes", "passes", "emulated", "emulated"),
        ("-", "-", "-", "-"),
        ("-", "-", "-", "-"),
    ),
    "failed tool result": (
        ("-", "-", "-", "-"),
        ("-", "-", "-", "-"),
        ("emulated", "emulated", "passes", "passes"),
        ("emulated", "emulated", "passes", "passes"),
    ),
    "picture in a tool result": (
        ("-", "-", "-", "-"),
        ("emulated", "passes", "passes", "passes"),
        ("emulated", "passes", "passes", "passes"),
        ("emulated", "passes", "passes", "passes"),
    ),
    "filtered answer": (
        ("passes", "passes", "passes", "passes"),
        ("passes", "passes", "passes", "passes"),
        ("passes", "passes", "passes", "passes"),
        ("passes", "passes", "passes", "passes"),
    ),
    "cached tokens in usage": (
        ("passes", "passes", "passes", "passes"),
        ("passes", "passes", "-", "passes"),
        ("passes", "passes", "passes", "passes"),
        ("passes", "passes", "-", "passes"),
    ),
    "several answers": (
        ("passes", "refused n", "refused n", "passes"),
        ("-", "-", "-", "-"),
        ("-", "-", "-", "-"),
        ("passes", "refused generationConfig.candidateCount", "refused generationConfig.candidateCount", "passes"),
    ),
    "temperature, top_p": (
        ("passes", "passes", "passes", "passes"),
        ("passes", "passes", "passes", "passes"),
        ("passes", "passes", "passes", "passes"),
        ("passes", "passes", "passes", "passes"),
    ),
    "top_k": (
        ("passes", "refused top_k", "passes", "passes"),
        ("-", "-", "-", "-"),
        ("passes", "refused top_k", "passes", "passes"),
        ("passes", "refused generationConfig.topK", "passes", "passes"),
    ),
    "seed": (
        ("passes", "left out", "left out", "passes"),
        ("-", "-", "-", "-"),
        ("-", "-", "-", "-"),
        ("passes", "left out", "left out", "passes"),
    ),
    "penalties": (
        ("passes", "refused presence_penalty", "refused presence_penalty", "passes"),
        ("-", "-", "-", "-"),
        ("-", "-", "-", "-"),
        ("passes", "refused generationConfig.presencePenalty", "refused generationConfig.presencePenalty", "passes"),
    ),
    "log probabilities": (
        ("passes", "passes", "refused logprobs", "refused logprobs"),
        ("passes", "passes", "refused top_logprobs", "refused top_logprobs"),
        ("-", "-", "-", "-"),
        ("refused generationConfig", "refused generationConfig", "refused generationConfig", "passes"),
    ),
    "search by the provider": (
        ("passes", "refused web_search_options", "refused web_search_options", "refused web_search_options"),
        ("refused tools", "passes", "refused tools", "refused tools"),
        ("refused tools", "refused tools", "passes", "refused tools"),
        ("refused tools", "refused tools", "refused tools", "passes"),
    ),
    "an unknown field": (
        ("passes", "refused brand_new", "refused brand_new", "refused brand_new"),
        ("refused brand_new", "passes", "refused brand_new", "refused brand_new"),
        ("refused brand_new", "refused brand_new", "passes", "refused brand_new"),
        ("refused brandNew", "refused brandNew", "refused brandNew", "passes"),
    ),
}
