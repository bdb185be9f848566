"""The answer cache at a running gateway: every dialect, at a provider of its own format and of another one."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import pytest

from llm_gateway.core import json
from tests.support.gateway import GatewayServer
from tests.support.speaking import DIALECTS, Answer, auth

ON = {"x-cogo-cache": "on"}
COLD: dict[str, dict[str, Any]] = {"gemini_generate": {"generationConfig": {"temperature": 0}}}
OWN = {
    "openai_chat": "chat", "openai_responses": "responses", "anthropic_messages": "claude", "gemini_generate": "gem", "native": "chat",
}  # fmt: skip


@pytest.fixture(autouse=True)
def patient(gateway: GatewayServer) -> Iterator[None]:
    """A busy machine is no slow shelf."""
    gateway.gateway.answers.deadline_s = 5.0
    yield
    gateway.gateway.answers.deadline_s = 0.02


def ask(
    gateway: GatewayServer, dialect: str, model: str, prompt: str, stream: bool = False, key: str | None = None, **headers: str
) -> Answer:
    more = COLD.get(dialect, {"temperature": 0})
    sent = {name.replace("_", "-"): value for name, value in headers.items()} or ON
    return gateway.client(dialect, key).ask(model, prompt, stream=stream, headers=sent, **more)


def said(answer: Answer) -> str:
    assert answer.status == 200, answer.body
    return answer.headers.get("x-cogo-cache", "")


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("other_wire", [False, pytest.param(True, marks=pytest.mark.slow)], ids=["own format", "other format"])
@pytest.mark.parametrize("first_streams", [False, True], ids=["whole first", "stream first"])
def test_one_entry_serves_whole_answers_and_streams(gateway: GatewayServer, dialect: str, first_streams: bool, other_wire: bool) -> None:
    slug = ("claude" if OWN[dialect] != "claude" else "chat") if other_wire else OWN[dialect]
    model, prompt = f"{slug}/remembers", f"say 12 words, {dialect} {first_streams}"
    first = ask(gateway, dialect, model, prompt, first_streams)
    assert said(first) == "miss"
    sent = gateway.mark
    again = {stream: ask(gateway, dialect, model, prompt, stream) for stream in (False, True)}
    for stream, hit in again.items():
        assert said(hit) == "hit", hit.body
        assert hit.text == first.text != ""
        assert hit.headers["x-cogo-cost"] == "0.00"
        assert hit.headers["x-cogo-cached-from"] == str(first.request_id) != str(hit.request_id)
        assert int(hit.headers["age"]) >= 0
        assert hit.terminals == int(stream)
        row = gateway.row(hit)
        assert (row.state, row.cache, row.cost_nusd, row.hold_nusd, row.input_tokens, row.attempt_count) == ("ok", "hit", 0, 0, None, 0)
        assert row.saved_nusd == gateway.row(first).cost_nusd > 0
        assert (row.model_id, row.provider_slug) == (gateway.row(first).model_id, slug)
    assert gateway.mark == sent
    assert gateway.row(first).cache == "miss"
    if not first_streams:
        own = {"id", "created", "created_at", "completed_at", "responseId", "latency_ms", "ttft_ms", "cost", "decision", "attempts"}
        # Items that the gateway itself translated have ids of their own as well.
        own |= {"output"} if other_wire else set()
        assert unlike(first.json, again[False].json) <= own


def unlike(one: dict[str, Any], other: dict[str, Any]) -> set[str]:
    return {name for name in one.keys() | other.keys() if one.get(name) != other.get(name)}


def test_a_new_answer_has_an_id_of_its_own(gateway: GatewayServer) -> None:
    for dialect, name in (
        ("openai_chat", "id"),
        ("openai_responses", "id"),
        ("anthropic_messages", "id"),
        ("gemini_generate", "responseId"),
    ):
        answers = [ask(gateway, dialect, f"{OWN[dialect]}/ids", "say 3 words") for _ in range(3)]
        assert [said(one) for one in answers] == ["miss", "hit", "hit"]
        assert len({one.json[name] for one in answers}) == 3


def test_embeddings_are_kept_too_and_in_both_formats(gateway: GatewayServer) -> None:
    for model in ("chat/embed", "gem/embed"):
        answers = [gateway.client().send("/v1/embeddings", {"model": model, "input": ["one", "two"]}, False, ON) for _ in range(2)]
        assert [said(one) for one in answers] == ["miss", "hit"]
        assert answers[0].json["data"] == answers[1].json["data"]


def test_nothing_is_kept_where_nobody_asks_and_the_nearest_word_decides(gateway: GatewayServer) -> None:
    from llm_gateway.models import Alias, CacheRule, ClientKey

    text = gateway.issue("quiet")
    name = gateway.alias("remembered", ("chat", "levels"))

    def two(prompt: str, **headers: str) -> list[str]:
        sent = headers or {"x-none": "1"}
        return [said(ask(gateway, "openai_chat", name, prompt, key=text, **sent)) for _ in range(2)]

    def rule(**fields: Any) -> None:
        CacheRule.objects.create(**fields)
        gateway.refresh()

    try:
        assert two("nobody asks") == ["", ""]
        rule(switch="on")
        assert two("the gateway says on") == ["miss", "hit"]
        rule(alias=Alias.objects.get(name=name), switch="off")
        assert two("the alias says off") == ["", ""]
        rule(client_key=ClientKey.objects.get(name="quiet"), switch="on", ttl_s=120)
        assert two("the key says on") == ["miss", "hit"]
        assert two("the header says off", x_cogo_cache="off") == ["", ""]
        assert two("nothing is to be stored", cache_control="no-store") == ["", ""]
        assert two("fresh ones only", x_cogo_cache="refresh") == ["miss", "miss"]
        assert said(ask(gateway, "openai_chat", name, "fresh ones only", key=text)) == "hit"
    finally:
        CacheRule.objects.all().delete()
        gateway.refresh()


def test_chance_is_kept_only_where_it_is_wanted(gateway: GatewayServer) -> None:
    from llm_gateway.models import CacheRule

    def one(**more: Any) -> str:
        return said(gateway.client().ask("chat/chance", "say 4 words", headers=ON, **more))

    assert one() == "bypass; neither temperature 0 nor a seed"
    assert gateway.last_row().cache == "bypass"
    assert [one(seed=7), one(seed=7), one(seed=8)] == ["miss", "hit", "miss"]
    CacheRule.objects.create(chance=True)
    gateway.refresh()
    try:
        assert [one(temperature=1), one(temperature=1)] == ["miss", "hit"]
    finally:
        CacheRule.objects.all().delete()
        gateway.refresh()


def test_only_wants_a_kept_answer_or_none(gateway: GatewayServer) -> None:
    before = gateway.mark
    for dialect in DIALECTS:
        for stream in (False, True):
            answer = ask(gateway, dialect, f"{OWN[dialect]}/only", "say 5 words", stream, x_cogo_cache="only")
            assert (answer.status, answer.code, answer.headers["x-should-retry"]) == (504, "cache_miss", "false")
    assert gateway.mark == before
    row = gateway.row(answer)
    assert (row.state, row.cache, row.error_code, row.cost_nusd) == ("rejected", "miss", "cache_miss", 0)
    ask(gateway, "openai_chat", "chat/only", "say 5 words")
    assert said(ask(gateway, "openai_chat", "chat/only", "say 5 words", x_cogo_cache="only")) == "hit"


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [("x-cogo-cache", "yes", "on, off, only, refresh"), ("x-cogo-cache-ttl", "59", "60 to 2592000"), ("x-cogo-cache-ttl", "2592001", "60"),
     ("x-cogo-cache-ttl", "1h", "60"), ("x-cogo-cache-ttl", "\xb2\xb3\xb9", "60"), ("x-cogo-cache", "", "refresh")],
)  # fmt: skip
def test_a_word_that_says_nothing_is_refused_with_the_choices(gateway: GatewayServer, name: str, value: str, told: str) -> None:
    body = json.dumps({"model": "chat/x", "temperature": 0, "messages": [{"role": "user", "content": "hi"}]})
    headers = {**auth("openai_chat", gateway.rows.key), name: value.encode("latin-1")}
    answer = gateway.http.post("/v1/chat/completions", content=body, headers=headers)
    assert answer.status_code == 400
    assert told in answer.json()["error"]["message"]


def test_no_answer_crosses_a_team_or_a_key_unless_the_alias_shares(gateway: GatewayServer) -> None:
    from llm_gateway.models import Alias, CacheRule, Team

    other, _ = Team.objects.get_or_create(name="Other", slug="other")
    keys = [gateway.issue("mine"), gateway.issue("colleague"), gateway.issue("stranger", team=other)]
    name = gateway.alias("shared", ("chat", "walls"))
    got = [[said(ask(gateway, "openai_chat", name, f"say {n} words", key=key)) for n in range(5)] for key in keys]
    assert got == [["miss"] * 5] * 3
    CacheRule.objects.create(alias=Alias.objects.get(name=name), shared=True)
    gateway.refresh()
    try:
        got = [[said(ask(gateway, "openai_chat", name, f"say {n} words", key=key)) for n in range(5)] for key in keys]
        assert got == [["miss"] * 5, ["hit"] * 5, ["miss"] * 5]
    finally:
        CacheRule.objects.all().delete()
        gateway.refresh()


def test_twins_are_sent_once(gateway: GatewayServer) -> None:
    before = gateway.mark
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _: ask(gateway, "openai_chat", "chat/twins", "say 6 words"), range(20)))
    assert sorted(said(one) for one in answers) == ["hit"] * 19 + ["miss"]
    assert gateway.mark == before + 1


def test_a_hit_counts_for_the_rate_and_changes_no_budget(gateway: GatewayServer) -> None:
    from llm_gateway.models import Budget, LedgerEntry

    key = gateway.issue("limited", requests_per_minute=3, budget_usd=Decimal(1), period="total")
    answers = [ask(gateway, "openai_chat", "chat/rate", "say 7 words", key=key) for _ in range(4)]
    assert [one.status for one in answers] == [200, 200, 200, 429]
    assert answers[-1].code == "rate_limited"
    hits = [gateway.row(one).pk for one in answers[1:3]]
    assert not LedgerEntry.objects.filter(request_id__in=hits).exists()
    assert Budget.objects.get(client_key__name="limited").posted_nusd == gateway.row(answers[0]).cost_nusd


def test_an_answer_that_is_not_whole_or_not_good_is_not_kept(gateway: GatewayServer) -> None:
    cut = [gateway.client().ask("chat/cut", "say 50 words", headers=ON, temperature=0, max_tokens=1) for _ in range(2)]
    assert [said(one) for one in cut] == ["miss", "miss"]
    for dialect, fault in (("openai_chat", "filter-out"), ("openai_chat", "noterm-finished"), ("anthropic_messages", "filter-out")):
        for stream in (True, False):
            model = f"{OWN[dialect]}/{fault}"
            gateway.program(model, fault, fault)
            answers = [ask(gateway, dialect, model, f"say 50 words {stream}", stream) for _ in range(2)]
            if gateway.row(answers[0]).finish_reason != "stop" or gateway.row(answers[0]).flags:
                assert [said(one) for one in answers] == ["miss", "miss"], (dialect, fault, stream)
    broken = gateway.client().ask("chat/fault:status:500", "say 1 word", headers=ON, temperature=0)
    assert broken.status >= 500
    assert gateway.client().ask("chat/fault:status:500", "say 1 word", headers={"x-cogo-cache": "only"}, temperature=0).code == "cache_miss"


def test_another_meaning_of_the_name_is_another_answer(gateway: GatewayServer) -> None:
    name = gateway.alias("moving", ("chat", "before"))
    assert [said(ask(gateway, "openai_chat", name, "say 8 words")) for _ in range(2)] == ["miss", "hit"]
    gateway.alias(name, ("chat", "after"))
    assert said(ask(gateway, "openai_chat", name, "say 8 words")) == "miss"
    from llm_gateway.actions.activate_strategy import activate_strategy

    assert [said(ask(gateway, "openai_chat", "auto", "say 8 words")) for _ in range(2)] == ["miss", "hit"]
    activate_strategy("performance-based")
    gateway.refresh()
    try:
        assert said(ask(gateway, "openai_chat", "auto", "say 8 words")) == "miss"
    finally:
        activate_strategy("enterprise")
        gateway.refresh()


def test_another_worker_finds_what_the_first_has_written(gateway: GatewayServer) -> None:
    """What is in memory is forgotten; the table still has it, sealed."""
    from llm_gateway.models import CachedAnswer

    first = ask(gateway, "openai_chat", "chat/table", "say 9 words")
    gateway.settle()
    found = gateway.gateway
    row = CachedAnswer.objects.get(request_id=first.request_id)
    assert "words" not in row.ciphertext
    assert first.text.split()[0] not in row.ciphertext
    gateway.on_loop(found.answers.memory.__init__)
    gateway.refresh()
    assert said(ask(gateway, "openai_chat", "chat/table", "say 9 words")) == "hit"


def test_a_response_out_of_the_cache_is_remembered_under_its_own_id(gateway: GatewayServer) -> None:
    answers = [ask(gateway, "openai_responses", "responses/turns", "say 3 words") for _ in range(2)]
    assert said(answers[1]) == "hit"
    gateway.settle()
    for _ in range(2):
        more = {"model": "responses/turns", "input": "say 4 words", "previous_response_id": answers[1].json["id"], "temperature": 0}
        third = gateway.client("openai_responses").send("/v1/responses", more, False, ON)
    assert said(third) == "hit"
    assert "say 3 words" in str(gateway.received()[-1]["body"]), "the key is of the whole conversation"
