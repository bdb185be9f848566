"""Unfold's and Django's bases as the type checker is to see them.

Unfold carries no types. What we extend of it extends Django's own classes, whose types are known, so overrides are checked against those.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib.admin.options import BaseModelAdmin

if TYPE_CHECKING:
    from django.contrib import admin
    from django.contrib.admin.views.main import ChangeList
    from django.contrib.auth.forms import PasswordChangeForm

    AnyAdmin = BaseModelAdmin[Any]
    ModelAdmin = admin.ModelAdmin[Any]
    TabularInline = admin.TabularInline[Any, Any]
    AdminOwnPasswordChangeForm = PasswordChangeForm
    TextInputWidget = forms.TextInput
    ModelChoiceField = forms.ModelChoiceField[Any]
    ModelMultipleChoiceField = forms.ModelMultipleChoiceField[Any]
else:
    from unfold.admin import ModelAdmin, TabularInline
    from unfold.forms import AdminOwnPasswordChangeForm
    from unfold.views import ChangeList
    from unfold.widgets import UnfoldAdminTextInputWidget as TextInputWidget

    AnyAdmin = BaseModelAdmin
    ModelChoiceField = forms.ModelChoiceField
    ModelMultipleChoiceField = forms.ModelMultipleChoiceField

__all__ = [
    "AdminOwnPasswordChangeForm",
    "AnyAdmin",
    "ChangeList",
    "ModelAdmin",
    "ModelChoiceField",
    "ModelMultipleChoiceField",
    "TabularInline",
    "TextInputWidget",
]
