"""The price book: rows are added, never edited, so that every bill can be computed again."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html
from typing_extensions import override
from unfold.contrib.filters.admin import RelatedDropdownFilter

from llm_gateway.models import Price, RequestLog

from ._base import GatewayAdmin, ReadOnly, RowsInline
from ._show import ago, badge, count, price

SUMS = (
    "input",
    "output",
    "cache_read",
    "cache_write",
    "cache_write_1h",
    "reasoning",
    "audio_input",
    "audio_output",
    "image_input",
    "image_output",
    "request",
    "web_search",
)


class PriceInline(ReadOnly, RowsInline):
    model = Price
    fields = ("effective", "tier", "band", "input_shown", "output_shown", "cache_read_shown", "cache_write_shown", "source")
    readonly_fields = fields
    extra = 0
    max_num = 0
    tab = True
    show_change_link = True
    verbose_name_plural = "prices"

    @admin.display(description="from")
    def effective(self, row: Price) -> str:
        return f"{row.effective_from:%Y-%m-%d}"

    @admin.display(description="prompts from")
    def band(self, row: Price) -> str:
        return f"{row.min_prompt_tokens:,} tokens"

    @admin.display(description="input")
    def input_shown(self, row: Price) -> str:
        return price(row.input)

    @admin.display(description="output")
    def output_shown(self, row: Price) -> str:
        return price(row.output)

    @admin.display(description="cache read")
    def cache_read_shown(self, row: Price) -> str:
        return price(row.cache_read)

    @admin.display(description="cache write")
    def cache_write_shown(self, row: Price) -> str:
        return price(row.cache_write)


@admin.register(Price)
class PriceAdmin(GatewayAdmin):
    list_display = (
        "model_name",
        "in_force",
        "effective",
        "tier",
        "band",
        "input_shown",
        "output_shown",
        "cache_read_shown",
        "cache_write_shown",
        "source",
    )
    list_filter = (("model__provider", RelatedDropdownFilter), ("model", RelatedDropdownFilter), "tier", "source")
    search_fields = ("model__name", "source", "note")
    list_select_related = ("model__provider",)
    autocomplete_fields = ("model",)
    ordering = ("model__provider__priority", "model__name", "tier", "-effective_from", "min_prompt_tokens")
    actions = None
    empty_title = "No prices yet"
    empty_hint = (
        "Prices come with the catalogue. Requests to a model without a price are refused, so that no cost is ever unknown by accident."
    )
    fieldsets = (
        (
            None,
            {
                "fields": ("model", "effective_from", "tier", "min_prompt_tokens"),
                "description": "A price is never changed: add a new one, which takes over at its date. Old bills stay explained.",
            },
        ),
        (
            "USD per 1,000,000 tokens",
            {
                "fields": (
                    ("input", "output"),
                    ("cache_read", "cache_write", "cache_write_1h"),
                    ("reasoning", "audio_input", "audio_output"),
                    ("image_input", "image_output"),
                )
            },
        ),
        ("USD each", {"fields": (("request", "web_search"),)}),
        ("Evidence", {"fields": ("source", "note")}),
    )

    @override
    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        return {"effective_from": timezone.now().replace(microsecond=0), **super().get_changeform_initial_data(request)}

    @override
    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    @override
    def has_delete_permission(self, request: HttpRequest, obj: Price | None = None) -> bool:
        """Only a row nothing was billed with can go: a typing error, or a model that was never used."""
        if obj is None or not super().has_delete_permission(request, obj):
            return False
        return not RequestLog.objects.filter(model_id=obj.model_id, price_id=obj.pk).exists()

    @admin.display(description="model", ordering="model__name")
    def model_name(self, row: Price) -> str:
        return format_html('{}<span class="cogo-sub">{}</span>', row.model.name, row.model.provider.title)

    @admin.display(description="")
    def in_force(self, row: Price) -> str:
        return badge("planned", "info") if row.effective_from > timezone.now() else ""

    @admin.display(description="from", ordering="effective_from")
    def effective(self, row: Price) -> str:
        return ago(row.effective_from) if row.effective_from > timezone.now() else f"{row.effective_from:%Y-%m-%d}"

    @admin.display(description="prompts from", ordering="min_prompt_tokens")
    def band(self, row: Price) -> str:
        return "any size" if row.min_prompt_tokens == 0 else f"{count(row.min_prompt_tokens)} tokens"

    @admin.display(description="input", ordering="input")
    def input_shown(self, row: Price) -> str:
        return price(row.input)

    @admin.display(description="output", ordering="output")
    def output_shown(self, row: Price) -> str:
        return price(row.output)

    @admin.display(description="cache read")
    def cache_read_shown(self, row: Price) -> str:
        return price(row.cache_read)

    @admin.display(description="cache write")
    def cache_write_shown(self, row: Price) -> str:
        return price(row.cache_write)
