"""Budgets in dollars, and the ledger that proves them."""

from __future__ import annotations

from decimal import Decimal
from typing import Any
from zoneinfo import available_timezones

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from typing_extensions import override
from unfold.contrib.filters.admin import ChoicesDropdownFilter, RelatedDropdownFilter
from unfold.widgets import UnfoldAdminDecimalFieldWidget, UnfoldAdminTextInputWidget

from llm_gateway.actions import ActionError
from llm_gateway.core.money import format_usd, to_nusd
from llm_gateway.models import Budget, LedgerEntry

from . import _verbs
from ._base import GatewayAdmin
from ._keyset import KeysetAdmin
from ._period import spent_and_held
from ._refusing import refusals_since, refusing
from ._show import LEDGER_TONE, NONE, ago, badge, link, usd

MAX_USD = Decimal(1_000_000_000)


class PercentagesField(forms.CharField):
    """A list of whole percentages, typed with commas."""

    widget = UnfoldAdminTextInputWidget

    @override
    def prepare_value(self, value: Any) -> Any:
        return ", ".join(map(str, value)) if isinstance(value, list) else value

    @override
    def to_python(self, value: Any) -> Any:
        words = [word.strip().removesuffix("%") for word in (super().to_python(value) or "").split(",") if word.strip()]
        if not all(word.isdecimal() and len(word) < 5 and 1 <= int(word) <= 1000 for word in words):
            raise forms.ValidationError("Write whole percentages with commas, such as 50, 80, 100.")
        return sorted({int(word) for word in words})

    @override
    def has_changed(self, initial: Any, data: Any) -> bool:
        return str(self.prepare_value(initial) or "") != str(data or "")


class BudgetForm(forms.ModelForm):  # type: ignore[type-arg]
    limit_usd = forms.DecimalField(
        label="Limit in USD", min_value=Decimal(0), max_value=MAX_USD, max_digits=19, decimal_places=9, widget=UnfoldAdminDecimalFieldWidget
    )
    extra_usd = forms.DecimalField(
        label="Raise in USD",
        required=False,
        min_value=Decimal(0),
        max_value=MAX_USD,
        max_digits=19,
        decimal_places=9,
        widget=UnfoldAdminDecimalFieldWidget,
        help_text="On top of the limit until the moment beside it; then the limit is in force again.",
    )
    end_user_name = forms.CharField(
        label="End user",
        required=False,
        max_length=512,
        widget=UnfoldAdminTextInputWidget,
        help_text="Binds only what the team or key asks for this user: the name that callers send as user or metadata.user_id. A keyed "
        "pseudonym of it is kept, not the name.",
    )
    thresholds = PercentagesField(required=False, initial=[50, 80, 100], help_text="Percentages of the limit that alert once per period.")

    class Meta:
        model = Budget
        fields = (
            "name", "team", "client_key", "provider", "model", "period", "timezone", "reset_hour", "reset_weekday", "reset_monthday",
            "extra_until", "hard", "enabled", "thresholds",
        )  # fmt: skip

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk and "limit_usd" in self.fields:
            self.initial["limit_usd"] = format_usd(self.instance.limit_nusd)
        if self.instance.extra_nusd and "extra_usd" in self.fields:
            self.initial["extra_usd"] = format_usd(self.instance.extra_nusd)

    def clean_timezone(self) -> str:
        name: str = self.cleaned_data["timezone"]
        if name not in available_timezones():
            raise forms.ValidationError("Write a time zone by its name, such as UTC or Europe/Berlin.")
        return name

    @override
    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        owners = [bool(cleaned.get("team")), bool(cleaned.get("client_key")), bool(cleaned.get("provider") or cleaned.get("model"))]
        if sum(owners) > 1:
            raise forms.ValidationError("A budget binds one thing: a team, a client key, or a provider or model. Leave the others empty.")
        self._end_user(cleaned)
        if "limit_usd" in cleaned:
            self.instance.limit_nusd = to_nusd(cleaned["limit_usd"])
        if "extra_usd" in cleaned and {"extra_usd", "extra_until"} & set(self.changed_data):
            self._raise(cleaned)
        return cleaned

    def _end_user(self, cleaned: dict[str, Any]) -> None:
        team, key = cleaned.get("team"), cleaned.get("client_key")
        if name := cleaned.get("end_user_name"):
            if not team and not key:
                self.add_error("end_user_name", "An end user is a team's or a key's: choose one of them, too.")
                return
            self.instance.end_user = _verbs.pseudonym(team.pk if team else key.team_id, name)  # type: ignore[union-attr]  # one of them is there
        elif {"team", "client_key"} & set(self.changed_data):
            self.instance.end_user = ""

    def _raise(self, cleaned: dict[str, Any]) -> None:
        try:
            _verbs.raise_budget(self.instance, cleaned["extra_usd"] or Decimal(0), cleaned.get("extra_until"))
        except ActionError as error:
            self.add_error("extra_until", str(error))
        # What the verb decided is what the form saves.
        cleaned["extra_until"] = self.instance.extra_until


@admin.register(Budget)
class BudgetAdmin(GatewayAdmin):
    form = BudgetForm
    list_display = ("name_shown", "binds", "limit_shown", "period", "bar", "kind", "enabled")
    list_filter = ("enabled", "hard", ("period", ChoicesDropdownFilter), ("team", RelatedDropdownFilter))
    list_select_related = ("team", "client_key", "provider", "model")
    search_fields = ("name", "team__name", "client_key__name")
    empty_title = "No budgets yet"
    empty_hint = "A hard budget refuses what would pass it, to the cent and under any load; a soft one only alerts."
    readonly_fields = ("bar", "refuses")
    fieldsets = (
        (None, {"fields": ("name", "limit_usd", "period", "timezone", "hard", "enabled", "bar", "refuses")}),
        (
            "When its periods begin",
            {
                "fields": ("reset_hour", "reset_weekday", "reset_monthday"),
                "description": "By the clocks of its time zone. A change begins a new period, with nothing spent.",
            },
        ),
        ("Raise for a limited time", {"fields": ("extra_usd", "extra_until")}),
        (
            "What it binds",
            {
                "fields": ("team", "client_key", "end_user_name", "provider", "model"),
                "description": "One of these; with all empty it binds the whole gateway.",
            },
        ),
        ("Alerts", {"fields": ("thresholds",)}),
    )

    @override
    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        sets = super().get_fieldsets(request, obj)
        if obj is None:
            first = (None, {"fields": tuple(f for f in sets[0][1]["fields"] if f not in ("bar", "refuses"))})
            return (first, *sets[1:])
        return sets

    @override
    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return ()

    @override
    def get_queryset(self, request: HttpRequest) -> QuerySet[Budget]:
        rows: QuerySet[Budget] = super().get_queryset(request)
        return rows.annotate(**refusals_since(timezone.now()))

    @admin.display(description="name", ordering="name")
    def name_shown(self, row: Any) -> str:
        return format_html("{}{}", row.name, refusing(row)) if row.refused_lately else row.name

    @admin.display(description="refuses")
    def refuses(self, row: Any) -> str:
        return refusing(row) or "nothing in the last 15 minutes"

    @admin.display(description="binds")
    def binds(self, row: Budget) -> str:
        owner = row.client_key or row.team or row.model or row.provider
        if owner is None:
            return badge("whole gateway", "info")
        kind = "key" if row.client_key_id else "team" if row.team_id else "model" if row.model_id else "provider"
        kind = f"one end user of this {kind}" if row.end_user else kind
        return format_html('{}<span class="cogo-sub">{}</span>', getattr(owner, "name", owner), kind)

    @admin.display(description="limit", ordering="limit_nusd")
    def limit_shown(self, row: Budget) -> str:
        raised = row.limit_at(timezone.now()) - row.limit_nusd
        if raised and row.extra_until is not None:
            note = f"+ {usd(raised)} until {row.extra_until:%Y-%m-%d %H:%M} UTC"
            return format_html('<span class="cogo-num">{}</span><span class="cogo-sub">{}</span>', usd(row.limit_nusd), note)
        return format_html('<span class="cogo-num">{}</span>', usd(row.limit_nusd))

    @admin.display(description="kind", ordering="hard")
    def kind(self, row: Budget) -> str:
        return badge("hard", "info", "Refuses what would pass it.") if row.hard else badge("soft", "quiet", "Alerts only.")

    @admin.display(description="spent and held")
    def bar(self, row: Budget) -> str:
        posted, held = spent_and_held(row)
        limit = row.limit_at(timezone.now())
        left = limit - posted - held
        share = (lambda part: min(100.0, 100 * part / limit)) if limit else (lambda part: 100.0 if part else 0.0)
        return format_html(
            '<div class="cogo-bar" role="img" aria-label="{}% spent"><i class="{}" style="width:{}%"></i>'
            '<i class="held" style="width:{}%"></i></div>'
            '<div class="cogo-bar-legend"><span>{} spent</span><span>{} held</span><span class="{}">{} left</span></div>',
            f"{share(posted):.0f}",
            "over" if posted > limit else "posted",
            f"{share(posted):.2f}",
            f"{min(share(held), 100 - share(posted)):.2f}",
            usd(posted, 2),
            usd(held, 2),
            "cogo-bad" if left <= 0 else "",
            usd(left, 2) if left > 0 else "$0.00" if left == 0 else f"−{usd(-left, 2)}",
        )


@admin.register(LedgerEntry)
class LedgerEntryAdmin(KeysetAdmin):
    list_display = ("id", "when", "budget_name", "state_badge", "kind", "held_shown", "amount_shown", "resolved", "request_link", "note")
    list_filter = (("state", ChoicesDropdownFilter), ("kind", ChoicesDropdownFilter), ("budget", RelatedDropdownFilter))
    list_select_related = ("budget",)
    ordering = ("-id",)
    fields = (
        "id",
        "budget",
        "period_id",
        "kind",
        "state_badge",
        "held_shown",
        "amount_shown",
        "created_at",
        "resolved_at",
        "request_link",
        "note",
    )
    readonly_fields = fields
    empty_title = "The ledger is empty"
    empty_hint = "Every request that a budget binds leaves one entry: held before it is sent, posted or voided after it ends."

    @admin.display(description="when")
    def when(self, row: LedgerEntry) -> str:
        return ago(row.created_at)

    @admin.display(description="budget")
    def budget_name(self, row: LedgerEntry) -> str:
        return row.budget.name if row.budget else NONE

    @admin.display(description="state")
    def state_badge(self, row: LedgerEntry) -> str:
        return badge(row.state, LEDGER_TONE.get(row.state, "quiet"))

    @admin.display(description="held")
    def held_shown(self, row: LedgerEntry) -> str:
        return usd(row.held_nusd)

    @admin.display(description="amount")
    def amount_shown(self, row: LedgerEntry) -> str:
        return usd(row.amount_nusd) if row.amount_nusd >= 0 else f"−{usd(-row.amount_nusd)}"

    @admin.display(description="resolved")
    def resolved(self, row: LedgerEntry) -> str:
        return ago(row.resolved_at)

    @admin.display(description="request")
    def request_link(self, row: LedgerEntry) -> str:
        if row.request_id is None:
            return NONE
        return link(reverse("admin:llm_gateway_requestlog_change", args=[row.request_id]), str(row.request_id)[-12:])
