"""The sign-in page: the password leads to the second factor where there is one, and single sign-on
stands beside it where it is set up."""

from __future__ import annotations

from typing import Any, cast

from django.contrib import admin
from django.contrib.admin import AdminSite
from django.contrib.auth.views import LoginView
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.http import urlencode
from typing_extensions import override

from llm_gateway.actions.sign_in import passwords_open
from llm_gateway.actions.sign_on import settings_of_sign_on

from .entering import enter
from .sign_in import SignInForm


class SignInView(LoginView):
    template_name = "admin/login.html"
    authentication_form = SignInForm

    @override
    def get_default_redirect_url(self) -> str:
        return reverse("admin:index")

    @override
    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        context = {**super().get_context_data(**kwargs), **admin.site.each_context(self.request), "title": "Sign in"}
        context |= {"app_path": self.request.get_full_path(), "username": self.request.user.get_username()}
        if sign_on := settings_of_sign_on():
            onward = self.get_redirect_url()
            address = reverse("sign-on") + (f"?{urlencode({'next': onward})}" if onward else "")
            context |= {"sign_on": sign_on, "sign_on_address": address, "passwords_open": passwords_open()}
        return context

    @override
    def form_valid(self, form: Any) -> HttpResponse:
        return enter(self.request, form.get_user(), onward=self.get_success_url())


def sign_in(request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
    if request.method == "GET" and admin.site.has_permission(request):
        return HttpResponseRedirect(reverse("admin:index"))
    request.current_app = admin.site.name
    return cast(HttpResponse, SignInView.as_view(extra_context=extra_context)(request))


def take_over(site: AdminSite) -> None:
    """Make it the site's."""
    site.login = sign_in  # type: ignore[method-assign]
