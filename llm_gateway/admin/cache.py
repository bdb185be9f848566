"""The answer cache: who wants it, what is kept, and the way to be rid of it."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Count, Sum
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.views.decorators.http import require_POST
from typing_extensions import override
from unfold.contrib.filters.admin import RelatedDropdownFilter

from llm_gateway.core.caching import SCOPES
from llm_gateway.models import CachedAnswer, CacheRule, trail
from llm_gateway.policies.agreement import lower_bound

from . import _verbs
from ._base import GatewayAdmin, ReadOnlyAdmin
from ._show import ago, badge, button, count, link, span

_SWITCH_TONE = {"on": "good", "off": "quiet"}
_WHOSE = {"all": "", "team": "its short name", "key": "its public id", "alias": "its name", "model": "its name"}


class CacheRuleForm(forms.ModelForm):  # type: ignore[type-arg]
    class Meta:
        model = CacheRule
        fields = ("client_key", "alias", "switch", "chance", "shared", "ttl_s", "semantic")

    @override
    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        key, alias = cleaned.get("client_key"), cleaned.get("alias")
        if key is not None and alias is not None:
            self.add_error("alias", "A rule is of a client key, of an alias, or of the whole gateway; name one or none.")
        if alias is None and cleaned.get("shared"):
            self.add_error("shared", "Only an alias can share its answers in a team.")
        if alias is None and cleaned.get("semantic", "off") != "off":
            self.add_error("semantic", "Only an alias can answer nearly the same question.")
        elif cleaned.get("semantic") == "on" and (why := _verbs.semantic_refusal(alias.name if alias else "")):
            self.add_error("semantic", why)
        if key is None and alias is None and CacheRule.objects.filter(client_key=None, alias=None).exclude(pk=self.instance.pk).exists():
            self.add_error(None, "The gateway has its rule already; change that one.")
        return cleaned


@admin.register(CacheRule)
class CacheRuleAdmin(GatewayAdmin):
    form = CacheRuleForm
    list_display = ("level", "switch_badge", "kept_for", "chance", "shared", "semantic_shown", "purge_button")
    list_display_links = ("level",)
    list_select_related = ("client_key__team", "alias__cache_measure")
    search_fields = ("client_key__name", "alias__name")
    autocomplete_fields = ("client_key", "alias")
    actions = None
    list_before_template = "admin/llm_gateway/cache_state.html"
    empty_title = "The cache is off"
    empty_hint = "Add a rule of a client key, an alias or the whole gateway; a request's header may switch it on for itself."
    fieldsets = ((None, {"fields": ("client_key", "alias", "switch", "ttl_s", "chance", "shared", "semantic")}),)

    @override
    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(require_POST(self.purge_view))
        return [path("purge/", view, name="llm_gateway_cacherule_purge"), *super().get_urls()]

    @override
    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        live = CachedAnswer.objects.filter(expires_at__gt=timezone.now()).aggregate(answers=Count("pk"), size=Sum("size"))
        context = {
            "kept_answers": live["answers"],
            "kept_mb": f"{(live['size'] or 0) / 1_000_000:.1f}",
            "scopes": [(scope, f"{scope}: {hint}" if hint else scope) for scope, hint in _WHOSE.items()],
            "may_purge": self.has_change_permission(request),
            **(extra_context or {}),
        }
        return super().changelist_view(request, context)

    def purge_view(self, request: HttpRequest) -> HttpResponse:
        if not self.has_change_permission(request):
            raise PermissionDenied
        asked = request.POST if "purge_scope" in request.POST else request.GET
        scope, whose = str(asked.get("purge_scope", ""))[:10], str(asked.get("purge_whose", "")).strip()[:200]
        try:
            if "\x00" in whose or scope not in SCOPES:
                raise ValueError("Choose what to purge.")
            gone = _verbs.purge_answers(scope, whose)
        except ValueError as error:
            messages.error(request, str(error))
        else:
            trail.record("did", name="answer cache", detail=f"Purged {scope} {whose}".strip() + ".")
            messages.success(request, f"{gone} kept answers deleted; no worker gives one of them from within 2 seconds on.")
        query = request.GET.copy()
        query["from_list"] = "1"
        request.GET = query  # type: ignore[assignment]  # Django itself only reads it
        return self.back(request, 0)

    @admin.display(description="whose")
    def level(self, row: CacheRule) -> str:
        return str(row)

    @admin.display(description="cache", ordering="switch")
    def switch_badge(self, row: CacheRule) -> str:
        return badge(row.switch or "as the level above", _SWITCH_TONE.get(row.switch, "quiet"))

    @admin.display(description="kept for", ordering="ttl_s")
    def kept_for(self, row: CacheRule) -> str:
        if row.ttl_s:
            return span(row.ttl_s)
        return "1 day" if row.client_key_id is None and row.alias_id is None else "as the level above"

    @admin.display(description="nearly the same question", ordering="semantic")
    def semantic_shown(self, row: CacheRule) -> str:
        """With the sample and the bound that it allows."""
        shown = badge(row.semantic, {"on": "good", "shadow": "info"}.get(row.semantic, "quiet"))
        measure = getattr(row.alias, "cache_measure", None) if row.alias is not None else None
        if row.semantic == "off" and measure is None:
            return shown
        right, judged = (measure.right, measure.judged) if measure is not None else (0, 0)
        sample = f"{right:,} of {judged:,} right; at least {lower_bound(right, judged):.2%} are"
        return format_html('{}<span class="cogo-sub">{}</span>', shown, sample)

    @admin.display(description="")
    def purge_button(self, row: CacheRule) -> str:
        if row.client_key is not None:
            query = f"purge_scope=key&purge_whose={row.client_key.public_id}"
        else:
            query = f"purge_scope=alias&purge_whose={row.alias.name}" if row.alias is not None else "purge_scope=all"
        return button(f"{reverse('admin:llm_gateway_cacherule_purge')}?{query}", "Purge", title="Its kept answers are given no more.")


@admin.register(CachedAnswer)
class CachedAnswerAdmin(ReadOnlyAdmin):
    """Nothing of a text: whose it is, what made it, how old and how large it is."""

    list_display = ("origin", "asked_model", "model_name", "team", "client_key", "made_shown", "expires_shown", "size_shown")
    list_filter = (("team", RelatedDropdownFilter), ("client_key", RelatedDropdownFilter))
    list_select_related = ("team", "client_key")
    search_fields = ("asked_model", "model_name")
    ordering = ("-id",)
    fields = ("origin", "asked_model", "model_name", "team", "client_key", "made_at", "expires_at", "size_shown")
    readonly_fields = fields
    empty_title = "No kept answers"
    empty_hint = "Answers of requests that want the cache are kept here, sealed, until their time is over."

    @admin.display(description="made for")
    def origin(self, row: CachedAnswer) -> str:
        return link(reverse("admin:llm_gateway_requestlog_change", args=[row.request_id]), str(row.request_id))

    @admin.display(description="made", ordering="made_at")
    def made_shown(self, row: CachedAnswer) -> str:
        return ago(row.made_at)

    @admin.display(description="until", ordering="expires_at")
    def expires_shown(self, row: CachedAnswer) -> str:
        return ago(row.expires_at)

    @admin.display(description="bytes", ordering="size")
    def size_shown(self, row: CachedAnswer) -> str:
        return count(row.size)
