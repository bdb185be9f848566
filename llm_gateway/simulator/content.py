"""What the simulated model says: deterministic from prompt and seed, in neutral form.

Order of decision: scripted step, forced tool, tool result to quote, tool mentioned, JSON asked for, code, prose.
"""

from __future__ import annotations

import json
import random
import re
import zlib
from collections.abc import Callable
from typing import Any

from llm_gateway.simulator import ids, schema, templates, tokens
from llm_gateway.simulator.neutral import Answer, Ask, Choice, Finish, Tool, ToolCall, Usage
from llm_gateway.simulator.rng import seeded

PIECE = 20
EFFORT_TOKENS = {"minimal": 16, "low": 64, "medium": 128, "high": 256, "xhigh": 512, "max": 1024}
_THOUGHT = "The user wants a direct answer. I will check the constraints, pick the simplest approach and present it. "
_WORDS = re.compile(r"[a-z][a-z]{3,14}")
_COMMON = frozenset({
    "write", "please", "create", "make", "this", "that", "with", "from", "function", "class", "code", "implement", "python", "using",
    "which", "what", "your", "have", "into", "return", "returns", "javascript", "typescript", "java",
    "rust", "test", "tests", "them", "then", "some", "only", "just", "give", "show",
})  # fmt: skip
Step = dict[str, Any]
CacheLookup = Callable[[Ask], tuple[int, int]]


def answer(ask: Ask, seed: int, step: Step | None, cached: CacheLookup) -> Answer:
    """The answer to ``ask``; ``step`` is a scripted one, ``cached`` tells (read, written) cache tokens."""
    prompt = "\n".join(ask.texts)
    base = zlib.crc32(prompt.encode("utf-8", "replace")) ^ (seed * 2654435761 & 0xFFFFFFFF)
    reasoning = _reasoning_tokens(ask)
    choices = tuple(_choice(ask, prompt, base + index, step, reasoning) for index in range(max(1, ask.n)))
    visible = sum(choice_tokens(choice) for choice in choices)
    read, written = cached(ask)
    usage = Usage(
        input=ask.input_tokens(),
        output=visible + reasoning * len(choices),
        cache_read=read,
        cache_write=written,
        cache_ttl=ask.cache_ttl,
        reasoning=reasoning * len(choices),
    )
    return Answer(choices, usage)


def choice_tokens(choice: Choice) -> int:
    """Visible output of a choice: text and tool calls."""
    return tokens.count(choice.text) + sum(tokens.count(call.name) + tokens.count(arguments(call)) for call in choice.calls)


def arguments(call: ToolCall) -> str:
    """The arguments as the JSON text that OpenAI shapes carry."""
    return json.dumps(call.arguments, ensure_ascii=False)


def pieces(text: str) -> tuple[str, ...]:
    """``text`` as it is streamed: about five tokens a piece, never more than 400 pieces."""
    size = max(PIECE, -(-len(text) // 400))
    return tuple(text[start : start + size] for start in range(0, len(text), size))


def make_choice(text: str, finish: Finish = "stop", thinking: str = "", calls: tuple[ToolCall, ...] = ()) -> Choice:
    """A choice with its text cut into pieces."""
    return Choice(text=text, pieces=pieces(text), finish=finish, thinking=thinking, calls=calls)


def _reasoning_tokens(ask: Ask) -> int:
    if ask.effort is None or ask.effort == "none":
        return 0
    limit = ask.max_tokens
    if ask.effort == "auto":
        # Nobody asked for an effort: think a little, and leave room for the answer whatever the limit is.
        return 64 if limit is None else min(64, limit // 4)
    wanted = int(ask.effort) if ask.effort.isdigit() else EFFORT_TOKENS.get(ask.effort, 128)
    return wanted if limit is None else min(wanted, limit)


def _choice(ask: Ask, prompt: str, seed: int, step: Step | None, reasoning: int) -> Choice:
    rng = seeded(seed)
    thinking = tokens.cut(_THOUGHT * (1 + reasoning * tokens.CHARS_PER_TOKEN // len(_THOUGHT)), reasoning)
    budget = None if ask.max_tokens is None else ask.max_tokens - reasoning
    calls = _scripted_calls(step) if step else _calls(ask, seed)
    text = str(step.get("text", "")) if step else ("" if calls else _text(ask, prompt, rng))
    if step and step.get("thinking"):
        thinking = str(step["thinking"])
    if calls:
        whole = make_choice(text, "tool_calls", thinking, calls)
        if budget is not None and choice_tokens(whole) > budget:
            return make_choice("", "length", thinking)
        return whole
    return _limited(text, ask.stop, budget, thinking)


def _limited(text: str, stops: tuple[str, ...], budget: int | None, thinking: str) -> Choice:
    finish: Finish = "stop"
    found: str | None = None
    at = min((place for stop in stops if stop and (place := text.find(stop)) >= 0), default=-1)
    if at >= 0:
        found = next(stop for stop in stops if stop and text.startswith(stop, at))
        text, finish = text[:at], "stop_sequence"
    if budget is not None and tokens.count(text) > budget:
        text, finish, found = tokens.cut(text, budget), "length", None
    return Choice(text=text, pieces=pieces(text), finish=finish, thinking=thinking, stop_sequence=found)


def _scripted_calls(step: Step) -> tuple[ToolCall, ...]:
    wanted = step.get("tools") or ([step] if step.get("tool") else [])
    return tuple(
        ToolCall(
            id=str(one.get("id") or ids.base62(24)),
            name=str(one["tool"]),
            arguments={"input": one["input"]} if "input" in one else dict(one.get("arguments") or {}),
            freeform="input" in one,
        )
        for one in wanted
    )


def _calls(ask: Ask, seed: int) -> tuple[ToolCall, ...]:
    if not ask.tools or ask.choice == "none":
        return ()
    said = ask.last_user.lower()
    if ask.choice.startswith("="):
        wanted = [tool for tool in ask.tools if tool.name == ask.choice[1:]] or list(ask.tools[:1])
    else:
        named = [tool for tool in ask.tools if re.search(rf"\b{re.escape(tool.name.lower())}\b", said)]
        asked = bool(named) or "use the tool" in said or re.search(r"\bcall\b", said) is not None
        if ask.choice != "required" and (ask.tool_results or not asked):
            return ()
        wanted = named or list(ask.tools)
    both = ask.parallel and "parallel" in said
    wanted = (wanted * 2 if len(wanted) == 1 else wanted)[: 2 if both else 1]
    return tuple(_generated_call(tool, seed + index) for index, tool in enumerate(wanted))


def _generated_call(tool: Tool, seed: int) -> ToolCall:
    value = {"input": "print('hello')"} if tool.freeform else schema.example({"type": "object", **tool.schema}, seed)
    return ToolCall(id=ids.base62(24), name=tool.name, arguments=value, freeform=tool.freeform)


def _text(ask: Ask, prompt: str, rng: random.Random) -> str:
    if ask.tool_results and ask.schema is None:
        return f"The tool answered: {' | '.join(ask.tool_results)}\n\nThat is all the information needed."
    wanted = ask.schema or (_schema_in(prompt) if ask.json_mode or "json" in ask.last_user.lower() else None)
    if wanted is not None:
        return json.dumps(schema.example(wanted, rng.randrange(2**31)), ensure_ascii=False)
    if ask.json_mode:
        return json.dumps(_plain_analysis(rng), ensure_ascii=False)
    language = templates.language_of(ask.last_user or prompt)
    length = re.search(r"\b(\d{1,6}) words\b", ask.last_user)
    if length:
        return _prose(int(length[1]), rng)
    if language is None:
        return _prose(60, rng)
    return _code(language, ask.last_user or prompt, rng)


def _code(language: str, prompt: str, rng: random.Random) -> str:
    words = [word for word in _WORDS.findall(prompt.lower()) if word not in _COMMON]
    name = words[0] if words else "handler"
    body = rng.choice(templates.LANGUAGES[language]).replace("{name}", name).replace("{Name}", name.capitalize())
    return f"{rng.choice(templates.INTROS)}\n\n```{language}\n{body}```\n\n{rng.choice(templates.OUTROS)}"


def _prose(words: int, rng: random.Random) -> str:
    said: list[str] = []
    start = rng.randrange(len(templates.SENTENCES))
    while len(said) < words:
        said.extend(templates.SENTENCES[start % len(templates.SENTENCES)].split())
        start += 1
    return " ".join(said[:words]).rstrip(".,;") + "."


def _plain_analysis(rng: random.Random) -> dict[str, Any]:
    return {
        "summary": "The code is clear, does one thing, and handles the common errors.",
        "score": rng.randint(60, 95),
        "issues": [{"severity": "medium", "line": rng.randint(1, 40), "description": "Missing check for an empty list."}],
        "suggestions": ["Add a guard clause.", "Add a test for the empty input."],
    }


def _schema_in(prompt: str) -> dict[str, Any] | None:
    """A JSON schema quoted in the prompt: the first balanced object that has ``properties``."""
    at = prompt.find("{")
    decoder = json.JSONDecoder()
    while at >= 0:
        try:
            found, _ = decoder.raw_decode(prompt, at)
        except ValueError:
            found = None
        if isinstance(found, dict) and isinstance(found.get("properties"), dict):
            return found
        at = prompt.find("{", at + 1)
        if at > 200_000:
            break
    return None
