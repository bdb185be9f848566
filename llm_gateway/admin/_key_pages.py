"""A client key's own pages: roll it, end a text it had before, and the names its list of models may hold."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied as Refused
from django.db.models import Q
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, get_script_prefix, path, reverse
from django.utils import timezone
from django.views.decorators.http import require_POST
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminSplitDateTimeWidget

from llm_gateway.actions import ActionError
from llm_gateway.core.errors import PermissionDenied
from llm_gateway.core.roles import SPENDS
from llm_gateway.models import Budget, ClientKey, ReplacedKey, trail

from . import _playground, _verbs
from ._names_known import names
from ._period import spent_and_held
from ._show import usd

if TYPE_CHECKING:
    from ._base import GatewayAdmin

    Base = GatewayAdmin
else:
    Base = object

OVERLAPS = (
    ("0", "at once"),
    ("1", "in one hour"),
    ("24", "in one day"),
    ("168", "in a week"),
    ("720", "in 30 days"),
    ("", "at this moment"),
)
# So many keys of a session are remembered as made, so that a form that is sent again makes no second one.
REMEMBERED = 20
_MADE = "made_client_keys"


class RollForm(forms.Form):
    overlap = forms.ChoiceField(label="The old key dies", choices=OVERLAPS, initial="24", required=False, widget=UnfoldAdminSelectWidget)
    moment = forms.SplitDateTimeField(label="Moment (UTC)", required=False, widget=UnfoldAdminSplitDateTimeWidget)
    expected = forms.CharField(widget=forms.HiddenInput, max_length=12)

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if not self.errors and cleaned.get("overlap") == "":
            if cleaned.get("moment") is None:
                self.add_error("moment", "Enter the moment at which the old key dies.")
            elif cleaned["moment"] <= timezone.now():
                self.add_error("moment", "That moment has passed; choose a later one, or at once.")
        return cleaned

    @property
    def keep_until(self) -> datetime:
        hours = self.cleaned_data["overlap"]
        found: datetime = timezone.now() + timedelta(hours=int(hours)) if hours else self.cleaned_data["moment"]
        return found


class KeyPages(Base):
    def key_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        return [
            path("playground/", wrap(self.playground_view), name="playground"),
            path("names/", wrap(self.names_view), name="llm_gateway_clientkey_names"),
            path("<path:object_id>/roll/", wrap(self.roll_view), name="llm_gateway_clientkey_roll"),
            path("<path:object_id>/end/<int:old_id>/", wrap(require_POST(self.end_view)), name="llm_gateway_clientkey_end"),
        ]

    def roll_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """First click: when the old text dies. Second click (POST): the new text, once."""
        row = self.fetch(request, object_id)
        assert isinstance(row, ClientKey)
        form = RollForm(request.POST or None, initial={"expected": row.public_id})
        if request.method == "POST" and form.is_valid():
            until = form.keep_until
            try:
                key = _verbs.roll_client_key(row, request.user, keep_until=until, expected=form.cleaned_data["expected"])
            except (ActionError, PermissionDenied) as error:
                messages.error(request, f"{error.message if isinstance(error, PermissionDenied) else error} Nothing was changed.")
                return HttpResponseRedirect(self.change_url(row.pk))
            self.log_change(request, row, "")
            dies = "is dead" if until <= timezone.now() else f"works until {until:%Y-%m-%d %H:%M} UTC"
            return self.shown_once(request, row, key, f"The old key {dies}. Name, team, budgets, limits and history stay.")
        context = {
            **self.admin_site.each_context(request), "title": f"Roll {row.name}", "opts": self.opts, "client_key": row, "form": form,
            "cancel_url": self.change_url(row.pk), "form_media": forms.Media(js=[reverse("admin:jsi18n")]) + form.media,
        }  # fmt: skip
        return TemplateResponse(request, "admin/llm_gateway/client_key_roll.html", context)

    def end_view(self, request: HttpRequest, object_id: str, old_id: int) -> HttpResponse:
        row = self.fetch(request, object_id)
        old = ReplacedKey.objects.filter(pk=old_id, client_key_id=row.pk).first()
        if old is not None and _verbs.end_replaced_key(old):
            messages.success(request, f"{old} is dead. Every worker refuses it within 2 seconds.")
        return self.back(request, row.pk)

    def shown_once(self, request: HttpRequest, row: ClientKey, key: str, note: str = "") -> HttpResponse:
        context = {
            **self.admin_site.each_context(request), "title": "Your new client key", "opts": self.opts, "client_key": row, "key": key,
            "once": forms.Media(js=["llm_gateway/once.js"]), "note": note, "done_url": self.change_url(row.pk),
            "base_url": request.build_absolute_uri(get_script_prefix())[:-1],
        }  # fmt: skip
        response = TemplateResponse(request, "admin/llm_gateway/client_key_created.html", context)
        response["Cache-Control"] = "no-store"
        return response

    def playground_view(self, request: HttpRequest) -> HttpResponse:
        """Try a prompt. Opened from a request it shows that request's texts, which is written down as any look at them."""
        if not request.user.has_perm(SPENDS):
            raise Refused
        found = _playground.context(request)
        if found["opens"] is not None:
            trail.record("read texts", found["opens"], detail="Opened in the playground.")
        context = {**self.admin_site.each_context(request), "title": "Playground", **found}
        response = TemplateResponse(request, "admin/llm_gateway/playground.html", context)
        response["Cache-Control"] = "no-store"
        return response

    def names_view(self, request: HttpRequest) -> HttpResponse:
        """What a list of models may name, for the picker. Names and prices only."""
        if not self.has_view_permission(request):
            return JsonResponse({"models": [], "aliases": [], "strategies": []}, status=403)
        return JsonResponse(names())


def remember(request: HttpRequest, token: str, row: ClientKey) -> None:
    """That this form made this key. No part of the key's text is in it."""
    made = dict(request.session.get(_MADE, {}))
    made[token[:40]] = row.pk
    request.session[_MADE] = dict(list(made.items())[-REMEMBERED:])


def made_before(request: HttpRequest, token: str) -> int | None:
    """The key that this very form made already, if it did."""
    found = request.session.get(_MADE, {}).get(token[:40]) if token else None
    return found if isinstance(found, int) else None


def _bound(budget: Budget) -> str:
    if budget.end_user:
        return "one end user"
    return "this key" if budget.client_key_id else "the team" if budget.team_id else "the whole gateway"


def budgets_of(row: ClientKey) -> list[dict[str, Any]]:
    """Every budget that this key's requests are held against, its own first."""
    own = Q(client_key_id=row.pk) | Q(team_id=row.team_id) | Q(client_key=None, team=None, provider=None, model=None)
    found = []
    for budget in Budget.objects.filter(own, enabled=True).order_by("id"):
        posted, held = spent_and_held(budget)
        limit = budget.limit_at(timezone.now())
        found.append(
            {
                "name": budget.name,
                "url": reverse("admin:llm_gateway_budget_change", args=[budget.pk]),
                "binds": _bound(budget),
                "rank": 0 if budget.client_key_id else 1 if budget.team_id else 2,
                "period": budget.period, "hard": budget.hard, "spent": usd(posted), "held": usd(held), "limit": usd(limit),
                "left": usd(max(0, limit - posted - held)),
                "share": round(100 * (posted + held) / limit) if limit else 100,
            }
        )  # fmt: skip
    return sorted(found, key=lambda one: one["rank"])
