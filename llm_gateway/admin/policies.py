"""Policy versions in the console: write a draft, replay it, approve it, put it in force for some or all, and take it back."""

from __future__ import annotations

import json as stdlib_json
from collections.abc import Mapping
from difflib import unified_diff
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.views.decorators.http import require_POST
from typing_extensions import override

from llm_gateway.core.errors import GatewayError
from llm_gateway.core.roles import APPROVES, SWITCHES
from llm_gateway.models import PolicyEvent, PolicyReplay, PolicyVersion, Strategy

from . import _preview, _settings, _verbs
from ._base import ReadOnlyAdmin
from ._show import ago, badge
from ._strategy_form import OTHER, base_of, draft_form_for

_TONES = {"draft": "quiet", "replayed": "info", "approved": "info", "active": "good", "retired": "quiet"}


@admin.register(PolicyVersion)
class PolicyVersionAdmin(ReadOnlyAdmin):
    list_display = ("numbered", "of", "state_badge", "settings_shown", "note", "who", "written")
    list_filter = ("state",)
    list_select_related = ("strategy", "author")
    ordering = ("-number",)
    fields = ("panel",)
    fieldsets = ()
    search_fields = ("=number", "note")
    empty_title = "No versions yet"
    empty_hint = "Every change of a strategy or of an alias's list is a version; drafts are written here."
    change_form_outer_before_template = "admin/llm_gateway/policy_version.html"
    change_list_template = "admin/llm_gateway/policy_list.html"

    @override
    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        return ()

    @override
    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        context = {"strategies": Strategy.objects.order_by("title") if request.user.has_perm(SWITCHES) else (), **(extra_context or {})}
        return super().changelist_view(request, context)

    @override
    def changeform_view(
        self, request: HttpRequest, object_id: str | None = None, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        context = extra_context or {}
        row = self.get_object(request, object_id) if object_id else None
        if isinstance(row, PolicyVersion):
            context |= self._facts(request, row)
        return super().changeform_view(request, object_id, form_url, context)

    def _facts(self, request: HttpRequest, row: PolicyVersion) -> dict[str, Any]:
        newest = row.replays.order_by("-pk").first()
        whole = row.state == "active" and row.canary_share is None
        return {
            "policy": row,
            "title": f"Version {row.number} of {row.name}",
            "state_badge": self.state_badge(row),
            "settings": _settings.lines(row.settings),
            "diff": _diff(row),
            "guards": [(name.replace("_", " "), value) for name, value in row.guards.items()],
            "watch": _watch(row.watch) if row.canary_share is not None else (),
            "replay": newest,
            "report": newest.report if newest is not None and newest.state == PolicyReplay.State.DONE else None,
            "flows": _flows(newest),
            "events": row.events.select_related("by").order_by("-pk")[:30],
            "revision": PolicyEvent.revision(),
            "may_switch": request.user.has_perm(SWITCHES),
            "may_approve": request.user.has_perm(APPROVES) and row.state in ("draft", "replayed"),
            "may_activate": (request.user.has_perm(SWITCHES) and row.state in ("approved", "retired")) or (row.canary_share is not None),
            "whole": whole,
            "of_strategy": row.strategy is not None,
        }

    @override
    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        step = "<path:object_id>/{}/"
        return [
            path("draft/", wrap(self.draft_view), name="llm_gateway_policyversion_draft"),
            path(step.format("replay"), wrap(require_POST(self.replay_view)), name="llm_gateway_policyversion_replay"),
            path(step.format("approve"), wrap(require_POST(self.approve_view)), name="llm_gateway_policyversion_approve"),
            path(step.format("activate"), wrap(require_POST(self.activate_view)), name="llm_gateway_policyversion_activate"),
            path(step.format("rollback"), wrap(require_POST(self.rollback_view)), name="llm_gateway_policyversion_rollback"),
            *super().get_urls(),
        ]

    def draft_view(self, request: HttpRequest) -> HttpResponse:
        """A form with the strategy's settings as they are; sending it writes a draft."""
        if not request.user.has_perm(SWITCHES):
            raise PermissionDenied
        given = request.POST if request.method == "POST" else request.GET
        row = Strategy.objects.filter(name=given.get("strategy", "")[:60].replace("\x00", "")).first()
        if row is None:
            messages.error(request, "Choose the strategy that the draft is of.")
            return HttpResponseRedirect(self.list_url())
        data = request.POST if request.method == "POST" else None
        kind = draft_form_for(row.kind, base_of(row.settings, row.kind, data))
        form = kind(data, settings=row.settings, initial={"strategy": row.name})
        if data is not None and form.is_valid():
            try:
                made = _verbs.draft_policy(row, form.found, form.guards(), form.cleaned_data["note"], request.user)
            except ValueError as error:
                form.add_error(None, str(error))
            else:
                messages.success(request, f"Version {made.number} is a draft. Replay it to see what it would move.")
                return HttpResponseRedirect(self.change_url(made.pk))
        context = {
            **self.admin_site.each_context(request),
            "title": f"Draft of {row.title}",
            "opts": self.opts,
            "strategy": row,
            "form": form,
            "help": _preview.help_of(row.kind),
            "groups": [(title, [form[name] for name in names if name in form.fields]) for title, names in _groups(form)],
            "form_kind": row.kind,
            "preview_url": reverse("admin:llm_gateway_strategy_preview"),
            "cancel_url": self.list_url(),
        }
        return TemplateResponse(request, "admin/llm_gateway/policy_draft.html", context)

    def _row(self, request: HttpRequest, object_id: str, permission: str) -> PolicyVersion:
        row = self.get_object(request, object_id)
        if not isinstance(row, PolicyVersion) or not request.user.has_perm(permission):
            raise PermissionDenied
        return row

    def _done(self, request: HttpRequest, row: PolicyVersion, work: Any, says: str, noted: str) -> HttpResponse:
        try:
            work()
        except (ValueError, GatewayError) as error:
            messages.error(request, error.message if isinstance(error, GatewayError) else str(error))
        else:
            self.log_change(request, row, noted)
            messages.success(request, says)
        return HttpResponseRedirect(self.change_url(row.pk))

    def replay_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        row = self._row(request, object_id, SWITCHES)
        says = f"Version {row.number} is replayed; large logs take a minute. Look at this page again for the report."
        return self._done(request, row, lambda: _verbs.replay_policy(row, request.user), says, "Replayed.")

    def approve_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        row = self._row(request, object_id, APPROVES)
        return self._done(
            request, row, lambda: _verbs.approve_policy(row, request.user), f"Version {row.number} may take force.", "Approved."
        )

    def activate_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        row = self._row(request, object_id, SWITCHES)
        percent, revision = request.POST.get("percent", "").strip(), request.POST.get("revision", "")
        try:
            share = float(percent) / 100 if percent else None
            seen = int(revision)
        except ValueError:
            messages.error(request, "A share is a number of percent, such as 10; leave it empty to activate for all.")
            return HttpResponseRedirect(self.change_url(row.pk))
        confirm = "confirm" in request.POST
        part = f" for {share:.0%} of the requests" if share else ""
        says = f"Version {row.number} is in force{part}; every worker follows within 2 seconds."
        verb = _verbs.activate_policy
        return self._done(request, row, lambda: verb(row, request.user, share, seen, confirm), says, f"Put in force{part}.")

    def rollback_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """A canary ends; of an old version it makes the one in force."""
        row = self._row(request, object_id, SWITCHES)
        to = None if row.canary_share is not None else row.number
        says = "The canary has ended." if to is None else f"Version {row.number} is in force again."
        return self._done(request, row, lambda: _verbs.rollback_policy(to, request.user), says, "Rolled back.")

    @admin.display(description="version", ordering="number")
    def numbered(self, row: PolicyVersion) -> str:
        return f"Version {row.number}"

    @admin.display(description="of")
    def of(self, row: PolicyVersion) -> str:
        return format_html('{}<span class="cogo-sub">{}</span>', row.strategy.title if row.strategy else row.alias, row.kind)

    @admin.display(description="state", ordering="state")
    def state_badge(self, row: PolicyVersion) -> str:
        text = row.state if row.canary_share is None else f"canary, {row.canary_share:.0%}"
        return badge(text, _TONES.get(row.state, "quiet"))

    @admin.display(description="settings")
    def settings_shown(self, row: PolicyVersion) -> str:
        return _settings.short(row.settings)

    @admin.display(description="by")
    def who(self, row: PolicyVersion) -> str:
        return str(row.author) if row.author else row.via or "the gateway"

    @admin.display(description="written", ordering="created_at")
    def written(self, row: PolicyVersion) -> str:
        return ago(row.created_at)


def _groups(form: Any) -> list[tuple[str, list[str]]]:
    guards = [name for name in form.fields if name.startswith("g-")]
    return [*form.made.groups(), ("Other settings", [OTHER]), ("Guards while it is a canary", guards), ("Why", ["note"])]


def _diff(row: PolicyVersion) -> list[tuple[str, str]]:
    """(added, removed or same; line) against what decides now under the same name."""
    if row.strategy is not None:
        old: Any = {"kind": row.strategy.kind, **row.strategy.settings}
        new: Any = {"kind": row.kind, **row.settings}
    else:
        active = PolicyVersion.objects.filter(alias=row.alias, state="active").first()
        old, new = (active.settings if active else {}), row.settings
    if old == new:
        return []
    before, after = (stdlib_json.dumps(one, indent=2, sort_keys=True, ensure_ascii=False).splitlines() for one in (old, new))
    lines = list(unified_diff(before, after, lineterm="", n=2))[2:]
    kinds = {"+": "added", "-": "removed"}
    return [(kinds.get(line[:1], ""), line) for line in lines if not line.startswith("@@")]


def _watch(watch: Any) -> list[tuple[str, str, str]]:
    """(figure, active, canary) of what the guards compare."""
    if not isinstance(watch, Mapping):
        return []
    base, canary = watch.get("base_now") or {}, watch.get("canary_now") or {}

    def both(name: str, show: Any) -> tuple[str, str, str]:
        return name, show(base), show(canary)

    return [
        both("requests", lambda s: str(s.get("requests", 0))),
        both("success", lambda s: f"{s['ok'] / s['requests']:.1%}" if s.get("requests") else "—"),
        both("slower than the limit", lambda s: f"{s['slow'] / s['answers']:.1%}" if s.get("answers") else "—"),
        both("cost per request", lambda s: f"${s['cost'] / s['priced'] / 1e9:.6f}" if s.get("priced") else "—"),
    ]


def _flows(replay: PolicyReplay | None) -> list[dict[str, Any]]:
    if replay is None or not replay.report:
        return []
    return [flow for flow in replay.report.get("flows", ()) if flow["from"] != flow["to"]]
