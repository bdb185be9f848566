"""What makes another key, for every dialect: any one field, however deep, except the few that change nothing in an answer."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm_gateway.core.caching import CacheRule, CacheRules
from llm_gateway.core.chat import ChatRequest, Document, FinishReason, Image, Message, Text, Tool
from llm_gateway.core.errors import InvalidRequest
from llm_gateway.policies.cache_consent import wish_of
from llm_gateway.policies.cache_key import DENIED, Scene, answer_headers, cache_key, canonical
from llm_gateway.policies.cache_reach import within_reach
from llm_gateway.policies.cacheable import LARGEST_ANSWER, LARGEST_REQUEST, refusal, unfit

SECRET = b"s" * 32
_TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {"a": {"type": "string"}}}}}
BODIES: dict[str, dict[str, Any]] = {
    "openai_chat": {
        "model": "m",
        "messages": [{"role": "system", "content": "be brief"}, {"role": "user", "content": [{"type": "text", "text": "hi"}]}],
        "temperature": 0, "max_tokens": 5, "reasoning_effort": "low", "seed": 1, "tools": [_TOOL], "tool_choice": "auto", "n": 1,
        "response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "object"}}}, "stop": ["a", "b"],
        "logit_bias": {"5": 1.5}, "heard_of_by_nobody": {"deep": [{"er": None}, True, False, 0]}, "parallel_tool_calls": True,
    },
    "openai_responses": {
        "model": "m", "input": [{"type": "message", "role": "user", "content": "hi"}, {"type": "function_call_output", "output": "1"}],
        "instructions": "be brief", "temperature": 0, "reasoning": {"effort": "low"}, "text": {"format": {"type": "text"}}, "unknown": 1,
    },
    "anthropic_messages": {
        "model": "m", "max_tokens": 9, "system": [{"type": "text", "text": "s", "cache_control": {"type": "ephemeral"}}],
        "messages": [{"role": "user", "content": "hi"}], "temperature": 0.0, "thinking": {"type": "enabled", "budget_tokens": 1024},
        "stop_sequences": ["x"], "top_k": 3, "unknown": {"a": [1]},
    },
    "gemini_generate": {
        "contents": [{"role": "user", "parts": [{"text": "hi"}]}], "generationConfig": {"temperature": 0, "stopSequences": ["x"]},
        "safetySettings": [{"category": "C", "threshold": "T"}], "systemInstruction": {"parts": [{"text": "s"}]}, "stream": 1, "user": "u",
    },
    "native": msgspec.to_builtins(ChatRequest(model="m", messages=(Message(role="user", parts=(Text(text="hi"),)),), temperature=0.0)),
}  # fmt: skip


def key(dialect: str, body: dict[str, Any], **scene: Any) -> bytes:
    told = {"team_id": 1, "client_key_id": 2, "kind": "chat", "model": "m", "behind": ("p m m",), **scene}
    return cache_key(SECRET, Scene(dialect=dialect, **told), body)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place of a document, inner ones too."""
    if path:
        yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, inner in items:
        yield from places(inner, (*path, name))


def changed(body: dict[str, Any], path: tuple[Any, ...], value: Any) -> dict[str, Any]:
    """``value`` ``...``: the place is taken out."""
    found = copy.deepcopy(body)
    at: Any = found
    for name in path[:-1]:
        at = at[name]
    if value is ...:
        del at[path[-1]]
    else:
        at[path[-1]] = value
    return found


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.floats(allow_nan=False, allow_infinity=False, width=16) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)


@pytest.mark.parametrize("dialect", BODIES)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_any_one_field_changed_added_or_left_out_is_another_key(dialect: str, data: st.DataObject) -> None:
    body = BODIES[dialect]
    path = data.draw(st.sampled_from([p for p in places(body) if p[0] not in DENIED[dialect]]))
    value = data.draw(ANYTHING | st.just(...))
    other = changed(body, path, value)
    if msgspec.json.encode(other, order="deterministic") != msgspec.json.encode(body, order="deterministic"):
        assert key(dialect, other) != key(dialect, body), path
    name = data.draw(
        st.text(min_size=1, max_size=6).filter(lambda name: name not in body and name not in DENIED[dialect] and name != "store")
    )
    assert key(dialect, body | {name: data.draw(ANYTHING)}) != key(dialect, body), name


@pytest.mark.parametrize("dialect", BODIES)
def test_the_order_of_fields_and_the_denied_ones_make_no_other_key(dialect: str) -> None:
    body = BODIES[dialect]
    assert key(dialect, dict(reversed(body.items()))) == key(dialect, body)
    for name in DENIED[dialect]:
        assert key(dialect, body | {name: "x"}) == key(dialect, body), name
        assert name not in canonical(dialect, body | {name: "x"})
        assert key(dialect, body | {"inner": {name: "x"}}) != key(dialect, body | {"inner": {name: "y"}}), "denied at the top alone"
    if "user" in DENIED[dialect] and dialect.startswith("openai"):
        assert key(dialect, body | {"store": False}) == key(dialect, body) != key(dialect, body | {"store": True})


def test_whoever_else_asks_of_whatever_else_has_another_key() -> None:
    body = BODIES["openai_chat"]
    usual = key("openai_chat", body)
    others: list[dict[str, Any]] = [
        {"team_id": 2}, {"client_key_id": 3}, {"client_key_id": None}, {"kind": "generate"}, {"model": "n"}, {"behind": ("p m m", "p n n")},
        {"ceiling": 5}, {"headers": ("a", "")}, {"facts": ("review",)},
    ]  # fmt: skip
    keys = [key("openai_chat", body, **one) for one in others]
    assert len({usual, *keys}) == len(others) + 1
    assert (
        cache_key(b"t" * 32, Scene(team_id=1, client_key_id=2, kind="chat", dialect="openai_chat", model="m", behind=("p m m",)), body)
        != usual
    )
    assert answer_headers({"anthropic-beta": "x"}) != answer_headers({}) == answer_headers({"user-agent": "y"})


HI = (Message(role="user", parts=(Text(text="hi"),)),)


def why(body: dict[str, Any] | None = None, kind: str = "chat", chance: bool = False, size: int = 9, **chat: Any) -> str:
    asked = ChatRequest(**{"model": "m", "messages": HI, "temperature": 0.0, **chat})
    return refusal(kind, "openai_chat", size, body or {}, asked, chance=chance)


def test_only_requests_whose_answer_depends_on_nothing_else_are_cacheable() -> None:
    assert why() == ""
    assert why(temperature=None) != ""
    assert why(temperature=None, seed=0) == ""
    assert why(temperature=None, chance=True) == why(temperature=0.7, chance=True) == ""
    assert why(kind="test") != ""
    assert why(kind="count_tokens") != ""
    assert why(size=LARGEST_REQUEST + 1) != ""
    for body in ({"store": True}, {"previous_response_id": "r"}, {"web_search_options": {}}, {"mcp_servers": [{}]}, {"cachedContent": "c"},
                 {"logprobs": True}, {"include": ["message.output_text.logprobs"]}, {"modalities": ["text", "audio"]},
                 {"generationConfig": {"responseModalities": ["IMAGE"]}}, {"generation_config": {"response_logprobs": True}}):  # fmt: skip
        assert why(body) != "", body
        assert why(body, chance=True) != "", body
    for body in ({"store": False}, {"previous_response_id": None}, {"mcp_servers": []}, {"logprobs": False}, {"modalities": ["text"]}):
        assert why(body) == "", body
    for part in (Image(url="https://x/y.png"), Image(file_id="f"), Document(url="https://x/y.pdf"), Document(file_id="f")):
        assert why(messages=(Message(role="user", parts=(part,)),)) != "", part
    assert why(messages=(Message(role="user", parts=(Image(url="data:image/png;base64,AA=="), Image(data="AA=="))),)) == ""
    assert why(tools=(Tool(name="web_search", builtin="web_search"),)) != ""
    assert why(tools=(Tool(name="f"),)) == ""
    assert refusal("chat", "openai_chat", 1, {}, None, chance=True) != ""
    assert refusal("embeddings", "openai_chat", 1, {}, None, chance=False) == ""


def test_only_whole_answers_are_kept() -> None:
    good = [FinishReason.STOP, FinishReason.STOP_SEQUENCE, FinishReason.TOOL_CALLS]
    assert unfit(good, "", 1) == ""
    for end in (*(set(FinishReason) - set(good)), None):
        assert unfit([*good, end], "", 1) != "", end
    assert unfit([], "", 1) != ""
    assert unfit(good, "no_terminal", 1) != ""
    assert unfit(good, "", LARGEST_ANSWER + 1) != ""


def test_the_nearest_word_decides() -> None:
    on, off = CacheRule(on=True, ttl_s=100), CacheRule(on=False)

    def wish(rules: CacheRules, **headers: str) -> Any:
        return wish_of({name.replace("_", "-"): value for name, value in headers.items()}, rules, 7, "alias")

    everywhere = CacheRules(gateway=on, aliases={"alias": off}, keys={7: on})
    assert wish(CacheRules()) is None
    assert wish(CacheRules(gateway=on)).ttl_s == 100
    assert wish(CacheRules(gateway=on, aliases={"alias": off})) is None
    assert wish(everywhere) is not None
    assert wish(CacheRules(gateway=on, keys={7: CacheRule(chance=True)})).chance, "who says nothing of on and off leaves that to the next"
    assert wish(everywhere, x_cogo_cache="off") is None
    assert wish(everywhere, cache_control="No-Store") is None
    assert wish(CacheRules(), x_cogo_cache=" ON ", x_cogo_cache_ttl="60").ttl_s == 60
    only = wish(CacheRules(), x_cogo_cache="only")
    assert (only.look, only.keep, only.only) == (True, False, True)
    fresh = wish(everywhere, cache_control="no-cache, max-age=0")
    assert (fresh.look, fresh.keep, fresh.max_age_s) == (False, True, 0)
    assert wish(everywhere, cache_control="max-age=x, nonsense, =").max_age_s is None
    assert wish(CacheRules(aliases={"alias": CacheRule(on=True, shared=True)})).shared
    assert not wish(CacheRules(keys={7: CacheRule(on=True, shared=True)})).shared
    for headers in ({"x_cogo_cache": "maybe"}, {"x_cogo_cache_ttl": "59"}, {"x_cogo_cache_ttl": "2592001"}, {"x_cogo_cache_ttl": "-60"}):
        with pytest.raises(InvalidRequest):
            wish(CacheRules(), **headers)


def test_what_expired_or_was_purged_is_out_of_reach() -> None:
    whose = {"team": "1", "key": "2", "alias": "a", "model": "m"}
    assert within_reach(100.0, 200.0, whose, {}, 150.0)
    assert within_reach(100.0, 200.0, whose, {}, 50.0), "a clock that was set back makes nothing expire"
    assert not within_reach(100.0, 200.0, whose, {}, 200.0)
    for mark in (("all", ""), *whose.items()):
        assert not within_reach(100.0, 200.0, whose, {mark: 100.0}, 150.0), mark
        assert within_reach(100.0, 200.0, whose, {mark: 99.0}, 150.0), mark
    assert within_reach(100.0, 200.0, whose, {("team", "3"): 199.0, ("model", "a"): 199.0}, 150.0)
