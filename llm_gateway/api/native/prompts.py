"""What the gateway says to a model on behalf of ``generate``, and how code is taken out of the answer. Pure.

The opening instruction is the caller's ``system`` or :data:`ASSISTANT`; a line each for language, framework and task follows, then context.
"""

from __future__ import annotations

import re
from typing import Any

from llm_gateway.core import json
from llm_gateway.core.chat import ChatRequest, Message, Text

from .contract import GenerateRequest
from .shapes import CodeBlock

ASSISTANT = "You are a careful programmer. Answer with complete, working code in fenced code blocks, and explain only what is not obvious."

TASKS = {
    "generate": "Write new code.",
    "complete": "Complete the code without changing what is there.",
    "refactor": "Refactor: keep the behaviour, improve the structure.",
    "explain": "Explain the code to a colleague.",
    "test": "Write tests that would fail if the code were wrong.",
    "debug": "Find the cause of the fault and show the smallest correction.",
    "document": "Document the code.",
    "review": "Review the code: faults first, taste last.",
    "optimize": "Make it faster or smaller without changing what it does.",
}

_FENCE = re.compile(r"^([ \t]*)(`{3,}|~{3,})[ \t]*([^\s`]*)[^`\n]*$")


def system_text(asked: GenerateRequest) -> str:
    lines = [asked.system or ASSISTANT]
    if asked.language:
        lines.append(f"Language: {asked.language}.")
    if asked.framework:
        lines.append(f"Framework: {asked.framework}.")
    if asked.task_type:
        lines.append(f"Task: {TASKS.get(asked.task_type.lower(), asked.task_type)}")
    if asked.context:
        lines.append(f"Context:\n{_shown(asked.context)}")
    return "\n".join(lines)


def chat_of(asked: GenerateRequest) -> tuple[ChatRequest, int]:
    """The conversation and its size in characters."""
    system = system_text(asked)
    chat = ChatRequest(
        model=asked.model or "",
        messages=(
            Message(role="system", parts=(Text(text=system),)),
            Message(role="user", parts=(Text(text=asked.prompt),)),
        ),
        max_tokens=asked.max_tokens,
        temperature=asked.temperature,
        stream=asked.stream,
    )
    return chat, len(system) + len(asked.prompt)


def code_blocks(text: str) -> list[CodeBlock]:
    """The fenced blocks of a Markdown text, in order. A block that never closes (a truncated answer) runs to the end; a block's own
    indentation (in a list) is taken off its lines."""
    blocks: list[CodeBlock] = []
    lines: list[str] = []
    indent = fence = language = ""
    for line in text.splitlines():
        match = _FENCE.match(line)
        if not fence:
            if match:
                indent, fence, language, lines = match[1], match[2], match[3], []
        elif match and match[2][0] == fence[0] and len(match[2]) >= len(fence) and not match[3]:
            blocks.append(_block(language, lines))
            fence = ""
        else:
            lines.append(line.removeprefix(indent))
    if fence and any(line.strip() for line in lines):
        blocks.append(_block(language, lines))
    return blocks


def _block(language: str, lines: list[str]) -> CodeBlock:
    return CodeBlock(language=language.strip("{}.").lower() or None, code="\n".join(lines))


def _shown(context: str | dict[str, Any] | list[Any]) -> str:
    return context if isinstance(context, str) else json.dumps(context).decode()
