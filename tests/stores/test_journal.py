"""Open, hold, settle: each in one transaction, each once, whoever asks twice."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import uuid4

import pytest

from llm_gateway.core.errors import GatewayError, StoreUnavailable
from llm_gateway.models import Attempt, LedgerEntry, RequestBody, RequestLog
from llm_gateway.stores import vault
from llm_gateway.stores.batch import Op, commit
from llm_gateway.stores.columns import DECISION
from llm_gateway.stores.plain import plain

from .bench import Bench


def test_the_open_row_and_its_hold_are_committed_when_open_returns(bench: Bench) -> None:
    budget = bench.budget()
    opened = bench.opening(100, (budget,))
    bench.run(bench.journal.open(opened))
    row = bench.row(opened)
    assert (row.state, row.hold_nusd, row.worker, row.provider_slug) == ("open", 100, "w1", "prov")
    assert row.lease_until is not None
    assert bench.figures(budget) == (0, 100)
    assert bench.entries(opened) == [("request", "held", 100)]
    bench.run(bench.journal.settle(bench.settlement(opened, 60)))


def test_a_settlement_posts_the_cost_and_releases_the_hold(bench: Bench) -> None:
    budget = bench.budget()
    opened = bench.opening(100, (budget,))
    bench.run(bench.journal.open(opened))
    bench.run(bench.journal.settle(bench.settlement(opened, 60)))
    row = bench.row(opened)
    assert (row.state, row.cost_nusd, row.lease_until, row.attempt_count) == ("ok", 60, None, 1)
    assert (row.input_tokens, row.output_tokens, row.reasoning_tokens, row.usage_source) == (1, 2, None, "reported")
    assert row.decision == {"order": ["prov/m"]}
    assert bench.figures(budget) == (60, 0)
    assert bench.entries(opened) == [("request", "posted", 60)]
    assert Attempt.objects.get(request=row).billed == "reported"


def test_a_settlement_of_nothing_voids_the_hold(bench: Bench) -> None:
    budget = bench.budget()
    opened = bench.opening(100, (budget,))
    bench.run(bench.journal.open(opened))
    bench.run(bench.journal.settle(bench.settlement(opened, 0, "failed")))
    assert bench.entries(opened) == [("request", "voided", 0)]
    assert bench.figures(budget) == (0, 0)


def test_an_unknown_cost_charges_the_hold_and_stays_unknown(bench: Bench) -> None:
    budget = bench.budget()
    opened = bench.opening(100, (budget,))
    bench.run(bench.journal.open(opened))
    bench.run(bench.journal.settle(bench.settlement(opened, None, charge=100)))
    assert bench.row(opened).cost_nusd is None
    assert bench.figures(budget) == (100, 0)


def test_settling_twice_posts_once(bench: Bench) -> None:
    budget = bench.budget()
    opened = bench.opening(100, (budget,))
    bench.run(bench.journal.open(opened))
    ended = bench.settlement(opened, 60)

    async def twice() -> None:
        await asyncio.gather(bench.journal.settle(ended), bench.journal.settle(ended))
        await bench.journal.settle(bench.settlement(opened, 99, "failed"))

    bench.run(twice())
    assert bench.row(opened).state == "ok"
    assert bench.figures(budget) == (60, 0)
    assert bench.entries(opened) == [("request", "posted", 60)]
    assert Attempt.objects.filter(request_id=opened.call.id).count() == 1


def test_a_settlement_of_a_request_that_is_not_in_the_log_changes_nothing(bench: Bench) -> None:
    opened = bench.opening(100)
    bench.run(bench.journal.settle(bench.settlement(opened)))
    assert bench.row(opened) is None
    assert not Attempt.objects.exists()


def test_many_at_once_share_commits(bench: Bench) -> None:
    budget = bench.budget(limit=10**9)
    opened = [bench.opening(100, (budget,)) for _ in range(300)]

    async def all_of_them() -> None:
        await asyncio.gather(*(bench.journal.open(o) for o in opened))
        await asyncio.gather(*(bench.journal.settle(bench.settlement(o)) for o in opened))

    bench.run(all_of_them())
    assert bench.journal.written == 600
    assert bench.journal.batches < 60
    assert bench.figures(budget) == (300 * 60, 0)


def test_what_ends_in_a_batch_makes_room_for_what_begins_in_it(still: Bench) -> None:
    from datetime import UTC, datetime

    from llm_gateway.stores.rows import Writer

    budget = still.budget(limit=100)
    first, second = still.opening(100, (budget,)), still.opening(100, (budget,))
    writer = Writer()
    commit([Op("open", first)], writer, "w1", 30, datetime.now(UTC))
    begins, ends = Op("open", second), Op("settle", plain(still.settlement(first, 0, "failed")))
    commit([begins, ends], writer, "w1", 30, datetime.now(UTC))
    assert begins.error is None
    commit([Op("settle", plain(still.settlement(second, 100)))], writer, "w1", 30, datetime.now(UTC))
    assert still.figures(budget) == (100, 0)


def test_a_refused_open_leaves_no_row_of_its_own(bench: Bench) -> None:
    budget = bench.budget(limit=50)
    opened = bench.opening(100, (budget,))
    with pytest.raises(GatewayError):
        bench.run(bench.journal.open(opened))
    assert bench.row(opened) is None
    bench.run(bench.journal.reject(bench.rejection(opened.call)))
    assert bench.row(opened).state == "rejected"


def test_an_open_that_nobody_waits_for_any_more_is_closed_and_released(bench: Bench) -> None:
    budget = bench.budget()
    openings = [bench.opening(10, (budget,)) for _ in range(50)]

    async def leave_all() -> None:
        tasks = [asyncio.ensure_future(bench.journal.open(o)) for o in openings]
        for number, task in enumerate(tasks):
            if number % 7 == 0:
                await asyncio.sleep(0)
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        # A settled one afterwards: the queue has been worked off.
        last = bench.opening(0)
        await bench.journal.open(last)
        await bench.journal.settle(bench.settlement(last, 0))

    bench.run(leave_all())
    rows = RequestLog.objects.filter(pk__in=[o.call.id for o in openings])
    assert {row.state for row in rows} == {"client_cancelled"}
    started = [o for o in openings if bench.row(o) is not None]
    assert len(started) == rows.count()
    assert bench.figures(budget) == (0, 0)


def test_an_open_given_up_before_it_was_written_still_gets_its_one_row(still: Bench) -> None:
    async def give_up() -> Any:
        opened = still.opening(10)
        waiting = asyncio.ensure_future(still.journal.open(opened))
        await asyncio.sleep(0.01)  # the thread does not run yet
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        return opened

    opened = still.run(give_up())
    with still.running():
        pass
    row = still.row(opened)
    assert (row.state, row.http_status, row.error_code, row.attempt_count) == ("client_cancelled", 499, "client_cancelled", 0)


def test_a_second_target_is_held_against_its_own_budgets_once(bench: Bench) -> None:
    mine, theirs = bench.budget("mine"), bench.budget("theirs")
    opened = bench.opening(100, (mine,))
    bench.run(bench.journal.open(opened))
    target = bench.target((mine.pk, theirs.pk))
    bench.run(bench.journal.reserve(opened, target, 100))
    bench.run(bench.journal.reserve(opened, target, 100))
    assert (bench.figures(mine), bench.figures(theirs)) == ((0, 100), (0, 100))
    bench.run(bench.journal.settle(bench.settlement(opened, 60)))
    assert (bench.figures(mine), bench.figures(theirs)) == ((60, 0), (60, 0))


def test_a_reserve_that_was_cancelled_does_not_outlive_its_request(bench: Bench) -> None:
    budget = bench.budget()
    opened = bench.opening(100)
    bench.run(bench.journal.open(opened))

    async def cancel_and_settle() -> None:
        reserving = asyncio.ensure_future(bench.journal.reserve(opened, bench.target((budget.pk,)), 100))
        await asyncio.sleep(0)
        reserving.cancel()
        await bench.journal.settle(bench.settlement(opened, 0, "client_cancelled"))

    bench.run(cancel_and_settle())
    assert bench.figures(budget) == (0, 0)


def test_nothing_is_reserved_for_a_request_that_was_closed_meanwhile(bench: Bench) -> None:
    budget = bench.budget()
    opened = bench.opening(100)
    bench.run(bench.journal.open(opened))
    bench.run(bench.journal.settle(bench.settlement(opened, 0, "failed")))
    with pytest.raises(StoreUnavailable):
        bench.run(bench.journal.reserve(opened, bench.target((budget.pk,)), 100))
    assert bench.figures(budget) == (0, 0)


def test_one_row_that_cannot_be_written_does_not_take_its_neighbours_along(bench: Bench) -> None:
    good = [bench.opening(1) for _ in range(3)]
    bad = bench.opening(1, call=bench.call(identity=_of_no_team(bench)))

    async def together() -> list[Any]:
        return await asyncio.gather(*(bench.journal.open(o) for o in (*good, bad)), return_exceptions=True)

    results = bench.run(together())
    assert [type(r) for r in results] == [type(None)] * 3 + [StoreUnavailable]
    for opened in good:
        bench.run(bench.journal.settle(bench.settlement(opened, 0)))
    assert bench.journal.healthy


def _of_no_team(bench: Bench) -> Any:
    import msgspec

    return msgspec.structs.replace(bench.call().identity, team_id=10**6)


def test_a_settlement_that_no_database_takes_is_booked_bare_and_kept_for_a_person(bench: Bench, tmp_path: Any) -> None:
    budget = bench.budget()
    opened = bench.opening(100, (budget,))
    bench.run(bench.journal.open(opened))
    whole = bench.settlement(opened, 60)
    op = Op("settle", plain(whole), None)
    op.work["row"][DECISION] = "{not json"
    bench.journal._queue.put(op)
    bench.run(bench.journal.settle(bench.settlement(opened, 61)))  # comes after it and finds it done
    row = bench.row(opened)
    assert (row.state, row.cost_nusd, row.flags) == ("ok", 60, "bare")
    assert bench.figures(budget) == (60, 0)
    assert (tmp_path / "spool" / "w1.bad").exists()
    assert bench.journal.healthy


def test_texts_are_sealed_for_their_own_row(bench: Bench) -> None:
    opened = bench.opening(0)
    bench.run(bench.journal.open(opened))
    bench.run(bench.journal.settle(bench.settlement(opened, 0, prompt="what is it", answer="a \ud800secret")))
    body = RequestBody.objects.get(request_id=opened.call.id)
    assert "what" not in body.prompt
    place = f"requestbody:{opened.call.id.hex}:"
    assert vault.open_sealed(body.prompt, place=place + "prompt").reveal() == "what is it"
    assert vault.open_sealed(body.answer, place=place + "answer").reveal() == "a ?secret"


def test_any_text_and_any_number_can_be_settled(bench: Bench) -> None:
    nasty = "\x00\ud800\u2028'\"%s\\u0000" + "x" * 5000
    opened = bench.opening(0, call=bench.call(metadata={"a": "\x00b", "c": "\\u0000", "d": [1, {"e": "\ud800"}], "f": 10**30}, tag=nasty))
    bench.run(bench.journal.open(opened))
    odd = {"input_tokens": -5, "output_tokens": 10**20, "reasoning_tokens": float("nan"), "usage_source": "reported"}
    ended = bench.settlement(
        opened, 10**30, served_model=nasty, error_code=nasty, finish_reason=nasty, flags=nasty, usage=odd, latency_ms=-3, ttft_ms=10**12,
        status=10**6, decision={"x": nasty, "n": float("inf")}, charge=-7,
    )  # fmt: skip
    bench.run(bench.journal.settle(ended))
    row = bench.row(opened)
    assert row.state == "ok"
    assert (row.input_tokens, row.output_tokens, row.reasoning_tokens) == (0, 100_000_000, None)
    assert (row.latency_ms, row.cost_nusd) == (0, 2**62)
    assert row.metadata["a"] == "b"
    assert row.metadata["c"] == "\\u0000"


def test_after_the_end_opens_are_refused_and_settlements_spooled(bench: Bench) -> None:
    budget = bench.budget()
    opened = bench.opening(100, (budget,))
    journal = bench.new_journal("w2")
    with bench.running(journal):
        bench.run(journal.open(opened))
    bench.run(journal.settle(bench.settlement(opened, 60)))
    with pytest.raises(StoreUnavailable):
        bench.run(journal.open(bench.opening(1)))
    assert bench.row(opened).state == "open"
    with bench.running(bench.new_journal("w3")):
        pass
    assert bench.row(opened).state == "ok"
    assert bench.figures(budget) == (60, 0)


def test_a_request_id_is_logged_once(bench: Bench) -> None:
    call = bench.call()
    bench.run(bench.journal.reject(bench.rejection(call)))
    bench.run(bench.journal.reject(bench.rejection(call)))
    assert RequestLog.objects.filter(pk=call.id).count() == 1
    assert not LedgerEntry.objects.filter(request_id=uuid4()).exists()
