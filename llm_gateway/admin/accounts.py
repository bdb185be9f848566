"""People and their roles, in the console's own look."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group, User
from django.http import HttpRequest
from typing_extensions import override
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

from ._base import GatewayAdmin
from ._show import ago, badge, badges
from .groups import ROLES

admin.site.unregister(User)
admin.site.unregister(Group)


@admin.register(User)
class UserAdmin(DjangoUserAdmin, GatewayAdmin):  # type: ignore[type-arg,misc]
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
                "description": "Staff may sign in here; a role (viewer, operator, finance) says what they see. Superusers do everything.",
            },
        ),
        ("Single permissions", {"fields": ("user_permissions",), "classes": ("collapse",)}),
        ("Dates", {"fields": ("last_login", "date_joined"), "classes": ("collapse",)}),
    )
    readonly_fields = ("last_login", "date_joined")

    @override
    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).prefetch_related("groups")

    @admin.display(description="role")
    def role(self, row: User) -> str:
        if row.is_superuser:
            return badge("superuser", "info")
        return badges([group.name for group in row.groups.all()]) if row.is_staff else badge("no access")

    @admin.display(description="last signed in", ordering="last_login")
    def seen(self, row: User) -> str:
        return ago(row.last_login) if row.last_login else "never"


@admin.register(Group)
class GroupAdmin(DjangoGroupAdmin, GatewayAdmin):
    """The three roles belong to the code: a migration run writes their permissions again. Other groups are free."""

    @override
    def has_change_permission(self, request: HttpRequest, obj: Group | None = None) -> bool:
        return super().has_change_permission(request, obj) and not (obj is not None and obj.name in ROLES)

    @override
    def has_delete_permission(self, request: HttpRequest, obj: Group | None = None) -> bool:
        return super().has_delete_permission(request, obj) and not (obj is not None and obj.name in ROLES)
