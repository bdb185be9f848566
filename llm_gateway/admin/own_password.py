"""The page where people change their own password. Wrong old passwords are counted as sign-ins are."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.auth.views import PasswordChangeView
from django.http import HttpRequest, HttpResponseRedirect
from django.urls import reverse
from typing_extensions import override

from llm_gateway.actions.own_password import FLAG
from llm_gateway.actions.sign_in import count_try_of, forget_tries_of
from llm_gateway.core.errors import RateLimited
from llm_gateway.models import trail

from ._typed import AdminOwnPasswordChangeForm


class OwnPasswordForm(AdminOwnPasswordChangeForm):
    def __init__(self, user: Any, *args: Any, request: HttpRequest, **kwargs: Any) -> None:
        super().__init__(user, *args, **kwargs)
        self._request = request

    def clean_old_password(self) -> str:
        """Raises what waits before the password is looked at."""
        name = self.user.get_username()
        try:
            count_try_of(self._request, name)
        except RateLimited as error:
            raise forms.ValidationError(error.message, code="throttled") from None
        try:
            old = str(super().clean_old_password())
        except forms.ValidationError:
            trail.record("sign-in failed", self.user, detail="The old password was wrong.")
            raise
        forget_tries_of(self._request, name)
        return old

    @override
    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        if cleaned.get("old_password") and cleaned["old_password"] == cleaned.get("new_password1"):
            self.add_error("new_password1", "That is the old one; choose another.")
        return cleaned


class OwnPasswordView(PasswordChangeView):
    form_class = OwnPasswordForm
    template_name = "admin/llm_gateway/own_password.html"

    @override
    def get_form_kwargs(self) -> dict[str, Any]:
        return {**super().get_form_kwargs(), "request": self.request}

    @override
    def get_success_url(self) -> str:
        return reverse("admin:password_change_done")

    @override
    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """Whoever has to choose one sees no menu: nothing in it would open."""
        context = {**super().get_context_data(**kwargs), **admin.site.each_context(self.request)}
        if self.request.session.get(FLAG):
            context |= {"forced": True, "title": "Choose your own password", "sidebar_navigation": [], "is_nav_sidebar_enabled": False}
        return context

    @override
    def form_valid(self, form: Any) -> Any:
        response = super().form_valid(form)
        if self.request.session.pop(FLAG, None):
            messages.success(self.request, "The password is yours now. Nobody else knows it.")
            return HttpResponseRedirect(reverse("admin:index"))
        return response


def password_change(request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
    answer: Any = OwnPasswordView.as_view(extra_context=extra_context)(request)
    return answer


admin.site.password_change = password_change  # type: ignore[method-assign]
