"""What a process opened itself it ends without reading it again; whatever is not as it was thought to be is read, and nothing is lost."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import IntegrityError, OperationalError
from django.utils import timezone

from llm_gateway.core.errors import CallerLeft, GatewayError
from llm_gateway.models import Alert, Attempt, Budget, LanguageModel, LedgerEntry, Provider, RequestBody, RequestLog
from llm_gateway.stores import batch, known
from llm_gateway.stores.batch import Void, commit
from llm_gateway.stores.known import Op
from llm_gateway.stores.plain import plain
from llm_gateway.stores.reaper import reap
from llm_gateway.stores.rows import Writer

from .bench import Bench


@pytest.fixture
def ways(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Which way each commit went."""
    taken: list[str] = []
    short, careful = batch.write_known, batch._write_unknown

    def counted(*args: Any) -> bool:
        done = short(*args)
        if done:
            taken.append("short")
        return done

    def read(*args: Any) -> Any:
        taken.append("careful")
        return careful(*args)

    monkeypatch.setattr(batch, "write_known", counted)
    monkeypatch.setattr(batch, "_write_unknown", read)
    return taken


def write(writer: Writer, *ops: Op, now: datetime | None = None) -> list[Op]:
    commit(list(ops), writer, "w1", 30, now or datetime.now(UTC))
    return list(ops)


def opened(bench: Bench, writer: Writer, *budgets: Any, hold: int = 100) -> Any:
    found = bench.opening(hold, budgets)
    (op,) = write(writer, Op("open", found))
    assert op.error is None
    return found


def ends(bench: Bench, opening: Any, cost: int | None = 60, **more: Any) -> Op:
    return Op("settle", plain(bench.settlement(opening, cost, **more)))


# --- the short way says the same


def story(bench: Bench, writer: Writer, forget: Callable[[], None]) -> None:
    """Everything the short way writes: holds on several budgets, refusals, moves, retries, texts, budgets of one provider or model."""
    other = Provider.objects.create(slug="other", title="O", service="custom", wire="openai_chat", base_url="http://127.0.0.1:9")
    second = LanguageModel.objects.create(provider=other, upstream_id="m2", name="other/m2")
    wide, small = bench.budget("wide", 10**6), bench.budget("small", 250)
    first_only, second_only = bench.budget("first", 10**6, provider=bench.provider), bench.budget("second", 10**6, model=second)
    every = (wide, first_only, second_only)
    openings = [bench.opening(100, every, at=1_790_000_000.0 + number) for number in range(5)]
    openings += [bench.opening(100, (small,), at=1_790_000_100.0 + number) for number in range(3)] + [bench.opening(0, at=1_790_000_200.0)]
    forget()
    ops = write(writer, *(Op("open", one) for one in openings), Op("reject", bench.rejection(bench.call())))
    assert [type(op.error).__name__ for op in ops if op.error] == ["BudgetInFlight"]
    (attempt,) = bench.settlement(openings[0], 40, at=1_790_000_300.0).attempts
    import msgspec

    broke = msgspec.structs.replace(attempt, outcome="partial", billed="estimate", cost_nusd=15)
    answered = msgspec.structs.replace(attempt, number=2, provider_id=other.pk, model_id=second.pk, cost_nusd=25)
    target = bench.target()
    moved = msgspec.structs.replace(
        target,
        provider=msgspec.structs.replace(target.provider, id=other.pk, slug="other", simulated=True),
        model=msgspec.structs.replace(target.model, id=second.pk),
    )
    at = {"at": 1_790_000_400.0}
    forget()
    write(
        writer,
        ends(bench, openings[0], 40, attempts=(broke, answered), target=moved, **at),
        ends(bench, openings[1], None, charge=100, **at),
        ends(bench, openings[2], 0, state="failed", **at),
        ends(bench, openings[5], 90, prompt="what", answer="that", **at),
        Op("open", bench.opening(150, (small,), at=1_790_000_500.0)),
    )
    forget()
    write(writer, *(ends(bench, openings[number], number, **at) for number in (3, 4, 6, 8)))


def told() -> list[Any]:
    """All that was written, without what differs by nature: keys, the moment of the commit and ciphertexts."""
    rows = list(RequestLog.objects.order_by("created_at").values())
    numbers = {row["id"]: place for place, row in enumerate(rows)}
    found: list[Any] = [{k: v for k, v in row.items() if k not in ("id", "lease_until", "created_at")} for row in rows]
    found = [{**row, "finished_at": None} if row["state"] == "rejected" else row for row in found]
    names = dict(Budget.objects.values_list("pk", "name"))
    for entry in LedgerEntry.objects.values():
        kept = {k: v for k, v in entry.items() if k not in ("id", "request_id", "budget_id", "resolved_at")}
        found.append((numbers[entry["request_id"]], names[entry["budget_id"]], sorted(kept.items()), entry["resolved_at"] is None))
    for row in Attempt.objects.values():
        found.append((numbers[row["request_id"]], sorted((k, str(v)) for k, v in row.items() if k not in ("id", "request_id"))))
    found += sorted(Budget.objects.values_list("name", "posted_nusd", "held_nusd", "excess_nusd", "period_id", "alerted"))
    found += [numbers[pk] for pk in RequestBody.objects.values_list("request_id", flat=True)]
    return sorted(map(repr, found))


def test_the_short_way_writes_what_the_careful_way_writes(still: Bench, ways: list[str]) -> None:
    writer = Writer()

    def prepared() -> None:
        Budget.objects.filter(period_id="").update(period_id="total")

    story(still, writer, prepared)
    assert ways == ["short"] * 3
    short = told()
    for model in (RequestBody, Attempt, LedgerEntry, RequestLog, Budget):
        model.objects.all().delete()
    LanguageModel.objects.filter(name="other/m2").delete()
    Provider.objects.filter(slug="other").delete()
    ways.clear()

    def carefully() -> None:
        prepared()
        writer.forget()

    # An opening alone needs no knowledge: it is made to take the careful way, too.
    real = known.budgets
    try:
        known.budgets = lambda *_: None
        story(still, writer, carefully)
    finally:
        known.budgets = real
    assert ways == ["careful"] * 3
    careful = told()
    assert [_without_ids(line) for line in short] == [_without_ids(line) for line in careful]
    RequestLog.objects.filter(state="open").update(lease_until=timezone.now() - timedelta(minutes=1))
    reap(timezone.now())


def _without_ids(line: str) -> str:
    import re

    return re.sub(r"('(?:provider_id|model_id)', '?)\d+|('(?:provider_id|model_id)': )\d+", r"\1\2N", line)


# --- what the short way leaves to the careful one


@pytest.fixture
def writer() -> Writer:
    return Writer()


@pytest.fixture
def one(still: Bench, writer: Writer) -> tuple[Any, Any]:
    """(budget, opening), opened by ``writer``."""
    budget = still.budget(limit=1000, period_id="total")
    return budget, opened(still, writer, budget)


def test_a_request_of_ones_own_is_ended_without_being_read(still: Bench, writer: Writer, one: tuple[Any, Any], ways: list[str]) -> None:
    budget, opening = one
    write(writer, ends(still, opening))
    assert ways == ["short"]
    assert (still.row(opening).state, still.figures(budget)) == ("ok", (60, 0))
    assert not writer.claims


def test_a_row_that_was_reaped_meanwhile_is_settled_late(still: Bench, writer: Writer, one: tuple[Any, Any], ways: list[str]) -> None:
    budget, opening = one
    neighbour = opened(still, writer, budget)
    still.expire(opening)
    reap(timezone.now())
    ways.clear()
    write(writer, ends(still, opening, 35), ends(still, neighbour, 60))
    assert ways == ["careful"]
    assert (still.row(opening).state, still.row(opening).flags, still.row(neighbour).state) == ("orphaned", "late", "ok")
    assert still.figures(budget) == (95, 0)


def test_more_is_held_than_was_known(still: Bench, writer: Writer, one: tuple[Any, Any], ways: list[str]) -> None:
    """A second target's budget, held after the opening."""
    budget, opening = one
    theirs = still.budget("theirs", period_id="total")
    (op,) = write(writer, Op("reserve", (opening, still.target((budget.pk, theirs.pk)), 100)))
    assert op.error is None
    write(writer, ends(still, opening))
    assert ways == ["careful", "careful"]
    assert (still.figures(budget), still.figures(theirs)) == ((60, 0), (60, 0))


def test_an_entry_that_is_not_as_it_was_left_is_read(still: Bench, writer: Writer, one: tuple[Any, Any], ways: list[str]) -> None:
    budget, opening = one
    LedgerEntry.objects.filter(request_id=opening.call.id).update(held_nusd=70, amount_nusd=70)
    Budget.objects.filter(pk=budget.pk).update(held_nusd=70)
    write(writer, ends(still, opening))
    assert ways == ["careful"]
    assert still.figures(budget) == (60, 0)


def test_a_budget_that_is_gone_keeps_nobody_from_ending(still: Bench, writer: Writer, one: tuple[Any, Any], ways: list[str]) -> None:
    budget, opening = one
    budget.delete()
    write(writer, ends(still, opening))
    assert ways == ["careful"]
    assert still.entries(opening) == [("request", "posted", 60)]


def test_a_budget_that_was_given_to_a_provider_is_charged_for_that_one_only(
    still: Bench, writer: Writer, one: tuple[Any, Any], ways: list[str]
) -> None:
    budget, opening = one
    other = Provider.objects.create(slug="other", title="O", service="custom", wire="openai_chat", base_url="http://127.0.0.1:9")
    Budget.objects.filter(pk=budget.pk).update(provider=other)
    write(writer, ends(still, opening))
    assert ways == ["careful"]
    assert still.figures(budget) == (0, 0)


@pytest.mark.parametrize("change", [{"period": "day"}, {"extra_nusd": 5, "extra_until": datetime(2020, 1, 1, tzinfo=UTC)}], ids=str)
def test_a_new_period_and_the_end_of_a_raise_ask_for_more_than_figures(
    still: Bench, writer: Writer, one: tuple[Any, Any], ways: list[str], change: dict[str, Any]
) -> None:
    budget, opening = one
    Budget.objects.filter(pk=budget.pk).update(**change)
    write(writer, ends(still, opening))
    assert ways == ["careful"]
    assert still.row(opening).state == "ok"
    budget.refresh_from_db()
    assert budget.extra_until is None
    assert budget.held_nusd == 0


def test_a_threshold_is_told_once(still: Bench, writer: Writer, ways: list[str]) -> None:
    budget = still.budget(limit=200, thresholds=[50], period_id="total")
    first, second = opened(still, writer, budget), opened(still, writer, budget)
    ways.clear()
    write(writer, ends(still, first, 100))
    write(writer, ends(still, second, 10))
    assert ways == ["careful", "short"]
    assert Alert.objects.filter(budget=budget).count() == 1
    third = opened(still, writer, budget, hold=20)
    write(writer, ends(still, third, 10))
    assert ways[2:] == ["short", "short"]
    assert Alert.objects.filter(budget=budget).count() == 1
    assert still.figures(budget) == (120, 0)


def test_a_request_that_is_ended_twice_in_a_batch_is_charged_once(
    still: Bench, writer: Writer, one: tuple[Any, Any], ways: list[str]
) -> None:
    budget, opening = one
    write(writer, ends(still, opening, 60), ends(still, opening, 99))
    assert ways == ["careful"]
    write(writer, ends(still, opening, 99))
    assert (still.row(opening).cost_nusd, still.figures(budget)) == (60, (60, 0))


def test_what_was_given_up_is_voided_and_forgotten(still: Bench, writer: Writer, one: tuple[Any, Any], ways: list[str]) -> None:
    budget, opening = one
    write(writer, Op("void", Void(opening, CallerLeft("gone"))))
    write(writer, ends(still, opening))
    assert (still.row(opening).state, still.figures(budget)) == ("client_cancelled", (0, 0))
    assert not writer.claims


def test_after_an_error_nothing_is_taken_for_known(
    still: Bench, writer: Writer, one: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    budget, opening = one
    with monkeypatch.context() as patch:
        patch.setattr(Writer, "counted", lambda *_: (_ for _ in ()).throw(OperationalError("away")))
        with pytest.raises(OperationalError):
            write(writer, ends(still, opening))
    assert not writer.claims
    assert (still.row(opening).state, still.figures(budget), still.entries(opening)) == ("open", (0, 100), [("request", "held", 100)])
    assert not Attempt.objects.exists()
    write(writer, ends(still, opening))
    assert still.figures(budget) == (60, 0)


def test_a_refused_hold_in_a_batch_keeps_its_neighbours(still: Bench, writer: Writer, ways: list[str]) -> None:
    budget = still.budget(limit=100, period_id="total")
    ops = write(writer, *(Op("open", still.opening(60, (budget,))) for _ in range(3)))
    assert ways == ["short"]
    assert [isinstance(op.error, GatewayError) for op in ops] == [False, True, True]
    assert still.figures(budget) == (0, 60)
    write(writer, ends(still, ops[0].work, 60))


def test_a_row_that_no_database_takes_leaves_no_transaction_behind(still: Bench, writer: Writer, one: tuple[Any, Any]) -> None:
    import msgspec

    bad = still.opening(1, call=still.call(identity=msgspec.structs.replace(still.call().identity, team_id=10**6)))
    with pytest.raises(IntegrityError):
        write(writer, Op("open", bad))
    assert still.row(bad) is None
    write(writer, ends(still, one[1]))


@pytest.mark.parametrize("count", [1, 2, 3, 31, 32, 33, 100])
def test_any_number_of_rows_is_written_with_few_statements(still: Bench, writer: Writer, ways: list[str], count: int) -> None:
    budget = still.budget(limit=10**9, period_id="total")
    openings = [still.opening(100, (budget,)) for _ in range(count)]
    write(writer, *(Op("open", one) for one in openings))
    write(writer, *(ends(still, one, number) for number, one in enumerate(openings)))
    assert ways == ["short", "short"]
    assert still.figures(budget) == (sum(range(count)), 0)
    assert [still.row(one).cost_nusd for one in openings] == list(range(count))


# --- waiters


def test_a_batch_wakes_a_loop_once_and_each_waiter_by_its_own_future(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = itertools.count()
    real = bench.loop.call_soon_threadsafe

    def counted(*args: Any, **more: Any) -> Any:
        next(calls)
        return real(*args, **more)

    monkeypatch.setattr(bench.loop, "call_soon_threadsafe", counted)
    openings = [bench.opening(1) for _ in range(40)]

    async def crowd() -> list[Any]:
        waiting = [asyncio.ensure_future(bench.journal.open(one)) for one in openings]
        await asyncio.sleep(0)
        waiting[7].cancel()
        return await asyncio.gather(*waiting, return_exceptions=True)

    before = bench.journal.batches
    results = bench.run(crowd())
    assert next(calls) <= bench.journal.batches - before + 1
    assert [type(found) for found in results] == [asyncio.CancelledError if place == 7 else type(None) for place in range(40)]
    for place, one in enumerate(openings):
        if place != 7:
            bench.run(bench.journal.settle(bench.settlement(one, 0)))
