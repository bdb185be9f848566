"""What the square is made of: a wish, what the simulated model is told to say, and what must come of it."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.support.reading import Said

from .speak import SCHEMA, Wish

PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n" + b"square-picture" * 4).decode()
PDF = base64.b64encode(b"%PDF-1.4 square-document" * 3).decode()
WAV = base64.b64encode(b"RIFF0000WAVEsquare-sound" * 3).decode()
LINK = "https://pictures.example.com/square.png"
LONG = "The square has four corners and four sides. " * 400
THOUGHT = "Four corners; the answer is short."

Check = Callable[[Said, str], None]


@dataclass(frozen=True)
class Feature:
    """``steps``: the simulator's script, one step per upstream call. ``reaches``: words that must be in the provider's request. ``check``:
    the caller's answer and the dialect. ``fault``: the model's name at the provider carries it. ``warm``: ask twice, read the second."""

    name: str
    wish: Wish
    steps: tuple[dict[str, Any], ...] = ()
    reaches: tuple[str, ...] = ()
    check: Check = lambda said, dialect: None
    fault: str = ""
    warm: bool = False
    loop: bool = False
    senseless: frozenset[tuple[str, str]] = frozenset()
    # Of a loop: what the provider's second request must hold, by wire; dialects without a place for it are left out.
    signed: dict[str, str] = field(default_factory=dict)
    unsigned: frozenset[tuple[str, str]] = frozenset()


def user(*parts: tuple[Any, ...]) -> tuple[tuple[str, list[tuple[Any, ...]]], ...]:
    return (("user", list(parts)),)


def says(words: str) -> Check:
    def check(said: Said, dialect: str) -> None:
        assert said.text == words
        assert said.finish == "stop"
        assert said.usage is not None
        assert said.usage[0] > 0
        assert said.usage[1] > 0

    return check


def calls(*wanted: tuple[str, str]) -> Check:
    def check(said: Said, dialect: str) -> None:
        assert said.plain_calls == [(name, {"city": city}) for name, city in wanted]
        assert len({call.id for call in said.calls}) == len(wanted)
        assert all(call.id for call in said.calls)
        assert said.finish == "tools"

    return check


def _any_call(said: Said, dialect: str) -> None:
    assert len(said.calls) == 1
    assert said.finish == "tools"


def _no_call(said: Said, dialect: str) -> None:
    assert not said.calls
    assert said.text


def _forced(said: Said, dialect: str) -> None:
    assert [call.name for call in said.calls] == ["get_time"]


def _person(said: Said, dialect: str) -> None:
    person = json.loads(said.text)
    assert person.keys() == SCHEMA["properties"].keys()  # type: ignore[attr-defined]
    assert isinstance(person["age"], int)


def _stopped(said: Said, dialect: str) -> None:
    assert said.text == "one two "
    assert said.finish == "stop"


def _cut(said: Said, dialect: str) -> None:
    assert said.finish == "length"
    assert said.usage is not None
    assert said.usage[1] <= 20


def _thought(said: Said, dialect: str) -> None:
    assert said.text == "It is a square."
    if dialect != "openai_chat":  # the format has no way to ask for it to be shown
        assert said.thinking == THOUGHT


def _filtered(said: Said, dialect: str) -> None:
    assert said.finish == "filtered"


def _cached(said: Said, dialect: str) -> None:
    assert said.usage is not None
    assert 0 < said.usage[2] <= said.usage[0]


def _two(said: Said, dialect: str) -> None:
    assert len(said.choices) == 2
    assert all(said.choices)


def _fine(said: Said, dialect: str) -> None:
    assert said.text


def _free_text(said: Said, dialect: str) -> None:
    assert said.plain_calls == [("run", "print(1)")]
    assert said.finish == "tools"


def _one_call(said: Said, dialect: str) -> None:
    assert len(said.calls) == 1


CALL = {"tool": "get_weather", "arguments": {"city": "Rome"}, "id": "sq1_call"}
HISTORY = (
    ("user", [("text", "How is the weather in Rome?")]),
    ("assistant", [("call", "sq1_call", "get_weather", '{"city": "Rome"}')]),
    ("user", [("result", "sq1_call", "get_weather", "rain-in-the-square")]),
)
TWO_RESULTS = (
    ("user", [("text", "Rome and Oslo?")]),
    ("assistant", [("call", "call_a", "get_weather", '{"city": "Rome"}'), ("call", "call_b", "get_weather", '{"city": "Oslo"}')]),
    ("user", [("result", "call_a", "get_weather", "rain-in-rome"), ("result", "call_b", "get_weather", "snow-in-oslo")]),
)
G = "generationConfig"

FEATURES = (
    Feature("text", Wish(), ({"text": "Hello, square."},), ("Say hello.",), says("Hello, square.")),
    Feature("system prompt", Wish(system="Be-a-square."), ({"text": "Yes."},), ("Be-a-square.",), says("Yes.")),
    Feature(
        "several turns",
        Wish(turns=(("user", [("text", "first-turn")]), ("assistant", [("text", "second-turn")]), ("user", [("text", "third-turn")]))),
        ({"text": "Fourth."},),
        ("first-turn", "second-turn", "third-turn"),
        says("Fourth."),
    ),
    Feature("image, inline", Wish(turns=user(("text", "What?"), ("image", PNG))), ({"text": "A square."},), (PNG,), says("A square.")),
    Feature(
        "image, by URL", Wish(turns=user(("text", "What is it?"), ("link", LINK))), ({"text": "A square."},), (LINK,), says("A square.")
    ),
    Feature("PDF, inline", Wish(turns=user(("text", "Sum it up."), ("pdf", PDF))), ({"text": "A square."},), (PDF,), says("A square.")),
    Feature("audio, inline", Wish(turns=user(("text", "Write it down."), ("audio", WAV))), ({"text": "A tone."},), (WAV,), says("A tone.")),
    Feature("tool call", Wish(tools=("get_weather",)), (CALL,), ("Calls get_weather.", '"city"'), calls(("get_weather", "Rome"))),
    Feature(
        "parallel tool calls",
        Wish(tools=("get_weather",)),
        ({"tools": [CALL, {**CALL, "arguments": {"city": "Oslo"}, "id": "sq2_call"}]},),
        (),
        calls(("get_weather", "Rome"), ("get_weather", "Oslo")),
    ),
    Feature(
        "one tool call at a time",
        Wish(tools=("get_weather",), parallel=False, turns=user(("text", "Call get_weather for two cities in parallel."))),
        (),
        (),
        _one_call,
    ),
    Feature("tool results", Wish(turns=HISTORY, tools=("get_weather",)), ({"text": "Rain."},), ("rain-in-the-square",), says("Rain.")),
    Feature(
        "parallel tool results",
        Wish(turns=TWO_RESULTS, tools=("get_weather",)),
        ({"text": "Rain and snow."},),
        ("rain-in-rome", "snow-in-oslo"),
        says("Rain and snow."),
    ),
    Feature("some tool forced", Wish(tools=("get_weather",), choice="required"), (), (), _any_call),
    Feature("one tool forced", Wish(tools=("get_weather", "get_time"), choice="=get_time"), (), (), _forced),
    Feature(
        "tools forbidden", Wish(tools=("get_weather",), choice="none", turns=user(("text", "Call get_weather."))), (), (), _no_call
    ),
    Feature("JSON by schema", Wish(schema=True), (), ("additionalProperties",), _person),
    Feature("JSON, any", Wish(json=True, turns=user(("text", "Answer in JSON."))), ({"text": "{}"},), (), says("{}")),
    Feature("stop sequences", Wish(stop=("three",)), ({"text": "one two three four"},), ("three",), _stopped),
    Feature("length limit", Wish(max_tokens=20), ({"text": "word " * 200},), (), _cut),
    Feature("reasoning", Wish(think=True), ({"text": "It is a square.", "thinking": THOUGHT},), (), _thought),
    Feature(
        "reasoning in a tool loop",
        Wish(think=True, tools=("get_weather",), turns=HISTORY[:1]),
        ({**CALL, "thinking": THOUGHT}, {"text": "Rain."}),
        ("rain-in-the-square",),
        says("Rain."),
        loop=True,
        signed={
            "openai_responses": '"encrypted_content"',
            "anthropic_messages": base64.b64encode(b"simulated-signature-%08x" % zlib.crc32(THOUGHT.encode()) * 4).decode(),
            "gemini_generate": base64.b64encode(b"simulated-thought-sq1_call").decode(),
        },
        # The chat format has a place for Gemini's signature only.
        unsigned=frozenset({("openai_chat", "openai_responses"), ("openai_chat", "anthropic_messages")}),
    ),
    Feature(
        "free-text tool",
        Wish(more={
            "openai_chat": {"tools": [{"type": "custom", "custom": {"name": "run", "description": "Runs code."}}]},
            "openai_responses": {"tools": [{"type": "custom", "name": "run", "description": "Runs code."}]},
        }),
        ({"tool": "run", "input": "print(1)", "id": "sq1_call"},), ("Runs code.",), _free_text,
    ),
    Feature(
        "system text in the middle",
        Wish(turns=(("user", [("text", "first-turn")]), ("system", [("text", "Mind-the-square.")]), ("user", [("text", "third-turn")]))),
        ({"text": "Yes."},), ("first-turn", "Mind-the-square.", "third-turn"), says("Yes."),
    ),
    Feature(
        "failed tool result",
        Wish(turns=(*HISTORY[:2], ("user", [("failed", "sq1_call", "get_weather", "no-such-city")])), tools=("get_weather",)),
        ({"text": "Sorry."},), ("no-such-city",), says("Sorry."),
    ),
    Feature(
        "picture in a tool result",
        Wish(turns=(*HISTORY[:2], ("user", [("shown", "sq1_call", "get_weather", PNG)])), tools=("get_weather",)),
        ({"text": "Rain."},), (PNG,), says("Rain."),
    ),
    Feature("filtered answer", Wish(), (), (), _filtered, fault="fault:filter-out@2"),
    Feature(
        "cached tokens in usage", Wish(turns=user(("text", LONG)), cache=True), ({"text": "a"}, {"text": "b"}), (), _cached, warm=True,
        # Anthropic caches where it is told to, which these dialects cannot.
        senseless=frozenset({("openai_responses", "anthropic_messages"), ("gemini_generate", "anthropic_messages")}),
    ),
    Feature("several answers", Wish(n=2), (), (), _two),
    Feature(
        "temperature, top_p",
        Wish(more={
            "openai_chat": {"temperature": 0.5, "top_p": 0.875}, "openai_responses": {"temperature": 0.5, "top_p": 0.875},
            "anthropic_messages": {"temperature": 0.5, "top_p": 0.875}, "gemini_generate": {G: {"temperature": 0.5, "topP": 0.875}},
        }),
        (), ("0.5", "0.875"), _fine,
    ),
    Feature(
        "top_k", Wish(more={"openai_chat": {"top_k": 37}, "anthropic_messages": {"top_k": 37}, "gemini_generate": {G: {"topK": 37}}}),
        (), ("37",), _fine,
    ),
    Feature("seed", Wish(more={"openai_chat": {"seed": 4711}, "gemini_generate": {G: {"seed": 4711}}}), (), ("4711",), _fine),
    Feature(
        "penalties",
        Wish(more={"openai_chat": {"presence_penalty": 0.375}, "gemini_generate": {G: {"presencePenalty": 0.375}}}), (), ("0.375",), _fine,
    ),
    Feature(
        "log probabilities",
        Wish(more={
            "openai_chat": {"logprobs": True, "top_logprobs": 2}, "openai_responses": {"top_logprobs": 2},
            "gemini_generate": {G: {"responseLogprobs": True, "logprobs": 2}},
        }),
        (), (), _fine,
    ),
    Feature(
        "search by the provider",
        Wish(more={
            "openai_chat": {"web_search_options": {}}, "openai_responses": {"tools": [{"type": "web_search"}]},
            "anthropic_messages": {"tools": [{"type": "web_search_20250305", "name": "web_search"}]},
            "gemini_generate": {"tools": [{"googleSearch": {}}]},
        }),
        (), (), _fine,
    ),
    Feature(
        "an unknown field",
        Wish(more={
            "openai_chat": {"brand_new": 1}, "openai_responses": {"brand_new": 1}, "anthropic_messages": {"brand_new": 1},
            "gemini_generate": {"brandNew": 1},
        }),
        (), (), _fine,
    ),
)  # fmt: skip
