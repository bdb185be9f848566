"""Rows of the fault matrix that need a scene of their own."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.support.clock import Stopwatch
from tests.support.gateway import GatewayServer

from .table import DIALECTS, OWN

ALL = ("openai_chat", "openai_responses", "anthropic_messages", "gemini_generate", "native")


def classes(row: object) -> list[str]:
    return [a.error_class for a in row.attempts.order_by("number")]  # type: ignore[attr-defined]


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("dialect", DIALECTS)
def test_u6_a_pooled_connection_that_was_closed_is_invisible(gateway: GatewayServer, dialect: str, stream: bool) -> None:
    slug = OWN[dialect]
    assert gateway.ask(dialect, f"{slug}/warm").status == 200
    # The next request goes out on that connection, which the host drops unanswered; the one after it is a new connection.
    gateway.program(f"{slug}/stale", "rst", "ok")
    answer = gateway.ask(dialect, f"{slug}/stale", stream=stream)
    row = gateway.row(answer)
    assert answer.status == 200
    assert answer.text.strip()
    assert classes(row) == ["stale_conn", ""]
    assert row.state == "ok"
    assert gateway.health() == {}


def test_a_new_connection_that_is_dropped_unanswered_counts_against_the_host(gateway: GatewayServer) -> None:
    answer = gateway.ask("openai_chat", "chat/fault:refuse")
    row = gateway.row(answer)
    assert (answer.status, answer.code) == (502, "upstream_reset")
    assert set(classes(row)) <= {"reset", "stale_conn"}
    assert classes(row)[-1] == "reset"
    assert row.cost_nusd == 0


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("dialect", ALL)
def test_u22_a_blocked_answer_is_passed_on_with_its_reason(gateway: GatewayServer, dialect: str, stream: bool) -> None:
    for slug in ("chat", "claude", "gem"):
        answer = gateway.ask(dialect, f"{slug}/fault:filter-out@2", stream=stream)
        assert answer.status == 200, answer.body
        assert not answer.errors, answer.body
        assert answer.text, "what came is the caller's"
        row = gateway.row(answer)
        assert row.state == "ok"
        assert row.finish_reason in ("content_filter", "refusal"), slug


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("dialect", DIALECTS)
def test_u23_an_empty_answer_is_passed_on_and_flagged(gateway: GatewayServer, dialect: str, stream: bool) -> None:
    for fault in ("empty", "empty:text"):
        if fault == "empty" and dialect == "native" and stream:
            continue  # a Gemini stream without a single candidate has no finish either: U33
        answer = gateway.ask(dialect, f"{OWN[dialect]}/fault:{fault}", stream=stream)
        assert answer.status == 200, (fault, answer.body)
        assert not answer.errors, (fault, answer.body)
        row = gateway.row(answer)
        assert (row.state, row.flags, row.usage_source) == ("ok", "empty", "reported"), fault
        if not stream and dialect != "native":
            assert answer.headers["x-cogo-warning"] == "empty"


@pytest.mark.parametrize("dialect", DIALECTS)
def test_u33_a_stream_without_end_mark_but_with_a_finish_is_completed(gateway: GatewayServer, dialect: str) -> None:
    answer = gateway.ask(dialect, f"{OWN[dialect]}/fault:noterm-finished", stream=True)
    assert not answer.errors, answer.body
    assert answer.terminals == 1, answer.body
    row = gateway.row(answer)
    assert row.state == "ok"
    # Gemini's format has no end mark to miss.
    assert row.flags == ("" if dialect == "native" else "no_terminal")
    assert gateway.health() == {}


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("dialect", DIALECTS)
def test_u24_the_beginning_of_a_page_is_kept_as_evidence_and_shown_to_nobody(gateway: GatewayServer, dialect: str, stream: bool) -> None:
    answer = gateway.ask(dialect, f"{OWN[dialect]}/fault:html200", stream=stream)
    assert answer.code == "upstream_bad_response"
    assert b"<html" not in answer.body.lower()
    attempt = gateway.row(answer).attempts.get()
    assert "<html" in attempt.detail.lower()
    assert len(attempt.detail) <= 500


@pytest.mark.parametrize("dialect", DIALECTS)
def test_u36_a_huge_first_event_is_no_content(gateway: GatewayServer, dialect: str) -> None:
    alias = gateway.alias(f"huge-{dialect}", (OWN[dialect], "fault:hugeevent:9"), ("chat2", "fault:ok"))
    answer = gateway.ask(dialect, alias, stream=True)
    assert (answer.status, answer.errors) == (200, []), answer.body[:300]
    assert classes(gateway.row(answer)) == ["event_too_large", ""]


def test_u37_bytes_that_never_end_are_ended_by_the_total_clock(gateway: GatewayServer) -> None:
    from tests.support.rows import HASTY_MS

    gateway.clocks("hasty-chat", total=600, idle=5000, first_event=300)
    try:
        watch = Stopwatch()
        answer = gateway.ask("openai_chat", "hasty-chat/fault:drip@2", stream=True)
        assert watch.took_s < 3
        assert answer.code == "deadline_exceeded"
        assert classes(gateway.row(answer)) == ["total_timeout"]
    finally:
        gateway.clocks("hasty-chat", **HASTY_MS)


@pytest.mark.parametrize(
    "fault", ["u2028", "split1", "crlf", "cr", "bom", "comments", "multiline", "nospace", "burst", "split1+crlf+u2028"]
)
def test_u38_framing_changes_nothing_of_the_text(gateway: GatewayServer, fault: str) -> None:
    for dialect in ALL:
        for slug in ("chat", "claude", "gem", "responses"):
            streamed = gateway.ask(dialect, f"{slug}/fault:{fault}", stream=True)
            content = "u2028" if "u2028" in fault else "ok"
            whole = gateway.ask(dialect, f"{slug}/fault:{content}")
            assert not streamed.errors, (dialect, slug, streamed.body)
            assert streamed.terminals == 1, (dialect, slug)
            assert streamed.text == whole.text != "", (dialect, slug)


@pytest.mark.parametrize("dialect", ["openai_chat", "openai_responses", "anthropic_messages"])
def test_u39_the_first_end_wins_and_the_rest_is_dropped(gateway: GatewayServer, dialect: str) -> None:
    """Gemini's format has no end mark: there the end is the end of the body."""
    slug = OWN.get(dialect, "responses")
    plain = gateway.ask(dialect, f"{slug}/fault:ok", stream=True)
    for fault in ("dupterm", "dupterm+burst", "dupterm+split1"):
        answer = gateway.ask(dialect, f"{slug}/fault:{fault}", stream=True)
        assert answer.terminals == 1, (fault, answer.body)
        assert answer.text == plain.text, fault
        row = gateway.row(answer)
        assert row.state == "ok"
        assert row.flags in ("after_end", "")


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("dialect", DIALECTS)
def test_u40_to_u42_usage_that_is_missing_zero_or_huge(gateway: GatewayServer, dialect: str, stream: bool) -> None:
    from llm_gateway.models import LedgerEntry

    slug = OWN[dialect]
    missing = gateway.row(gateway.ask(dialect, f"{slug}/fault:usage:none", stream=stream))
    assert (missing.state, missing.usage_source) == ("ok", "estimated")
    assert missing.cost_nusd > 0
    zero = gateway.row(gateway.ask(dialect, f"{slug}/fault:usage:zero", stream=stream))
    assert (zero.state, zero.usage_source, zero.cost_nusd) == ("ok", "reported", 0)
    absurd = gateway.row(gateway.ask(dialect, f"{slug}/fault:usage:huge", stream=stream))
    assert (absurd.state, absurd.usage_source) == ("ok", "estimated")
    gateway.rows.model(slug, "talkative", max_output_tokens=1)
    gateway.refresh()
    long = gateway.row(gateway.ask(dialect, f"{slug}/talkative", stream=stream))
    assert long.state == "ok"
    entry = LedgerEntry.objects.get(request_id=long.pk)
    assert entry.amount_nusd == long.cost_nusd
    assert ("overrun" in long.flags) == (long.cost_nusd > entry.held_nusd)
    negative = gateway.row(gateway.ask(dialect, f"{slug}/fault:usage:negative", stream=stream))
    assert negative.state == "ok"
    assert negative.cost_nusd >= 0


@pytest.mark.parametrize("fault", ["stall@2", "rst@2", "fin@2", "noterm@2", "badsse@2", "err@2"])
def test_a_whole_answer_over_a_broken_stream_is_502_without_fallback(gateway: GatewayServer, fault: str) -> None:
    """The provider wants long answers streamed; the caller asked for none."""
    slug = "fireworks"
    gateway.clocks(slug, idle=300)
    try:
        alias = gateway.alias(f"whole-{fault}", (slug, f"fault:{fault}"), ("chat2", "fault:ok"))
        gateway.rows.no_limit(slug, f"fault:{fault}")
        gateway.refresh()
        answer = gateway.ask("openai_chat", alias, max_tokens=20_000)
        row = gateway.row(answer)
        assert answer.status in (502, 503), answer.body
        assert answer.headers["content-type"] == "application/json"
        assert "say" not in str(answer.json.get("choices"))
        assert (row.state, row.attempt_count) == ("failed", 1)
        assert row.attempts.get().streamed
        assert row.cost_nusd > 0
    finally:
        gateway.clocks(slug, idle=None)


def test_u8_a_second_key_of_the_same_provider_comes_before_the_next_provider(gateway: GatewayServer) -> None:
    from llm_gateway.models import ProviderKey

    if "pair" not in gateway.rows.providers:
        gateway.rows.provider("pair", gateway.simulator.base_url("custom"), keys=2)
    gateway.verdict("sim-valid-pair-default", "invalid")
    gateway.verdict("sim-valid-pair-key2", "valid")
    alias = gateway.alias("second-key", ("pair", "any"), ("chat2", "fault:ok"))
    for number in range(40):  # conversations are dealt among the keys: one of them begins with the bad one
        row = gateway.row(gateway.ask("openai_chat", alias, prompt=f"conversation {number}"))
        if classes(row) != [""]:
            break
    assert classes(row) == ["auth", ""]
    assert [a.provider_slug for a in row.attempts.order_by("number")] == ["pair", "pair"]
    gateway.settle()
    states = dict(ProviderKey.objects.filter(provider__slug="pair").values_list("name", "state"))
    assert states == {"default": "invalid", "key2": "valid"}
    # The key is out for all of its models, and only it.
    row = gateway.row(gateway.ask("openai_chat", "pair/another"))
    assert classes(row) == [""]


def test_u10_a_routed_model_that_is_gone_is_a_502(gateway: GatewayServer) -> None:
    gateway.personality("all", faults=["status:404"], state="fault")
    try:
        answer = gateway.ask("openai_chat", "auto")
    finally:
        gateway.personality("all", state="up", faults=[])
    assert (answer.status, answer.code) == (502, "model_unavailable"), answer.body
    assert gateway.row(answer).attempt_count == 3


def test_u13_a_prompt_too_long_goes_only_to_a_larger_window(gateway: GatewayServer) -> None:
    gateway.rows.model("chat", "fault:ctx", context_window=8000)
    gateway.rows.model("chat2", "small", context_window=4000)
    gateway.rows.model("chat2", "large", context_window=100_000)
    alias = gateway.alias("windows", ("chat", "fault:ctx"), ("chat2", "small"), ("chat2", "large"))
    row = gateway.row(gateway.ask("openai_chat", alias))
    assert classes(row) == ["context_length", ""]
    assert row.attempts.last().upstream_id == "large"
    assert any("larger window" in skip["why"] for skip in row.decision["skipped"])
    # The next prompt of this length begins where there is room; a shorter one as the operator said.
    row = gateway.row(gateway.ask("openai_chat", alias, prompt="a longer text than the one that was refused"))
    assert (classes(row), row.attempts.get().upstream_id) == ([""], "large")
    assert "refused: chat/fault:ctx, chat2/small" in row.decision["note"]
    row = gateway.row(gateway.ask("openai_chat", alias, prompt="a"))
    assert classes(row) == ["context_length", ""]


@pytest.mark.parametrize("dialect", DIALECTS)
def test_p18_a_key_that_is_replaced_ends_nothing_that_runs(gateway: GatewayServer, dialect: str) -> None:
    from llm_gateway.simulator.journal import digest

    slug = f"turning-{dialect.replace('_', '-')}"
    gateway.rows.provider(slug, gateway.simulator.base_url("custom"))
    gateway.refresh()
    since = gateway.mark
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(gateway.ask, dialect, f"{slug}/fault:slow:600", stream=True)
        while gateway.mark == since:
            time.sleep(0.01)
        gateway.rows.provider_key(slug, "default", f"sim-valid-{slug}-newer")
        gateway.refresh()
        assert gateway.ask(dialect, f"{slug}/x").status == 200
        first = running.result()
    assert (first.status, first.errors, first.terminals) == (200, [], 1)
    used = [entry["key_digest"] for entry in gateway.received(since)]
    assert used == [digest(f"sim-valid-{slug}-default"), digest(f"sim-valid-{slug}-newer")]
