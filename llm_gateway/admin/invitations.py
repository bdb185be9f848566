"""Invitations: superusers invite a colleague and get a link, renew it or withdraw it."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.auth.models import User
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.views.decorators.http import require_POST
from typing_extensions import override
from unfold.widgets import UnfoldAdminRadioSelectWidget

from llm_gateway.actions import ActionError
from llm_gateway.actions.invite import invite, renew_invitation, why_not, withdraw_invitation
from llm_gateway.actions.mail_invitation import mail_invitation
from llm_gateway.core.roles import ROLES
from llm_gateway.models import SUPERUSER, Invitation

from ._show import BAD, GOOD, INFO, NONE, QUIET, WARN, ago, badge, button
from .accounts import ForSuperusers

TONES = {"open": INFO, "accepted": GOOD, "withdrawn": QUIET, "expired": WARN}
_SUMMARIES = {**{name: role.summary for name, role in ROLES.items()}, SUPERUSER: "Does everything, manages people too."}


class InvitationForm(forms.ModelForm):  # type: ignore[type-arg]
    role = forms.ChoiceField(
        choices=[(name, f"{name}: {summary}") for name, summary in _SUMMARIES.items()], widget=UnfoldAdminRadioSelectWidget
    )

    class Meta:
        model = Invitation
        fields = ("name", "email", "role")

    def clean_email(self) -> str:
        email = str(self.cleaned_data["email"])
        if why := why_not(email):
            raise forms.ValidationError(why)
        return email


class StateFilter(admin.SimpleListFilter):
    title = "state"
    parameter_name = "state"

    @override
    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(state, state) for state in TONES]

    @override
    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        live = queryset.filter(accepted_at=None, withdrawn_at=None)
        match self.value():
            case "open":
                return live.filter(expires_at__gt=timezone.now())
            case "expired":
                return live.filter(expires_at__lte=timezone.now())
            case "accepted":
                return queryset.exclude(accepted_at=None)
            case "withdrawn":
                return queryset.exclude(withdrawn_at=None)
        return queryset


@admin.register(Invitation)
class InvitationAdmin(ForSuperusers):
    form = InvitationForm
    list_display = ("name", "email", "role", "state_badge", "by", "invited", "expires", "buttons")
    list_filter = (StateFilter, "role")
    list_select_related = ("invited_by",)
    search_fields = ("name", "email")
    actions = None
    empty_title = "Nobody is invited"
    empty_hint = "Invite a colleague with a role: they get a link, choose a password of their own and are signed in."
    fieldsets = ((None, {"fields": ("name", "email", "role")}),)
    seen_fields = ("name", "email", "role", "state_badge", "by", "created_at", "expires_at", "accepted_at", "withdrawn_at", "account")

    @override
    def has_delete_permission(self, request: HttpRequest, obj: Invitation | None = None) -> bool:
        """They are withdrawn: who was let in by whom stays."""
        return False

    @override
    def get_fieldsets(self, request: HttpRequest, obj: Invitation | None = None) -> Any:
        return self.fieldsets if obj is None else ((None, {"fields": self.seen_fields}),)

    @override
    def get_readonly_fields(self, request: HttpRequest, obj: Invitation | None = None) -> tuple[str, ...]:
        return self.seen_fields if obj is not None else ()

    @override
    def changeform_view(
        self, request: HttpRequest, object_id: str | None = None, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        context = {**(extra_context or {}), "show_save_and_add_another": False, "show_save_and_continue": False}
        if object_id is None:
            context["title"] = "Invite a colleague"
        else:
            context["show_save"] = False
        try:
            return super().changeform_view(request, object_id, form_url, context)
        except ActionError as error:  # a twin was faster than the form
            messages.error(request, str(error))
            return HttpResponseRedirect(self.list_url())

    @override
    def save_model(self, request: HttpRequest, obj: Invitation, form: Any, change: bool) -> None:
        if change:
            return
        made, token = invite(obj.name, obj.email, obj.role, request.user)
        obj.pk = made.pk
        obj.expires_at = made.expires_at
        # Only for the answer to this very request.
        request.cogo_invitation = token  # type: ignore[attr-defined]

    @override
    def response_add(self, request: HttpRequest, obj: Invitation, post_url_continue: str | None = None) -> HttpResponse:
        return self._shown(request, obj, request.__dict__.pop("cogo_invitation"))

    @override
    def get_urls(self) -> list[URLPattern]:
        found = []
        for verb, view in (("renew", self.renew_view), ("withdraw", self.withdraw_view)):
            name = f"llm_gateway_invitation_{verb}"
            found.append(path(f"<path:object_id>/{verb}/", self.admin_site.admin_view(require_POST(view)), name=name))
        return [*found, *super().get_urls()]

    def renew_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        row: Any = self.fetch(request, object_id)
        try:
            token = renew_invitation(row, request.user)
        except ActionError as error:
            messages.error(request, str(error))
            return HttpResponseRedirect(self.list_url())
        return self._shown(request, row, token)

    def withdraw_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        row: Any = self.fetch(request, object_id)
        try:
            withdraw_invitation(row)
        except ActionError as error:
            messages.error(request, str(error))
        else:
            messages.success(request, f"The invitation of {row.name} is withdrawn; its link is dead.")
        return HttpResponseRedirect(self.list_url())

    def _shown(self, request: HttpRequest, row: Invitation, token: str) -> HttpResponse:
        """The link, this once."""
        link = request.build_absolute_uri(reverse("invitation-link", args=[token]))
        by = request.user
        problem = mail_invitation(row, link, (by.get_full_name() if isinstance(by, User) else "") or by.get_username())
        context = {
            **self.admin_site.each_context(request),
            "title": f"Invitation of {row.name}",
            "opts": self.opts,
            "invitation": row,
            "link": link,
            "problem": problem,
            "done_url": self.list_url(),
        }
        response = TemplateResponse(request, "admin/llm_gateway/invitation_link.html", context)
        response["Cache-Control"] = "no-store"
        return response

    @admin.display(description="state")
    def state_badge(self, row: Invitation) -> str:
        state = row.state()
        if state == "open" and not (row.invited_by and row.invited_by.is_active and row.invited_by.is_superuser):
            return badge("dead", BAD, "Whoever invited is no superuser any more; renew it to answer for it yourself.")
        return badge(state, TONES[state])

    @admin.display(description="invited by", ordering="invited_by")
    def by(self, row: Invitation) -> str:
        return row.invited_by.get_username() if row.invited_by else NONE

    @admin.display(description="invited", ordering="created_at")
    def invited(self, row: Invitation) -> str:
        return ago(row.created_at)

    @admin.display(description="link ends", ordering="expires_at")
    def expires(self, row: Invitation) -> str:
        return ago(row.expires_at) if row.state() in ("open", "expired") else NONE

    @admin.display(description="")
    def buttons(self, row: Invitation) -> str:
        if row.state() not in ("open", "expired"):
            return ""
        renew = button(reverse("admin:llm_gateway_invitation_renew", args=[row.pk]), "Renew", title="A new link for seven days")
        stop = button(reverse("admin:llm_gateway_invitation_withdraw", args=[row.pk]), "Withdraw", title="The link is dead at once")
        return format_html('<span class="cogo-actions">{}{}</span>', renew, stop)
