from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError, transaction
from django.utils import timezone

from llm_gateway.actions import ActionError
from llm_gateway.actions.set_budget import set_budget
from llm_gateway.models import Budget

pytestmark = pytest.mark.django_db
USD = 10**9


@pytest.fixture
def budget() -> Budget:
    return Budget.objects.create(name="team", limit_nusd=10 * USD, posted_nusd=8 * USD, period="month")


def test_a_script_changes_what_it_names(budget: Budget) -> None:
    later = timezone.now() + timedelta(hours=2)
    out = StringIO()
    call_command(
        "set_budget", "team", "--limit-usd", "20", "--raise-usd", "5", "--until", later.isoformat(), "--reset-monthday", "15",
        "--reset-weekday", "friday", "--reset-hour", "6", stdout=out,
    )  # fmt: skip
    budget.refresh_from_db()
    assert (budget.limit_nusd, budget.extra_nusd, budget.extra_until) == (20 * USD, 5 * USD, later)
    assert (budget.reset_hour, budget.reset_weekday, budget.reset_monthday, budget.posted_nusd) == (6, 5, 15, 8 * USD)
    assert "raised by 5.00 USD until" in out.getvalue()
    call_command("set_budget", "team", "--raise-usd", "0", stdout=out)
    budget.refresh_from_db()
    assert (budget.limit_nusd, budget.extra_nusd, budget.extra_until) == (20 * USD, 0, None)


def test_a_limit_below_what_is_spent_is_kept_beside_it(budget: Budget) -> None:
    assert set_budget("team", limit_usd=Decimal(5)).name == "team"
    budget.refresh_from_db()
    assert (budget.limit_nusd, budget.excess_nusd) == (5 * USD, 3 * USD)
    set_budget("team", extra_usd=Decimal(2), until=timezone.now() + timedelta(days=1))
    budget.refresh_from_db()
    assert budget.excess_nusd == USD


@pytest.mark.parametrize(
    "wish",
    [
        {"limit_usd": Decimal("-1")},
        {"limit_usd": Decimal("1e12")},
        {"extra_usd": Decimal("NaN")},
        {"extra_usd": Decimal(1)},
        {"extra_usd": Decimal(1), "until": timezone.now() - timedelta(seconds=1)},
        {"until": timezone.now() + timedelta(days=1)},
        {"reset_hour": 24},
        {"reset_weekday": 0},
        {"reset_monthday": 32},
    ],
)
def test_what_cannot_be_is_refused_and_nothing_changes(budget: Budget, wish: dict[str, Any]) -> None:
    before = Budget.objects.filter(pk=budget.pk).values().get()
    with pytest.raises(ActionError):
        set_budget("team", **wish)
    assert Budget.objects.filter(pk=budget.pk).values().get() == before


def test_a_name_that_means_none_or_several_is_refused(budget: Budget) -> None:
    with pytest.raises(CommandError, match="no budget named"):
        call_command("set_budget", "nobody", "--limit-usd", "1")
    Budget.objects.create(name="team", limit_nusd=1)
    with pytest.raises(CommandError, match="Several budgets"):
        call_command("set_budget", "team", "--limit-usd", "1")


@pytest.mark.parametrize("field", [{"reset_hour": 24}, {"reset_weekday": 8}, {"reset_monthday": 0}, {"extra_nusd": -1}])
def test_the_schema_knows_the_hours_and_days_there_are(budget: Budget, field: dict[str, int]) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        Budget.objects.filter(pk=budget.pk).update(**field)
