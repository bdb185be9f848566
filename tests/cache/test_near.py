"""Nearly the same question: which texts are, which only look so, what is measured, and what is served when."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from llm_gateway.core.caching import CacheRule, CacheRules
from llm_gateway.core.chat import ChatRequest, Image, Message, Text, Tool
from llm_gateway.models import Alias, AuditEntry, CacheMeasure
from llm_gateway.models import CacheRule as Row
from llm_gateway.policies.agreement import LEAST_JUDGED, agree, lower_bound, refusal
from llm_gateway.policies.folding import LONGEST, folded, only_text, with_folded
from llm_gateway.stores import cache_measures
from llm_gateway.stores.cache_rules import cache_rules
from llm_gateway.wires import dialects

from .opposites import OPPOSITES, QUESTIONS, variants
from .test_walk import ON, WHOLE, CachedRig, Script


def test_no_opposite_is_taken_for_the_other() -> None:
    assert len(OPPOSITES) >= 200
    assert len(set(OPPOSITES)) == len(OPPOSITES)
    assert [pair for pair in OPPOSITES if folded(pair[0]) == folded(pair[1])] == []


def test_variants_that_mean_the_same_are_the_same() -> None:
    pairs = [(text, one) for text in QUESTIONS for one in variants(text)]
    served = sum(folded(text) == folded(one) for text, one in pairs)
    assert served / len(pairs) >= 0.95, [pair for pair in pairs if folded(pair[0]) != folded(pair[1])][:20]


def test_code_quotes_and_whatever_may_be_code_stay_as_they_are() -> None:
    same = [
        ("Fix this:\n```py\nx = 1\n```", "fix  this:\n```py\nx = 1\n```"), ("say “Hi, There”", 'Say "Hi, There".'),
        ("def f(x):\n    return x", "\ndef f(x):\n    return x  "), ("SORT THE LIST", "sort the list"),
    ]  # fmt: skip
    other = [
        ("Fix this:\n```py\nx = 1\n```", "Fix this:\n```py\nx = 2\n```"),
        ("Fix:\n```py\nif a:\n  b\nc\n```", "Fix:\n```py\nif a:\n  b\n  c\n```"),
        ('say "hi, there"', 'say "hi there"'), ("def f(x):\n    return x\n    y", "def f(x):\n    return x\ny"), ("use `A`", "use `a`"),
        ("don't do it", "do it"), ("sort this list please now", "sort this list now"), ("hello world program", "world program"),
        ("what is IT", "what is it"), ("-5 + 3", "5 + 3"), ("a b", "a a b"), ("f(x)!", "f(x)"), ("café", "cafe"),
    ]  # fmt: skip
    assert [pair for pair in same if folded(pair[0]) != folded(pair[1])] == []
    assert [pair for pair in other if folded(pair[0]) == folded(pair[1])] == []
    assert folded("") is folded("  \n") is folded("x" * (LONGEST + 1)) is None


def test_only_a_single_question_is_looked_at_and_everything_around_it_is_a_wall() -> None:
    user, system = Message(role="user", parts=(Text(text="hi"),)), Message(role="system", parts=(Text(text="be brief"),))
    assert only_text(ChatRequest(model="m", messages=(system, user))) == "hi"
    for messages, more in (
        ((user, Message(role="assistant", parts=(Text(text="yes"),)), user), {}), ((system,), {}), ((), {}), ((user,), {"n": 2}),
        ((user,), {"tools": (Tool(name="f"),)}), ((Message(role="user", parts=(Text(text="hi"), Image(data="AA=="))),), {}),
    ):  # fmt: skip
        assert only_text(ChatRequest(model="m", messages=messages, **more)) is None
    body = {"messages": [{"role": "system", "content": "be brief"}, {"role": "user", "content": "Hi  you"}], "top_p": 1}
    assert with_folded(body, "Hi  you", "x") == {"messages": [body["messages"][0], {"role": "user", "content": "x"}], "top_p": 1}  # type: ignore[index]
    assert with_folded({"a": "Hi", "b": ["Hi"]}, "Hi", "x") is None, "it is not said which of them is the question"
    assert with_folded({"a": "Hi!"}, "Hi", "x") is None


def test_answers_agree_when_they_say_the_same_or_are_the_same_code() -> None:
    yes = [
        ("a  b\n", "a b"), ('{"a": 1, "b": [2]}', '{"b":[2],"a":1}'),
        ("Sure:\n```python\nx = {'a': 1}  # one\n```", "Here it is.\n```python\nx = {\n  \"a\": 1,\n}\n```"),
        ("```sql\nselect 1 \n```", "So:\n```sql\nselect 1\n```"),
    ]  # fmt: skip
    no = [
        ("yes", "no"), ("", "x"), ('{"a": 1}', '{"a": 2}'), ('{"a": 1}', "a is 1"), ("```python\nx = 1\n```", "```python\nx = 2\n```"),
        ("```python\nx = 1\n```", "x = 1"), ("```python\nif a:\n  b\nc\n```", "```python\nif a:\n  b\n  c\n```"),
        ("- a\n  - b\n- c", "- a\n  - b\n  - c"), ("```js\na b\n```", "```js\na c\n```"),
        ("[" * 5000, "[" * 5001),
    ]  # fmt: skip
    assert [pair for pair in yes if not agree(*pair)] == []
    assert [pair for pair in no if agree(*pair)] == []


def test_the_bound_is_exact_and_three_hundred_right_hits_just_reach_it() -> None:
    """R's binom.test(x, n, alternative = "greater"): 0.05 ** (1 / n) where all are right."""
    for right in (1, 10, 299, 300, 5000):
        assert lower_bound(right, right) == pytest.approx(0.05 ** (1 / right), abs=1e-9)
    assert lower_bound(990, 1000) == pytest.approx(0.98310, abs=1e-5)
    assert lower_bound(0, 0) == lower_bound(0, 10) == 0.0
    assert refusal(LEAST_JUDGED, LEAST_JUDGED) == ""
    assert refusal(LEAST_JUDGED - 1, LEAST_JUDGED - 1) != ""
    assert refusal(LEAST_JUDGED - 1, LEAST_JUDGED) != ""
    assert refusal(473, 474) != refusal(1, 1) != ""


class NearRig(CachedRig):
    """``ask`` sends one question to the alias ``abc``."""

    def __init__(self, semantic: str, *scripts: Script) -> None:
        super().__init__(*scripts)
        self.rules(aliases={"abc": CacheRule(on=True, semantic=semantic)})

    async def ask(self, text: str, stream: bool = False) -> str:
        call = self.call("abc", stream=stream, headers={})
        body = call.inbound.body.replace(b"hello", text.encode())
        inbound = dialects.get("openai_chat").decode_request(body, {"kind": "chat"})
        call = msgspec.structs.replace(call, inbound=inbound)
        if not stream:
            answer = await self.pipeline.whole(call)
            await self.owner.settle(1)
            return str(answer.summary.cache and answer.summary.cache.status)
        streamed = await self.pipeline.stream(call)
        async for _ in streamed.frames:
            pass
        await streamed.frames.aclose()
        await self.owner.settle(1)
        return str(streamed.cache and streamed.cache.status)


def answers(*texts: str) -> list[Script]:
    return [Script(body=WHOLE.replace(b"one two three", text.encode())) for text in texts]


async def test_the_shadow_serves_nothing_and_compares() -> None:
    rig = NearRig("shadow", *answers("one", "one", "two"))
    assert [await rig.ask("Sort it"), await rig.ask("sort it."), await rig.ask("Please sort it"), await rig.ask("sort it.")] == [
        "miss", "miss", "miss", "hit",
    ]  # fmt: skip
    assert rig.answers.verdicts == [("abc", True), ("abc", False)]
    off = NearRig("off", *answers("one", "one"))
    assert [await off.ask("Sort it"), await off.ask("sort it.")] == ["miss", "miss"]
    assert off.answers.verdicts == []


async def test_what_is_on_is_served_and_a_hundredth_is_asked_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    draw = 0.5
    monkeypatch.setattr("llm_gateway.engine.near.random.random", lambda: draw)
    rig = NearRig("on", *answers("one", "one"))
    assert [await rig.ask("Sort it"), await rig.ask("sort it."), await rig.ask("Sort it!", stream=True)] == ["miss", "semantic", "semantic"]
    assert await rig.ask("sort that") == "miss"
    row = rig.journal.rejected[0]
    assert row.remembered is not None
    assert (row.remembered.cache, row.call.cache) == ("semantic", "semantic")
    draw = 0.001
    rig = NearRig("on", *answers("one", "one"))
    assert [await rig.ask("Sort it"), await rig.ask("sort it.")] == ["miss", "miss"]
    assert rig.answers.verdicts == [("abc", True)]


@pytest.mark.django_db
def test_an_alias_serves_only_while_its_measure_allows_it() -> None:
    alias = Alias.objects.create(name="fast")
    rule = Row.objects.create(alias=alias, switch="on", semantic="on")

    def in_force() -> str:
        return cache_rules().aliases["fast"].semantic

    assert in_force() == "shadow", "whoever wrote the row"
    cache_measures.note("nobody", True)
    cache_measures.note("fast", True)
    assert str(CacheMeasure.objects.get()) == "1 of 1"
    CacheMeasure.objects.update(judged=300, right=300)
    assert in_force() == "on"
    assert cache_measures.refusal_of("fast") == ""
    cache_measures.note("fast", True)
    assert in_force() == "on"
    cache_measures.note("fast", False)
    rule.refresh_from_db()
    assert (rule.semantic, in_force()) == ("shadow", "shadow")
    assert AuditEntry.objects.filter(detail__startswith="Back to the shadow: 301 of 302").exists()


@pytest.mark.django_db
def test_the_console_refuses_what_was_not_measured_and_shows_the_bound(client: Any, admin_user: Any) -> None:
    client.force_login(admin_user)
    alias = Alias.objects.create(name="fast")
    page = "/admin/llm_gateway/cacherule/"
    form = {"alias": alias.pk, "switch": "on", "semantic": "on"}
    assert "0 of 300 hits are judged" in client.post(page + "add/", form).content.decode()
    assert "Only an alias" in client.post(page + "add/", {"switch": "on", "semantic": "shadow"}).content.decode()
    assert client.post(page + "add/", form | {"semantic": "shadow"}).status_code == 302
    CacheMeasure.objects.create(alias=alias, judged=300, right=299)
    shown = client.get(page).content.decode()
    assert "299 of 300 right; at least 98.43% are" in shown
    row = Row.objects.get()
    assert "and 99% are asked for" in client.post(f"{page}{row.pk}/change/", form).content.decode()
    CacheMeasure.objects.update(right=300)
    assert client.post(f"{page}{row.pk}/change/", form).status_code == 302
    row.refresh_from_db()
    assert row.semantic == "on"
    assert CacheRules(aliases={"fast": CacheRule(semantic="on")}).in_use is False
    assert ON
