"""Budgets and the ledger that proves them. Money is integer nano-USD.

A ledger entry is born ``held`` with its request and resolves once: ``posted`` with what was spent, ``voided`` or ``expired``.
After that it never changes; corrections are new entries of kind ``adjustment``. For every budget and its current period:
``posted_nusd`` = sum of posted amounts, ``held_nusd`` = sum of held amounts, and their sum never passes a hard limit, but for
``excess_nusd``: what a provider billed above a hold, a correction, or a limit that was lowered below what was spent.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Greatest
from django.utils import timezone
from typing_extensions import override

from llm_gateway.core.outcomes import EntryKind, EntryState
from llm_gateway.policies.periods import Reset

from .access import ClientKey, Team
from .catalogue_version import CatalogueModel
from .providers import LanguageModel, Provider

_LIMIT = frozenset({"limit_nusd", "extra_nusd", "extra_until"})


class Budget(CatalogueModel):
    """A limit on spending in a period. With no owner it binds the whole gateway. ``extra_nusd`` comes on top of it until ``extra_until``;
    the journal ends a raise whose time is over with the next request."""

    volatile_fields = frozenset({"period_id", "posted_nusd", "held_nusd", "excess_nusd", "alerted"})

    class Period(models.TextChoices):
        DAY = "day"
        WEEK = "week"
        MONTH = "month"
        TOTAL = "total"

    class Weekday(models.IntegerChoices):
        MONDAY = 1
        TUESDAY = 2
        WEDNESDAY = 3
        THURSDAY = 4
        FRIDAY = 5
        SATURDAY = 6
        SUNDAY = 7

    name = models.CharField(max_length=100)
    client_key = models.ForeignKey(ClientKey, null=True, blank=True, on_delete=models.CASCADE, related_name="budgets")
    team = models.ForeignKey(Team, null=True, blank=True, on_delete=models.CASCADE, related_name="budgets")
    provider = models.ForeignKey(Provider, null=True, blank=True, on_delete=models.CASCADE, related_name="budgets")
    model = models.ForeignKey(LanguageModel, null=True, blank=True, on_delete=models.CASCADE, related_name="budgets")
    end_user = models.CharField(
        max_length=32, blank=True, db_default="", default="", editable=False,
        help_text="The pseudonym of one end user of a team or key; empty: all.",
    )  # fmt: skip
    limit_nusd = models.BigIntegerField("limit (nano-USD)")
    period = models.CharField(max_length=10, choices=Period.choices, default=Period.MONTH)
    timezone = models.CharField(max_length=60, default="UTC")
    reset_hour = models.PositiveSmallIntegerField(
        "begins at hour", default=0, validators=[MaxValueValidator(23)], help_text="0 to 23, by the clocks of its time zone."
    )
    reset_weekday = models.PositiveSmallIntegerField("a week begins on", default=Weekday.MONDAY, choices=Weekday.choices)
    reset_monthday = models.PositiveSmallIntegerField(
        "a month begins on day",
        default=1,
        validators=[MinValueValidator(1), MaxValueValidator(31)],
        help_text="In a shorter month its last day.",
    )
    extra_nusd = models.BigIntegerField("raise (nano-USD)", default=0)
    extra_until = models.DateTimeField("raised until", null=True, blank=True)
    hard = models.BooleanField(default=True, help_text="A hard budget refuses what would pass it; a soft one only alerts.")
    enabled = models.BooleanField(default=True)
    thresholds = models.JSONField(default=list, blank=True, help_text="Percentages that alert once per period, for example [50, 80, 100].")
    period_id = models.CharField(max_length=12, blank=True, default="", editable=False)
    posted_nusd = models.BigIntegerField(default=0, editable=False)
    held_nusd = models.BigIntegerField(default=0, editable=False)
    excess_nusd = models.BigIntegerField(default=0, editable=False)
    alerted = models.JSONField(default=list, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["name"]
        constraints = [
            models.CheckConstraint(condition=Q(posted_nusd__gte=0), name="budget_posted_not_negative"),
            models.CheckConstraint(condition=Q(held_nusd__gte=0), name="budget_held_not_negative"),
            models.CheckConstraint(condition=Q(limit_nusd__gte=0), name="budget_limit_not_negative"),
            models.CheckConstraint(condition=Q(excess_nusd__gte=0), name="budget_excess_not_negative"),
            models.CheckConstraint(condition=Q(extra_nusd__gte=0), name="budget_extra_not_negative"),
            models.CheckConstraint(
                condition=Q(reset_hour__lte=23, reset_weekday__gte=1, reset_weekday__lte=7, reset_monthday__gte=1, reset_monthday__lte=31),
                name="budget_reset_exists",
            ),
            models.CheckConstraint(
                condition=Q(hard=False) | Q(posted_nusd__lte=F("limit_nusd") + F("extra_nusd") + F("excess_nusd") - F("held_nusd")),
                name="budget_within_limit",
            ),
            models.CheckConstraint(
                condition=Q(client_key=None, team=None)
                | Q(client_key=None, provider=None, model=None)
                | Q(team=None, provider=None, model=None),
                name="budget_one_owner",
            ),
            models.CheckConstraint(
                condition=Q(end_user="") | Q(team__isnull=False) | Q(client_key__isnull=False), name="budget_end_user_is_somebodys"
            ),
        ]

    @override
    def save(self, *args: Any, **kwargs: Any) -> None:
        """Counters belong to the journal: a form that was open for a minute must not write back what it read. A limit below what is spent
        already leaves that as it is."""
        if self._state.adding:
            self.excess_nusd = max(self.excess_nusd, self.posted_nusd + self.held_nusd - self.limit_at(timezone.now()))
            return super().save(*args, **kwargs)
        if kwargs.get("update_fields") is None:
            kwargs["update_fields"] = [
                f.name for f in self._meta.concrete_fields if not f.primary_key and f.name not in self.volatile_fields
            ]
        if _LIMIT.intersection(kwargs["update_fields"]):
            kwargs["update_fields"] = [*kwargs["update_fields"], "excess_nusd"]
            self.excess_nusd = Greatest(F("posted_nusd") + F("held_nusd") - self.limit_at(timezone.now()), 0)  # summed where it is stored
            super().save(*args, **kwargs)
            del self.excess_nusd  # read again when somebody asks
            return None
        return super().save(*args, **kwargs)

    def limit_at(self, now: datetime) -> int:
        """What may be spent in the period of ``now``: the limit, and a raise that still lasts."""
        raised = self.extra_until is not None and now < self.extra_until
        return self.limit_nusd + (self.extra_nusd if raised else 0)

    @property
    def reset(self) -> Reset:
        return Reset(hour=self.reset_hour, weekday=self.reset_weekday, monthday=self.reset_monthday)

    @override
    def __str__(self) -> str:
        return self.name


class LedgerEntry(models.Model):
    """One request's (or one correction's) claim on one budget. Without a budget and a period it is a correction of the request's own cost;
    a claim keeps its period when its budget is deleted."""

    class State(models.TextChoices):
        HELD = EntryState.HELD
        POSTED = EntryState.POSTED
        VOIDED = EntryState.VOIDED
        EXPIRED = EntryState.EXPIRED

    class Kind(models.TextChoices):
        REQUEST = EntryKind.REQUEST
        ADJUSTMENT = EntryKind.ADJUSTMENT

    request = models.ForeignKey("RequestLog", null=True, on_delete=models.DO_NOTHING, related_name="ledger", db_constraint=False)
    budget = models.ForeignKey(Budget, null=True, on_delete=models.SET_NULL, related_name="entries", db_index=False)
    period_id = models.CharField(max_length=12, blank=True, default="")
    kind = models.CharField(max_length=12, choices=Kind.choices, default=Kind.REQUEST)
    state = models.CharField(max_length=8, choices=State.choices, default=State.HELD)
    held_nusd = models.BigIntegerField(default=0)
    amount_nusd = models.BigIntegerField(default=0)
    created_at = models.DateTimeField()
    resolved_at = models.DateTimeField(null=True)
    note = models.CharField(max_length=200, blank=True, default="")

    # The corrections of what requests cost, as a filter; those of budgets are claims on the same money.
    OWN_COST: ClassVar[Q] = Q(kind=Kind.ADJUSTMENT, budget=None, period_id="")

    class Meta:
        ordering = ["-id"]
        verbose_name_plural = "ledger"
        indexes = [
            models.Index(fields=["budget", "period_id", "state"], name="ledger_budget_state"),
            models.Index(fields=["created_at"], name="ledger_adjusted", condition=Q(kind="adjustment")),
        ]
        constraints = [
            models.UniqueConstraint(fields=["request", "budget"], condition=Q(kind="request"), name="ledger_one_hold"),
            models.CheckConstraint(condition=Q(state__in=["held", "posted", "voided", "expired"]), name="ledger_state"),
            models.CheckConstraint(
                condition=Q(kind="adjustment") | (Q(held_nusd__gte=0) & Q(amount_nusd__gte=0)), name="ledger_not_negative"
            ),
            models.CheckConstraint(condition=~Q(state="held") | Q(amount_nusd=F("held_nusd")), name="ledger_held_amount"),
            models.CheckConstraint(
                condition=Q(state="held", resolved_at__isnull=True) | (~Q(state="held") & Q(resolved_at__isnull=False)),
                name="ledger_resolved",
            ),
            models.CheckConstraint(condition=~Q(state__in=["voided", "expired"]) | Q(amount_nusd=0), name="ledger_void_is_nothing"),
            models.CheckConstraint(
                condition=~Q(kind="adjustment") | Q(state="posted", held_nusd=0), name="ledger_correction_holds_nothing"
            ),
        ]

    @override
    def __str__(self) -> str:
        return f"{self.state} {self.amount_nusd} nUSD"
