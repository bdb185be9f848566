"""After the fact: prices that change, bills that are corrected, months that close, rows that go. No figure moves by itself."""

from __future__ import annotations

import io
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import time_machine
from django.core.management import call_command
from django.db.models import Sum
from django.utils import timezone

from analytics import queries
from llm_gateway.actions import ActionError
from llm_gateway.actions.close_month import close_month, draw_up
from llm_gateway.actions.purge import erase_subject, purge
from llm_gateway.actions.rerate import rerate
from llm_gateway.models import Attempt, LedgerEntry, Price, RequestBody, RequestLog, Statement, StatementClosed
from tests.stores.bench import Bench

START, END = datetime(2020, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)


@pytest.fixture
def bench(transactional_db: None, tmp_path: Path) -> Iterator[Bench]:
    found = Bench(tmp_path)
    with found.running():
        yield found
    found.sound()
    found.loop.close()


def priced(bench: Bench, usd_in: str, usd_out: str, since: datetime = START) -> Price:
    return Price.objects.create(model=bench.model, effective_from=since, input=Decimal(usd_in), output=Decimal(usd_out))


def answered(bench: Bench, *budgets: Any, cost: int | None = 1000 * 1000 + 500 * 2000, **more: Any) -> Any:
    """1000 tokens in, 500 out; at 1 and 2 USD per million that is 2,000,000 nUSD."""
    opened = bench.opening(5_000_000, budgets, **{k: more.pop(k) for k in ("call", "at") if k in more})
    bench.run(bench.journal.open(opened))
    usage = {"input_tokens": 1000, "output_tokens": 500, "usage_source": "reported"}
    bench.run(bench.journal.settle(bench.settlement(opened, cost, usage=usage, **more)))
    return opened


def test_a_price_change_never_changes_a_past_row(bench: Bench) -> None:
    old = priced(bench, "1", "2")
    opened = answered(bench, price_id=old.pk)
    before = RequestLog.objects.filter(pk=opened.call.id).values().get()
    priced(bench, "7", "7", timezone.now() - timedelta(minutes=1))
    Price.objects.exclude(pk=old.pk).update(input=Decimal(9))
    assert RequestLog.objects.filter(pk=opened.call.id).values().get() == before


def test_rerating_books_the_difference_and_edits_nothing(bench: Bench) -> None:
    budget = bench.budget(limit=10**9)
    priced(bench, "1", "2")
    opened = answered(bench, budget)
    row = RequestLog.objects.filter(pk=opened.call.id).values().get()
    Price.objects.update(input=Decimal("0.5"), output=Decimal(1))
    told = rerate(START, END, dry_run=True)
    assert (told.looked_at, told.changed, told.less_nusd, told.more_nusd) == (1, 1, 1_000_000, 0)
    assert not LedgerEntry.objects.filter(kind="adjustment").exists()
    for _ in range(3):
        rerate(START, END, note="the provider halved it")
    assert RequestLog.objects.filter(pk=opened.call.id).values().get() == row
    assert bench.figures(budget) == (1_000_000, 0)
    made = LedgerEntry.objects.filter(kind="adjustment").order_by("pk")
    assert list(made.values_list("budget_id", "amount_nusd", "note")) == [
        (None, -1_000_000, "the provider halved it"), (budget.pk, -1_000_000, "the provider halved it"),
    ]  # fmt: skip
    Price.objects.update(input=Decimal(2), output=Decimal(4))
    assert rerate(START, END).more_nusd == 3_000_000
    assert bench.figures(budget) == (4_000_000, 0)


def test_rerating_gives_an_unpriced_request_its_cost(bench: Bench) -> None:
    budget = bench.budget(limit=10**9)
    answered(bench, budget, cost=None, charge=5_000_000)
    assert bench.figures(budget) == (5_000_000, 0)
    assert rerate(START, END).skipped == 1
    priced(bench, "1", "2")
    rerate(START, END)
    assert bench.figures(budget) == (2_000_000, 0)


def test_what_a_row_does_not_explain_is_left_alone(bench: Bench) -> None:
    priced(bench, "5", "5")
    opened = bench.opening(10)
    bench.run(bench.journal.open(opened))
    bench.run(bench.journal.settle(bench.settlement(opened, 7, usage={"output_tokens": 5, "usage_source": "estimated"})))
    done = rerate(START, END)
    assert (done.looked_at, done.skipped, done.changed) == (1, 1, 0)


def test_the_command_tells_first_and_books_when_asked(bench: Bench) -> None:
    priced(bench, "2", "4")
    answered(bench)
    out = io.StringIO()
    call_command("rerate", "--from", "2020-01-01", "--to", "2100-01-01", "--model", "prov/m", stdout=out)
    assert "nothing was booked" in out.getvalue()
    call_command("rerate", "--from", "2020-01-01", "--to", "2100-01-01", "--apply", stdout=out)
    assert "+0.002 and -0.00 USD booked" in out.getvalue()


def test_a_deleted_budget_leaves_corrections_counted_once(bench: Bench) -> None:
    """Its claims lose their budget, and must not become corrections of the cost itself."""
    budget, provider = bench.budget(limit=10**9), bench.budget("of the provider", 10**9, provider=bench.provider)
    priced(bench, "1", "2")
    answered(bench, budget, provider)
    Price.objects.update(input=Decimal(2), output=Decimal(4))
    rerate(START, END)
    month = f"{timezone.now():%Y-%m}"
    assert draw_up(bench.team, month).adjustments_nusd == 2_000_000
    budget.delete()
    provider.delete()
    assert draw_up(bench.team, month).adjustments_nusd == 2_000_000
    assert queries.totals(START, END).adjustments_nusd == 2_000_000
    assert rerate(START, END).changed == 0


# Statements.


def test_a_month_is_closed_once_and_then_stays(bench: Bench) -> None:
    bench.team.timezone = "America/New_York"
    bench.team.save()
    with time_machine.travel(datetime(2026, 5, 1, 3, 59, tzinfo=UTC), tick=True):
        answered(bench)  # still April there
    with time_machine.travel(datetime(2026, 5, 1, 4, 1, tzinfo=UTC), tick=True):
        answered(bench)
    with time_machine.travel(datetime(2026, 5, 31, 12, tzinfo=UTC), tick=True):
        answered(bench, cost=None, charge=5_000_000)
    may = draw_up(bench.team, "2026-05")
    assert (may.requests, may.unknown_cost_requests, may.cost_nusd, may.total_nusd) == (2, 1, 2_000_000, 2_000_000)
    assert may.start == datetime(2026, 5, 1, 4, tzinfo=UTC)
    (line,) = may.lines
    assert (line["client_key"], line["model"], line["input_tokens"]) == ("caller", "prov/m", 2000)
    with pytest.raises(ActionError, match="not over"):
        close_month(bench.team, "2026-05", now=datetime(2026, 6, 1, 3, 59, tzinfo=UTC))
    closed = close_month(bench.team, "2026-05", now=datetime(2026, 6, 1, 4, tzinfo=UTC))
    with pytest.raises(ActionError, match="already"):
        close_month(bench.team, "2026-05", now=datetime(2026, 6, 2, tzinfo=UTC))
    closed.cost_nusd = 1
    with pytest.raises(StatementClosed):
        closed.save()
    with pytest.raises(StatementClosed):
        closed.delete()
    assert Statement.objects.get().cost_nusd == 2_000_000


def test_a_correction_counts_in_the_month_in_which_it_is_booked(bench: Bench) -> None:
    priced(bench, "1", "2")
    with time_machine.travel(datetime(2026, 5, 10, tzinfo=UTC), tick=True):
        answered(bench)
    close_month(bench.team, "2026-05", now=datetime(2026, 6, 2, tzinfo=UTC))
    Price.objects.update(input=Decimal(2), output=Decimal(4))
    with time_machine.travel(datetime(2026, 6, 3, tzinfo=UTC), tick=True):
        rerate(START, END)
    assert draw_up(bench.team, "2026-05").total_nusd == Statement.objects.get().total_nusd == 2_000_000
    june = draw_up(bench.team, "2026-06")
    assert (june.requests, june.adjustments_nusd, june.total_nusd) == (0, 2_000_000, 2_000_000)


def test_a_month_with_an_open_request_is_not_closed(bench: Bench) -> None:
    with time_machine.travel(datetime(2026, 5, 10, tzinfo=UTC), tick=True):
        opened = bench.opening(1)
        bench.run(bench.journal.open(opened))
    with pytest.raises(ActionError, match="1 requests of 2026-05 are still open"):
        close_month(bench.team, "2026-05", now=datetime(2026, 6, 2, tzinfo=UTC))
    bench.run(bench.journal.settle(bench.settlement(opened, 0)))


def test_the_command_shows_and_closes(bench: Bench) -> None:
    with time_machine.travel(datetime(2026, 5, 10, tzinfo=UTC), tick=True):
        answered(bench)
    out = io.StringIO()
    call_command("close_month", "payers", "2026-05", "--close", stdout=out)
    assert "total 0.002 USD; closed" in out.getvalue()


# Retention (T22).


def sums() -> Any:
    return LedgerEntry.objects.order_by().values("budget_id", "state").annotate(total=Sum("amount_nusd")).order_by("budget_id", "state")


def test_old_rows_go_and_the_sums_of_the_ledger_stay(bench: Bench) -> None:
    budget = bench.budget(limit=10**9)
    old, new = [answered(bench, budget, prompt="p") for _ in range(7)], answered(bench, budget, prompt="p")
    before = list(sums())
    RequestLog.objects.filter(pk__in=[o.call.id for o in old]).update(created_at=timezone.now() - timedelta(days=90))
    RequestBody.objects.filter(pk__in=[o.call.id for o in old]).update(created_at=timezone.now() - timedelta(days=90))
    bench.team.retention_days = 30
    bench.team.save()
    done = purge()
    assert (done.bodies, done.requests) == (7, 7)
    assert list(RequestLog.objects.values_list("pk", flat=True)) == [new.call.id]
    assert Attempt.objects.count() == 1
    assert list(sums()) == before
    assert purge().requests == 0


def test_rows_stay_until_their_month_is_closed_and_corrections_until_theirs_is(bench: Bench) -> None:
    """A team that keeps a week of requests still gets a statement of its whole month."""
    priced(bench, "1", "2")
    bench.team.retention_days = 7
    bench.team.save()
    with time_machine.travel(datetime(2026, 5, 1, 1, tzinfo=UTC), tick=True):
        answered(bench, prompt="p")
    with time_machine.travel(datetime(2026, 5, 20, tzinfo=UTC), tick=True):
        answered(bench, prompt="p")
    assert purge(datetime(2026, 5, 30, tzinfo=UTC)).requests == 0
    assert RequestBody.objects.count() == 0
    assert not Statement.objects.exists()
    Price.objects.update(input=Decimal(2), output=Decimal(4))
    with time_machine.travel(datetime(2026, 6, 2, tzinfo=UTC), tick=True):
        rerate(datetime(2026, 5, 1, tzinfo=UTC), datetime(2026, 5, 2, tzinfo=UTC))
    assert purge(datetime(2026, 6, 9, tzinfo=UTC)).requests == 1
    assert Statement.objects.get().cost_nusd == 4_000_000
    # The other one was corrected in June, whose statement is still to be drawn up from it.
    assert draw_up(bench.team, "2026-06").adjustments_nusd == 2_000_000
    close_month(bench.team, "2026-06", now=datetime(2026, 7, 1, tzinfo=UTC))
    assert purge(datetime(2026, 7, 2, tzinfo=UTC)).requests == 1
    assert list(Statement.objects.order_by("month").values_list("total_nusd", flat=True)) == [4_000_000, 2_000_000]


@pytest.mark.parametrize(("texts", "rows", "left"), [(1, 30, (0, 1)), (30, None, (1, 1)), (90, 1, (0, 1)), (None, 3, (0, 1))])
def test_texts_have_a_time_of_their_own_and_never_outlive_their_requests(
    bench: Bench, texts: int | None, rows: int | None, left: tuple[int, int]
) -> None:
    bench.team.text_retention_days, bench.team.retention_days = texts, rows
    bench.team.save()
    with time_machine.travel(datetime(2026, 5, 10, tzinfo=UTC), tick=True):
        answered(bench, prompt="p")
    purge(datetime(2026, 5, 14, tzinfo=UTC))
    assert (RequestBody.objects.count(), RequestLog.objects.count()) == left


def test_texts_can_go_alone(bench: Bench) -> None:
    answered(bench, prompt="p", answer="a")
    assert purge(bodies_only=True, days=0, now=timezone.now() + timedelta(seconds=5)).bodies == 1
    assert RequestLog.objects.count() == 1


def test_an_open_request_is_never_purged(bench: Bench) -> None:
    opened = bench.opening(1)
    bench.run(bench.journal.open(opened))
    then = timezone.now() - timedelta(days=9999)
    RequestLog.objects.update(created_at=then)
    draw_up(bench.team, f"{then:%Y-%m}").save()
    assert purge().requests == 0
    bench.run(bench.journal.settle(bench.settlement(opened, 0)))


def test_a_subject_is_erased_and_the_figures_stay(bench: Bench) -> None:
    budget = bench.budget(limit=10**9)
    mine = answered(bench, budget, prompt="my name", call=bench.call(metadata={"user_id": "alice", "session": "s"}))
    other = answered(bench, budget, prompt="theirs", call=bench.call(metadata={"user_id": "alicea"}))
    before = list(sums())
    out = io.StringIO()
    call_command("purge", "--subject", "alice", stdout=out)
    assert "1 requests erased" in out.getvalue()
    assert not RequestBody.objects.filter(pk=mine.call.id).exists()
    row = RequestLog.objects.get(pk=mine.call.id)
    assert (row.metadata, row.cost_nusd) == ({"erased": True}, 2_000_000)
    assert RequestBody.objects.filter(pk=other.call.id).exists()
    assert list(sums()) == before
    with pytest.raises(ValueError, match="named"):
        erase_subject("")


@pytest.mark.alone
@pytest.mark.slow
@pytest.mark.timeout(180)
def test_a_big_purge_never_holds_its_lock_for_200_ms(bench: Bench) -> None:
    """30,000 rows with attempts and texts go while requests are opened and settled."""
    import threading
    import uuid

    old = timezone.now() - timedelta(days=500)
    ids = [uuid.UUID(int=n + 1) for n in range(30_000)]
    for start in range(0, len(ids), 2000):
        part = ids[start : start + 2000]
        RequestLog.objects.bulk_create(
            RequestLog(id=i, created_at=old, finished_at=old, state="ok", kind="chat", dialect="x", team=bench.team, cost_nusd=1,
                       usage_source="reported", attempt_count=1) for i in part
        )  # fmt: skip
        Attempt.objects.bulk_create(
            Attempt(request_id=i, number=1, provider_slug="p", upstream_id="m", outcome="ok", started_at=old) for i in part
        )
        RequestBody.objects.bulk_create(RequestBody(request_id=i, created_at=old, prompt="x" * 500) for i in part[::4])
    waits: list[float] = []
    done = threading.Event()

    def requests() -> None:
        while not done.is_set():
            began = time.perf_counter()
            opened = bench.opening(1)
            bench.run(bench.journal.open(opened))
            bench.run(bench.journal.settle(bench.settlement(opened, 1)))
            waits.append(time.perf_counter() - began)

    caller = threading.Thread(target=requests)
    caller.start()
    began = time.perf_counter()
    result = purge()
    took = time.perf_counter() - began
    done.set()
    caller.join()
    waits.sort()
    print(  # noqa: T201  # the figures of docs/money.md
        f"\nT22: {result.requests} requests, {result.bodies} texts purged in {took:.1f} s, longest lock {result.longest_ms} ms; "
        f"{len(waits)} requests meanwhile, open and settle p50 {waits[len(waits) // 2] * 1000:.1f} ms, "
        f"p99 {waits[int(len(waits) * 0.99)] * 1000:.1f} ms"
    )
    assert result.requests == 30_000
    assert result.longest_ms < 200
