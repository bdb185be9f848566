"""How ``analyze`` asks. Pure. Short on purpose: a small local model with a small window has to understand it too."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llm_gateway.core.catalog import ModelInfo
from llm_gateway.core.chat import ChatRequest, Message, ResponseFormat, Text
from llm_gateway.policies.hold import estimate_tokens

from .contract import AnalyzeRequest

FOCUS = {
    "quality": "code quality: faults, readability, naming, structure, error handling",
    "security": "security: injection, leaked secrets, missing checks, unsafe calls",
    "performance": "performance: slow algorithms, needless work, memory, blocking calls",
    "review": "a code review: correctness first, then design, tests and style",
    "optimize": "optimisation: what to make faster or smaller without changing what it does",
    "debug": "debugging: what is wrong, why, and the smallest correction",
    "document": "documentation: what is undocumented, unclear or documented wrongly",
}
SYSTEM = "You are a strict code reviewer. You answer with one JSON object and nothing else."
FIELDS = (
    'Write JSON: "summary" in two sentences, "score" from 0 (worst) to 100 (best), and "findings", a list with one entry for each '
    'problem, the worst first, at most ten, [] when there is none. Each has "severity" (critical, high, medium, low or info), '
    '"category", "line" (a number or null), "message" (what is wrong) and "suggestion" (what to do).'
)
# For models without structured output. Dots, because a small model copies whatever stands here; the reader knows them for nothing said.
SHAPE = (
    '{"summary": "...", "score": ..., "findings": [{"severity": "...", "category": "...", "line": ..., '
    '"message": "...", "suggestion": "..."}]}'
)

_TEXT: dict[str, Any] = {"type": "string"}
# Closed and with every field required: what OpenAI's strict mode demands and the others take.
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "summary": _TEXT,
        # An enumeration, because strict modes know no bounds and small models otherwise write any digits.
        "score": {"type": "integer", "enum": list(range(0, 101, 5)), "description": "0 (worst) to 100 (best)"},
        "findings": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "severity": {"type": "string", "enum": ["critical", "high", "medium", "low", "info"]},
                    "category": _TEXT,
                    "line": {"type": ["integer", "null"]},
                    "message": _TEXT,
                    "suggestion": {"type": ["string", "null"]},
                },
                "required": ["severity", "category", "line", "message", "suggestion"],
                "additionalProperties": False,
            },
        },
    },
    "required": ["summary", "score", "findings"],
    "additionalProperties": False,
}
NEEDS = frozenset({"json_schema"})
FORMAT = ResponseFormat(kind="json_schema", name="analysis", schema=SCHEMA, strict=True)

ROOM, SMALL_ROOM, LEAST_ROOM = 4096, 512, 128
_QUOTED_CHARS = 4000


def chat_of(asked: AnalyzeRequest, *, structured: bool, room: int) -> tuple[ChatRequest, int]:
    """The conversation and its size in characters. ``structured``: the provider's own structured output is asked for as well."""
    fence = _fence(asked.code)
    prompt = (
        f"Review this {asked.language + ' ' if asked.language else ''}code. Look for {FOCUS[asked.analysis_type]}.\n\n"
        f"{fence}{asked.language or ''}\n{asked.code}\n{fence}\n\n{FIELDS}"
    )
    if not structured:
        prompt += f"\nIt looks like this:\n{SHAPE}"
    return _chat(asked, [("system", SYSTEM), ("user", prompt)], structured, room)


def repair_of(asked: AnalyzeRequest, answer: str, fault: str, *, structured: bool, room: int) -> tuple[ChatRequest, int]:
    """The same conversation with the answer that did not fit, and why."""
    before, _ = chat_of(asked, structured=structured, room=room)
    turns = [(message.role, message.text) for message in before.messages]
    turns += [
        ("assistant", answer[:_QUOTED_CHARS] or "(nothing)"),
        ("user", f"That does not fit: {fault} Answer again with only the corrected JSON object, shorter if it was cut off."),
    ]
    return _chat(asked, turns, structured, room)


def room_for(asked: AnalyzeRequest, models: Sequence[ModelInfo]) -> int:
    """Tokens for the answer: the caller's limit, else what the largest window among ``models`` leaves, within :data:`ROOM`; less of a small
    window, for a small model is slow and does not know when to stop."""
    if asked.max_tokens is not None:
        return asked.max_tokens
    windows = [model.context_window for model in models]
    known = [window for window in windows if window is not None]
    if not known or len(known) < len(windows):
        return ROOM
    window = max(known)
    left = window - estimate_tokens(len(asked.code) + len(SYSTEM) + len(FIELDS) + len(SHAPE) + 200)
    return max(LEAST_ROOM, min(ROOM, left, max(SMALL_ROOM, window // 6)))


def _chat(asked: AnalyzeRequest, turns: Sequence[tuple[Any, str]], structured: bool, room: int) -> tuple[ChatRequest, int]:
    chat = ChatRequest(
        model=asked.model or "",
        messages=tuple(Message(role=role, parts=(Text(text=text),)) for role, text in turns),
        max_tokens=room,
        response_format=FORMAT if structured else None,
        stream=asked.stream,
    )
    return chat, sum(len(text) for _, text in turns)


def _fence(code: str) -> str:
    """Longer than any run of backticks in the code, so that code cannot end its own block."""
    fence = "```"
    while fence in code:
        fence += "`"
    return fence
