"""Teams and client keys."""

from __future__ import annotations

import secrets
from decimal import Decimal
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import Count, OuterRef, Q, QuerySet, Subquery
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.views.decorators.http import require_POST
from typing_extensions import override
from unfold.contrib.filters.admin import RelatedDropdownFilter
from unfold.widgets import (
    UnfoldAdminCheckboxSelectMultipleWidget,
    UnfoldAdminDecimalFieldWidget,
    UnfoldAdminSelectWidget,
)

from llm_gateway.actions import ActionError
from llm_gateway.core.catalog import Scope
from llm_gateway.core.roles import READS_REPORTS
from llm_gateway.models import Budget, ClientKey, RequestLog, Team

from . import _key_pages, _verbs
from ._base import GatewayAdmin
from ._key_pages import KeyPages
from ._show import NONE, ago, badge, badges, link
from ._typed import TextInputWidget
from .language_models import WordListField

MODELS_HELP = "Models, aliases, PROVIDER/ID, or patterns such as openai/* and claude-*, with commas. Empty: all."
SCOPE_TEXT = {
    Scope.GENERATE: "generate: chat and code generation, every dialect",
    Scope.ANALYZE: "analyze: code analysis",
    Scope.READ: "read: models, status and performance figures",
    Scope.MANAGE: "manage: switch the strategy, check provider keys",
}


@admin.register(Team)
class TeamAdmin(GatewayAdmin):
    list_display = ("name", "enabled", "keys_shown", "bodies", "retention", "timezone", "alert_email")
    list_filter = ("enabled", "bodies")
    search_fields = ("name", "slug")
    prepopulated_fields = {"slug": ("name",)}  # noqa: RUF012
    empty_title = "No teams yet"
    empty_hint = "A team owns client keys and pays for what they use."
    fieldsets = (
        (None, {"fields": ("name", "slug", "enabled")}),
        ("What is kept", {"fields": ("bodies", "text_retention_days", "retention_days")}),
        ("Money", {"fields": ("timezone", "alert_email")}),
    )

    @override
    def get_queryset(self, request: HttpRequest) -> QuerySet[Team]:
        live = Count("client_keys", filter=Q(client_keys__revoked_at=None), distinct=True)
        rows: QuerySet[Team] = super().get_queryset(request)
        return rows.annotate(key_count=live)

    @admin.display(description="client keys", ordering="key_count")
    def keys_shown(self, row: Any) -> str:
        return link(f"{reverse('admin:llm_gateway_clientkey_changelist')}?team__id__exact={row.pk}", row.key_count)

    @admin.display(description="kept for")
    def retention(self, row: Team) -> str:
        return f"{row.retention_days} days" if row.retention_days else "gateway's setting"


class ModelListWidget(TextInputWidget):
    """The list as text, which a script turns into a picker; without the script it is typed."""

    class Media:
        js = ("llm_gateway/model_picker.js",)

    @override
    def build_attrs(self, base_attrs: Any, extra_attrs: Any = None) -> dict[str, Any]:
        return {**super().build_attrs(base_attrs, extra_attrs), "data-model-names": reverse("admin:llm_gateway_clientkey_names")}


class ClientKeyForm(forms.ModelForm):  # type: ignore[type-arg]
    scopes = forms.MultipleChoiceField(
        choices=[(s.value, SCOPE_TEXT[s]) for s in Scope],
        initial=[Scope.GENERATE.value, Scope.ANALYZE.value, Scope.READ.value],
        widget=UnfoldAdminCheckboxSelectMultipleWidget,
        help_text="What a program holding this key may do.",
    )
    models_allowed = WordListField(label="Models", required=False, help_text=MODELS_HELP, widget=ModelListWidget)
    addresses = WordListField(
        label="Addresses",
        required=False,
        help_text="Where it may be used from: addresses and networks such as 203.0.113.0/24. Empty: anywhere. Behind a proxy, set "
        "COGO_TRUSTED_PROXIES first.",
    )

    class Meta:
        model = ClientKey
        fields = (
            "name",
            "team",
            "scopes",
            "models_allowed",
            "strategy",
            "max_tokens",
            "max_concurrency",
            "requests_per_minute",
            "tokens_per_minute",
            "allow_unpriced",
            "addresses",
            "expires_at",
        )

    budget_usd = forms.DecimalField(
        label="Budget in USD",
        required=False,
        min_value=Decimal("0.000000001"),
        max_value=Decimal(1_000_000_000),
        max_digits=19,
        decimal_places=9,
        widget=UnfoldAdminDecimalFieldWidget,
        help_text="A hard limit of its own: what would pass it is refused. Empty: none of its own.",
    )
    budget_period = forms.ChoiceField(
        label="Per", choices=Budget.Period.choices, initial=Budget.Period.MONTH, required=False, widget=UnfoldAdminSelectWidget
    )
    form_id = forms.CharField(required=False, max_length=40, widget=forms.HiddenInput)

    # Set by the admin class: whoever fills the form in.
    by: Any = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "form_id" in self.fields:
            self.initial["form_id"] = secrets.token_hex(16)

    @override
    def clean(self) -> dict[str, Any]:
        """What is new in the key has to be within the rights of whoever gives it."""
        cleaned = super().clean() or {}
        before = set(self.initial.get("scopes") or ()) if self.instance.pk else set()
        new = [scope for scope in cleaned.get("scopes") or () if scope not in before]
        if cleaned.get("budget_usd") and not self.by.has_perm("llm_gateway.add_budget"):
            self.add_error("budget_usd", "Your role sets no budgets; ask finance for one.")
        row = ClientKey(pk=self.instance.pk, team=cleaned.get("team") or getattr(self.instance, "team", None))
        row.allow_unpriced = bool(cleaned.get("allow_unpriced")) and not (self.instance.pk and self.initial.get("allow_unpriced"))
        limited = bool(cleaned.get("budget_usd"))
        if beyond := _verbs.beyond_rights(row, self.by, new, limited=limited):
            self.add_error(*beyond)
        return cleaned

    def clean_models_allowed(self) -> list[str]:
        try:
            return _verbs.checked_models(self.cleaned_data["models_allowed"])
        except ActionError as error:
            raise forms.ValidationError(str(error)) from None

    def clean_addresses(self) -> list[str]:
        try:
            return _verbs.checked_addresses(self.cleaned_data["addresses"])
        except ActionError as error:
            raise forms.ValidationError(str(error)) from None

    def clean_expires_at(self) -> Any:
        moment = self.cleaned_data["expires_at"]
        if moment is not None and "expires_at" in self.changed_data and moment <= timezone.now():
            raise forms.ValidationError("That moment has passed; choose a later one.")
        return moment


class LiveFilter(admin.SimpleListFilter):
    title = "state"
    parameter_name = "live"

    @override
    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("yes", "in use"), ("revoked", "revoked"), ("expired", "expired")]

    @override
    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        now = timezone.now()
        match self.value():
            case "yes":
                return queryset.filter(Q(expires_at=None) | Q(expires_at__gt=now), revoked_at=None)
            case "revoked":
                return queryset.exclude(revoked_at=None)
            case "expired":
                return queryset.filter(expires_at__lte=now, revoked_at=None)
        return queryset


@admin.register(ClientKey)
class ClientKeyAdmin(KeyPages, GatewayAdmin):
    form = ClientKeyForm
    list_display = ("name", "team", "state_badge", "shape", "scopes_shown", "models_shown", "used", "expires", "created")
    list_filter = (LiveFilter, ("team", RelatedDropdownFilter))
    list_select_related = ("team",)
    search_fields = ("name", "public_id", "team__name", "replaced__public_id")
    actions = None
    empty_title = "No client keys yet"
    empty_hint = "Programs call the gateway with a client key. It is shown once, when you create it."
    change_form_outer_before_template = "admin/llm_gateway/client_key_state.html"
    fieldsets = (
        (None, {"fields": ("name", "team", "scopes")}),
        ("Routing", {"fields": ("models_allowed", "strategy")}),
        (
            "Limits",
            {
                "fields": (
                    "requests_per_minute",
                    "tokens_per_minute",
                    "max_concurrency",
                    "max_tokens",
                    "allow_unpriced",
                    "addresses",
                    "expires_at",
                )
            },
        ),
    )

    @override
    def get_queryset(self, request: HttpRequest) -> QuerySet[ClientKey]:
        """With ``last_used``, when its newest request came: one step into an index per key."""
        newest = RequestLog.objects.filter(client_key=OuterRef("pk")).order_by("-id").values("created_at")[:1]
        rows: QuerySet[ClientKey] = super().get_queryset(request)
        return rows.annotate(last_used=Subquery(newest))

    @override
    def get_form(self, request: HttpRequest, obj: ClientKey | None = None, change: bool = False, **kwargs: Any) -> Any:
        form: Any = super().get_form(request, obj, change, **kwargs)
        form.by = request.user
        return form

    @override
    def get_readonly_fields(self, request: HttpRequest, obj: ClientKey | None = None) -> tuple[str, ...]:
        return ("team",) if obj else ()

    @override
    def get_fieldsets(self, request: HttpRequest, obj: ClientKey | None = None) -> Any:
        sets = super().get_fieldsets(request, obj)
        if obj is not None:
            return sets
        first = (None, {"fields": ("name", "team", "scopes", "form_id")})
        money = ("Budget", {"fields": (("budget_usd", "budget_period"),)})
        return (first, *((money,) if request.user.has_perm("llm_gateway.add_budget") else ()), *sets[1:])

    @override
    def has_delete_permission(self, request: HttpRequest, obj: ClientKey | None = None) -> bool:
        """Keys are revoked, not deleted: their requests and their money stay theirs."""
        return False

    @override
    def changeform_view(
        self, request: HttpRequest, object_id: str | None = None, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        context = extra_context or {}
        if object_id is None:  # the answer is the page with the key: there is no "and then"
            context |= {"show_save_and_add_another": False, "show_save_and_continue": False}
        row = self.get_object(request, object_id) if object_id else None
        if row is not None:
            context |= {"client_key": row, "state_badge": self.state_badge(row), "used": self.used(row), "shape": self.shape(row)}
            context["may_revoke"] = row.revoked_at is None and self.has_change_permission(request, row)
            context["may_see_spend"] = request.user.has_perm(READS_REPORTS)
            context["may_see_budgets"] = request.user.has_perm("llm_gateway.view_budget")
            context["may_add_budget"] = request.user.has_perm("llm_gateway.add_budget")
            context["key_budgets"] = _key_pages.budgets_of(row) if context["may_see_budgets"] else []
            alive = row.replaced.filter(dies_at__gt=timezone.now()) if row.revoked_at is None else ()
            context["old_keys"] = [(old, ago(old.dies_at)) for old in alive]
            context["requests_url"] = f"{reverse('admin:llm_gateway_requestlog_changelist')}?client_key__id__exact={row.pk}"
        return super().changeform_view(request, object_id, form_url, context)

    @override
    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """A form that is sent twice makes one key; its text is not to be had again."""
        made = _key_pages.made_before(request, request.POST.get("form_id", "")) if request.method == "POST" else None
        if made is not None:
            messages.warning(request, "This form has made this key already. Its text was shown once; if it is lost, roll the key.")
            return HttpResponseRedirect(self.change_url(made))
        return super().add_view(request, form_url, extra_context)

    @override
    def save_model(self, request: HttpRequest, obj: ClientKey, form: Any, change: bool) -> None:
        if change:
            super().save_model(request, obj, form, change)
            return
        budget = form.cleaned_data.get("budget_usd")
        _, key = _verbs.create_client_key(obj, request.user, budget, form.cleaned_data.get("budget_period") or "month")
        _key_pages.remember(request, request.POST.get("form_id", ""), obj)
        # Only for the answer to this very request: no session, no message, no log ever holds it.
        request.cogo_new_key = key  # type: ignore[attr-defined]

    @override
    def response_add(self, request: HttpRequest, obj: ClientKey, post_url_continue: str | None = None) -> HttpResponse:
        return self.shown_once(request, obj, request.__dict__.pop("cogo_new_key"))

    @override
    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(require_POST(self.revoke_view))
        return [path("<path:object_id>/revoke/", view, name="llm_gateway_clientkey_revoke"), *self.key_urls(), *super().get_urls()]

    def revoke_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        row = self.fetch(request, object_id)
        assert isinstance(row, ClientKey)
        _verbs.revoke_client_key(row)
        self.log_change(request, row, "Revoked.")
        messages.success(request, f"{row.name} is revoked. Every worker refuses it within 2 seconds.")
        return self.back(request, row.pk)

    @admin.display(description="state")
    def state_badge(self, row: Any) -> str:
        if row.revoked_at:
            return badge("revoked", "bad", f"since {row.revoked_at:%Y-%m-%d %H:%M} UTC")
        if row.expires_at and row.expires_at <= timezone.now():
            return badge("expired", "warn")
        return badge("in use", "good") if row.last_used else badge("never used", "quiet")

    @admin.display(description="key")
    def shape(self, row: ClientKey) -> str:
        return f"cogo_{row.public_id}_…"

    @admin.display(description="scopes")
    def scopes_shown(self, row: ClientKey) -> str:
        return badges(row.scopes) if isinstance(row.scopes, list) else NONE

    @admin.display(description="models")
    def models_shown(self, row: ClientKey) -> str:
        names = row.models_allowed if isinstance(row.models_allowed, list) else []
        return "all" if not names else ", ".join(map(str, names[:3])) + (f" and {len(names) - 3} more" if len(names) > 3 else "")

    @admin.display(description="last used", ordering="last_used")
    def used(self, row: Any) -> str:
        return ago(row.last_used) if row.last_used else "never"

    @admin.display(description="created", ordering="created_at")
    def created(self, row: ClientKey) -> str:
        return ago(row.created_at)

    @admin.display(description="expires", ordering="expires_at")
    def expires(self, row: ClientKey) -> str:
        return ago(row.expires_at) if row.expires_at else "never"
