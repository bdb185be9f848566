"""People and their roles, in the console's own look."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group, User
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, path
from django.utils.html import format_html
from django.views.decorators.http import require_POST
from typing_extensions import override
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

from llm_gateway.actions.second_factor import reset
from llm_gateway.core.roles import ROLES
from llm_gateway.models import SecondFactor

from ._base import GatewayAdmin
from ._show import ago, badge, badges

admin.site.unregister(User)
admin.site.unregister(Group)
# One name for it in menu, pages and documents.
Group._meta.verbose_name, Group._meta.verbose_name_plural = "role", "roles"


class ForSuperusers(GatewayAdmin):
    """Whoever may change accounts or roles may give themselves any right, so only superusers do, whatever a group says."""

    @override
    def has_add_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.is_superuser) and super().has_add_permission(request)

    @override
    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(request.user.is_superuser) and super().has_change_permission(request, obj)

    @override
    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(request.user.is_superuser) and super().has_delete_permission(request, obj)


@admin.register(User)
class UserAdmin(DjangoUserAdmin, ForSuperusers):  # type: ignore[type-arg,misc]
    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm
    list_display = ("username", "role", "email", "is_active", "seen", "date_joined")
    list_filter = ("is_superuser", "is_active", "groups")
    fieldsets = (
        (None, {"fields": ("username", "password")}),
        ("Person", {"fields": ("first_name", "last_name", "email")}),
        (
            "What they may do",
            {
                "fields": ("is_active", "is_staff", "is_superuser", "groups"),
                "description": "Staff may sign in here; a role says what they see. Superusers do everything.",
            },
        ),
        ("Single permissions", {"fields": ("user_permissions",), "classes": ("collapse",)}),
        ("Dates", {"fields": ("last_login", "date_joined"), "classes": ("collapse",)}),
    )
    readonly_fields = ("last_login", "date_joined")
    change_form_outer_before_template = "admin/llm_gateway/account_state.html"

    @override
    def changeform_view(
        self, request: HttpRequest, object_id: str | None = None, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        context = extra_context or {}
        row: Any = self.get_object(request, object_id) if object_id else None
        if row is not None:
            context |= {
                "account": row,
                "factor": SecondFactor.objects.filter(pk=row.pk).first(),
                "identities": list(row.identities.all()),
                "may_reset": self.has_change_permission(request, row),
            }
        return super().changeform_view(request, object_id, form_url, context)

    @override
    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(require_POST(self.reset_second_factor))
        return [path("<path:object_id>/second-factor/reset/", view, name="auth_user_second_factor_reset"), *super().get_urls()]

    def reset_second_factor(self, request: HttpRequest, object_id: str) -> HttpResponse:
        row: Any = self.fetch(request, object_id)
        if reset(row):
            messages.success(request, f"The second factor of {row.get_username()} is off; their password alone opens the console.")
        else:
            messages.info(request, f"{row.get_username()} has no second factor.")
        return self.back(request, row.pk)

    @override
    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """Who only looks is not shown how the password is stored."""
        sets = super().get_fieldsets(request, obj)
        if obj is None or self.has_change_permission(request, obj):
            return sets
        return [(title, {**of, "fields": tuple(f for f in of["fields"] if f != "password")}) for title, of in sets]

    @override
    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).select_related("one_time_password", "second_factor").prefetch_related("groups")

    @admin.display(description="role")
    def role(self, row: User) -> str:
        if row.is_superuser:
            return badge("superuser", "info")
        return badges([group.name for group in row.groups.all()]) if row.is_staff else badge("no access")

    @admin.display(description="last signed in", ordering="last_login")
    def seen(self, row: User) -> str:
        seen = ago(row.last_login) if row.last_login else "never"
        if getattr(row, "second_factor", None) is not None:
            seen = format_html("{} {}", seen, badge("second factor", "good", "Their password alone does not open the console."))
        if getattr(row, "one_time_password", None) is None:
            return seen
        return format_html("{} {}", seen, badge("one-time password", "warn", "Its owner has to choose another before anything else."))


@admin.register(Group)
class GroupAdmin(DjangoGroupAdmin, ForSuperusers):
    """The roles of the table belong to the code: a migration run writes their permissions again. Other groups are free."""

    @override
    def has_change_permission(self, request: HttpRequest, obj: Group | None = None) -> bool:
        return super().has_change_permission(request, obj) and not (obj is not None and obj.name in ROLES)

    @override
    def has_delete_permission(self, request: HttpRequest, obj: Group | None = None) -> bool:
        return super().has_delete_permission(request, obj) and not (obj is not None and obj.name in ROLES)
