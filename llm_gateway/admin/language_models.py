"""Models and the names callers use for them."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import OuterRef, QuerySet, Subquery
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from typing_extensions import override
from unfold.contrib.filters.admin import ChoicesDropdownFilter, RelatedDropdownFilter
from unfold.widgets import UnfoldAdminTextInputWidget

from llm_gateway.models import Alias, AliasTarget, LanguageModel, Price

from ._base import GatewayAdmin, RowsInline
from ._facts import HostFactsField
from ._show import LIFECYCLE_TONE, NONE, badge, count, price
from .prices import PriceInline


class WordListField(forms.CharField):
    """A JSON list of words, typed with commas."""

    widget = UnfoldAdminTextInputWidget

    @override
    def prepare_value(self, value: Any) -> Any:
        return ", ".join(map(str, value)) if isinstance(value, list) else value

    @override
    def to_python(self, value: Any) -> Any:
        return list(dict.fromkeys(filter(None, (part.strip() for part in (super().to_python(value) or "").split(",")))))

    @override
    def has_changed(self, initial: Any, data: Any) -> bool:
        return bool(self.to_python(self.prepare_value(initial) or "") != self.to_python(data or ""))


class LanguageModelForm(forms.ModelForm):  # type: ignore[type-arg]
    capabilities = WordListField(
        required=False, help_text="For example: tools, images, json_schema. Empty: unknown, nothing is refused for it."
    )
    facts = HostFactsField(label="Own habits")

    class Meta:
        model = LanguageModel
        fields = "__all__"

    @override
    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        successor = cleaned.get("successor")
        if successor is not None and self.instance.pk and successor.pk == self.instance.pk:
            self.add_error("successor", "A model cannot succeed itself; choose another or none.")
        return cleaned


class AliasOfInline(RowsInline):
    model = AliasTarget
    fk_name = "model"
    fields = ("alias", "position")
    extra = 0
    verbose_name = "alias"
    verbose_name_plural = "aliases"
    tab = True
    autocomplete_fields = ("alias",)


@admin.register(LanguageModel)
class LanguageModelAdmin(GatewayAdmin):
    form = LanguageModelForm
    list_display = (
        "name_shown",
        "enabled",
        "auto",
        "lifecycle_badge",
        "price_shown",
        "window",
        "position",
    )
    list_editable = ("enabled", "auto", "position")
    list_filter = (("provider", RelatedDropdownFilter), ("lifecycle", ChoicesDropdownFilter), "enabled", "auto", "edited")
    list_select_related = ("provider", "successor")
    search_fields = ("name", "upstream_id", "title")
    autocomplete_fields = ("successor",)
    ordering = ("provider__priority", "position", "name")
    inlines = (PriceInline, AliasOfInline)
    empty_title = "No models yet"
    empty_hint = "Models come with a provider, or are added here by the name callers should use."
    readonly_fields = ("price_now", "origin", "created_at", "updated_at")
    fieldsets = (
        (None, {"fields": ("name", "title", "provider", "upstream_id", "price_now", "enabled", "auto", "position")}),
        ("Lifecycle", {"fields": ("lifecycle", "retires_on", "successor", "note")}),
        ("Limits", {"fields": ("context_window", "max_output_tokens", "capabilities")}),
        ("Habits", {"fields": ("facts",), "classes": ("collapse",)}),
        ("Origin", {"fields": ("origin", "created_at", "updated_at"), "classes": ("collapse",)}),
    )

    @override
    def get_queryset(self, request: HttpRequest) -> QuerySet[LanguageModel]:
        current = Price.objects.filter(
            model=OuterRef("pk"), tier="standard", min_prompt_tokens=0, effective_from__lte=timezone.now()
        ).order_by("-effective_from")
        rows: QuerySet[LanguageModel] = super().get_queryset(request)
        return rows.annotate(price_in=Subquery(current.values("input")[:1]), price_out=Subquery(current.values("output")[:1]))

    @override
    def save_model(self, request: HttpRequest, obj: LanguageModel, form: Any, change: bool) -> None:
        """What an operator touched is the operator's: catalogue loads leave it alone from then on."""
        if form.changed_data:
            obj.edited = True
        super().save_model(request, obj, form, change)

    @admin.display(description="model", ordering="name")
    def name_shown(self, row: LanguageModel) -> str:
        where = row.provider.title if row.upstream_id == row.name else f"{row.provider.title} · {row.upstream_id}"
        return format_html('{}<span class="cogo-sub">{}</span>', row.name, where)

    @admin.display(description="lifecycle", ordering="lifecycle")
    def lifecycle_badge(self, row: LanguageModel) -> str:
        shown = badge(row.lifecycle, LIFECYCLE_TONE.get(row.lifecycle, "quiet"))
        word = "since" if row.lifecycle == "retired" else "until"
        when = f"{word} {row.retires_on:%Y-%m-%d}" if row.retires_on else ""
        after = f"→ {row.successor.name}" if row.successor else ""
        lines = format_html_join("", '<span class="cogo-sub cogo-nowrap">{}</span>', ((line,) for line in (when, after) if line))
        return format_html("{}{}", shown, lines)

    @admin.display(description="price per 1M in / out", ordering="price_in")
    def price_shown(self, row: Any) -> str:
        if row.price_in is None:
            said = "Requests to an unpriced model are refused unless their key allows it."
            add = f"{reverse('admin:llm_gateway_price_add')}?model={row.pk}"
            return format_html('{} <a class="cogo-link cogo-nowrap" href="{}">Add a price</a>', badge("unpriced", "warn", said), add)
        return format_html('<span class="cogo-num">{} / {}</span>', price(row.price_in), price(row.price_out))

    @admin.display(description="price per 1M in / out")
    def price_now(self, row: Any) -> str:
        add = f"{reverse('admin:llm_gateway_price_add')}?model={row.pk}"
        shown = badge("unpriced", "warn") if row.price_in is None else f"{price(row.price_in)} / {price(row.price_out)}"
        return format_html('{} <a class="cogo-link cogo-nowrap" href="{}">Add a price</a>', shown, add)

    @override
    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """A model that does not exist yet has no price to show."""
        sets = super().get_fieldsets(request, obj)
        return (
            sets
            if obj is not None
            else [(title, {**of, "fields": tuple(f for f in of["fields"] if f != "price_now")}) for title, of in sets]
        )

    @admin.display(description="context / answer", ordering="context_window")
    def window(self, row: LanguageModel) -> str:
        return format_html('<span class="cogo-num">{} / {}</span>', _thousands(row.context_window), _thousands(row.max_output_tokens))

    @admin.display(description="origin", ordering="edited")
    def origin(self, row: LanguageModel) -> str:
        return f"{row.source}, edited here" if row.edited and row.source != "operator" else row.source


class TargetInline(RowsInline):
    model = AliasTarget
    fields = ("position", "model")
    extra = 0
    min_num = 1
    autocomplete_fields = ("model",)
    verbose_name = "target"
    verbose_name_plural = "targets, first to last"
    ordering = ("position", "id")


@admin.register(Alias)
class AliasAdmin(GatewayAdmin):
    list_display = ("name", "enabled", "targets_shown", "note", "origin")
    list_editable = ("enabled",)
    list_filter = ("enabled", "edited")
    search_fields = ("name", "note")
    inlines = (TargetInline,)
    readonly_fields = ("origin",)
    empty_title = "No aliases yet"
    empty_hint = "An alias is a short name callers may use. With several targets the later ones are its fallback list."
    fieldsets = ((None, {"fields": ("name", "enabled", "note", "origin")}),)

    @override
    def get_queryset(self, request: HttpRequest) -> QuerySet[Alias]:
        return super().get_queryset(request).prefetch_related("targets__model")

    @override
    def save_model(self, request: HttpRequest, obj: Alias, form: Any, change: bool) -> None:
        obj.edited = True
        super().save_model(request, obj, form, change)

    @admin.display(description="answers with")
    def targets_shown(self, row: Alias) -> str:
        names = [target.model.name for target in row.targets.all()]
        return " → ".join(names) if names else badge("no target", "bad")

    @admin.display(description="origin", ordering="source")
    def origin(self, row: Alias) -> str:
        return f"{row.source}, edited here" if row.edited and row.source != "operator" else row.source


def _thousands(tokens: int | None) -> str:
    if tokens is None:
        return NONE
    return f"{tokens // 1000}k" if tokens >= 10_000 else count(tokens)
