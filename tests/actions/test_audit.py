from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.db.models import CheckConstraint
from django.utils import timezone

from llm_gateway.actions.audit import audit
from llm_gateway.actions.close_month import draw_up
from llm_gateway.models import (
    Attempt,
    Batch,
    BatchLine,
    Budget,
    ClientKey,
    Heartbeat,
    LanguageModel,
    LedgerEntry,
    Price,
    Provider,
    RequestLog,
    Team,
)

pytestmark = pytest.mark.django_db
NOW = timezone.now()


def request(team: Team, state: str = "ok", **fields: Any) -> RequestLog:
    ended = {} if state == "open" else {"finished_at": NOW, "cost_nusd": 100}
    lease = {"lease_until": timezone.now() + timedelta(minutes=10)} if state == "open" else {}
    given = {
        "kind": "chat",
        "dialect": "native",
        "usage_source": "reported",
        "created_at": NOW - timedelta(seconds=5),
        **ended,
        **lease,
        **fields,
    }
    return RequestLog.objects.create(id=uuid.uuid4(), team=team, state=state, **given)


def entry(row: RequestLog, budget: Budget, state: str, held: int, amount: int, **fields: Any) -> LedgerEntry:
    resolved = {} if state == "held" else {"resolved_at": NOW}
    given = {"period_id": budget.period_id, "created_at": NOW, **resolved, **fields}
    return LedgerEntry.objects.create(request=row, budget=budget, state=state, held_nusd=held, amount_nusd=amount, **given)


@pytest.fixture
def sound(team: Team) -> dict[str, Any]:
    """A budget with a posted, a held, a voided and an over-run entry, and figures that agree."""
    budget = Budget.objects.create(name="b", team=team, limit_nusd=1000, period_id="2026-11", posted_nusd=1050, held_nusd=50)
    done, over, running = request(team), request(team, cost_nusd=950, flags="overrun"), request(team, "open")
    rows = {
        "posted": entry(done, budget, "posted", 200, 100),
        "over": entry(over, budget, "posted", 800, 950),
        "held": entry(running, budget, "held", 50, 50),
        "voided": entry(request(team, "failed", cost_nusd=0, usage_source=""), budget, "voided", 10, 0),
        "old": entry(request(team, cost_nusd=9), budget, "posted", 9, 9, period_id="2026-10"),
    }
    rows |= _billed(team, over)
    attempt = Attempt.objects.create(request=done, number=1, provider_slug="x", upstream_id="m", outcome="ok", started_at=NOW)
    RequestLog.objects.filter(pk=done.pk).update(attempt_count=1)
    return {"budget": budget, "done": done, "running": running, "attempt": attempt, "batch": _batch(team), **rows}


def _batch(team: Team) -> Batch:
    """Ended: two lines, one of which was executed for the usual 100."""
    key = ClientKey.objects.create(name="k", team=team, public_id="a" * 12, digest=b"d" * 32)
    counts = {"total": 2, "completed": 1, "failed": 1, "cost_nusd": 100, "state": "completed"}
    moments = dict.fromkeys(("created_at", "ended_at", "ends_at", "expires_at"), NOW)
    batch = Batch.objects.create(id=uuid.uuid4(), team=team, client_key=key, dialect="openai", endpoint="chat", **counts, **moments)
    for number, state in ((1, "completed"), (2, "failed")):
        BatchLine.objects.create(batch=batch, number=number, custom_id=f"c{number}", kind="chat", offset=0, length=1, state=state)
    request(team, batch_id=batch.pk)
    return batch


def _billed(team: Team, corrected: RequestLog) -> dict[str, Any]:
    """An answer that explains its cost (10 tokens in, 5 out, at 1 and 2 USD per million), its closed month, and a correction."""
    host = Provider.objects.create(slug="p", title="P", service="custom", wire="openai_chat", base_url="http://127.0.0.1:9/v1")
    model = LanguageModel.objects.create(provider=host, upstream_id="m", name="m")
    price = Price.objects.create(model=model, effective_from=NOW - timedelta(days=900), input=1, output=2)
    then = NOW - timedelta(days=400)
    billed = request(
        team, created_at=then, finished_at=then, model=model, price_id=price.pk, input_tokens=10, output_tokens=5, cost_nusd=20_000,
        attempt_count=1,
    )  # fmt: skip
    Attempt.objects.create(request=billed, number=1, provider_slug="x", upstream_id="m", outcome="ok", started_at=then)
    statement = draw_up(team, f"{then:%Y-%m}")
    statement.save()
    adjusted = LedgerEntry.objects.create(
        request=corrected, kind="adjustment", state="posted", amount_nusd=-5, created_at=NOW, resolved_at=NOW
    )
    return {"billed": billed, "price": price, "statement": statement, "adjusted": adjusted}


def broken(strict: bool = True) -> list[str]:
    return [finding.code for finding in audit(strict=strict) if not finding.ok]


def test_sound_books_pass_and_name_their_figures(sound: dict[str, Any]) -> None:
    findings = {finding.code: finding for finding in audit(strict=True)}
    assert broken() == []
    assert findings["M2a"].figures == "posted 0.00000105 USD"
    assert findings["M1"].looked_at == 1
    assert findings["L1a"].looked_at == 1
    assert findings["M2c"].looked_at == 3


def test_empty_books_pass() -> None:
    assert broken() == []


def update(rows: Any, **fields: Any) -> None:
    type(rows).objects.filter(pk=rows.pk).update(**fields)


def unchecked() -> None:
    """Let damage be done that the schema refuses."""
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute("PRAGMA ignore_check_constraints = ON")
            return
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        for model in (Budget, LedgerEntry):
            for one in model._meta.constraints:
                if isinstance(one, CheckConstraint):
                    cursor.execute(f'ALTER TABLE "{model._meta.db_table}" DROP CONSTRAINT "{one.name}"')


def checked() -> None:
    """On PostgreSQL the end of the test brings them back."""
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA ignore_check_constraints = OFF")


SABOTAGE: dict[str, tuple[str, Callable[[dict[str, Any]], None]]] = {
    "a limit passed": ("M1", lambda s: update(s["budget"], limit_nusd=900)),
    "a posted sum drifts": ("M2a", lambda s: update(s["budget"], posted_nusd=1049)),
    "a posted entry vanishes": ("M2a", lambda s: s["posted"].delete()),
    "a held sum drifts": ("M2b", lambda s: update(s["budget"], held_nusd=49)),
    "a hold leaks after its request": ("M4", lambda s: update(s["running"], state="ok", finished_at=NOW, lease_until=None)),
    "a resolution without a moment": ("M3a", lambda s: update(s["posted"], resolved_at=None)),
    "a hold with a moment": ("M3a", lambda s: update(s["held"], resolved_at=NOW)),
    "a voided entry that charges": ("M3b", lambda s: update(s["voided"], amount_nusd=5)),
    "a correction that holds": ("M3d", lambda s: update(s["adjusted"], state="held", held_nusd=0, amount_nusd=0, resolved_at=None)),
    "a bill that is not its tokens": ("M6", lambda s: update(s["billed"], input_tokens=11)),
    "a price edited under its bills": ("M6", lambda s: update(s["price"], input=2)),
    "a closed month whose rows changed": ("M7", lambda s: update(s["billed"], cost_nusd=1)),
    "a closed month that does not add up": ("M7", lambda s: update(s["statement"], lines=[])),
    "a charge unlike the cost": ("M2c", lambda s: update(s["done"], cost_nusd=101)),
    "a hold whose row vanishes": ("M4b", lambda s: RequestLog.objects.filter(pk=s["running"].pk)._raw_delete("default")),
    "a hold that no open request explains": ("M2d", lambda s: update(s["running"], state="ok", finished_at=NOW, lease_until=None)),
    "a lease that a clock ahead wrote": ("L1d", lambda s: update(s["running"], lease_until=NOW + timedelta(hours=5))),
    "an open row whose worker is gone": ("L1e", lambda s: update(s["running"], created_at=NOW - timedelta(hours=1), worker="gone")),
    "an open row past its lease": ("L1a", lambda s: update(s["running"], lease_until=NOW - timedelta(minutes=2))),
    "an ended row with a lease": ("L1b", lambda s: update(s["done"], lease_until=NOW)),
    "an end before the beginning": ("L1c", lambda s: update(s["done"], finished_at=NOW - timedelta(hours=1))),
    "an attempt without a row": ("L2a", lambda s: update(s["done"], attempt_count=2)),
    "an attempt before its request": ("L2b", lambda s: update(s["attempt"], started_at=NOW - timedelta(hours=1))),
    "a batch whose counts are not its lines'": ("BT1", lambda s: update(s["batch"], completed=2, failed=0)),
    "a batch that costs other than its requests": ("BT3", lambda s: update(s["batch"], cost_nusd=99)),
    "an answer taken for free": ("M5", lambda s: update(s["done"], usage_source="", cost_nusd=0)),
}


@pytest.mark.parametrize("name", SABOTAGE)
def test_every_kind_of_damage_is_found(sound: dict[str, Any], name: str) -> None:
    code, damage = SABOTAGE[name]
    unchecked()
    try:
        damage(sound)
        found = broken()
    finally:
        checked()
    assert code in found
    finding = next(one for one in audit(strict=True) if one.code == code)
    assert finding.offenders
    assert finding.broken >= 1


@pytest.mark.parametrize(
    "name",
    ["a limit passed", "a resolution without a moment", "a hold with a moment", "a voided entry that charges", "a correction that holds"],
)
def test_the_schema_itself_refuses_what_breaks_m1_and_m3(sound: dict[str, Any], name: str) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        SABOTAGE[name][1](sound)
    assert broken() == []


def test_a_limit_lowered_below_what_was_spent_is_a_note_and_no_break(sound: dict[str, Any]) -> None:
    budget = Budget.objects.get(pk=sound["budget"].pk)
    budget.limit_nusd = 900
    budget.save()
    assert budget.excess_nusd == 200
    for strict in (False, True):
        assert broken(strict) == []
        assert "1 above a limit that was lowered" in next(one for one in audit(strict=strict) if one.code == "M1").note


def test_a_budget_made_hard_above_its_limit_is_a_note_too(sound: dict[str, Any]) -> None:
    budget = Budget.objects.get(pk=sound["budget"].pk)
    budget.hard, budget.limit_nusd = False, 1
    budget.save()
    budget.hard = True
    budget.save()
    assert broken() == []
    assert next(one for one in audit() if one.code == "M1").note


def test_what_passes_a_lowered_limit_afterwards_is_a_break(sound: dict[str, Any]) -> None:
    budget = Budget.objects.get(pk=sound["budget"].pk)
    budget.limit_nusd = 900
    budget.save()
    unchecked()
    try:
        update(sound["budget"], posted_nusd=1051)
        assert "M1" in broken()
    finally:
        checked()


def test_an_old_open_row_of_a_worker_that_is_heard_of_is_no_break(sound: dict[str, Any]) -> None:
    update(sound["running"], created_at=NOW - timedelta(hours=1), worker="host-1-ab")
    Heartbeat.objects.create(name="worker:host-1-ab", at=NOW)
    assert broken() == []
    Heartbeat.objects.update(at=NOW - timedelta(minutes=5))
    assert broken() == ["L1e"]


@pytest.mark.parametrize("name", ["an open row past its lease", "a hold that no open request explains", "an open row whose worker is gone"])
def test_the_look_at_what_is_open_finds_it_without_reading_the_books(sound: dict[str, Any], name: str) -> None:
    code, damage = SABOTAGE[name]
    assert [one.code for one in audit(open_only=True) if not one.ok] == []
    damage(sound)
    assert code in [one.code for one in audit(open_only=True) if not one.ok]


def test_a_soft_budget_may_be_passed(sound: dict[str, Any]) -> None:
    update(sound["budget"], limit_nusd=1, hard=False)
    assert broken() == []


def test_the_number_of_queries_does_not_grow_with_the_books(sound: dict[str, Any], team: Team, django_assert_max_num_queries: Any) -> None:
    for number in range(20):
        Budget.objects.create(name=f"b{number}", team=team, limit_nusd=1000)
        request(team)
    with django_assert_max_num_queries(44):
        assert broken() == []
